from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from kwiksync_ops.connectors.odata.edm import (
    Version,
    from_json,
    from_literal,
    is_same,
    moment_literal,
    to_json,
    to_literal,
)

GUID = "005056ab-7d12-1eda-0000-0123456789ad"


@pytest.mark.parametrize(
    ("value", "edm_type", "v2", "v4"),
    [
        ("O'Neil", "Edm.String", "'O''Neil'", "'O''Neil'"),
        (GUID, "Edm.Guid", f"guid'{GUID}'", GUID),
        ("2026-01-15T12:00:00", "Edm.DateTime", "datetime'2026-01-15T12:00:00'", "2026-01-15T12:00:00"),
        ("2026-01-15T12:00:00Z", "Edm.DateTimeOffset", "datetimeoffset'2026-01-15T12:00:00Z'", "2026-01-15T12:00:00Z"),
        ("PT11H30M", "Edm.Time", "time'PT11H30M'", "PT11H30M"),
        ("0A1B", "Edm.Binary", "X'0A1B'", "binary'0A1B'"),
        (Decimal("1E+2"), "Edm.Decimal", "100M", "100"),
        ("1.50", "Edm.Decimal", "1.50M", "1.50"),
        (5, "Edm.Int64", "5L", "5"),
        ("2.5", "Edm.Double", "2.5d", "2.5"),
        ("2.5", "Edm.Single", "2.5f", "2.5"),
        (7, "Edm.Int32", "7", "7"),
        (True, "Edm.Boolean", "true", "true"),
        ("Open", "desk.State", "desk.State'Open'", "desk.State'Open'"),
        ("text", None, "'text'", "'text'"),
        (3, None, "3", "3"),
    ],
)
def test_a_literal_is_written_as_its_type_and_version_want_it(value: Any, edm_type: str, v2: str, v4: str) -> None:
    assert to_literal(value, edm_type, "v2") == v2
    assert to_literal(value, edm_type, "v4") == v4


@pytest.mark.parametrize("edm_type", ["Edm.Int32", "Edm.Guid", "Edm.DateTimeOffset", "Edm.Boolean", "Edm.Decimal"])
@pytest.mark.parametrize("version", ["v2", "v4"])
def test_no_value_can_smuggle_an_expression_into_a_filter(edm_type: str, version: Version) -> None:
    for value in ("1 or true", "1) or (1 eq 1", "x' or '1' eq '1", "", "1&$top=1"):
        with pytest.raises(ValueError, match="is no value of type"):
            to_literal(value, edm_type, version)


@pytest.mark.parametrize(
    ("literal", "value"),
    [("'O''Neil'", "O'Neil"), ("guid'0a'", "0a"), ("5L", "5"), ("-1.50M", "-1.50"), ("12d", "12"), ("a-1d", "a-1d")],
)
def test_a_value_is_read_from_its_literal(literal: str, value: str) -> None:
    assert from_literal(literal) == value


@pytest.mark.parametrize(
    ("ticks", "edm_type", "expected"),
    [
        ("/Date(1330558323000)/", "Edm.DateTime", "2012-02-29T23:32:03"),
        ("/Date(1330558323007)/", "Edm.DateTimeOffset", "2012-02-29T23:32:03.007000Z"),
        ("/Date(1330558323000+0000)/", "Edm.DateTimeOffset", "2012-02-29T23:32:03Z"),
        ("/Date(1330558323000+0060)/", "Edm.DateTimeOffset", "2012-02-29T22:32:03Z"),
        ("/Date(1330558323000-0090)/", "Edm.DateTimeOffset", "2012-03-01T01:02:03Z"),
        ("/Date(-1000)/", "Edm.DateTime", "1969-12-31T23:59:59"),
        ("/Date(1330558323000)/", None, "2012-02-29T23:32:03"),
        ("/Date(1330558323000+0000)/", None, "2012-02-29T23:32:03Z"),
        ("/Date(1330558323000)/", "Edm.String", "/Date(1330558323000)/"),
        ("/Date(999999999999999999)/", "Edm.DateTime", "/Date(999999999999999999)/"),
        ("/Date(x)/", "Edm.DateTime", "/Date(x)/"),
        (None, "Edm.DateTime", None),
    ],
)
def test_ticks_become_iso_text(ticks: Any, edm_type: str | None, expected: Any) -> None:
    assert from_json(ticks, edm_type) == expected


