"""What may leave the hub: rows that are old and that nothing waits for any more, archived before they go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.models import BATCH, ERROR_LOG, OUTBOX, RECORD_HISTORY, RECORD_LINK, SYNC_LOG
from kwiksync_ops.storage.outbox import ENDED
from kwiksync_ops.vocabulary import Resolution


@dataclass(frozen=True)
class Archivable:
    """A table of which old rows may go. `key` names a row, `may_go` says which are old and not waited for."""

    name: str
    table: sa.Table
    key: sa.Column[Any]
    may_go: Callable[[datetime], sa.ColumnElement[bool]]


def _ended_runs(before: datetime) -> sa.ColumnElement[bool]:
    """Not those of a run with an error that is still to be replayed."""
    is_open = sa.exists().where(ERROR_LOG.c.run_id == SYNC_LOG.c.run_id, ERROR_LOG.c.resolution == Resolution.OPEN)
    return sa.and_(SYNC_LOG.c.started < before, SYNC_LOG.c.ended.is_not(None), ~is_open)


def _closed_errors(before: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(ERROR_LOG.c.occurred < before, ERROR_LOG.c.resolution != Resolution.OPEN)


def _agreed_history(before: datetime) -> sa.ColumnElement[bool]:
    """Not what a system has not got yet: its delivery and its conflicts are judged by it."""
    waits = sa.exists().where(
        RECORD_LINK.c.sys_id == RECORD_HISTORY.c.sys_id,
        RECORD_LINK.c.mod_count.is_not(None),
        RECORD_LINK.c.mod_count < RECORD_HISTORY.c.sys_mod_count,
    )
    return sa.and_(RECORD_HISTORY.c.sys_created_on < before, ~waits)


def _ended_deliveries(before: datetime) -> sa.ColumnElement[bool]:
    return sa.and_(OUTBOX.c.sys_created_on < before, OUTBOX.c.state.in_(ENDED))


ARCHIVABLE: Mapping[str, Archivable] = {
    each.name: each
    for each in (
        Archivable("error_log", ERROR_LOG, ERROR_LOG.c.sys_id, _closed_errors),
        Archivable("sync_log", SYNC_LOG, SYNC_LOG.c.sys_id, _ended_runs),
        Archivable("history", RECORD_HISTORY, RECORD_HISTORY.c.id, _agreed_history),
        Archivable("outbox", OUTBOX, OUTBOX.c.sys_id, _ended_deliveries),
    )
}
"""By the name that the settings `retention.<name>_days` have for it, in the order in which they are cleaned."""


def count_old(connection: sa.Connection, what: Archivable, before: datetime) -> int:
    counted = sa.select(sa.func.count()).select_from(what.table).where(what.may_go(before))
    return connection.execute(counted).scalar_one()


def read_old(connection: sa.Connection, what: Archivable, before: datetime, limit: int) -> list[dict[str, Any]]:
    query = what.table.select().where(what.may_go(before)).order_by(what.key).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def remove(connection: sa.Connection, what: Archivable, before: datetime, keys: Sequence[Any]) -> int:
    """Remove rows by their keys, if they still may go: somebody may wait for one again since it was read.

    The batches of runs go with the last of their Sync Log rows.
    """
    removed = connection.execute(what.table.delete().where(what.key.in_(keys), what.may_go(before))).rowcount
    if what.table is SYNC_LOG:
        logged = sa.exists().where(SYNC_LOG.c.run_id == BATCH.c.run_id)
        connection.execute(BATCH.delete().where(~logged))
    return removed
