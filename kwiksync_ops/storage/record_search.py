"""The records of a table as a person asks for them: by conditions on its own columns, counted or read in a stream."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from kwiksync_ops.storage.models import RECORDS

Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~", "!~", "^", "$", "in", "not in"]
"""`~` contains, `^` begins with and `$` ends with a text, whatever its case; `in` takes a tuple."""

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
class AnyOf:
    """One of these holds; each is conditions that must all hold."""

    groups: tuple[tuple[Condition | AnyOf, ...], ...]


@dataclass(frozen=True)
class Sort:
    """Records without a value come last, whichever way; records with the same value go by their sys_id."""

    field: str = "sys_updated_on"
    is_descending: bool = True


@dataclass(frozen=True)
class TableCount:
    """How many records a table holds, and when the last of them was written."""

    table: str
    records: int
    updated_on: datetime | None


def search(
    connection: sa.Connection,
    table: str,
    conditions: Sequence[Condition | AnyOf] = (),
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


def read_page(
    connection: sa.Connection,
    table: str,
    conditions: Sequence[Condition | AnyOf] = (),
    *,
    sort: Sort,
    after: tuple[Any, str] | None = None,
    offset: int = 0,
    limit: int,
    deleted: bool = False,
) -> list[Mapping[str, Any]]:
    """A page of records, from behind `after` on: the sort field's value and the sys_id of the last one before."""
    records = RECORDS[table]
    wanted = records.select().where(*_where(records, conditions, deleted))
    if after is not None:
        wanted = wanted.where(_behind(records, sort, after))
    wanted = wanted.order_by(*_order(records, sort)).offset(offset or None).limit(limit)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def _order(records: sa.Table, sort: Sort) -> list[sa.ColumnElement[Any]]:
    column, sys_id = records.c[sort.field], records.c.sys_id
    by_value: list[sa.ColumnElement[Any]] = [column.desc(), sys_id.desc()] if sort.is_descending else [column, sys_id]
    return [column.is_(None), *by_value] if column.nullable else by_value


def _behind(records: sa.Table, sort: Sort, after: tuple[Any, str]) -> sa.ColumnElement[bool]:
    column, sys_id = records.c[sort.field], records.c.sys_id
    value, last = after
    step = operator.lt if sort.is_descending else operator.gt
    if value is None:
        return sa.and_(column.is_(None), step(sys_id, last))
    given = sa.literal(value, column.type), sa.literal(last, sys_id.type)
    behind: sa.ColumnElement[bool] = step(sa.tuple_(column, sys_id), sa.tuple_(*given))
    return sa.or_(behind, column.is_(None)) if column.nullable else behind


def count(
    connection: sa.Connection, table: str, conditions: Sequence[Condition | AnyOf] = (), *, deleted: bool = False
) -> int:
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


def _where(records: sa.Table, conditions: Sequence[Condition | AnyOf], deleted: bool) -> list[sa.ColumnElement[bool]]:
    wanted = [_holds(records, condition) for condition in conditions]
    return wanted if deleted else [*wanted, records.c.sys_deleted_on.is_(None)]


def _holds(records: sa.Table, condition: Condition | AnyOf) -> sa.ColumnElement[bool]:
    if isinstance(condition, Condition):
        return _condition(records.c[condition.field], condition)
    groups = (sa.and_(sa.true(), *(_holds(records, each) for each in group)) for group in condition.groups)
    return sa.or_(sa.false(), *groups)


def _condition(column: sa.ColumnElement[Any], condition: Condition) -> sa.ColumnElement[bool]:
    value = condition.value
    match condition.operator:
        case "=":
            return column.is_(None) if value is None else column == value
        case "!=":
            return column.is_not(None) if value is None else sa.or_(column != value, column.is_(None))
        case "~":
            return column.icontains(value, autoescape=True)
        case "!~":
            return sa.or_(sa.not_(column.icontains(value, autoescape=True)), column.is_(None))
        case "^":
            return column.istartswith(value, autoescape=True)
        case "$":
            return column.iendswith(value, autoescape=True)
        case "in":
            return column.in_(value)
        case "not in":
            return sa.or_(column.not_in(value), column.is_(None))
        case name:
            compared: sa.ColumnElement[bool] = _COMPARE[name](column, value)
            return compared
