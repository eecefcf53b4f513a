"""The Sync Log: one row a table and run, whose counters move with the batches that they count."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.models import SYNC_LOG
from kwiksync_ops.storage.newest_first import behind
from kwiksync_ops.vocabulary import Direction, Mode, SyncStatus


@dataclass(frozen=True)
class TableRun:
    """The sync of one table within a run: what its Sync Log row, batches and error rows are found by."""

    run_id: str
    system: str
    direction: Direction
    table: str


def start(
    connection: sa.Connection,
    run: TableRun,
    *,
    trigger: str,
    mode: str,
    who: str,
    now: datetime,
    mapping_version: int | None = None,
    watermark: str | None = None,
) -> None:
    """Open the row; a later attempt of the same run finds it there, and keeps its start and its counters."""
    found = connection.execute(
        SYNC_LOG.update()
        .where(*is_run(run))
        .values(status=SyncStatus.RUNNING, ended=None, error_code=None, message=None)
    )
    if found.rowcount:
        return
    connection.execute(
        SYNC_LOG.insert().values(
            sys_id=uuid.uuid4().hex,
            run_id=run.run_id,
            system=run.system,
            direction=run.direction,
            table_name=run.table,
            trigger=trigger,
            mode=mode,
            status=SyncStatus.RUNNING,
            started=now,
            watermark_before=watermark,
            watermark_after=watermark,
            mapping_version=mapping_version,
            who=who,
        )
    )


def count(connection: sa.Connection, run: TableRun, counts: Mapping[str, int], *, watermark: str | None = None) -> None:
    """Add to the row's counters, in the transaction of what they count; tell how far the table is in, if it moved."""
    added = {f"add_{name}": number for name, number in counts.items()}
    of = {"of_run": run.run_id, "of_direction": run.direction, "of_table": run.table}
    if added or watermark:
        connection.execute(_addition(tuple(counts)), {**of, **added, "reached": watermark})


@cache
def _addition(names: tuple[str, ...]) -> sa.Update:
    this = (
        SYNC_LOG.c.run_id == sa.bindparam("of_run"),
        SYNC_LOG.c.direction == sa.bindparam("of_direction"),
        SYNC_LOG.c.table_name == sa.bindparam("of_table"),
    )
    sums = {name: SYNC_LOG.c[name] + sa.bindparam(f"add_{name}", type_=sa.BigInteger()) for name in names}
    reached = sa.func.coalesce(sa.bindparam("reached", type_=sa.Text()), SYNC_LOG.c.watermark_after)
    return SYNC_LOG.update().where(*this).values(watermark_after=reached, **sums)


def note(connection: sa.Connection, run: TableRun, message: str) -> None:
    connection.execute(SYNC_LOG.update().where(*is_run(run)).values(message=message))


def end(
    connection: sa.Connection,
    run: TableRun,
    status: SyncStatus,
    *,
    now: datetime,
    error_code: str | None = None,
    message: str | None = None,
) -> None:
    """Close the row. A row that was closed before keeps its end."""
    connection.execute(
        SYNC_LOG.update()
        .where(*is_run(run), SYNC_LOG.c.ended.is_(None))
        .values(status=status, ended=now, error_code=error_code, message=sa.func.coalesce(message, SYNC_LOG.c.message))
    )


def read_run(connection: sa.Connection, run_id: str) -> Sequence[sa.RowMapping]:
    """The rows of a run, in the order in which they started."""
    rows = connection.execute(SYNC_LOG.select().where(SYNC_LOG.c.run_id == run_id).order_by(SYNC_LOG.c.started))
    return rows.mappings().all()


def read_table(connection: sa.Connection, run: TableRun) -> sa.RowMapping | None:
    return connection.execute(SYNC_LOG.select().where(*is_run(run))).mappings().first()


def latest(connection: sa.Connection, *, limit: int) -> Sequence[sa.RowMapping]:
    """The newest rows, newest first."""
    return connection.execute(SYNC_LOG.select().order_by(SYNC_LOG.c.started.desc()).limit(limit)).mappings().all()


