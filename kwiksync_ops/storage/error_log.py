"""The Error Log: what could not be taken, with its payload, until somebody replays or resolves it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.errors import ConflictError
from kwiksync_ops.storage.bulk import among, insert_rows
from kwiksync_ops.storage.models import ERROR_LOG
from kwiksync_ops.storage.newest_first import behind
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import Resolution, Severity

_COLUMNS = (
    "sys_id",
    "occurred",
    "code",
    "message",
    "remedy",
    "severity",
    "system",
    "direction",
    "table_name",
    "field",
    "external_id",
    "payload",
    "faults",
    "stack_trace",
    "run_id",
    "batch",
    "attempt",
    "resolution",
)


@dataclass(frozen=True)
class ErrorEntry:
    """One error row. `payload` is the record as JSON text with its secrets removed; `faults` lists all its faults.

    `resolution` is open, unless the row only tells what was decided already.
    """

    code: str
    message: str
    severity: Severity = Severity.ERROR
    remedy: str | None = None
    field: str | None = None
    external_id: str | None = None
    payload: str | None = None
    faults: Sequence[Mapping[str, Any]] = ()
    stack_trace: str | None = None
    resolution: str = Resolution.OPEN


def append(
    connection: sa.Connection,
    run: TableRun,
    entries: Collection[ErrorEntry],
    *,
    now: datetime,
    batch: int | None = None,
    attempt: int = 1,
) -> None:
    """Write error rows, in the transaction of the batch that they belong to."""
    rows = [
        (
            uuid.uuid4().hex,
            now,
            entry.code,
            entry.message,
            entry.remedy,
            str(entry.severity),
            run.system,
            str(run.direction),
            run.table,
            entry.field,
            entry.external_id,
            entry.payload,
            json.dumps(entry.faults) if entry.faults else None,
            entry.stack_trace,
            run.run_id,
            batch,
            attempt,
            str(entry.resolution),
        )
        for entry in entries
    ]
    insert_rows(connection, ERROR_LOG, _COLUMNS, rows)


def not_logged(connection: sa.Connection, run: TableRun, entries: Collection[ErrorEntry]) -> list[ErrorEntry]:
    """Those that no earlier try of this run has logged."""
    mine = (ERROR_LOG.c.run_id == run.run_id, ERROR_LOG.c.table_name == run.table)
    keys = ("external_id", "code", "message", "payload", "resolution")
    columns = (ERROR_LOG.c[name] for name in keys)
    logged = {tuple(row) for row in connection.execute(sa.select(*columns).where(*mine))} if entries else set()
    return [entry for entry in entries if attrgetter(*keys)(entry) not in logged]


def search(
    connection: sa.Connection,
    *,
    system: str | None = None,
    table: str | None = None,
    code: str | None = None,
    run_id: str | None = None,
    resolution: str | None = None,
    external_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int = 100,
) -> Sequence[sa.RowMapping]:
    """Error rows, newest first; from behind `after` on, which is the time and the sys_id of the last one before."""
    wanted = {"system": system, "table_name": table, "code": code, "run_id": run_id, "resolution": resolution}
    wanted["external_id"] = external_id
    conditions = [ERROR_LOG.c[name] == value for name, value in wanted.items() if value is not None]
    if since is not None:
        conditions.append(ERROR_LOG.c.occurred >= since)
    if until is not None:
        conditions.append(ERROR_LOG.c.occurred < until)
    if after is not None:
        conditions.append(behind(ERROR_LOG.c.occurred, ERROR_LOG.c.sys_id, after))
    query = ERROR_LOG.select().where(*conditions).order_by(ERROR_LOG.c.occurred.desc(), ERROR_LOG.c.sys_id).limit(limit)
    return connection.execute(query).mappings().all()


def count_codes(connection: sa.Connection, run_id: str) -> dict[tuple[str, str], int]:
    """Rows of a run, by table and code."""
    columns = (ERROR_LOG.c.table_name, ERROR_LOG.c.code)
    counted = sa.select(*columns, sa.func.count()).where(ERROR_LOG.c.run_id == run_id).group_by(*columns)
    return {(table or "", code): number for table, code, number in connection.execute(counted).all()}


def read(connection: sa.Connection, sys_id: str) -> sa.RowMapping | None:
    """One row, by its sys_id or the beginning of it, if that names one row only."""
    begins, near = ERROR_LOG.c.sys_id.startswith(sys_id, autoescape=True), (sys_id, f"{sys_id}g")  # behind all digits
    found = connection.execute(ERROR_LOG.select().where(begins, ERROR_LOG.c.sys_id.between(*near)).limit(2))
    rows = found.mappings().all()
    return rows[0] if len(rows) == 1 else None


def retell(connection: sa.Connection, sys_id: str, entry: ErrorEntry) -> None:
    """An open row whose record was rejected again: it stays open, with what is wrong now and one more attempt."""
    connection.execute(
        ERROR_LOG.update()
        .where(ERROR_LOG.c.sys_id == sys_id, ERROR_LOG.c.resolution == Resolution.OPEN)
        .values(
            code=entry.code,
            message=entry.message,
            remedy=entry.remedy,
            field=entry.field,
            faults=json.dumps(entry.faults) if entry.faults else None,
            attempt=ERROR_LOG.c.attempt + 1,
        )
    )


def close(
    connection: sa.Connection, sys_ids: Collection[str], resolution: Resolution, *, who: str, now: datetime
) -> int:
    """Mark open rows as replayed or resolved; how many there were."""
    closed = connection.execute(
        ERROR_LOG.update()
        .where(ERROR_LOG.c.sys_id.in_(sys_ids), ERROR_LOG.c.resolution == Resolution.OPEN)
        .values(resolution=str(resolution), resolved_on=now, resolved_by=who)
    )
    return closed.rowcount


def note_payload(connection: sa.Connection, sys_id: str, payload: str) -> None:
    """Give a row another payload: that of a conflict tells what was decided, too."""
    connection.execute(ERROR_LOG.update().where(ERROR_LOG.c.sys_id == sys_id).values(payload=payload))


def has_open(connection: sa.Connection, run: TableRun) -> bool:
    """Whether there is what close_healed might close. Only the holder of the lease adds to it."""
    of = {"of_system": run.system, "of_direction": run.direction, "of_table": run.table}
    return bool(connection.execute(_HAS_OPEN, of).scalar_one())


def close_healed(connection: sa.Connection, run: TableRun, external_ids: Collection[str], *, now: datetime) -> None:
    """A record that was taken has no open rejection in that direction any more. A conflict is for a person to end."""
    if not has_open(connection, run):
        return
    connection.execute(
        ERROR_LOG.update()
        .where(
            ERROR_LOG.c.system == run.system,
            ERROR_LOG.c.direction == run.direction,
            ERROR_LOG.c.table_name == run.table,
            ERROR_LOG.c.resolution == Resolution.OPEN,
            ERROR_LOG.c.code != ConflictError.code,
            among(connection, ERROR_LOG.c.external_id, external_ids),
        )
        .values(resolution=str(Resolution.RESOLVED), resolved_on=now, resolved_by="sync")
    )


_HAS_OPEN = sa.select(
    sa.exists().where(
        ERROR_LOG.c.system == sa.bindparam("of_system"),
        ERROR_LOG.c.direction == sa.bindparam("of_direction"),
        ERROR_LOG.c.table_name == sa.bindparam("of_table"),
        ERROR_LOG.c.resolution == Resolution.OPEN.value,
        ERROR_LOG.c.code != ConflictError.code,
    )
)


def count_open(connection: sa.Connection) -> Mapping[str, int]:
    """How many open rows there are, by code."""
    rows = connection.execute(
        sa.select(ERROR_LOG.c.code, sa.func.count())
        .where(ERROR_LOG.c.resolution == Resolution.OPEN)
        .group_by(ERROR_LOG.c.code)
        .order_by(ERROR_LOG.c.code)
    )
    return {row[0]: row[1] for row in rows}
