"""What happened, as pages tell it: totals of a time, what the audit trail added, and what one run did."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage import audit, history
from kwiksync_ops.storage.history import Entry
from kwiksync_ops.storage.models import AUDIT, BATCH, ERROR_LOG, RECORD_HISTORY, RECORDS, SYNC_LOG
from kwiksync_ops.vocabulary import Mode, Resolution


@dataclass(frozen=True)
class Totals:
    """Of the Sync Log rows that started within a time; a verification is no sync."""

    syncs: int
    processed: int
    created: int
    updated: int
    deleted: int
    failed: int

    @property
    def error_share(self) -> float | None:
        """The share of records that were rejected; None where none was processed."""
        return self.failed / self.processed if self.processed else None


def totals_since(connection: sa.Connection, since: datetime) -> Totals:
    figures = ("processed", "created", "updated", "deleted", "failed")
    row = connection.execute(
        sa.select(
            sa.func.count(sa.distinct(SYNC_LOG.c.run_id)),
            *(sa.func.coalesce(sa.func.sum(SYNC_LOG.c[name]), 0) for name in figures),
        ).where(SYNC_LOG.c.started >= since, SYNC_LOG.c.mode != Mode.VERIFY)
    ).one()
    return Totals(*(int(value) for value in row))


def audited_after(
    connection: sa.Connection, number: int, nouns: tuple[str, ...], *, limit: int
) -> list[dict[str, Any]]:
    """The newest rows of the audit trail behind `number` about these nouns, newest first."""
    about = sa.or_(*(AUDIT.c.action.startswith(f"{noun}.") for noun in nouns))
    rows = connection.execute(
        AUDIT.select().where(AUDIT.c.number > number, about).order_by(AUDIT.c.number.desc()).limit(limit)
    )
    return [audit.shown(row) for row in rows.mappings()]


def open_errors(connection: sa.Connection) -> dict[tuple[str, str | None, str], int]:
    """How many open rows the Error Log has, by system, table and code."""
    by = (ERROR_LOG.c.system, ERROR_LOG.c.table_name, ERROR_LOG.c.code)
    rows = connection.execute(
        sa.select(*by, sa.func.count()).where(ERROR_LOG.c.resolution == Resolution.OPEN).group_by(*by)
    )
    return {(system, table, code): count for system, table, code, count in rows.all()}


def batches_of(connection: sa.Connection, run_id: str, *, limit: int) -> Sequence[Mapping[str, Any]]:
    """The committed batches of a run, in the order of their commits."""
    rows = connection.execute(
        BATCH.select().where(BATCH.c.run_id == run_id).order_by(BATCH.c.committed, BATCH.c.number).limit(limit)
    )
    return [dict(row) for row in rows.mappings()]


@dataclass(frozen=True)
class Change:
    """A row of the history of a run; `sys_id` is the first of `records`, where a batch created several."""

    id: int
    table: str
    sys_id: str
    records: int
    entry: Entry


def changes_of(
    connection: sa.Connection, run_id: str, *, table: str | None = None, after: int = 0, limit: int
) -> list[Change]:
    """What a run changed in the hub, in that order, from behind the row `after` on."""
    conditions = [RECORD_HISTORY.c.run_id == run_id, RECORD_HISTORY.c.id > after]
    if table:
        conditions.append(RECORD_HISTORY.c.table_name == table)
    rows = connection.execute(RECORD_HISTORY.select().where(*conditions).order_by(RECORD_HISTORY.c.id).limit(limit))
    return [
        Change(row["id"], row["table_name"], row["sys_id"], len(history.records_of(row)), history.entry_of(row))
        for row in rows.mappings()
    ]


LABELS = ("number", "asset_tag", "name", "short_description")


def labels_of(connection: sa.Connection, table: str, sys_ids: Collection[str]) -> dict[str, str]:
    """What people call these records: their number or tag, and their name."""
    records = RECORDS[table]
    names = [name for name in LABELS if name in records.c][:2]
    rows = connection.execute(
        sa.select(records.c.sys_id, records.c.external_id, *(records.c[name] for name in names)).where(
            records.c.sys_id.in_(sys_ids)
        )
    )
    return {row["sys_id"]: _label(row, names) for row in rows.mappings()}


def _label(row: sa.RowMapping, names: Sequence[str]) -> str:
    told = [_cut(str(row[name])) for name in names if row[name]]
    return " ".join(told) or str(row["external_id"])


def _cut(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[:longest].rstrip()}…"
