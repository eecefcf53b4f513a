"""Many rows at once: the one place where the two databases are spoken to in their own way."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from types import NoneType
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.models import UtcDateTime

_NULL = r"\N"
_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
_SPECIAL = re.compile(r"[\\\t\n\r]")


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Collection[Sequence[Any]]
) -> None:
    """Insert rows of Python values: COPY on PostgreSQL, `executemany` on SQLite."""
    if not rows:
        return
    names = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in columns)
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {table.name} ({names}) FROM STDIN", _copy_text(rows))
        return
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608  # names of our own tables
    connection.exec_driver_sql(statement, _bound(connection, table, columns, rows))


def _copy(connection: sa.Connection, statement: str, text: Any) -> None:
    """SQLAlchemy does not see this statement: its errors are made to look like those of the others."""
    dialect, cursor = connection.dialect, connection.connection.cursor()
    try:
        with cursor, cursor.copy(statement) as copy:  # type: ignore[attr-defined]  # psycopg's own
            copy.write(text)
    except dialect.loaded_dbapi.Error as exc:
        is_lost = dialect.is_disconnect(exc, connection.connection, None)
        if is_lost:
            connection.invalidate(exc)
        raise sa.exc.DBAPIError.instance(
            statement, None, exc, dialect.loaded_dbapi.Error, connection_invalidated=is_lost, dialect=dialect
        ) from exc


def among(connection: sa.Connection, column: sa.ColumnElement[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
    """`column` is one of many texts."""
    wanted = sa.select(each(connection, values))
    if connection.dialect.name == "postgresql":
        # An array from a subquery: the planner sees no values, and always takes the index.
        return column == sa.func.any(sa.func.array(wanted.scalar_subquery()))
    return column.in_(wanted)


def each(connection: sa.Connection, values: Iterable[str]) -> sa.ColumnElement[str]:
    """A row for each text, as one bound value: the statement's text, and so its plan, stays the same."""
    texts = sa.bindparam(None, json.dumps(list(values)), type_=sa.Text())
    if connection.dialect.name == "postgresql":
        return sa.func.json_array_elements_text(sa.cast(texts, sa.JSON)).column_valued("value")
    return sa.func.json_each(texts).table_valued("value").c.value


def as_read(connection: sa.Connection, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """The column without a conversion in Python where the driver's own value is equal to it."""
    if connection.dialect.name == "postgresql" and isinstance(column.type, UtcDateTime):
        return sa.type_coerce(column, sa.DateTime(timezone=True))
    return column


def _copy_text(rows: Iterable[Sequence[Any]]) -> str:
    """Rows in COPY's text format, written column by column."""
    columns = [_copy_column(values) for values in zip(*rows, strict=True)]
    return "\n".join(map("\t".join, zip(*columns, strict=True))) + "\n"


def _copy_column(values: Sequence[Any]) -> Sequence[str]:
    kinds = set(map(type, values))
    if len(kinds) == 1 and values.count(values[0]) == len(values):
        return [_copy_value(values[0])] * len(values)
    if kinds == {str} and not _SPECIAL.search("".join(values)):
        return values
    if kinds <= {str, NoneType} and not _SPECIAL.search("".join(filter(None, values))):
        return [_NULL if value is None else value for value in values]
    if kinds <= {datetime, NoneType}:
        return [_NULL if value is None else value.isoformat() for value in values]
    return [_copy_value(value) for value in values]


def _copy_value(value: Any) -> str:
    if value is None:
        return _NULL
    if type(value) is str:
        return value.translate(_ESCAPED)
    if type(value) is bytes:
        return rf"\\x{value.hex()}"
    return str(value)


def _bound(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> list[tuple[Any, ...]]:
    """The rows as SQLite's driver takes them, converted column by column."""
    dialect = connection.dialect
    bound: list[Iterable[Any]] = []
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        process = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        bound.append(values if process is None else map(process, values))
    return list(zip(*bound, strict=True))
