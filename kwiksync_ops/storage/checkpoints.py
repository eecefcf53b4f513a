"""How far each table of each system was read and committed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.models import CHECKPOINT


@dataclass(frozen=True, order=True)
class Watermark:
    """A change time as UTC ISO text of fixed width, and the id of the last record at it where the read is by key."""

    at: str
    id: str = ""

    def __str__(self) -> str:
        return f"{self.at} {self.id}".strip()


def read_watermark(connection: sa.Connection, system: str, direction: str, table: str) -> Watermark | None:
    row = connection.execute(_READ, {"of_system": system, "of_direction": direction, "of_table": table}).first()
    return Watermark(row.watermark_at, row.watermark_id or "") if row and row.watermark_at else None


_THIS = (
    CHECKPOINT.c.system == sa.bindparam("of_system"),
    CHECKPOINT.c.direction == sa.bindparam("of_direction"),
    CHECKPOINT.c.table_name == sa.bindparam("of_table"),
)
_READ = sa.select(CHECKPOINT.c.watermark_at, CHECKPOINT.c.watermark_id).where(*_THIS)
_MARK = ("watermark_at", "watermark_id")
_STAMP = ("run_id", "sys_updated_on")
_SAME_RUN = CHECKPOINT.c.run_id == sa.bindparam("of_run")
_MOVE = (
    CHECKPOINT.update()
    .where(*_THIS)
    .values(
        resume=sa.func.coalesce(sa.bindparam("going_on", type_=sa.Text()), sa.case((_SAME_RUN, CHECKPOINT.c.resume))),
        **{name: sa.func.coalesce(sa.bindparam(name, type_=sa.Text()), CHECKPOINT.c[name]) for name in _MARK},
        **{name: sa.bindparam(name, type_=CHECKPOINT.c[name].type) for name in _STAMP},
    )
)


@dataclass(frozen=True)
class Checkpoint:
    """What a batch leaves behind: how far the table is in, and where the read of this run goes on."""

    watermark: Watermark | None
    resume: Mapping[str, Any] | None
    run_id: str


def advance(
    connection: sa.Connection, system: str, direction: str, table: str, checkpoint: Checkpoint, *, now: datetime
) -> Watermark | None:
    """Move on, in the batch's transaction; where the watermark is then, if it may have moved. It never goes back.

    A batch that does not say where its read goes on leaves that as an earlier batch of its run said it.
    """
    newest = checkpoint.watermark
    if newest and (before := read_watermark(connection, system, direction, table)):
        newest = max(before, newest)
    resume = json.dumps(checkpoint.resume) if checkpoint.resume else None
    values = {
        "watermark_at": newest.at if newest else None,
        "watermark_id": newest.id if newest else None,
        "run_id": checkpoint.run_id,
        "sys_updated_on": now,
    }
    of = {"of_system": system, "of_direction": direction, "of_table": table, "of_run": checkpoint.run_id}
    moved = connection.execute(_MOVE, {**of, **values, "going_on": resume})
    if not moved.rowcount:
        key = {"system": system, "direction": direction, "table_name": table}
        connection.execute(CHECKPOINT.insert().values(resume=resume, **key, **values))
    return newest


def read_resume(
    connection: sa.Connection, system: str, direction: str, table: str, run_id: str
) -> Mapping[str, Any] | None:
    """Where the read of this very run goes on; None at its start, or where another run came between."""
    mine = (*_is(system, direction, table), CHECKPOINT.c.run_id == run_id)
    resume = connection.execute(sa.select(CHECKPOINT.c.resume).where(*mine)).scalar_one_or_none()
    return json.loads(resume) if resume else None


def _is(system: str, direction: str, table: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (CHECKPOINT.c.system == system, CHECKPOINT.c.direction == direction, CHECKPOINT.c.table_name == table)
