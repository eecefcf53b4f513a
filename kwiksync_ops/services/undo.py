"""Undo what a run changed in the hub, as a sync of its own in the Sync Log: batch by batch, each one transaction."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConfigurationError, ConflictError, KwikSyncError
from kwiksync_ops.services.outcome import end_run
from kwiksync_ops.services.records import find_record_table
from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage import audit, checkpoints, edits, lease, sync_log, undo
from kwiksync_ops.storage.checkpoints import Checkpoint
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.storage.undo import Later, Undoing
from kwiksync_ops.vocabulary import BATCH_RECORDS, RECORD_TABLES, Action, Direction, Mode, SyncStatus

log = logging.getLogger(__name__)

TRIGGER = "undo"
SHOWN = 20
"""So many records that can't be put back are named."""


@dataclass
class TableUndo:
    """What undoing a table comes to: records created, updated and deleted by the run, and those changed since."""

    table: str
    created: int = 0
    updated: int = 0
    deleted: int = 0
    later: list[Later] = field(default_factory=list)


@dataclass(frozen=True)
class UndoPlan:
    run_id: str
    undo_id: str
    system: str
    tables: tuple[TableUndo, ...]

    @property
    def later(self) -> list[Later]:
        return [later for table in self.tables for later in table.later]


@dataclass(frozen=True)
class TableUndone:
    """`restored` records have their old values again, `buried` ones the run created; `kept` stay as they are."""

    table: str
    restored: int
    buried: int
    kept: int


def plan_undo(hub: Hub, run_id: str, tables: Sequence[str] = (), *, who: str, clock: Clock) -> UndoPlan:
    """What the run changed, and which of it was changed since.

    Raises:
        ConfigurationError: the run is not known, still runs, is outbound, was undone, or is of an earlier version.
    """
    wanted = {find_record_table(name).name for name in tables}
    with hub.read() as connection:
        system = _check(connection, run_id)
        counts = undo.summary(connection, run_id)
        names = [name for name in reversed(RECORD_TABLES) if name in counts and (not wanted or name in wanted)]
        undone = {
            row["table_name"] for row in sync_log.read_run(connection, undo_id(run_id)) if _is_done(row["status"])
        }
        left = [name for name in names if name not in undone]
        if names and not left:
            raise ConfigurationError(
                f"The run {run_id} was undone already, by {undo_id(run_id)}.",
                remedy="Look at kwiksync records show for what a record is now; the undo itself can be undone.",
            )
        if not names:
            raise ConfigurationError(
                f"The run {run_id} changed nothing in the hub{' in these tables' if wanted else ''}.",
                remedy="There is nothing to undo.",
            )
        undoing = Undoing(run_id, undo_id(run_id), who, clock.now())
        planned = tuple(_plan_table(connection, name, counts[name], undoing) for name in left)
    return UndoPlan(run_id, undo_id(run_id), system, planned)


def undo_run(hub: Hub, plan: UndoPlan, *, who: str, clock: Clock, skip_conflicts: bool = False) -> list[TableUndone]:
    """Put it back. Called again after it was stopped, it goes on after the last committed batch.

    Raises:
        ConflictError: records were changed since, and are not to be skipped; nothing was put back.
        LeaseError: a sync runs.
    """
    if plan.later and not skip_conflicts:
        raise _conflict(plan)
    token = take_lease(hub, plan.undo_id)
    try:
        return [_undo_table(hub, plan, table.table, who, clock, token) for table in plan.tables]
    finally:
        end_run(hub, plan.undo_id, clock)


def undo_id(run_id: str) -> str:
    return f"undo_{run_id}"[:255]


def _check(connection: Connection, run_id: str) -> str:
    rows = sync_log.read_run(connection, run_id)
    if not rows:
        raise ConfigurationError(
            f"There is no run {run_id!r}.",
            remedy="Take its id from the Sync Log, or from kwiksync status --runs 5 --json.",
        )
    if any(row["status"] == SyncStatus.RUNNING for row in rows):
        raise ConfigurationError(f"The run {run_id} still runs.", remedy="Wait for its end, or stop it; then undo it.")
    if all(row["direction"] == Direction.OUTBOUND for row in rows):
        raise ConfigurationError(
            f"The run {run_id} is outbound: it changed nothing in the hub.",
            remedy="Undo the run that brought the values in; what it puts back is sent with the next outbound sync.",
        )
    if all(row["mode"] == Mode.VERIFY for row in rows) and not undo.took_values(connection, run_id):
        raise ConfigurationError(
            f"The run {run_id} changed no value in the hub: it had records sent to {rows[0]['system']} again.",
            remedy="Correct the records in the hub, and sync outbound again.",
        )
    if undo.is_of_an_older_hub(connection, run_id):
        raise ConfigurationError(
            f"The run {run_id} was made by an earlier version, whose history does not number the changes of a record.",
            remedy="Correct the records at their source, and sync the tables again in full mode.",
        )
    return str(rows[0]["system"])


