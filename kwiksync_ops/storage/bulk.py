"""Many rows at once: the one place where the two databases are spoken to in their own way."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def insert_rows(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Collection[Sequence[Any]]
) -> None:
    """Insert rows of Python values: COPY on PostgreSQL, `executemany` on SQLite."""
    if not rows:
        return
    names = ", ".join(connection.dialect.identifier_preparer.quote(name) for name in columns)
    if connection.dialect.name == "postgresql":
        cursor = connection.connection.cursor()
        with cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:  # type: ignore[attr-defined]  # psycopg's own
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join("?" * len(columns))
    statement = f"INSERT INTO {table.name} ({names}) VALUES ({marks})"  # noqa: S608  # names of our own tables
    connection.exec_driver_sql(statement, [*_bound(connection, table, columns, rows)])


def among(connection: sa.Connection, column: sa.ColumnElement[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
    """`column` is one of many texts, as one bound value: the statement's text, and so its plan, stays the same."""
    if connection.dialect.name == "postgresql":
        texts = sa.bindparam(None, list(values), type_=postgresql.ARRAY(sa.Text()))
        return column == sa.func.any(texts)
    texts = sa.bindparam(None, json.dumps(list(values)), type_=sa.Text())
    return column.in_(sa.select(sa.column("value")).select_from(sa.func.json_each(texts)))


def _bound(
    connection: sa.Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]
) -> Iterable[tuple[Any, ...]]:
    dialect = connection.dialect
    processors = [table.c[name].type.dialect_impl(dialect).bind_processor(dialect) for name in columns]
    if not any(processors):
        yield from map(tuple, rows)
        return
    for row in rows:
        yield tuple(
            value if process is None else process(value) for value, process in zip(row, processors, strict=True)
        )