@pytest.mark.parametrize(
    ("value", "edm_type", "v2", "v4"),
    [
        ("2026-01-15 12:00:00", "Edm.DateTimeOffset", "/Date(1768478400000+0000)/", "2026-01-15T12:00:00Z"),
        ("2026-01-15T13:00:00+01:00", "Edm.DateTimeOffset", "/Date(1768478400000+0000)/", "2026-01-15T12:00:00Z"),
        ("2026-01-15", "Edm.DateTime", "/Date(1768435200000)/", "2026-01-15T00:00:00Z"),
        ("2026-01-15 12:00:00", "Edm.Date", "2026-01-15", "2026-01-15"),
        ("soon", "Edm.DateTimeOffset", "soon", "soon"),
        ("true", "Edm.Boolean", True, True),
        (Decimal("1.50"), "Edm.Decimal", "1.50", "1.50"),
        (5, "Edm.Int64", "5", "5"),
        ("5", "Edm.Int32", 5, 5),
        ("many", "Edm.Int32", "many", "many"),
        (5, "Edm.String", "5", "5"),
        (Decimal("2.5"), "Edm.Double", "2.5", Decimal("2.5")),
        (None, "Edm.Decimal", None, None),
        ([1], "Edm.Decimal", [1], [1]),
        (5, None, 5, 5),
    ],
)
def test_a_value_is_written_into_a_body_as_its_type_wants_it(value: Any, edm_type: str, v2: Any, v4: Any) -> None:
    assert to_json(value, edm_type, "v2") == v2
    found = to_json(value, edm_type, "v4")
    assert (found, type(found)) == (v4, type(v4))


def test_decimals_are_numbers_where_strings_are_not_known() -> None:
    assert to_json("1.50", "Edm.Decimal", "v4", decimals="number") == Decimal("1.50")
    assert to_json(5, "Edm.Int64", "v4", decimals="number") == 5


@pytest.mark.parametrize(
    ("one", "other", "edm_type", "expected"),
    [
        ("12.50", Decimal("12.5"), "Edm.Decimal", True),
        ("12.50", "12.51", "Edm.Decimal", False),
        ("2026-01-15T12:00:00Z", "2026-01-15 13:00:00+01:00", "Edm.DateTimeOffset", True),
        ("2026-01-15T12:00:00", "2026-01-15T12:00:01", "Edm.DateTime", False),
        (True, "true", "Edm.Boolean", True),
        (None, "", "Edm.String", False),
        (None, None, "Edm.String", True),
        ({"a": 1}, {"a": 1}, None, True),
    ],
)
def test_values_are_the_same_by_what_they_mean(one: Any, other: Any, edm_type: str | None, expected: bool) -> None:
    assert is_same(one, other, edm_type) is expected


@pytest.mark.parametrize(
    ("edm_type", "version", "precision", "expected"),
    [
        ("Edm.DateTimeOffset", "v4", None, "2026-01-15T12:00:00.123456Z"),
        ("Edm.DateTimeOffset", "v4", 3, "2026-01-15T12:00:00.123Z"),
        ("Edm.DateTimeOffset", "v4", 0, "2026-01-15T12:00:00Z"),
        ("Edm.DateTimeOffset", "v2", None, "2026-01-15T12:00:00.123Z"),
        ("Edm.DateTime", "v2", None, "2026-01-15T13:00:00.123"),
        ("Edm.Date", "v4", None, "2026-01-15"),
    ],
)
def test_a_moment_is_cut_to_what_the_property_can_tell(
    edm_type: str, version: Version, precision: int | None, expected: str
) -> None:
    moment = datetime(2026, 1, 15, 12, 0, 0, 123456, UTC).astimezone(ZoneInfo("Europe/Berlin"))
    assert moment_literal(moment, edm_type, version, precision) == expected
