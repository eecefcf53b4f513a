"""Many rows at once: the one place where the two databases are spoken to in their own way."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.storage.models import UtcDateTime

_JSON = msgspec.json.Encoder()
_FORMAT = r"""(FORMAT csv, QUOTE '"', ESCAPE '\', NULL 'null')"""
_BACKSLASH = b"\0"
_ESCAPES = {rb"\n": b"\n", rb"\r": b"\r", rb"\t": b"\t", rb"\b": b"\b", rb"\f": b"\f"}
_BY_NUMBER = re.compile(rb"\\u00([0-7][0-9a-f])")


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Collection[Sequence[Any]]
) -> None:
    """Insert rows of Python values: COPY on PostgreSQL, `executemany` on SQLite."""
    if not rows:
        return
    names = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in columns)
    if connection.dialect.name == "postgresql":
        _copy(connection, f"COPY {table.name} ({names}) FROM STDIN {_FORMAT}", _csv(table, columns, rows))
        return
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608  # names of our own tables
    connection.exec_driver_sql(statement, _bound(connection, table, columns, rows))


def _copy(connection: sa.Connection, statement: str, text: bytes) -> None:
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
    return _among(connection.dialect.name, column, sa.bindparam(None, as_list(values), type_=sa.Text()))


def among_given(dialect: str, column: sa.ColumnElement[str], name: str) -> sa.ColumnElement[bool]:
    """As among, for a statement that is made once: the values are given as its parameter `name`, by as_list."""
    return _among(dialect, column, sa.bindparam(name, type_=sa.Text()))


def as_list(values: Iterable[str]) -> str:
    """Many texts as one bound value: the statement's text, and so its plan, stays the same."""
    return msgspec.json.encode(list(values)).decode()


def _among(dialect: str, column: sa.ColumnElement[str], texts: sa.BindParameter[str]) -> sa.ColumnElement[bool]:
    if dialect == "postgresql":
        # An array from a subquery: the planner sees no values, and always takes the index.
        each = sa.func.json_array_elements_text(sa.cast(texts, sa.JSON)).column_valued("value")
        return column == sa.func.any(sa.func.array(sa.select(each).scalar_subquery()))
    return column.in_(sa.select(sa.func.json_each(texts).table_valued("value").c.value))


def as_read(dialect: str, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """The column without a conversion in Python where the driver's own value is equal to it."""
    if dialect == "postgresql" and isinstance(column.type, UtcDateTime):
        return sa.type_coerce(column, sa.DateTime(timezone=True))
    return column


def _csv(table: sa.Table, columns: Sequence[str], rows: Collection[Sequence[Any]]) -> bytes:
    """Rows as COPY reads them: lines of JSON without their brackets are CSV whose quotes a backslash escapes."""
    for place, name in enumerate(columns):
        if isinstance(table.c[name].type, sa.LargeBinary):
            rows = [(*row[:place], _hex(row[place]), *row[place + 1 :]) for row in rows]
    lines = _JSON.encode_lines(rows)[1:-2].replace(b"]\n[", b"\n")
    return _unescaped(lines) if b"\\" in lines else lines


def _hex(value: bytes | None) -> str | None:
    return None if value is None else rf"\x{value.hex()}"


def _unescaped(lines: bytes) -> bytes:
    """CSV knows two escapes, of the quote and of the backslash itself; JSON's others become what they stand for."""
    lines = lines.replace(rb"\\", _BACKSLASH)
    for escape, meant in _ESCAPES.items():
        lines = lines.replace(escape, meant)
    lines = _BY_NUMBER.sub(lambda found: bytes([int(found[1], 16)]), lines)
    return lines.replace(_BACKSLASH, rb"\\")


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
