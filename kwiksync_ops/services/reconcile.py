"""Verify: does the hub hold what the system holds? A comparison of whole tables, a repair, and a second comparison.

A verification is a run like a sync: under the lease and the rate limit, in the Sync Log with the mode `verify`. What it
found is kept there and, with the digests of both sides, in the audit trail.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any, Protocol

from kwiksync_ops import retry
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import Source
from kwiksync_ops.errors import ConfigurationError, KwikSyncError, LeaseError
from kwiksync_ops.services.comparison import Comparison, Reading, TableComparison, Told
from kwiksync_ops.services.identity import Identity
from kwiksync_ops.services.outcome import end_run, record_failure
from kwiksync_ops.services.repair import Repaired, repair
from kwiksync_ops.services.sync import WAIT_FOR_LEASE_S, new_run_id
from kwiksync_ops.services.systems import find_table
from kwiksync_ops.services.table_sync import LeaseKeepingClock, Run, TableSync, take_lease
from kwiksync_ops.storage import audit, checkpoints, lease, sync_log, verification
from kwiksync_ops.storage.api_calls import HubCallLimiter
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.verification import opened_seen
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import RETRY_DELAYS_S, Direction, Mode, Repair, SyncStatus, Trigger, Verdict

log = logging.getLogger(__name__)

EXAMPLES = 5


@dataclass(frozen=True)
class VerifyRequest:
    """What to verify: these tables, or all where none is named; and whether one side is put right by the other.

    Attributes:
        repair_deletes: with a repair of the hub, also delete there what the system has no more.
        examples: at most so many records of each kind are shown.
        wait: for a sync that runs.
    """

    tables: Sequence[str] = ()
    repair: Repair | None = None
    repair_deletes: bool = False
    examples: int = EXAMPLES
    retry_delays_s: Sequence[int] = RETRY_DELAYS_S
    wait: bool = False


@dataclass(frozen=True)
class TableVerification:
    """`before` a repair and `after` it; without a repair, or where nothing was to be repaired, both are the same."""

    before: Comparison
    after: Comparison
    repaired: Repaired | None = None


@dataclass(frozen=True)
class VerifiedTable:
    """`found` of a table that was compared, `error` of one that could not be."""

    table: str
    found: TableVerification | None = None
    error: KwikSyncError | None = None


@dataclass(frozen=True)
class VerifyOutcome:
    run_id: str
    tables: tuple[VerifiedTable, ...]

    @property
    def errors(self) -> tuple[KwikSyncError, ...]:
        return tuple(each.error for each in self.tables if each.error)

    @property
    def agrees(self) -> bool:
        return all(each.found is not None and each.found.after.agrees for each in self.tables)

    @property
    def rejected(self) -> int:
        return sum(each.found.after.counts[Verdict.REJECTED] for each in self.tables if each.found)


class VerifyWatcher(Protocol):
    """Who is told while a verification runs."""

    def begins(self, table: str, records: int) -> None:
        """A table is read, of which the hub links so many records to the system."""
        ...

    def read(self, table: str, records: int) -> None: ...

    def waits(self, seconds: float, error: KwikSyncError) -> None: ...


def verify_table(sync: TableSync, source: Source, request: VerifyRequest, told: Told) -> TableVerification:
    """Compare a table, repair it where that was asked for, and compare again.

    Raises:
        SystemUnavailableError: the system's table could not be read to its end: nothing is known then.
        LeaseError: another process took over.
    """
    sync.start()
    before = _compare(sync, source, request, told)
    repaired = None
    after = before
    if request.repair and not before.agrees:
        repaired = repair(Reading.of(sync, source, told), before, request.repair, deletes=request.repair_deletes)
        after = _compare(sync, source, request, told)
    found = TableVerification(before, after, repaired)
    sync.hub.write(lambda connection: _close(connection, sync, found))
    log.info("%s of %s: %s", sync.table.table, sync.key.system, summary(found))
    return found


def verify_system(
    hub: Hub,
    system: SystemSpec,
    identity: Identity,
    request: VerifyRequest,
    *,
    who: str,
    clock: Clock,
    watcher: VerifyWatcher,
) -> VerifyOutcome:
    """Verify the tables under the lease, each for itself: one that can't be read does not hold up the others.

    Raises:
        ConfigurationError: the system is not read from, has no such table, or the repair is not possible.
        LeaseError: a sync runs.
    """
    tables = _tables(system, request)
    run = Run(new_run_id("verify", clock), system, Trigger.CLI, Mode.VERIFY, who)
    token = _take_lease(hub, run.run_id, request, clock, watcher)
    work = _Work(hub, run, identity, request, clock, watcher)
    try:
        return VerifyOutcome(run.run_id, tuple(work.verified(table, token) for table in tables))
    finally:
        end_run(hub, run.run_id, clock)


@dataclass(frozen=True)
class _Work:
    hub: Hub
    run: Run
    identity: Identity
    request: VerifyRequest
    clock: Clock
    watcher: VerifyWatcher

    def verified(self, table: TableSpec, token: int) -> VerifiedTable:
        sync = TableSync(self.hub, self.run, table, self.clock, token, self.identity.redactor)
        try:
            return VerifiedTable(table.table, self._with_retries(sync))
        except KwikSyncError as exc:
            return VerifiedTable(table.table, error=exc)

    def _with_retries(self, sync: TableSync) -> TableVerification:
        """Each try reads from the start, under a fencing token of its own: half a reading proves nothing."""
        for attempt in count(1):
            try:
                if attempt > 1:
                    sync = replace(sync, token=take_lease(self.hub, self.run.run_id))
                return self.identity.use(partial(self._once, sync))
            except Exception as exc:
                delays_s = self.request.retry_delays_s if isinstance(exc, KwikSyncError) else ()
                record_failure(sync, exc, attempt, delays_s)
                delay_s = retry.delay_s(exc, attempt, delays_s)
                if delay_s is None or not isinstance(exc, KwikSyncError):
                    raise
                self.watcher.waits(delay_s, exc)
                self.clock.sleep(delay_s)
        raise AssertionError("unreachable")  # pragma: no cover

    def _once(self, sync: TableSync, credentials: Credentials) -> TableVerification:
        with self.hub.read() as connection:
            linked = verification.count_linked(connection, sync.key.system, sync.key.table)
        self.watcher.begins(sync.table.table, linked)
        system, clock = self.run.system, LeaseKeepingClock(self.clock, sync.renew)
        limiter = HubCallLimiter(self.hub, system.system, system.limits.calls_per_minute, clock)
        with closing(open_source(system.kind, credentials, system.options, limiter, clock)) as source:
            return verify_table(sync, source, self.request, self.watcher.read)


def check_request(system: SystemSpec, tables: Sequence[TableSpec], request: VerifyRequest) -> None:
    """Raises ConfigurationError where the request can't be met."""
    if system.direction == Direction.OUTBOUND:
        raise ConfigurationError(
            f"{system.system} is only written to: its direction is outbound, so that there is nothing to compare with.",
            remedy=f"Set direction: both in {system.path}, with the mapping of what is read.",
        )
    unsent = [table.table for table in tables if not table.push]
    if request.repair is Repair.SYSTEM and (unsent or system.direction != "both"):
        raise ConfigurationError(
            f"{system.system} can't be repaired: nothing is sent to it of {', '.join(unsent) or 'any table'}.",
            remedy="Choose tables that are sent there, or repair the hub: --repair hub.",
        )
    if request.repair_deletes and request.repair is not Repair.HUB:
        raise ConfigurationError(
            "Deletions are repaired in the hub only.", remedy="Add --repair hub, or leave --repair-deletes out."
        )


