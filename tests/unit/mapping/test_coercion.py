from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwiksync_ops.batch import Reject
from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import map_records, map_value, reject

TARGETS = {
    "string": ("tickets", "number"),
    "text": ("tickets", "description"),
    "reference": ("tickets", "project"),
    "integer": ("assets", "quantity"),
    "decimal": ("locations", "latitude"),
    "date": ("projects", "start_date"),
    "datetime": ("tickets", "opened_at"),
    "boolean": ("tickets", "active"),
}


def _name(value: Any) -> str:
    """Python does not print the largest of the integers."""
    return hex(value)[:40] if isinstance(value, int) else ascii(value)[:40]


def coerce(kind: str, value: Any) -> Any:
    table, column = TARGETS[kind]
    return map_value(value, FieldRule("value", column, TransformType.DIRECT), table=table)


def refused(kind: str, value: Any) -> Reject:
    table, column = TARGETS[kind]
    return reject(value, FieldRule("value", column, TransformType.DIRECT), table=table)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", "plain", "plain"),
        ("string", " kept ", " kept "),
        ("string", "", ""),
        ("string", 7, "7"),
        ("string", -(10**30), "-1" + "0" * 30),
        ("string", True, "true"),
        ("string", Decimal("1.50"), "1.50"),
        ("string", Decimal("1E+3"), "1000"),
        ("string", Decimal("-0.0"), "-0.0"),
        ("string", Decimal(12345678901234567890123456789012345678), "12345678901234567890123456789012345678"),
        ("string", 0.1, "0.1"),
        ("string", date(2026, 1, 15), "2026-01-15"),
        ("string", "héllo 😀", "héllo 😀"),
        ("string", "é" * 80, "é" * 80),
        ("reference", "a" * 32, "a" * 32),
        ("integer", 7, 7),
        ("integer", "7", 7),
        ("integer", " -7 ", -7),
        ("integer", "007", 7),
        ("integer", Decimal("7.00"), 7),
        ("integer", "7.0", 7),
        ("integer", 7.0, 7),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", str(-(2**63)), -(2**63)),
        ("decimal", "48.137154", Decimal("48.137154")),
        ("decimal", Decimal("48.1"), Decimal("48.100000")),
        ("decimal", 48, Decimal("48.000000")),
        ("decimal", 48.1, Decimal("48.100000")),
        ("decimal", "1e2", Decimal("100.000000")),
        ("decimal", "48.13715400000", Decimal("48.137154")),
        ("decimal", "999999999999.999999", Decimal("999999999999.999999")),
        ("date", "2026-01-15", date(2026, 1, 15)),
        ("date", "2026-01-15T00:00:00Z", date(2026, 1, 15)),
        ("date", date(2026, 1, 15), date(2026, 1, 15)),
        ("datetime", "2026-01-15T10:30:00Z", datetime(2026, 1, 15, 10, 30, tzinfo=UTC)),
        ("datetime", "2026-01-15 10:30:00.5+02:00", datetime(2026, 1, 15, 8, 30, 0, 500_000, tzinfo=UTC)),
        ("datetime", "2026-01-15 10:30:00", datetime(2026, 1, 15, 10, 30, tzinfo=UTC)),
        ("datetime", "2026-01-15", datetime(2026, 1, 15, tzinfo=UTC)),
        ("datetime", date(2026, 1, 15), datetime(2026, 1, 15, tzinfo=UTC)),
        (
            "datetime",
            datetime(2026, 1, 15, 0, 30, tzinfo=timezone(timedelta(hours=14))),
            datetime(2026, 1, 14, 10, 30, tzinfo=UTC),
        ),
        ("datetime", "2026-01-15T00:00:00-12:00", datetime(2026, 1, 15, 12, tzinfo=UTC)),
        ("boolean", True, True),
        ("boolean", "TRUE", True),
        ("boolean", "0", False),
        ("boolean", 1, True),
        ("boolean", "no", False),
    ],
    ids=ascii,
)
def test_a_value_that_fits_becomes_the_type_of_its_column(kind: str, value: Any, expected: Any) -> None:
    result = coerce(kind, value)
    assert (type(result), result, str(result)) == (type(expected), expected, str(expected))