def _is_done(status: str) -> bool:
    return status in (SyncStatus.SUCCESS, SyncStatus.PARTIAL)


def _plan_table(connection: Connection, table: str, counts: dict[str, int], undoing: Undoing) -> TableUndo:
    planned = TableUndo(table, counts.get(Action.CREATE, 0), counts.get(Action.UPDATE, 0), counts.get(Action.DELETE, 0))
    before: int | None = None
    while steps := undo.read_steps(connection, undoing.run_id, table, before=before, limit=BATCH_RECORDS):
        planned.later += undo.find_later(connection, table, steps, undoing)
        before = steps[-1].id
    return planned


def _conflict(plan: UndoPlan) -> KwikSyncError:
    named = "; ".join(
        f"{later.table} {later.external_id} ({', '.join(later.fields)}, by {later.run_id})"
        for later in plan.later[:SHOWN]
    )
    return ConflictError(
        f"{len(plan.later)} records that {plan.run_id} changed were changed again since: {named}.",
        remedy="Nothing was put back. --skip-conflicts leaves these as they are and puts the others back.",
    )


def _undo_table(hub: Hub, plan: UndoPlan, table: str, who: str, clock: Clock, token: int) -> TableUndone:
    run = TableRun(plan.undo_id, plan.system, Direction.INBOUND, table)
    hub.write(lambda connection: _start(connection, run, who, clock, token))
    while hub.write(lambda connection: _undo_batch(connection, plan, run, who, clock, token)):
        pass
    kept = sum(1 for each in plan.tables if each.table == table for _ in each.later)
    message = f"{kept} records were left as they are: they were changed since." if kept else None
    status = SyncStatus.PARTIAL if kept else SyncStatus.SUCCESS
    hub.write(partial(_end, run=run, status=status, message=message, clock=clock, token=token))
    with hub.read() as connection:
        row = sync_log.read_table(connection, run)
    return TableUndone(table, row["updated"] if row else 0, row["deleted"] if row else 0, kept)


def _start(connection: Connection, run: TableRun, who: str, clock: Clock, token: int) -> None:
    lease.renew(connection, token)
    sync_log.start(connection, run, trigger=TRIGGER, mode=TRIGGER, who=who, now=clock.now())


def _end(
    connection: Connection, run: TableRun, status: SyncStatus, message: str | None, clock: Clock, token: int
) -> None:
    lease.renew(connection, token)
    sync_log.end(connection, run, status, now=clock.now(), message=message)


def _undo_batch(connection: Connection, plan: UndoPlan, run: TableRun, who: str, clock: Clock, token: int) -> bool:
    """One batch with its checkpoint, counters and audit row; False where nothing is left."""
    lease.renew(connection, token)
    now, place = clock.now(), f"{run.table}:undo"
    resume = checkpoints.read_resume(connection, run.system, run.direction, place, run.run_id) or {}
    steps = undo.read_steps(connection, plan.run_id, run.table, before=resume.get("before"), limit=BATCH_RECORDS)
    if not steps:
        return False
    undoing = Undoing(plan.run_id, plan.undo_id, who, now)
    restored = undo.compare(connection, run.table, steps, undoing)
    old = edits.old_values(connection, run.table, restored.buried)
    updated, buried = undo.apply(connection, run.table, restored, undoing)
    mark = Checkpoint(None, {"before": steps[-1].id}, run.run_id)
    checkpoints.advance(connection, run.system, run.direction, place, mark, now=now)
    figures = {"processed": updated + buried, "updated": updated, "deleted": buried}
    sync_log.count(connection, run, figures)
    if updated or buried:
        details = {**figures, "undone": plan.run_id, "old": old}
        subject = f"{run.table} from {run.system}"
        audit.append(connection, "batch.undo", subject, who=who, now=now, run_id=run.run_id, details=details)
    return True
