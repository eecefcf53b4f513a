"""Where a read begins and goes on: the conditions, in every database's own words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, postgresql

from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.connectors.sql.address import DRIVERS
from kwiksync_ops.connectors.sql.database import compiled
from kwiksync_ops.connectors.sql.keyset import Bound, Keyset, Window, find_keyset, find_window, from_json, to_json
from kwiksync_ops.connectors.sql.relation import ColumnInfo, Relation, _column
from kwiksync_ops.connectors.sql.values import Kind
from kwiksync_ops.errors import ConfigurationError

NOON = datetime(2026, 1, 15, 12, 0, 0, 123456, UTC)
REQUEST = ReadRequest("Order Details", "order", "changed at")


def relation(backend: str, changed: Any, *, nullable: bool = False) -> Relation:
    types = {"order": sa.BigInteger(), "changed at": changed, "100% user": sa.Text()}
    table = sa.table("Order Details", *(sa.column(name, type_) for name, type_ in types.items()), schema="sales")
    columns = {
        name: _column(backend, table.c[name], type_, nullable=nullable and name == "changed at")
        for name, type_ in types.items()
    }
    return Relation("sales.Order Details", table, columns)


def keyset(backend: str, changed: Any = None, **changes: Any) -> Keyset:
    found = relation(backend, changed or sa.DateTime(timezone=True), **changes)
    return find_keyset(found, REQUEST, backend)


def text_of(backend: str, statement: Any) -> tuple[str, list[Any]]:
    engine = sa.create_engine(f"{backend}+{DRIVERS[backend]}://")
    text, values = compiled(statement, engine.dialect)
    return " ".join(text.split()), list(values.values() if isinstance(values, dict) else values)


@pytest.mark.parametrize(
    ("backend", "after"),
    [
        ("postgresql", '"changed at" >= %(param_1)s AND (sales."Order Details"."changed at" > %(param_1)s'),
        ("mysql", "`changed at` >= %(param_1)s AND (sales.`Order Details`.`changed at` > %(param_1)s"),
        ("sqlite", '"changed at" >= ? AND (sales."Order Details"."changed at" > ?'),
        ("mssql", "[changed at] >= CAST(%(param_2)s AS DATETIMEOFFSET)"),
    ],
)
def test_a_page_goes_on_after_change_time_and_key(backend: str, after: str) -> None:
    changed: Any = mssql.DATETIMEOFFSET() if backend == "mssql" else sa.DateTime(timezone=True)
    keys = keyset(backend, changed)
    columns = keys.columns(list(keys.relation.columns.values()))
    text, values = text_of(backend, keys.placed(columns, Window(), ("2026-01-15 12:00:00", 7), 10))
    assert after in text
    assert "ORDER BY" in text
    assert ("100%% user" in text) == (backend in ("postgresql", "mysql"))
    assert set(values) >= {"2026-01-15 12:00:00", 7}


def test_sql_server_tells_times_as_text_with_all_their_digits_and_takes_them_back_as_their_type() -> None:
    keys = keyset("mssql", mssql.DATETIME2(7))
    columns = keys.columns(list(keys.relation.columns.values()))
    text, values = text_of("mssql", keys.placed(columns, Window(), ("2026-01-15 12:00:00.1234567", 7), None))
    assert "convert(VARCHAR(34), sales.[Order Details].[changed at], 121) AS [changed at]" in text
    assert "> CAST(%(param_1)s AS DATETIME2(7))" in text
    assert text.endswith("ORDER BY sales.[Order Details].[changed at], sales.[Order Details].[order]")
    assert values == ["2026-01-15 12:00:00.1234567", 7]


def test_a_read_of_all_has_no_condition() -> None:
    keys = keyset("postgresql")
    text, values = text_of("postgresql", keys.placed(keys.columns([]), Window(), None, None))
    assert "WHERE" not in text
    assert values == []


def test_rows_without_a_change_time_are_read_apart() -> None:
    keys = keyset("postgresql", nullable=True)
    placed, _ = text_of("postgresql", keys.placed(keys.columns([]), Window(), None, None))
    unplaced, _ = text_of("postgresql", keys.unplaced(keys.columns([])))
    assert placed.split("WHERE ")[1].startswith('sales."Order Details"."changed at" IS NOT NULL')
    assert unplaced.endswith('WHERE sales."Order Details"."changed at" IS NULL')
    assert keyset("postgresql").unplaced([]) is None


def test_a_key_alone_is_an_order_too() -> None:
    keys = find_keyset(relation("postgresql", sa.DateTime()), replace(REQUEST, cursor_field=None), "postgresql")
    text, values = text_of("postgresql", keys.placed(keys.columns([]), Window(Bound("x")), (7,), None))
    assert text.endswith('WHERE sales."Order Details"."order" > %(param_1)s ORDER BY sales."Order Details"."order"')
    assert values == [7]


def test_key_and_change_time_are_read_even_where_they_are_not_chosen() -> None:
    keys = keyset("postgresql")
    assert [column.name for column in keys.columns([keys.relation.columns["100% user"]])] == [
        "100% user",
        "changed at",
        "order",
    ]


@pytest.mark.parametrize(("name", "role"), [("oder", "key"), ("changed_at", "cursor")])
def test_a_column_that_is_not_there_is_told_with_the_one_that_was_meant(name: str, role: str) -> None:
    request = replace(REQUEST, key=name) if role == "key" else replace(REQUEST, cursor_field=name)
    with pytest.raises(ConfigurationError, match=rf"no column '{name}', the {role}. Did you mean '(order|changed at)'"):
        find_keyset(relation("sqlite", sa.Text()), request, "sqlite")


def window(kind: Kind, *, sample: Any = None, **changes: Any) -> Window:
    column = ColumnInfo("changed at", kind, None, False, sa.column("changed at"))
    key = ColumnInfo("order", changes.pop("key_kind", Kind.INTEGER), None, False, sa.column("order"))
    return find_window(replace(REQUEST, **changes), column, key, sample)


def test_a_moment_is_asked_for_in_utc_and_after_the_id() -> None:
    found = window(Kind.MOMENT, since=Position(NOON, "7"), until=NOON)
    assert found == Window(Bound("2026-01-15 12:00:00.123456"), Bound("2026-01-15 12:00:00.123456"), 7)


def test_a_wall_time_is_asked_for_in_the_zone_of_the_cursor() -> None:
    found = window(Kind.WALL, since=Position(NOON), cursor_timezone="Asia/Kathmandu")
    assert found.start == Bound("2026-01-15 17:45:00.123456")


def test_where_clocks_are_put_back_no_wall_time_is_left_out() -> None:
    first_half_past_two = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    found = window(
        Kind.WALL, since=Position(first_half_past_two, "7"), until=first_half_past_two, cursor_timezone="Europe/Berlin"
    )
    assert found.start == Bound("2026-10-25 02:00:00.000000")
    assert found.after is None
    second = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)
    until = window(Kind.WALL, until=second, cursor_timezone="Europe/Berlin")
    assert until.end is not None
    assert until.end.value >= "2026-10-25 02:45"


@pytest.mark.parametrize(
    ("sample", "start", "end"),
    [
        ("2026-01-15T11:00:00Z", "2026-01-15T12:00:00", "2026-01-15T12:00:01"),
        ("2026-01-15T11:00:00.5+00:00", "2026-01-15T12:00:00", "2026-01-15T12:00:01"),
        ("2026-01-15 11:00:00", "2026-01-15 13:00:00", "2026-01-15 13:00:01"),
        (None, "2026-01-15 13:00:00", "2026-01-15 13:00:01"),
    ],
)
def test_text_is_asked_for_as_one_value_shows_it(sample: str | None, start: str, end: str) -> None:
    found = window(Kind.OTHER, sample=sample, since=Position(NOON, "7"), until=NOON, cursor_timezone="Europe/Berlin")
    assert found == Window(Bound(start), Bound(end, is_within=False), None)


def test_text_with_an_offset_of_its_own_does_not_sort() -> None:
    with pytest.raises(ConfigurationError, match="does not sort"):
        window(Kind.TEXT, sample="2026-01-15T12:00:00+02:00", since=Position(NOON))


def test_text_in_a_notation_is_taken_where_it_sorts() -> None:
    found = window(Kind.TEXT, since=Position(NOON), cursor_format="YYYY-MM-DD HH:mm")
    assert found.start == Bound("2026-01-15 12:00")
    with pytest.raises(ConfigurationError, match="does not sort"):
        window(Kind.TEXT, since=Position(NOON), cursor_format="D/M/YYYY HH:mm")


@pytest.mark.parametrize(
    ("notation", "start", "end"), [("epoch", 1768478400, 1768478401), ("epoch_ms", 1768478400123, 1768478400124)]
)
def test_numbers_are_epochs(notation: str, start: int, end: int) -> None:
    found = window(Kind.INTEGER, since=Position(NOON, "7"), until=NOON, cursor_format=notation)
    assert found == Window(Bound(start), Bound(end), None)
    assert window(Kind.OTHER, sample=5, since=Position(NOON), cursor_format=notation).start == Bound(start)


def test_numbers_need_to_be_called_epochs() -> None:
    with pytest.raises(ConfigurationError, match="epoch"):
        window(Kind.INTEGER, since=Position(NOON))


def test_days_are_read_whole() -> None:
    found = window(Kind.DATE, since=Position(NOON, "7"), until=NOON, cursor_timezone="Pacific/Kiritimati")
    assert found == Window(Bound("2026-01-16"), Bound("2026-01-16"), None)


@pytest.mark.parametrize(
    ("id_", "kind", "after"), [("7", Kind.INTEGER, 7), ("x", Kind.INTEGER, None), ("x", Kind.TEXT, "x")]
)
def test_an_id_that_can_be_none_of_the_column_is_left_out(id_: str, kind: Kind, after: Any) -> None:
    assert window(Kind.MOMENT, since=Position(NOON, id_), key_kind=kind).after == after


@pytest.mark.parametrize("value", [7, "x", 1.5, Decimal("1.10"), b"\x00\xff", NOON, None])
def test_a_position_survives_json(value: Any) -> None:
    position = ("2026-01-15 12:00:00", value)
    assert from_json(json.loads(json.dumps(to_json(position)))) == position
    assert from_json(to_json(None)) is None


def test_kinds_of_postgresql_are_those_of_its_types() -> None:
    assert relation("postgresql", postgresql.TIMESTAMP(timezone=True)).columns["changed at"].kind == Kind.MOMENT
    assert relation("postgresql", postgresql.TIMESTAMP()).columns["changed at"].kind == Kind.WALL