def summary(found: TableVerification) -> str:
    """One line: what was compared, what was found and done, and the digests."""
    text = _found(found.before)
    if found.repaired:
        text += f" Repaired: {found.repaired}. Then: {_found(found.after)}"
    after = found.after
    if after.agrees:
        return f"{text} Hub and system agree, digest {after.hub_digest}."
    return f"{text} They do not agree: hub {after.hub_digest}, system {after.system_digest}."


def _found(comparison: Comparison) -> str:
    counts = ", ".join(f"{number:,} {verdict}" for verdict, number in comparison.counts.items() if number)
    again = " It was read twice, since the first reading left doubts." if comparison.readings > 1 else ""
    return f"{comparison.compared:,} compared: {counts or 'nothing there'}.{again}"


def _compare(sync: TableSync, source: Source, request: VerifyRequest, told: Told) -> Comparison:
    key = sync.key
    with sync.hub.read() as connection:
        watermark = checkpoints.read_watermark(connection, key.system, Direction.INBOUND, key.table)
    reading = Reading.of(sync, source, told)
    with opened_seen(sync.hub, key.system, key.table) as seen:
        found = TableComparison(reading, seen, watermark.at if watermark else None, request.examples).run()
    sync.hub.write(lambda connection: _tell(connection, sync, found))
    return found


def _tell(connection: Connection, sync: TableSync, found: Comparison) -> None:
    """Count a comparison into the Sync Log, and keep its digests in the audit trail."""
    lease.renew(connection, sync.token)
    counts, author = found.counts, sync.author()
    figures = {"processed": found.compared, "unchanged": counts[Verdict.EQUAL]}
    failed = sum(number for verdict, number in counts.items() if verdict is not Verdict.EQUAL)
    sync_log.count(connection, sync.key, figures | {"failed": failed})
    audit.append(
        connection,
        "table.verify",
        f"{sync.key.table} and {sync.key.system}",
        who=author.who,
        now=author.now,
        run_id=author.run_id,
        details=details(found),
    )


def details(found: Comparison) -> Mapping[str, Any]:
    """Counts and digests, without a value of any record."""
    return {
        "compared": found.compared,
        **{str(verdict): number for verdict, number in found.counts.items()},
        "fields": dict(found.fields),
        "codes": dict(found.codes),
        "readings": found.readings,
        "hub_digest": found.hub_digest,
        "system_digest": found.system_digest,
        "agrees": found.agrees,
    }


def _close(connection: Connection, sync: TableSync, found: TableVerification) -> None:
    lease.renew(connection, sync.token)
    is_sound = found.after.agrees and not found.after.counts[Verdict.REJECTED]
    status = SyncStatus.SUCCESS if is_sound else SyncStatus.PARTIAL
    sync_log.end(connection, sync.key, status, now=sync.clock.now(), message=summary(found))


def _tables(system: SystemSpec, request: VerifyRequest) -> list[TableSpec]:
    wanted = {find_table(system, name).table for name in request.tables}
    tables = [table for table in system.tables if not wanted or table.table in wanted]
    check_request(system, tables, request)
    return tables


def _take_lease(hub: Hub, run_id: str, request: VerifyRequest, clock: Clock, watcher: VerifyWatcher) -> int:
    is_told = False
    while True:
        try:
            return take_lease(hub, run_id)
        except LeaseError as exc:
            if not request.wait:
                raise
            if not is_told:
                watcher.waits(WAIT_FOR_LEASE_S, exc)
            is_told = True
            clock.sleep(WAIT_FOR_LEASE_S)
