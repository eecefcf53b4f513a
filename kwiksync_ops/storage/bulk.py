"""Many rows at once: the one place where the two databases are spoken to in their own way."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.storage.hub import use_wait
from kwiksync_ops.storage.models import UtcDateTime

MANY = 100
"""So many rows keep the database busy for longer than it takes two threads to change places."""

_JSON = msgspec.json.Encoder()
_FORMAT = r"""(FORMAT csv, QUOTE '"', ESCAPE '\', NULL 'null')"""
_BACKSLASH = b"\0"
_ESCAPES = {rb"\n": b"\n", rb"\r": b"\r", rb"\t": b"\t", rb"\b": b"\b", rb"\f": b"\f"}
_BY_NUMBER = re.compile(rb"\\u00([0-7][0-9a-f])")


@dataclass(frozen=True)
class Rows:
    """Rows of Python values for columns of a table."""

    table: sa.Table
    columns: Sequence[str]
    values: Collection[Sequence[Any]]


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Collection[Sequence[Any]]
) -> None:
    """Insert rows of Python values: COPY on PostgreSQL, `executemany` on SQLite."""
    insert_all(connection, [Rows(table, columns, rows)])


def insert_all(connection: sa.Connection, inserts: Iterable[Rows]) -> None:
    """As insert_rows, into several tables: the rows of one are made ready while the database takes in those before."""
    filled = [rows for rows in inserts if rows.values]
    if connection.dialect.name == "postgresql":
        _copy(connection, filled)
        return
    for rows in filled:
        marks = ", ".join("?" * len(rows.columns))
        statement = f"INSERT INTO {_into(connection, rows)} VALUES ({marks})"  # noqa: S608  # names of our own tables
        connection.exec_driver_sql(statement, _bound(connection, rows.table, rows.columns, rows.values))


def _into(connection: sa.Connection, rows: Rows) -> str:
    names = map(connection.dialect.identifier_preparer.quote, rows.columns)
    return f"{rows.table.name} ({', '.join(names)})"


def _copy(connection: sa.Connection, inserts: Sequence[Rows]) -> None:
    """SQLAlchemy does not see these statements: their errors are made to look like those of the others."""
    dialect, statement = connection.dialect, ""
    cursor: Any = connection.connection.cursor()  # psycopg's own
    texts = map(_csv, inserts)
    text = next(texts, b"")
    try:
        with cursor:
            for rows in inserts:
                statement = f"COPY {_into(connection, rows)} FROM STDIN {_FORMAT}"
                with cursor.copy(statement) as copy:
                    if len(rows.values) >= MANY:
                        use_wait(connection)
                    copy.write(text)
                    text = next(texts, b"")
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


def _csv(rows: Rows) -> bytes:
    """Rows as COPY reads them: lines of JSON without their brackets are CSV whose quotes a backslash escapes."""
    values, hexes = rows.values, 0
    for place, name in enumerate(rows.columns):
        if isinstance(rows.table.c[name].type, sa.LargeBinary):
            columns: list[Sequence[Any]] = list(zip(*values, strict=True))
            hexes += len(columns[place]) - columns[place].count(None)
            columns[place] = list(map(_hex, columns[place]))
            values = list(zip(*columns, strict=True))
    lines = _JSON.encode_lines(values)
    text = b"\n".join([line[1:-1] for line in lines.split(b"\n")])
    return text if lines.count(b"\\") == 2 * hexes else _unescaped(text)


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
        kind = table.c[name].type
        if isinstance(kind, UtcDateTime):
            bound.append(_moment_texts(values))
        else:
            process = kind.dialect_impl(dialect).bind_processor(dialect)
            bound.append(values if process is None else map(process, values))
    return list(zip(*bound, strict=True))


def _moment_texts(moments: Iterable[datetime | None]) -> Iterator[str | None]:
    """As SQLAlchemy writes them for SQLite, in a fifth of the time. Of many rows, most have the same moment twice."""
    latest: datetime | None = None
    text: str | None = None
    for moment in moments:
        if moment is not latest:
            latest, text = moment, None if moment is None else _moment_text(moment)
        yield text


def _moment_text(moment: datetime) -> str:
    aware = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return aware.isoformat(" ", "microseconds")[: -len("+00:00")]
