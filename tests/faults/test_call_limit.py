"""60 calls in any 60 s, whoever makes them: the log is the database's, on the database's clock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.rate_limit import WINDOW_S
from kwiksync_ops.storage.api_calls import CALL_BOUND_S, HubCallLimiter, used
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.storage.models import API_CALL
from tests.support.inbound import rows_of

LIMIT = 12
WORKERS = 6


class Waiting(Exception):  # noqa: N818  # no error: it says that a limiter would sleep
    """The limiter has no call free."""


class NoPatience(SystemClock):
    """A clock that says when it is asked to sleep, instead of sleeping."""

    def sleep(self, seconds: float) -> None:
        raise Waiting(seconds)


class Jump(SystemClock):
    """A clock that lets time pass in the log, by moving its calls into the past."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        let_pass(self.hub, seconds)


def let_pass(hub: Hub, seconds: float) -> None:
    hub.write(lambda connection: connection.execute(API_CALL.update().values(at=API_CALL.c.at - seconds)))


def granted(url: str) -> int:
    """How many calls one worker, with connections of its own, gets before it would have to wait."""
    own = open_hub(url)
    limiter = HubCallLimiter(own, "erp", LIMIT, NoPatience())
    try:
        while True:
            with limiter.call():
                pass
    except Waiting:
        return limiter.calls
    finally:
        own.close()


def test_workers_at_once_are_granted_exactly_the_limit(hub: Hub) -> None:
    url = hub.engine.url.render_as_string(hide_password=False)
    for _ in range(3):
        with ThreadPoolExecutor(WORKERS) as workers:
            assert sum(workers.map(granted, [url] * WORKERS)) == LIMIT
        let_pass(hub, WINDOW_S)


def test_calls_that_wait_for_room_never_make_more_than_the_limit_in_a_window(hub: Hub) -> None:
    clock = Jump(hub)
    limiter = HubCallLimiter(hub, "erp", LIMIT, clock)
    for _ in range(5 * LIMIT):
        with limiter.call(), hub.read() as connection:
            assert used(connection, "erp") <= LIMIT
    assert sum(clock.slept) > 3 * WINDOW_S


def test_other_systems_have_calls_of_their_own(hub: Hub) -> None:
    for system in ("erp", "crm"):
        limiter = HubCallLimiter(hub, system, 1, NoPatience())
        with limiter.call(), hub.read() as connection:
            assert used(connection, system) == 1


def test_a_process_killed_in_its_call_keeps_its_place_until_the_bound(hub: Hub) -> None:
    killed = HubCallLimiter(hub, "erp", 1, NoPatience()).call()
    killed.__enter__()
    let_pass(hub, CALL_BOUND_S + WINDOW_S - 30)
    with pytest.raises(Waiting), HubCallLimiter(hub, "erp", 1, NoPatience()).call():
        pass
    let_pass(hub, 31)
    with HubCallLimiter(hub, "erp", 1, NoPatience()).call():
        assert len(rows_of(hub, API_CALL)) == 1


def test_a_long_call_counts_for_a_window_after_its_end(hub: Hub) -> None:
    with HubCallLimiter(hub, "erp", 1, NoPatience()).call():
        let_pass(hub, 100)
    let_pass(hub, WINDOW_S - 5)
    with hub.read() as connection:
        assert used(connection, "erp") == 1
        assert connection.execute(sa.select(sa.func.count()).select_from(API_CALL)).scalar_one() == 1
