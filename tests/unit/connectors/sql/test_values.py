"""From drivers' values to JSON values: exact, or the row is told apart."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from kwiksync_ops.connectors.sql.values import Kind, UnfitError, bytes_of_text, plain, plain_records, same


def one(value: Any, kind: Kind = Kind.OTHER) -> Any:
    found = plain_records(["value"], [kind], [(value,), (None,)], "base64")
    assert found.faults == []
    assert found.records[1] == {"value": None}
    return found.records[0]["value"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ""),
        (0, 0),
        (True, True),
        (2**63 - 1, 2**63 - 1),
        (Decimal("1.10"), Decimal("1.10")),
        (Decimal("9" * 38), Decimal("9" * 38)),
        (0.1, Decimal("0.1")),
        (1e20, Decimal("1e20")),
        (datetime(2026, 1, 15, 12, 0, 0, 123456, UTC), "2026-01-15T12:00:00.123456+00:00"),
        (datetime(2026, 1, 15, 12, tzinfo=UTC).replace(tzinfo=None), "2026-01-15T12:00:00"),
        (date(2026, 1, 15), "2026-01-15"),
        (time(12, 30), "12:30:00"),
        (timedelta(hours=30, microseconds=5), "30:00:00.000005"),
        (-timedelta(minutes=1), "-00:01:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (b"\x00\xff", "AP8="),
        (memoryview(b"a"), "YQ=="),
        ([1, None, [0.5]], [1, None, [Decimal("0.5")]]),
        ({"a": {"b": b"x"}}, {"a": {"b": "eA=="}}),
    ],
)
def test_a_value_is_exact(value: Any, expected: Any) -> None:
    found = one(value)
    assert found == expected
    assert type(found) is type(expected)
    assert str(found) == str(expected)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("2026-01-15 12:00:00", Kind.WALL, "2026-01-15T12:00:00"),
        ("2026-01-15 12:00:00.1235", Kind.WALL, "2026-01-15T12:00:00.1235"),
        ("2026-01-15 12:00:00.1235+00", Kind.MOMENT, "2026-01-15T12:00:00.1235+00:00"),
        ("2026-01-15 12:00:00", Kind.MOMENT, "2026-01-15T12:00:00+00:00"),
        ("2026-01-15 12:00:00.1234567 +00:00", Kind.WALL, "2026-01-15T12:00:00.1234567 +00:00"),
        ("infinity", Kind.MOMENT, "infinity"),
        ("0044-03-15 12:00:00+00 BC", Kind.MOMENT, "0044-03-15 12:00:00+00 BC"),
        ("10000-01-01 00:00:00", Kind.WALL, "10000-01-01 00:00:00"),
        ("2026-01-15 12:00:00", Kind.TEXT, "2026-01-15 12:00:00"),
        ("", Kind.WALL, ""),
    ],
)
def test_a_time_is_iso_where_a_calendar_holds_it(text: str, kind: Kind, expected: str) -> None:
    assert one(text, kind) == expected


@pytest.mark.parametrize(
    "value",
    [
        "NUL \0",
        "half \ud800",
        "x" * (1024 * 1024 + 1),
        2**63,
        -(2**63) - 1,
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("1" * 39),
        Decimal("1e39"),
        float("nan"),
        float("-inf"),
        ["NUL \0"],
        {"a": {"b": 2**64}},
        {"NUL \0": 1},
    ],
)
def test_an_unfit_value_is_a_fault_of_its_row_alone(value: Any) -> None:
    rows = [(1, "good"), (2, value), (3, None)]
    found = plain_records(["id", "value"], [Kind.OTHER] * 2, rows, "base64")
    assert found.records == [{"id": 1, "value": "good"}, {"id": 3, "value": None}]
    (fault,) = found.faults
    assert (fault.at, fault.column) == (1, "value")
    assert fault.message.startswith("value ")


def test_a_row_with_two_faults_is_told_once() -> None:
    assert len(plain_records(["a", "b"], [Kind.OTHER] * 2, [("\0", "\0")], "hex").faults) == 1


def test_what_is_nested_too_deep_is_unfit() -> None:
    nested: Any = []
    for _ in range(30):
        nested = [nested]
    with pytest.raises(UnfitError, match="deeper"):
        plain(nested, "base64")


def test_bytes_go_back_and_forth() -> None:
    for form in ("base64", "hex"):
        assert bytes_of_text(plain(b"\x00\xff", form), form) == b"\x00\xff"  # type: ignore[arg-type]  # it is one
    with pytest.raises(ValueError, match="hex"):
        bytes_of_text("zz", "hex")


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (None, None),
        ("a", "a"),
        ("a", "a   "),
        (1, Decimal("1.00")),
        (True, 1),
        (1, True),
        ("1.10", Decimal("1.1")),
        (Decimal("1.10"), "1.1"),
        ("2026-01-15T12:00:00+00:00", "2026-01-15T13:00:00.000000+01:00"),
        ({"a": [1, Decimal("2.0")]}, {"a": [1, Decimal(2)]}),
    ],
)
def test_the_same_is_the_same_in_another_form(sent: Any, stored: Any) -> None:
    assert same(sent, stored)


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (None, ""),
        ("", None),
        ("a", "A"),
        ("long", "lon"),
        (Decimal("1.105"), Decimal("1.11")),
        ("2026-01-15T12:00:00+00:00", "2026-01-15T12:00:01+00:00"),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        ("x", 1),
    ],
)
def test_what_differs_differs(sent: Any, stored: Any) -> None:
    assert not same(sent, stored)
