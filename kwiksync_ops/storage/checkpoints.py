"""How far each table of each system was read and committed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
    row = connection.execute(
        sa.select(CHECKPOINT.c.watermark_at, CHECKPOINT.c.watermark_id).where(*_is(system, direction, table))
    ).first()
    return Watermark(row.watermark_at, row.watermark_id or "") if row and row.watermark_at else None


def advance(
    connection: sa.Connection,
    system: str,
    direction: str,
    table: str,
    watermark: Watermark | None,
    *,
    run_id: str,
    now: datetime,
) -> None:
    """Move the watermark forward, in the batch's transaction. It never goes back."""
    before = read_watermark(connection, system, direction, table)
    if watermark is None or (before and watermark <= before):
        return
    values = {"watermark_at": watermark.at, "watermark_id": watermark.id, "run_id": run_id, "sys_updated_on": now}
    moved = connection.execute(CHECKPOINT.update().where(*_is(system, direction, table)).values(values))
    if not moved.rowcount:
        connection.execute(CHECKPOINT.insert().values(system=system, direction=direction, table_name=table, **values))


def _is(system: str, direction: str, table: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (CHECKPOINT.c.system == system, CHECKPOINT.c.direction == direction, CHECKPOINT.c.table_name == table)
