from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from kwiksync_ops.connectors.time_format import format_time, notation_fault

MOMENT = datetime(2026, 1, 5, 23, 4, 5, 678_900, tzinfo=UTC)


@pytest.mark.parametrize(
    ("notation", "zone", "text"),
    [
        ("iso", "UTC", "2026-01-05T23:04:05.678900Z"),
        ("iso", "Europe/Berlin", "2026-01-06T00:04:05.678900+01:00"),
        ("epoch", "UTC", "1767654245"),
        ("epoch", "Asia/Tokyo", "1767654245"),
        ("epoch_ms", "UTC", "1767654245678"),
        ("YYYY-MM-DD HH:mm:ss", "UTC", "2026-01-05 23:04:05"),
        ("D/M/YYYY H:mm", "Europe/Berlin", "6/1/2026 0:04"),
        ("YYYY-MM-DDTHH:mm:ss.SSSZ", "UTC", "2026-01-05T23:04:05.678Z"),
        ("[Day] DD", "UTC", "Day 05"),
    ],
)
def test_moments_are_written_in_the_systems_notation(notation: str, zone: str, text: str) -> None:
    assert notation_fault(notation) is None
    assert format_time(MOMENT, notation, ZoneInfo(zone)) == text


def test_times_before_the_epoch_are_cut_downwards() -> None:
    before = datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC)
    assert format_time(before, "epoch", ZoneInfo("UTC")) == "-1"
