"""The durable log of API calls: at most so many to one system in any 60 seconds, over all processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa

from kwiksync_ops.clock import Clock
from kwiksync_ops.rate_limit import WINDOW_S
from kwiksync_ops.storage.hub import Hub, now_s
from kwiksync_ops.storage.locks import serialize
from kwiksync_ops.storage.models import API_CALL

Waited = Callable[[float], None]

CALL_BOUND_S = 150.0
"""How long a call that never reported its end is taken to be under way."""


class HubCallLimiter:
    """An exact sliding log. A call counts from its start, and for 60 seconds after its *end*.

    What the system sees lies between the two, so no 60 seconds at the system hold more than the limit.
    `waited` is told of each call that had to wait, and how many seconds.
    """

    def __init__(self, hub: Hub, system: str, limit: int, clock: Clock, waited: Waited = lambda _seconds: None) -> None:
        self._hub = hub
        self._system = system
        self._limit = limit
        self._clock = clock
        self._waited = waited
        self.calls = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        call_id = self._wait_for_call()
        self.calls += 1
        try:
            yield
        finally:
            self._hub.write(lambda connection: _end(connection, call_id))

    def _wait_for_call(self) -> int:
        began_s = None
        while True:
            call_id, wait_s = self._hub.write(lambda connection: _begin(connection, self._system, self._limit))
            if call_id is not None:
                break
            began_s = self._clock.monotonic() if began_s is None else began_s
            self._clock.sleep(max(wait_s, 0.01))
        if began_s is not None:
            self._waited(self._clock.monotonic() - began_s)
        return call_id


def used(connection: sa.Connection, system: str) -> int:
    """How many calls to the system count at this moment."""
    counted = API_CALL.c.at > now_s(connection) - WINDOW_S
    return connection.execute(
        sa.select(sa.func.count()).select_from(API_CALL).where(API_CALL.c.system == system, counted)
    ).scalar_one()


def forget_counted(connection: sa.Connection) -> int:
    """Remove the calls that count no more, of callers that do not come back too; how many there were."""
    return connection.execute(API_CALL.delete().where(API_CALL.c.at <= now_s(connection) - WINDOW_S)).rowcount


@dataclass(frozen=True)
class Taken:
    """`left` calls after this one; where it was one too many, `wait_s` is when the next is free."""

    left: int
    wait_s: float = 0.0


def take(connection: sa.Connection, name: str, limit: int) -> Taken:
    """Count a call to us, from this moment on, or say how long to wait."""
    call_id, wait_s = _begin(connection, name, limit, held_s=0.0)
    return Taken(0, wait_s) if call_id is None else Taken(limit - used(connection, name))


def _begin(
    connection: sa.Connection, system: str, limit: int, *, held_s: float = CALL_BOUND_S
) -> tuple[int | None, float]:
    """The call's id, or None and how long to wait before the oldest call falls out of the window."""
    serialize(connection, f"api_call:{system}")
    now = connection.execute(sa.select(now_s(connection))).scalar_one()
    now = float(now)
    connection.execute(API_CALL.delete().where(API_CALL.c.system == system, API_CALL.c.at <= now - WINDOW_S))
    oldest = connection.execute(
        sa.select(API_CALL.c.at).where(API_CALL.c.system == system).order_by(API_CALL.c.at.desc()).offset(limit - 1)
    ).first()
    if oldest is not None:
        return None, float(oldest.at) + WINDOW_S - now
    call_id = connection.execute(
        API_CALL.insert().values(system=system, at=now + held_s).returning(API_CALL.c.id)
    ).scalar_one()
    return call_id, 0.0


def _end(connection: sa.Connection, call_id: int) -> None:
    connection.execute(API_CALL.update().where(API_CALL.c.id == call_id).values(at=now_s(connection)))
