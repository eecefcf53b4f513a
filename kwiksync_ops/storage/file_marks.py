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


def has_any(connection: sa.Connection, system: str, table: str) -> bool:
    first = sa.select(FILE_MARK.c.name).where(*_of(system, table)).limit(1)
    return connection.execute(first).first() is not None


def _of(system: str, table: str) -> tuple[sa.ColumnElement[bool], ...]:
    return FILE_MARK.c.system == system, FILE_MARK.c.table_name == table