def test_minus_zero_becomes_zero_in_a_decimal_column() -> None:
    assert str(coerce("decimal", Decimal("-0.0"))) == "0.000000"


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("string", "x" * 81, "has 81 characters; the column holds 80."),
        ("string", "a\0b", "NUL"),
        ("string", "a\ud800b", "surrogate"),
        ("string", Decimal("NaN"), "not a finite number"),
        ("string", Decimal("1E+400"), "characters"),
        ("string", Decimal("1E+4000"), "out of range"),
        ("string", 10**5_000, "out of range"),
        ("reference", "a" * 33, "has 33 characters; the column holds 32."),
        ("integer", "seven", "is not a whole number: 'seven'."),
        ("integer", "?", "If '?' means no value, add it to null_values."),
        ("integer", "", "If '' means no value, add it to null_values."),
        ("integer", "1_000", "is not a whole number"),
        ("integer", "\uff11\uff12", "is not a whole number"),
        ("integer", True, "is not a whole number: true."),
        ("integer", Decimal("7.5"), "is not a whole number: 7.5."),
        ("integer", 2**63, "does not fit 64 bits"),
        ("integer", -(2**63) - 1, "does not fit 64 bits"),
        ("integer", 10**200, "does not fit 64 bits"),
        ("integer", Decimal("1E+999999"), "out of range"),
        ("integer", "9" * 100_000, "is not a whole number"),
        ("integer", float("inf"), "not a finite number"),
        ("decimal", "48.1371541", "without rounding"),
        ("decimal", "1234567890123", "holds 12 digits before the point and 6 after it"),
        ("decimal", Decimal("0.12345678901234567890123456789012345678"), "without rounding"),
        ("decimal", 0.1 + 0.2, "without rounding"),
        ("decimal", Decimal("NaN"), "not a finite number"),
        ("decimal", "ten", "is not a number"),
        ("date", "15/01/2026", "need a date_format transform"),
        ("date", "2026-01-15T10:00:00Z", "has a time of day"),
        ("date", "2026-02-30", "is not an ISO date"),
        ("date", 20_260_115, "is not an ISO date"),
        ("datetime", "15/01/2026 10:00", "need a date_format transform"),
        ("datetime", 1_768_473_000, "is not an ISO date and time"),
        ("datetime", "0001-01-01T00:00:00+14:00", "out of range"),
        ("boolean", "maybe", "is not true or false"),
        ("boolean", 2, "is not true or false"),
    ],
    ids=_name,
)
def test_a_value_that_does_not_fit_is_rejected_as_invalid(kind: str, value: Any, reason: str) -> None:
    found = refused(kind, value)
    assert found.code == "ERR_008"
    assert reason in found.message


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("value", [{"a": 1}, [1, 2]])
def test_a_nested_value_is_a_mapping_error(kind: str, value: Any) -> None:
    found = refused(kind, value)
    assert found.code == "ERR_004"
    assert "map a field of it by its path" in found.message


def test_one_bad_value_leaves_the_others_of_its_column_alone() -> None:
    values = ["good", "a\0b", None, 5, "x" * 81, "fine"]
    records = [{"id": str(index), "value": value} for index, value in enumerate(values)]
    batch = map_records(records, FieldRule("value", "number", TransformType.DIRECT))
    assert [row[1] for row in batch.rows] == ["good", None, "5", "fine"]
    assert [found.external_id for found in batch.rejects] == ["1", "4"]


@settings(deadline=None)
@given(st.integers(min_value=-(10**11), max_value=10**11), st.integers(min_value=0, max_value=6))
def test_a_decimal_within_the_column_is_exact(digits: int, places: int) -> None:
    value = Decimal(digits).scaleb(-places)
    assert coerce("decimal", str(value)) == value
    assert coerce("decimal", value) == value


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**10), max_value=10**10))
def test_a_decimal_is_exact_or_rejected(value: Decimal) -> None:
    result = coerce("decimal", value)
    assert isinstance(result, list) or result == value


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones()).filter(lambda moment: 2 < moment.year < 9_998))
def test_iso_text_becomes_the_same_moment(moment: datetime) -> None:
    # An offset with seconds, as old local times have, is exact too.
    assert coerce("datetime", moment.isoformat()) == moment.astimezone(UTC)


@settings(deadline=None)
@given(st.text())
def test_text_arrives_unchanged_or_is_rejected(text: str) -> None:
    result = coerce("text", text)
    is_storable = "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
    assert (result == text) if is_storable else (result[0].code == "ERR_008")
