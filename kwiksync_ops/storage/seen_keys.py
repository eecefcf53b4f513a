"""Which records a run saw at the system, so that what it did not see can be found: a working table, not a record.

A run that compares notes the keys of each batch in the batch's transaction, and the batch itself beside them: where
one is missing, the run did not see everything. A deletion feed is noted here page by page before anything is deleted.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from kwiksync_ops.redaction import MASK
from kwiksync_ops.storage.batches import Batch
from kwiksync_ops.storage.models import BATCH, ERROR_LOG, RECORD_LINK, RECORDS, SEEN_KEY
from kwiksync_ops.storage.sync_log import TableRun

DELETE_BATCH = 2_000_000_000
"""Batches that delete are numbered from here on."""


@dataclass(frozen=True)
class Missing:
    """A record that stands in the hub and is gone at the system; `at`: when it was deleted, where that is known."""

    external_id: str
    sys_id: str
    mod_count: int
    agreed: int | None
    at: str | None


def note_batch(connection: sa.Connection, run: TableRun, batch: Batch) -> None:
    """The keys of a batch, those of rejected records too: a faulty record is not a deleted one."""
    keys = {row[0] for row in batch.mapped.rows} | {error.external_id for error in batch.errors if error.external_id}
    _insert(connection, run, run.table, ((key, None) for key in keys))
    _insert(connection, run, _batches(run.table), [(str(batch.number), None)])


def note_deletions(connection: sa.Connection, run: TableRun, deletions: Iterable[tuple[str, str | None]]) -> None:
    """Keys of a deletion feed, with the time of each, which the newest is kept of."""
    newest: dict[str, str | None] = {}
    for key, at in deletions:
        newest[key] = max(filter(None, (newest.get(key), at)), default=None)
    _insert(connection, run, feed_of(run.table), newest.items())


def saw_all_batches(connection: sa.Connection, run: TableRun) -> bool:
    """Whether every committed batch of the run noted its keys."""
    committed = (BATCH.c.run_id == run.run_id, BATCH.c.direction == run.direction, BATCH.c.table_name == run.table)
    numbers = sa.select(sa.cast(BATCH.c.number, sa.String)).where(
        *committed, BATCH.c.number > 0, BATCH.c.number < DELETE_BATCH
    )
    noted = sa.select(SEEN_KEY.c.external_id).where(
        SEEN_KEY.c.run_id == run.run_id, SEEN_KEY.c.table_name == _batches(run.table)
    )
    return not connection.execute(sa.select(sa.exists(numbers.except_(noted)))).scalar_one()


def count_unnamed_rejects(connection: sa.Connection, run: TableRun) -> int:
    """Rejected records of the run whose key is not known: any record of the hub may be one of them."""
    key = ERROR_LOG.c.external_id
    return connection.execute(
        sa.select(sa.func.count()).where(
            ERROR_LOG.c.run_id == run.run_id,
            ERROR_LOG.c.table_name == run.table,
            ERROR_LOG.c.batch.is_not(None),
            sa.or_(key.is_(None), key == MASK, sa.func.length(key) >= 255),
        )
    ).scalar_one()


def count_linked(connection: sa.Connection, run: TableRun) -> int:
    """Records of the table that stand in the hub and that the system knows."""
    return connection.execute(_linked(run).with_only_columns(sa.func.count())).scalar_one()


def count_missing(connection: sa.Connection, run: TableRun, *, feed: bool) -> int:
    return connection.execute(_missing(run, feed=feed).with_only_columns(sa.func.count())).scalar_one()


def read_missing(connection: sa.Connection, run: TableRun, *, feed: bool, after: str, limit: int) -> list[Missing]:
    """The next records to delete, in the order of their external ids."""
    page = _missing(run, feed=feed).where(RECORD_LINK.c.external_id > after)
    rows = connection.execute(page.order_by(RECORD_LINK.c.external_id).limit(limit))
    return [Missing(*row) for row in map(tuple, rows.all())]


def read_newest(connection: sa.Connection, run: TableRun) -> str | None:
    """The time of the newest deletion that the run read of its feed."""
    newest = sa.select(sa.func.max(SEEN_KEY.c.at)).where(*_of(run, feed_of(run.table)))
    return connection.execute(newest).scalar()


def clear(connection: sa.Connection, run: TableRun) -> None:
    """Forget what was seen of the table, by this run and by those before it that did not come to their end."""
    names = (run.table, _batches(run.table), feed_of(run.table))
    connection.execute(SEEN_KEY.delete().where(SEEN_KEY.c.table_name.in_(names)))


def feed_of(table: str) -> str:
    """The name under which a table's deletion feed has its checkpoint."""
    return f"{table}:deleted"


def _batches(table: str) -> str:
    return f"{table}:batches"


def _of(run: TableRun, name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return SEEN_KEY.c.run_id == run.run_id, SEEN_KEY.c.table_name == name


def _linked(run: TableRun) -> sa.Select[Any]:
    records = RECORDS[run.table]
    return (
        sa.select(RECORD_LINK.c.external_id)
        .join_from(RECORD_LINK, records, records.c.sys_id == RECORD_LINK.c.sys_id)
        .where(
            RECORD_LINK.c.system == run.system,
            RECORD_LINK.c.table_name == run.table,
            records.c.sys_deleted_on.is_(None),
        )
    )


def _missing(run: TableRun, *, feed: bool) -> sa.Select[Any]:
    seen, link, records = SEEN_KEY.c, RECORD_LINK.c, RECORDS[run.table].c
    columns = (link.external_id, link.sys_id, records.sys_mod_count, link.mod_count)
    name = feed_of(run.table) if feed else run.table
    same = sa.and_(*_of(run, name), seen.external_id == link.external_id)
    if not feed:
        return _linked(run).with_only_columns(*columns, sa.null()).where(~sa.exists().where(same))
    is_newer = sa.or_(link.version.is_(None), seen.at.is_(None), link.version <= seen.at)
    return _linked(run).with_only_columns(*columns, seen.at).join(SEEN_KEY, same).where(is_newer)


def _insert(connection: sa.Connection, run: TableRun, name: str, keys: Iterable[tuple[str, str | None]]) -> None:
    rows = [{"run_id": run.run_id, "table_name": name, "external_id": key, "at": at} for key, at in keys]
    if not rows:
        return
    insert = (postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert)(SEEN_KEY)
    newer = insert.on_conflict_do_update(
        index_elements=("run_id", "table_name", "external_id"),
        set_={"at": insert.excluded.at},
        where=insert.excluded.at > SEEN_KEY.c.at,
    )
    connection.execute(newer, rows)
