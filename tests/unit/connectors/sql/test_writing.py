"""The statements of a write, in every database's own words."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from kwiksync_ops.connectors.sql.address import DRIVERS
from kwiksync_ops.connectors.sql.database import compiled
from kwiksync_ops.connectors.sql.relation import Relation, _column
from kwiksync_ops.connectors.sql.writing import delete_of, insert_of, lookup, update_of

TYPES = {"order": sa.String(40), "changed at": mssql.DATETIME2(7)}


def relation(backend: str) -> Relation:
    table = sa.table("Order Details", *(sa.column(name, type_) for name, type_ in TYPES.items()), schema="sales")
    columns = {name: _column(backend, table.c[name], type_, nullable=False) for name, type_ in TYPES.items()}
    return Relation("sales.Order Details", table, columns)


def text_of(backend: str, statement: Any) -> str:
    dialect = sa.create_engine(f"{backend}+{DRIVERS[backend]}://").dialect
    return " ".join(compiled(statement, dialect)[0].split())


@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("postgresql", 'WHERE sales."Order Details"."order" IN (%(param_1)s, %(param_2)s) FOR UPDATE'),
        ("mysql", "WHERE sales.`Order Details`.`order` IN (%(param_1)s, %(param_2)s) FOR UPDATE"),
        ("sqlite", 'WHERE sales."Order Details"."order" IN (?, ?)'),
        ("mssql", "FROM sales.[Order Details] WITH (UPDLOCK, ROWLOCK) WHERE sales.[Order Details].[order] IN "),
    ],
)
def test_rows_are_locked_before_they_are_written(backend: str, expected: str) -> None:
    found = text_of(backend, lookup(relation(backend), "order", ["a", "b"], backend))
    assert expected in found
    assert found.endswith(expected) or backend == "mssql"
    unlocked = text_of(backend, lookup(relation(backend), "order", ["a", "b"], None))
    assert "UPDATE" not in unlocked
    assert "UPDLOCK" not in unlocked


@pytest.mark.parametrize(
    ("backend", "table", "column", "key"),
    [
        ("postgresql", 'sales."Order Details"', '"changed at"', '"order" = %(identity)s'),
        ("mysql", "sales.`Order Details`", "`changed at`", "`order` = %(identity)s"),
        ("sqlite", 'sales."Order Details"', '"changed at"', '"order" = ?'),
        ("mssql", "sales.[Order Details]", "[changed at]", "[order] = %(identity)s"),
    ],
)
def test_an_update_names_its_row(backend: str, table: str, column: str, key: str) -> None:
    value = "?" if backend == "sqlite" else "%(v0)s"
    found = text_of(backend, update_of(relation(backend), "order", ["changed at"]))
    assert found == f"UPDATE {table} SET {column}={value} WHERE {table}.{key}"  # noqa: S608  # compared, not run


def test_inserts_and_deletes_of_sql_server_are_plain() -> None:
    table = relation("mssql")
    inserted = text_of("mssql", insert_of(table, ["order", "changed at"]))
    assert inserted == "INSERT INTO sales.[Order Details] ([order], [changed at]) VALUES (%(v0)s, %(v1)s)"
    told = text_of("mssql", insert_of(table, ["changed at"]).returning(table.source.c["order"]))
    assert "OUTPUT inserted.[order]" in told
    deleted = text_of("mssql", delete_of(table, "order", ["a"]))
    assert deleted == "DELETE FROM sales.[Order Details] WHERE sales.[Order Details].[order] IN (%(param_1)s)"
