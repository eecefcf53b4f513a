"""The way back in the benchmark: one process for one case.

`outbound_side.py push HUB_URL BASE_URL CA_FILE DATABASE_PID` sends what changed in the hub, without a limit.
`outbound_side.py limited ... RECORDS SECONDS` sends it so many records a call, at most 60 calls a minute, so long.
`outbound_side.py detect HUB_URL DATABASE_PID` reads all changes by key, page by page.
`outbound_side.py edit HUB_URL` changes every ticket by one statement.
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from figures import measure, tell
from kwiksync_side import AUDIT_KEYS, INCLUDE

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_target
from kwiksync_ops.rate_limit import CallLimiter, Unlimited
from kwiksync_ops.services import outbound
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import changes, lease
from kwiksync_ops.storage.api_calls import HubCallLimiter
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.storage.models import OUTBOX, RECORD_LINK, RECORDS
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import DeliveryState, Direction, Mode, Trigger

SYSTEM, TABLE, PAGE = "sink", "tickets", 1_000
TICKETS = RECORDS[TABLE]


def push(hub_url: str, base_url: str, ca_file: str) -> dict[str, int]:
    """A whole run; `confirmed` are the deliveries of it that stand in the outbox so, of all that there are."""
    hub = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    run_id = uuid.uuid4().hex
    try:
        counts = _push(hub, _spec(), run_id, Credentials(base_url, ca_file=ca_file), Unlimited())
        counted = sa.select(sa.func.count()).where(OUTBOX.c.run_id == run_id)
        with hub.read() as connection:
            written = connection.execute(counted).scalar_one()
            confirmed = connection.execute(counted.where(OUTBOX.c.state == DeliveryState.CONFIRMED)).scalar_one()
    finally:
        hub.close()
    return {**vars(counts), "written": written, "confirmed": confirmed}


def push_limited(hub_url: str, base_url: str, ca_file: str, records: int, seconds: float) -> None:
    """Under the limit, as every sync; what it brought is counted by the system."""
    spec = _spec()
    spec = replace(spec, limits=replace(spec.limits, batch_records=records))
    hub = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    limiter = _Ending(HubCallLimiter(hub, SYSTEM, spec.limits.calls_per_minute, SystemClock()), seconds)
    try:
        with suppress(_OverError):
            _push(hub, spec, uuid.uuid4().hex, Credentials(base_url, ca_file=ca_file), limiter)
    finally:
        hub.close()


class _OverError(Exception):
    """The time is up."""


class _Ending:
    """Another limiter, which lets calls through only for so long after the first one."""

    def __init__(self, limiter: CallLimiter, seconds: float) -> None:
        self._limiter = limiter
        self._seconds = seconds
        self._started: float | None = None
        self.calls = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        with self._limiter.call():
            now = time.monotonic()
            self._started = self._started or now
            if now - self._started >= self._seconds:
                raise _OverError
            self.calls += 1
            yield


def _push(hub: Hub, spec: SystemSpec, run_id: str, credentials: Credentials, limiter: CallLimiter) -> Any:
    clock = SystemClock()
    run = Run(run_id, spec, Trigger.CLI, Mode.FULL, "bench")
    target = open_target(spec.kind, credentials, spec.options, limiter, clock)
    token = take_lease(hub, run.run_id)
    sync = TableSync(hub, run, spec.tables[0], clock, token, direction=Direction.OUTBOUND)
    try:
        return outbound.push_table(sync, target)
    finally:
        target.close()
        hub.write(lambda connection: lease.release(connection, run.run_id))


def detect(hub_url: str) -> dict[str, Any]:
    """All records as changes, a page at a time: how many, and the median page."""
    hub, found, seconds = open_hub(hub_url), 0, []
    until, after = SystemClock().now(), None
    with hub.read() as connection:
        while True:
            started = time.perf_counter()
            page = changes.read_changes(connection, SYSTEM, TABLE, after=after, until=until, limit=PAGE)
            if not page:
                break
            seconds.append(time.perf_counter() - started)
            found, after = found + len(page), page[-1].mark
    hub.close()
    return {"found": found, "median_s": statistics.median(seconds)}


def edit(hub_url: str) -> None:
    """As an import of somebody's own would: no history of it, so that each record is sent whole."""
    hub = open_hub(hub_url, audit_keys=AUDIT_KEYS)

    def work(connection: sa.Connection) -> None:
        connection.execute(
            TICKETS.update().values(
                category=TICKETS.c.category + " edited",
                sys_mod_count=TICKETS.c.sys_mod_count + 1,
                sys_updated_on=SystemClock().now(),
            )
        )
        connection.execute(RECORD_LINK.update().where(RECORD_LINK.c.system == SYSTEM).values(mod_count=None))

    hub.write(work)
    hub.close()


def _spec() -> SystemSpec:
    return load_system(INCLUDE / "systems" / f"{SYSTEM}.yaml", INCLUDE / "mappings")


def main() -> None:
    what, hub_url, *rest = sys.argv[1:]
    if what == "edit":
        edit(hub_url)
    elif what == "detect":
        tell(measure(lambda: detect(hub_url), int(rest[0]) or None))
    elif what == "push":
        *where, database_pid = rest
        tell(measure(lambda: push(hub_url, *where), int(database_pid) or None))
    else:
        *where, database_pid, records, seconds = rest
        work = lambda: push_limited(hub_url, *where, int(records), float(seconds))  # noqa: E731
        tell(measure(work, int(database_pid) or None))


if __name__ == "__main__":
    main()
