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
    """`field` is a column of the table and `value` of its type, or another column of that type to compare with.

    None asks for records without a value.
    """

    field: str
    operator: Operator
    value: Any


@dataclass(frozen=True)
class OtherField:
    """A column of the same record."""

    name: str


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
    where = _where(records, conditions, deleted)
    if offset:
        wanted = records.select().where(*where).order_by(*_order(records, sort)).offset(offset).limit(limit)
        return [dict(row) for row in connection.execute(wanted).mappings()]
    rows: list[Mapping[str, Any]] = []
    for part in _parts(records, sort, after):
        rows += _read(connection, records, [*part, *where], sort, limit - len(rows))
        if len(rows) == limit:
            break
    return rows


@dataclass(frozen=True)
class Window:
    """Some records of a search, and where to search on; `reached` is None where nothing was left out."""

    rows: list[Mapping[str, Any]]
    reached: tuple[Any, str] | None


def read_window(
    connection: sa.Connection,
    table: str,
    conditions: Sequence[Condition | AnyOf] = (),
    *,
    sort: Sort,
    after: tuple[Any, str] | None = None,
    limit: int,
    candidates: int | None,
    columns: Sequence[str] = (),
) -> Window:
    """As `read_page`, but looks at no more than so many records, so that it takes no longer in a table of millions.

    `candidates` None: at all of them. `columns`: those of the records; all, where none is named.
    """
    records = RECORDS[table]
    where = _where(records, conditions, deleted=False)
    anchors = [_condition(records.c[each.field], each) for each in _anchors(records, conditions, sort)]
    rows: list[Mapping[str, Any]] = []
    for part in _parts(records, sort, after):
        end = _nth(connection, records, [*part, *anchors], sort, candidates) if candidates else None
        bound = [_up_to(records, sort, end)] if end else []
        rows += _read(connection, records, [*part, *bound, *where], sort, limit - len(rows), columns)
        if len(rows) == limit or end:
            return Window(rows, end if len(rows) < limit else None)
    return Window(rows, None)


def holds_more(connection: sa.Connection, table: str, number: int) -> bool:
    """Whether a table has more records than so many, without counting the rest."""
    return _nth(connection, RECORDS[table], [], Sort("sys_id"), number + 1) is not None


def indexed_fields(table: str) -> frozenset[str]:
    """The fields that a table of any size can be sorted by at once: those whose index has every record."""
    records = RECORDS[table]
    parts = {index.columns[0].name for index in records.indexes if index.dialect_kwargs.get("sqlite_where") is not None}
    return frozenset({"sys_id", "sys_updated_on"} | _keyed(records) - parts)


def seen_values(connection: sa.Connection, table: str, fields: Sequence[str], *, newest: int) -> dict[str, list[str]]:
    """The different values that text fields have in the records that were made last."""
    records = RECORDS[table]
    columns = [records.c[name] for name in fields]
    last = sa.select(*columns).order_by(records.c.sys_id.desc()).limit(newest).subquery()
    found = connection.execute(sa.select(last).distinct()).all()
    return {name: sorted({row[place] for row in found if row[place]}) for place, name in enumerate(fields)}


def _keyed(records: sa.Table) -> set[str]:
    """The columns with an index in which the records of one value lie by their sys_id."""
    names = [[column.name for column in index.columns] for index in records.indexes]
    return {first for first, *others in names if others == ["sys_id"] and first != "sys_updated_on"}


def _anchors(records: sa.Table, conditions: Sequence[Condition | AnyOf], sort: Sort) -> list[Condition]:
    """A condition that an index fulfils in the order that is asked for; at most one."""
    if sort.field != "sys_id":
        return []
    plain = [each for each in conditions if isinstance(each, Condition) and each.operator == "="]
    return [each for each in plain if each.field in _keyed(records)][:1]


