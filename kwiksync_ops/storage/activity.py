"""What happened, as pages tell it: totals of a time, what the audit trail added, and what one run did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage import audit
from kwiksync_ops.storage.models import AUDIT, SYNC_LOG
from kwiksync_ops.vocabulary import Mode


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
        """The share of records that were put aside; None where none was processed."""
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
