"""What a delivery's values become on their way into a column."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, postgresql

from kwiksync_ops.connectors.sql.binding import Binder, Bound
from kwiksync_ops.connectors.sql.options import parse_options
from kwiksync_ops.connectors.sql.relation import Relation, _column
from kwiksync_ops.errors import ConfigurationError


def binder(backend: str, type_: Any, **options: Any) -> Binder:
    table = sa.table("t", sa.column("value", type_))
    columns = {"value": _column(backend, table.c.value, type_, nullable=True)}
    return Binder.of(Relation("t", table, columns), backend, parse_options(options))


def bound(backend: str, type_: Any, value: Any, **options: Any) -> Bound:
    return binder(backend, type_, **options).row({"value": value})["value"]


MOMENT = "2026-07-15T12:00:00.123456+00:00"
BERLIN = {"timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("backend", "type_", "expected"),
    [
        ("postgresql", postgresql.TIMESTAMP(timezone=True), "2026-07-15 12:00:00.123456+00:00"),
        ("mysql", mysql.TIMESTAMP(fsp=6), "2026-07-15 12:00:00.123456"),
        ("mssql", mssql.DATETIMEOFFSET(), "2026-07-15 12:00:00.123456+00:00"),
        ("postgresql", postgresql.TIMESTAMP(), "2026-07-15 14:00:00.123456"),
        ("mysql", mysql.DATETIME(fsp=6), "2026-07-15 14:00:00.123456"),
        ("mssql", mssql.DATETIME2(), "2026-07-15T14:00:00.123456"),
        ("mssql", sa.DATETIME(), "2026-07-15T14:00:00.123"),
        ("sqlite", sa.DATETIME(), MOMENT),
    ],
)
def test_a_moment_goes_into_a_column_as_it_keeps_times(backend: str, type_: Any, expected: str) -> None:
    assert bound(backend, type_, MOMENT, **BERLIN).value == expected


def test_a_wall_time_is_a_moment_in_the_zone_of_the_options() -> None:
    found = bound("postgresql", postgresql.TIMESTAMP(timezone=True), "2026-07-15T14:00:00", **BERLIN)
    assert found == Bound("2026-07-15 12:00:00+00:00", "2026-07-15T12:00:00+00:00")
    assert bound("postgresql", postgresql.TIMESTAMP(), "2026-07-15T14:00:00", **BERLIN).value == "2026-07-15 14:00:00"


@pytest.mark.parametrize(
    ("backend", "type_", "value", "expected"),
    [
        ("postgresql", sa.Text(), "", Bound("", "")),
        ("postgresql", sa.Text(), None, Bound(None, None)),
        ("postgresql", sa.Text(), 7, Bound("7", "7")),
        ("postgresql", sa.Text(), True, Bound("true", "true")),
        ("postgresql", sa.Integer(), True, Bound(1, True)),
        ("postgresql", sa.Boolean(), 1, Bound(True, True)),
        ("postgresql", sa.Boolean(), False, Bound(False, False)),
        ("postgresql", sa.Numeric(), Decimal("1.10"), Bound(Decimal("1.10"), Decimal("1.10"))),
        ("sqlite", sa.Numeric(), Decimal("1.10"), Bound("1.10", Decimal("1.10"))),
        ("postgresql", sa.LargeBinary(), "AP8=", Bound(b"\x00\xff", "AP8=")),
        ("mysql", mysql.LONGBLOB(), "AP8=", Bound(b"\x00\xff", "AP8=")),
        ("postgresql", postgresql.JSONB(), {"a": Decimal("1.10")}, Bound('{"a":1.10}', {"a": Decimal("1.10")})),
        ("mysql", mysql.LONGTEXT(), {"a": 1}, Bound('{"a":1}', '{"a":1}')),
        ("postgresql", postgresql.ARRAY(sa.Text()), ["a", None], Bound(["a", None], ["a", None])),
        ("postgresql", postgresql.UUID(), "not a uuid", Bound("not a uuid", "not a uuid")),
        ("postgresql", postgresql.TIMESTAMP(), "tomorrow", Bound("tomorrow", "tomorrow")),
    ],
)
def test_a_value_is_bound_as_its_column_takes_it(backend: str, type_: Any, value: Any, expected: Bound) -> None:
    found = bound(backend, type_, value)
    assert found == expected
    assert type(found.value) is type(expected.value)


@pytest.mark.parametrize(("type_", "value"), [(sa.Text(), "NUL \0"), (sa.LargeBinary(), "%%%")])
def test_a_value_that_is_none_of_the_column_names_the_column(type_: Any, value: str) -> None:
    with pytest.raises(ValueError, match=r"^value: "):
        bound("postgresql", type_, value)


def test_a_field_that_is_no_column_is_told_with_the_one_that_was_meant() -> None:
    with pytest.raises(ConfigurationError, match=r"no column 'valu'.*Did you mean 'value'"):
        binder("postgresql", sa.Text()).row({"valu": 1})


def test_an_id_is_what_the_key_column_holds() -> None:
    numbers = binder("sqlite", sa.Integer())
    assert numbers.key(numbers.relation.columns["value"], "7") == 7
    with pytest.raises(ValueError, match="invalid literal"):
        numbers.key(numbers.relation.columns["value"], "seven")
    texts = binder("postgresql", sa.Text())
    assert texts.key(texts.relation.columns["value"], "007") == "007"