def _read(
    connection: sa.Connection,
    records: sa.Table,
    where: Sequence[sa.ColumnElement[bool]],
    sort: Sort,
    limit: int,
    columns: Sequence[str] = (),
) -> list[Mapping[str, Any]]:
    """By an order that an index has: `where` asks for records with a value only, or for those without."""
    named = [records.c[name] for name in (columns or records.c.keys())]
    wanted = sa.select(*named).where(*where).order_by(*_by_value(records, sort)).limit(limit)
    return [dict(row) for row in connection.execute(wanted).mappings()]


def _nth(
    connection: sa.Connection, records: sa.Table, where: Sequence[sa.ColumnElement[bool]], sort: Sort, number: int
) -> tuple[Any, str] | None:
    """The place of the record with this number in the order; None where there are not so many."""
    wanted = sa.select(records.c[sort.field], records.c.sys_id).where(*where).order_by(*_by_value(records, sort))
    row = connection.execute(wanted.offset(number - 1).limit(1)).first()
    return (row[0], row[-1]) if row else None


def _parts(records: sa.Table, sort: Sort, after: tuple[Any, str] | None) -> list[list[sa.ColumnElement[bool]]]:
    """Those with a value, then those without: each part in the order of an index, as all of them together are not."""
    column, sys_id = records.c[sort.field], records.c.sys_id
    step = operator.lt if sort.is_descending else operator.gt
    without: list[sa.ColumnElement[bool]] = [column.is_(None)] if column.nullable else [sa.false()]
    if after is None:
        return [[column.is_not(None)], without]
    value, last = after
    if value is None:
        return [[*without, step(sys_id, last)]]
    given = sa.literal(value, column.type), sa.literal(last, sys_id.type)
    return [[step(sa.tuple_(column, sys_id), sa.tuple_(*given))], without]


def _up_to(records: sa.Table, sort: Sort, end: tuple[Any, str]) -> sa.ColumnElement[bool]:
    column, sys_id = records.c[sort.field], records.c.sys_id
    step = operator.ge if sort.is_descending else operator.le
    if end[0] is None:
        last: sa.ColumnElement[bool] = step(sys_id, end[1])
        return last
    given = sa.literal(end[0], column.type), sa.literal(end[1], sys_id.type)
    behind: sa.ColumnElement[bool] = step(sa.tuple_(column, sys_id), sa.tuple_(*given))
    return behind


def _by_value(records: sa.Table, sort: Sort) -> list[sa.ColumnElement[Any]]:
    columns = [records.c[name] for name in dict.fromkeys((sort.field, "sys_id"))]
    return [column.desc() if sort.is_descending else column for column in columns]


def _order(records: sa.Table, sort: Sort) -> list[sa.ColumnElement[Any]]:
    column = records.c[sort.field]
    return [column.is_(None), *_by_value(records, sort)] if column.nullable else _by_value(records, sort)


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
    """All less the deleted ones: an index has either number, the table would be read as a whole for its difference."""
    everything = sa.select(sa.func.count()).select_from(records)
    deleted = everything.where(records.c.sys_deleted_on.is_not(None)).scalar_subquery()
    newest = sa.select(sa.func.max(records.c.sys_updated_on)).scalar_subquery()
    row = connection.execute(sa.select(everything.scalar_subquery() - deleted, newest)).one()
    return TableCount(name, row[0], row[1])


def _where(records: sa.Table, conditions: Sequence[Condition | AnyOf], deleted: bool) -> list[sa.ColumnElement[bool]]:
    wanted = [_holds(records, condition) for condition in conditions]
    return wanted if deleted else [*wanted, records.c.sys_deleted_on.is_(None)]


def _holds(records: sa.Table, condition: Condition | AnyOf) -> sa.ColumnElement[bool]:
    if isinstance(condition, Condition):
        value = condition.value
        given = records.c[value.name] if isinstance(value, OtherField) else value
        return _condition(records.c[condition.field], Condition(condition.field, condition.operator, given))
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
