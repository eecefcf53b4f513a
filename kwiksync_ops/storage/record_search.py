"""The records of a table as a person asks for them: by conditions on its own columns, counted or read in a stream."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from kwiksync_ops.storage.models import RECORDS

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~"]

READ_ROWS = 1_000
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Condition:
    """`field` is a column of the table and `value` of its type; None asks for records without a value."""

    field: str
    operator: Operator
    value: Any


@dataclass(frozen=True)
class TableCount:
    """How many records a table holds, and when the last of them was written."""

    table: str
    records: int
    updated_on: datetime | None


def search(
    connection: sa.Connection,
    table: str,
    conditions: Sequence[Condition] = (),
    *,
    limit: int | None = None,
    deleted: bool = False,
) -> Iterator[Mapping[str, Any]]:
    """Records with all their columns, the last changed first. They are read as they are taken.

    `deleted`: those that were deleted, too.
    """
    records = RECORDS[table]
    newest = (records.c.sys_updated_on.desc(), records.c.sys_id.desc())
    wanted = records.select().where(*_where(records, conditions, deleted)).order_by(*newest).limit(limit)
    with connection.execute(wanted, execution_options={"yield_per": READ_ROWS}) as result:
        yield from map(dict, result.mappings())


def count(connection: sa.Connection, table: str, conditions: Sequence[Condition] = (), *, deleted: bool = False) -> int:
    records = RECORDS[table]
    counted = sa.select(sa.func.count()).select_from(records).where(*_where(records, conditions, deleted))
    return connection.execute(counted).scalar_one()


def count_tables(connection: sa.Connection) -> list[TableCount]:
    """Every record table, in load order."""
    return [_count_table(connection, name, records) for name, records in RECORDS.items()]


def _count_table(connection: sa.Connection, name: str, records: sa.Table) -> TableCount:
    standing = sa.func.count().filter(records.c.sys_deleted_on.is_(None))
    row = connection.execute(sa.select(standing, sa.func.max(records.c.sys_updated_on))).one()
    return TableCount(name, row[0], row[1])


def _where(records: sa.Table, conditions: Sequence[Condition], deleted: bool) -> list[sa.ColumnElement[bool]]:
    wanted = [_condition(records.c[condition.field], condition) for condition in conditions]
    return wanted if deleted else [*wanted, records.c.sys_deleted_on.is_(None)]


def _condition(column: sa.ColumnElement[Any], condition: Condition) -> sa.ColumnElement[bool]:
    value = condition.value
    match condition.operator:
        case "=":
            return column.is_(None) if value is None else column == value
        case "!=":
            return column.is_not(None) if value is None else sa.or_(column != value, column.is_(None))
        case "~":
            return column.icontains(value, autoescape=True)
        case name:
            compared: sa.ColumnElement[bool] = _COMPARE[name](column, value)
            return compared