def search(
    connection: sa.Connection,
    *,
    system: str | None = None,
    table: str | None = None,
    status: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int,
) -> Sequence[sa.RowMapping]:
    """Rows, newest first; from behind `after` on, which is the start and the sys_id of the last one before."""
    wanted = {"system": system, "table_name": table, "status": status}
    conditions = [SYNC_LOG.c[name] == value for name, value in wanted.items() if value is not None]
    if since is not None:
        conditions.append(SYNC_LOG.c.started >= since)
    if until is not None:
        conditions.append(SYNC_LOG.c.started < until)
    if after is not None:
        conditions.append(behind(SYNC_LOG.c.started, SYNC_LOG.c.sys_id, after))
    query = SYNC_LOG.select().where(*conditions).order_by(SYNC_LOG.c.started.desc(), SYNC_LOG.c.sys_id).limit(limit)
    return connection.execute(query).mappings().all()


def durations(connection: sa.Connection, like: Mapping[str, Any], *, limit: int) -> list[float]:
    """How long, in seconds, the last successful runs before this row's took, of the same system, direction and mode."""
    first, last = sa.func.min(SYNC_LOG.c.started), sa.func.max(SYNC_LOG.c.ended)
    rows = connection.execute(
        sa.select(first.label("first"), last.label("last"))
        .where(*_sound_before(like, "system", "direction", "mode"))
        .group_by(SYNC_LOG.c.run_id)
        .order_by(first.desc())
        .limit(limit)
    )
    return [(row.last - row.first).total_seconds() for row in rows]


def reject_shares(connection: sa.Connection, like: Mapping[str, Any], *, limit: int) -> list[float]:
    """Which share of its records the last successful syncs of this row's table before it rejected, in its mode."""
    same = _sound_before(like, "system", "direction", "mode", "table_name")
    rows = connection.execute(
        sa.select(SYNC_LOG.c.failed, SYNC_LOG.c.processed)
        .where(*same, SYNC_LOG.c.processed > 0)
        .order_by(SYNC_LOG.c.started.desc())
        .limit(limit)
    )
    return [row.failed / row.processed for row in rows]


def _sound_before(like: Mapping[str, Any], *names: str) -> list[sa.ColumnElement[bool]]:
    """Rows of other runs before this row's that ended well, and have the same under these names."""
    same = [SYNC_LOG.c[name] == like[name] for name in names]
    ended = SYNC_LOG.c.status.in_((SyncStatus.SUCCESS, SyncStatus.PARTIAL))
    return [*same, ended, SYNC_LOG.c.run_id != like["run_id"], SYNC_LOG.c.started < like["started"]]


def last_start(connection: sa.Connection, system: str, direction: str) -> datetime | None:
    """When a sync of this system last began; a verification is none."""
    mine = (SYNC_LOG.c.system == system, SYNC_LOG.c.direction == direction, SYNC_LOG.c.mode != Mode.VERIFY)
    return connection.execute(sa.select(sa.func.max(SYNC_LOG.c.started)).where(*mine)).scalar()


_OF_TABLE = ("system", "direction", "table_name")
_NEWEST = (
    SYNC_LOG.select()
    .where(SYNC_LOG.c.mode != Mode.VERIFY)
    .order_by(*(SYNC_LOG.c[name].desc() for name in (*_OF_TABLE, "started")))
    .limit(1)
)
_NEWEST_BEFORE = _NEWEST.where(
    sa.tuple_(*(SYNC_LOG.c[name] for name in _OF_TABLE)) < sa.tuple_(*map(sa.bindparam, _OF_TABLE))
)


def last_by_table(connection: sa.Connection) -> Sequence[sa.RowMapping]:
    """The newest row of each system, direction and table; a verification is no sync.

    From each to the next by the index: it takes as long as there are tables, however long the log is.
    """
    rows: list[sa.RowMapping] = []
    row = connection.execute(_NEWEST).mappings().first()
    while row is not None:
        rows.append(row)
        row = connection.execute(_NEWEST_BEFORE, {name: row[name] for name in _OF_TABLE}).mappings().first()
    return sorted(rows, key=itemgetter("system", "direction", "started"))


def is_run(run: TableRun) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        SYNC_LOG.c.run_id == run.run_id,
        SYNC_LOG.c.direction == run.direction,
        SYNC_LOG.c.table_name == run.table,
    )
