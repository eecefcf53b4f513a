from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import map_records, map_value, reject

OVERLAP = "25/10/2026 2:30"


def rule(target: str, **config: Any) -> FieldRule:
    return FieldRule("date", target, TransformType.DATE_FORMAT, config)


@pytest.mark.parametrize(
    ("value", "config", "expected"),
    [
        ("01/15/2026", {"source_format": "MM/DD/YYYY", "target_format": "YYYY-MM-DD"}, "2026-01-15"),
        ("01/15/2026", {"source_format": "MM/DD/YYYY"}, "2026-01-15"),
        ("15/1/2026 10:05", {"source_format": "D/M/YYYY H:mm"}, "2026-01-15T10:05:00+00:00"),
        (
            "15/1/2026 10:05",
            {"source_format": "D/M/YYYY H:mm", "timezone": "Europe/Berlin", "target_format": "YYYY-MM-DD HH:mm"},
            "2026-01-15 09:05",
        ),
        ("2026-01-15T00:30:00+02:00", {"source_format": "iso", "target_format": "D.M.YY"}, "15.1.26"),
        (
            "2026-01-15T00:30:00+02:00",
            {"source_format": "iso", "target_format": "D.M.YY", "timezone": "UTC"},
            "14.1.26",
        ),
        (0, {"source_format": "epoch", "target_format": "iso"}, "1970-01-01T00:00:00+00:00"),
        (None, {"source_format": "iso"}, None),
    ],
)
def test_a_text_column_gets_the_date_as_text(value: Any, config: dict[str, Any], expected: str | None) -> None:
    assert map_value(value, rule("category", **config)) == expected


@pytest.mark.parametrize(
    ("value", "config", "expected"),
    [
        ("29/2/2016", {"source_format": "D/M/YYYY"}, date(2016, 2, 29)),
        ("29/2/2016 23:30", {"source_format": "D/M/YYYY H:mm", "timezone": "Asia/Tokyo"}, date(2016, 2, 29)),
        ("2016-02-29T23:30:00Z", {"source_format": "iso"}, date(2016, 2, 29)),
        ("2016-02-29T23:30:00Z", {"source_format": "iso", "timezone": "Asia/Tokyo"}, date(2016, 3, 1)),
        ("2016-02-29T23:30:00-12:00", {"source_format": "iso"}, date(2016, 2, 29)),
        (1_456_788_600, {"source_format": "epoch", "timezone": "Asia/Tokyo"}, date(2016, 3, 1)),
    ],
)
def test_a_date_column_gets_the_day(value: Any, config: dict[str, Any], expected: date) -> None:
    assert map_value(value, rule("start_date", **config), table="projects") == expected


@pytest.mark.parametrize(
    ("value", "config", "expected"),
    [
        ("29/2/2016 1:16", {"source_format": "D/M/YYYY H:mm"}, datetime(2016, 2, 29, 1, 16, tzinfo=UTC)),
        (
            "29/2/2016 1:16",
            {"source_format": "D/M/YYYY H:mm", "timezone": "Europe/Berlin", "target_format": "YYYY-MM-DD"},
            datetime(2016, 2, 29, 0, 16, tzinfo=UTC),
        ),
        (
            OVERLAP,
            {"source_format": "D/M/YYYY H:mm", "timezone": "Europe/Berlin", "ambiguous": "later"},
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        ),
    ],
)
def test_a_datetime_column_gets_the_moment(value: Any, config: dict[str, Any], expected: datetime) -> None:
    assert map_value(value, rule("opened_at", **config)) == expected


def test_an_hour_that_happens_twice_is_rejected_unless_the_mapping_chooses() -> None:
    found = reject(OVERLAP, rule("opened_at", source_format="D/M/YYYY H:mm", timezone="Europe/Berlin"))
    assert found.code == "ERR_004"
    assert found.message == (
        "opened_at (from date) happens twice in Europe/Berlin, where the clocks change: 2026-10-25 02:30:00. "
        "Have the system send UTC or an offset, or set ambiguous to earlier or later."
    )


def test_one_bad_date_leaves_the_others_of_its_column_alone() -> None:
    values = ["29/2/2016 1:16", "30/2/2016 1:16", None, {"a": 1}, "29/2/2016 1:16", "1/3/2016 0:00"]
    records = [{"id": str(index), "date": value} for index, value in enumerate(values)]
    for rows in (records, records[:3], records[:1] * 3 + records[1:2]):
        batch = map_records(rows, rule("opened_at", source_format="D/M/YYYY H:mm"))
        assert batch.read == len(batch.rows) + batch.rejected + batch.superseded
    batch = map_records(records, rule("opened_at", source_format="D/M/YYYY H:mm"))
    first, march = datetime(2016, 2, 29, 1, 16, tzinfo=UTC), datetime(2016, 3, 1, tzinfo=UTC)
    assert [row[1] for row in batch.rows] == [first, None, first, march]
    assert [(found.external_id, found.code) for found in batch.rejects] == [("1", "ERR_004"), ("3", "ERR_004")]
