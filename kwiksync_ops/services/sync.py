"""A whole sync of a system in this process, table after table: what `kwiksync sync` does without Airflow."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Protocol, TypeVar

from kwiksync_ops import retry
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    CustomerKeyError,
    InsecureTransportError,
    KwikSyncError,
    LeaseError,
)
from kwiksync_ops.services import deletes
from kwiksync_ops.services.identity import Identity
from kwiksync_ops.services.inbound import sync_table
from kwiksync_ops.services.outbound import push_table
from kwiksync_ops.services.outcome import end_run, record_failure
from kwiksync_ops.services.systems import find_table
from kwiksync_ops.services.table_sync import LeaseKeepingClock, Run, TableSync, take_lease
from kwiksync_ops.storage.api_calls import HubCallLimiter
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import RECORD_TABLES, RETRY_DELAYS_S, Direction, Mode, Trigger

T = TypeVar("T")

WAIT_FOR_LEASE_S = 2.0
_OF_THE_SYSTEM = (AuthenticationError, CustomerKeyError, InsecureTransportError)
"""What one table meets, the next one would meet too."""


@dataclass(frozen=True)
class SyncRequest:
    """What to sync: these tables, or all where none is named; `since` and `until` read a window.

    A failed operation is tried again after each of the delays. `wait`: for a sync that runs.
    `direction`: into the hub, or from it to the system.
    """

    tables: Sequence[str] = ()
    mode: Mode = Mode.INCREMENTAL
    since: datetime | None = None
    until: datetime | None = None
    retry_delays_s: Sequence[int] = RETRY_DELAYS_S
    wait: bool = False
    allow_deletes: bool = False
    direction: Direction = Direction.INBOUND


@dataclass(frozen=True)
class TableOutcome:
    """`counts` of a table that came to its end, `error` of one that failed, `skipped` why it was not begun."""

    table: str
    counts: Counts | None = None
    error: KwikSyncError | None = None
    skipped: str | None = None


@dataclass(frozen=True)
class SyncOutcome:
    run_id: str
    tables: tuple[TableOutcome, ...]

    @property
    def errors(self) -> tuple[KwikSyncError, ...]:
        return tuple(table.error for table in self.tables if table.error)

    @property
    def rejected(self) -> int:
        return sum(table.counts.failed for table in self.tables if table.counts)


class Watcher(Protocol):
    """Who is told while a sync runs."""

    def begins(self, run_id: str, tables: Sequence[str]) -> None: ...

    def waits(self, seconds: float, error: KwikSyncError) -> None: ...


@dataclass(frozen=True)
class _Sync:
    hub: Hub
    run: Run
    identity: Identity
    request: SyncRequest
    clock: Clock
    watcher: Watcher

    def table(self, table: TableSpec, token: int) -> TableSync:
        redactor = self.identity.redactor
        return TableSync(self.hub, self.run, table, self.clock, token, redactor, self.request.direction)


def sync_system(
    hub: Hub,
    system: SystemSpec,
    identity: Identity,
    request: SyncRequest,
    *,
    who: str,
    clock: Clock,
    watcher: Watcher,
) -> SyncOutcome:
    """Sync the tables under the lease. A table that fails takes with it those that refer to it, and no others.

    Raises:
        ConfigurationError: the system is not read from (or written to), or has no such table.
        LeaseError: another sync runs.
    """
    tables = _tables(system, request.tables, request.direction)
    run = Run(
        new_run_id("cli", clock),
        system,
        Trigger.CLI,
        request.mode,
        who,
        request.since,
        request.until,
        request.allow_deletes,
    )
    sync = _Sync(hub, run, identity, request, clock, watcher)
    token = _take_lease(sync)
    try:
        watcher.begins(run.run_id, [table.table for table in tables])
        return SyncOutcome(run.run_id, tuple(_sync_tables(sync, tables, token)))
    finally:
        end_run(hub, run.run_id, clock)


def new_run_id(kind: str, clock: Clock) -> str:
    """`cli_20260131T083000_1a2b3c4d`: told apart by eye, and by chance from those of other machines."""
    return f"{kind}_{clock.now():%Y%m%dT%H%M%S}_{secrets.token_hex(4)}"


def _sync_tables(sync: _Sync, tables: Sequence[TableSpec], token: int) -> Iterator[TableOutcome]:
    failed: set[str] = set()
    reason: str | None = None
    for table in tables:
        outcome = TableOutcome(table.table, skipped=reason or _blocked(table, failed))
        if outcome.skipped is None:
            outcome = _outcome(sync, table, token)
        if outcome.counts is None:
            failed.add(table.table)
        if isinstance(outcome.error, _OF_THE_SYSTEM):
            reason = f"{table.table} failed for a reason that all tables share."
        yield outcome


def _blocked(table: TableSpec, failed: set[str]) -> str | None:
    missing = sorted(RECORD_TABLES[table.table].references & failed)
    return f"It refers to {', '.join(missing)}, not synced." if missing else None


def _outcome(sync: _Sync, table: TableSpec, token: int) -> TableOutcome:
    try:
        return TableOutcome(table.table, counts=_with_retries(sync, table, token))
    except KwikSyncError as exc:
        return TableOutcome(table.table, error=exc)


def _with_retries(sync: _Sync, table: TableSpec, token: int) -> Counts:
    """The table's counts. Each try has a fencing token of its own; the last one's failure is logged, and raised."""
    current = sync.table(table, token)
    for attempt in count(1):
        try:
            if attempt > 1:
                current = replace(current, token=take_lease(sync.hub, sync.run.run_id))
            return sync.identity.use(partial(_sync_table, current))
        except Exception as exc:
            delays_s = sync.request.retry_delays_s if isinstance(exc, KwikSyncError) else ()
            record_failure(current, exc, attempt, delays_s)
            delay_s = retry.delay_s(exc, attempt, delays_s)
            if delay_s is None or not isinstance(exc, KwikSyncError):
                raise
            sync.watcher.waits(delay_s, exc)
            sync.clock.sleep(delay_s)
    raise AssertionError("unreachable")  # pragma: no cover


def _sync_table(sync: TableSync, credentials: Credentials) -> Counts:
    if sync.direction == Direction.OUTBOUND:
        with closing(open_limited(open_target, sync, credentials)) as target:
            return push_table(sync, target)
    with closing(open_limited(open_source, sync, credentials)) as source:
        counts = sync_table(sync, source)
        return deletes.bring_in(sync, source) if deletes.is_wanted(sync) else counts


def open_limited(
    open_it: Callable[..., T],
    sync: TableSync,
    credentials: Credentials,
    waited: Callable[[float], None] = lambda _seconds: None,
) -> T:
    """The system, called so often at most as it allows. A wait keeps the lease; `waited` is told how long it was."""
    system, clock = sync.run.system, LeaseKeepingClock(sync.clock, sync.renew)
    limiter = HubCallLimiter(sync.hub, system.system, system.limits.calls_per_minute, clock, waited)
    return open_it(system.kind, credentials, system.options, limiter, clock)


def _take_lease(sync: _Sync) -> int:
    is_told = False
    while True:
        try:
            return take_lease(sync.hub, sync.run.run_id)
        except LeaseError as exc:
            if not sync.request.wait:
                raise
            if not is_told:
                sync.watcher.waits(WAIT_FOR_LEASE_S, exc)
            is_told = True
            sync.clock.sleep(WAIT_FOR_LEASE_S)


def _tables(system: SystemSpec, names: Sequence[str], direction: Direction) -> list[TableSpec]:
    if system.direction not in (direction, "both"):
        is_outbound = system.direction == Direction.OUTBOUND
        way, other = ("written to", "read from it") if is_outbound else ("read from", "write to it")
        raise ConfigurationError(
            f"{system.system} is only {way}: its direction is {system.direction}.",
            remedy=f"Set direction: both in {system.path} to {other} too.",
        )
    wanted = [find_table(system, name) for name in names]
    if direction == Direction.INBOUND:
        return [table for table in system.tables if not wanted or table in wanted]
    for table in wanted:
        if not table.push:
            raise ConfigurationError(
                f"{system.system} does not say how its {table.table} are written.",
                remedy=f"Declare push for the table in {system.path}; see docs/rest-connector.md.",
            )
    return [table for table in system.tables if table.push and (not wanted or table in wanted)]
