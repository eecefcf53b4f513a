"""Which files each table of a system was read from: noted with the batch that ends them, so that each is read once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from kwiksync_ops.batch import FileMark
from kwiksync_ops.storage.models import FILE_MARK
from kwiksync_ops.storage.sync_log import TableRun

_NAMES = 500
"""So many names are asked for at once."""

GONE = "gone"
"""The version of a file that was not there at the last look: none that is there has it.

Should the file come back, it is opened, and its content tells that it was read.
"""
_UPDATED = ("version", "digest", "is_rejected", "run_id", "sys_updated_on")


def note(connection: sa.Connection, run: TableRun, marks: Sequence[FileMark], *, now: datetime) -> None:
    """Keep the newest mark of each file. Twice gives the same."""
    if not marks:
        return
    of = {"system": run.system, "table_name": run.table, "run_id": run.run_id, "sys_updated_on": now}
    insert = (postgresql_insert if connection.dialect.name == "postgresql" else sqlite_insert)(FILE_MARK)
    upsert = insert.on_conflict_do_update(
        index_elements=["system", "table_name", "name"],
        set_={name: insert.excluded[name] for name in _UPDATED},
    )
    connection.execute(upsert, [{**of, **vars(mark)} for mark in marks])


def read(connection: sa.Connection, system: str, table: str, names: Sequence[str]) -> dict[str, FileMark]:
    """The marks of those of the named files that have one."""
    columns = [FILE_MARK.c[name] for name in FileMark.__dataclass_fields__]
    found: dict[str, FileMark] = {}
    for start in range(0, len(names), _NAMES):
        some = FILE_MARK.c.name.in_(names[start : start + _NAMES])
        rows = connection.execute(sa.select(*columns).where(*_of(system, table), some))
        found |= {row.name: FileMark(*row) for row in rows}
    return found


def names(connection: sa.Connection, system: str, table: str) -> list[str]:
    """Of all files that have a mark."""
    return list(connection.scalars(sa.select(FILE_MARK.c.name).where(*_of(system, table))))


def note_gone(
    connection: sa.Connection, system: str, table: str, gone: Sequence[str], *, now: datetime, before: datetime
) -> None:
    """Note of files that they are gone, and forget those that are since `before`.

    One mark is kept whatever happens: it tells that the table was read.
    """
    mark, of = FILE_MARK.c, _of(system, table)
    for start in range(0, len(gone), _NAMES):
        some = mark.name.in_(gone[start : start + _NAMES])
        newly = FILE_MARK.update().where(*of, some, mark.version != GONE)
        connection.execute(newly.values(version=GONE, sys_updated_on=now))
    those_there_first = (mark.version == GONE, mark.sys_updated_on.desc(), mark.name.desc())
    kept = connection.scalar(sa.select(mark.name).where(*of).order_by(*those_there_first).limit(1))
    for start in range(0, len(gone), _NAMES):
        some = mark.name.in_(gone[start : start + _NAMES])
        old = (mark.version == GONE, mark.sys_updated_on < before, mark.name != kept)
        connection.execute(FILE_MARK.delete().where(*of, some, *old))


def has_any(connection: sa.Connection, system: str, table: str) -> bool:
    first = sa.select(FILE_MARK.c.name).where(*_of(system, table)).limit(1)
    return connection.execute(first).first() is not None


def _of(system: str, table: str) -> tuple[sa.ColumnElement[bool], ...]:
    return FILE_MARK.c.system == system, FILE_MARK.c.table_name == table
