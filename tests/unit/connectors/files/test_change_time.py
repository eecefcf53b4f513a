from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kwiksync_ops.connectors.files.change_time import Window
from kwiksync_ops.connectors.source import Position

AT = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("notation", "before", "same", "after"),
    [
        ("iso", "2026-01-15T12:59:59+01:00", "2026-01-15T13:00:00", "2026-01-15T12:00:00.000001Z"),
        ("epoch", 1768478399, "1768478400", 1768478401),
        ("epoch_ms", "1768478399999", 1768478400000, 1768478400001),
        ("D/M/YYYY H:mm", "15/1/2026 12:59", "15/1/2026 13:00", "15/01/2026 13:01"),
        ("YYYY-MM-DD[T]HHmmss", "2026-01-15T125959", "2026-01-15T130000", "2026-01-15T130001"),
    ],
)
def test_records_of_a_window_are_found_in_each_notation(notation: str, before: Any, same: Any, after: Any) -> None:
    window = Window("id", "at", notation, "Europe/Berlin", Position(AT, "b"), AT + timedelta(hours=1))
    records = [{"id": key, "at": at} for at in (before, same, after) for key in "abc"]
    assert [(each["id"], each["at"]) for each in window.keep(records)] == [
        ("c", same),
        *((key, after) for key in "abc"),
    ]


def test_a_time_that_can_not_be_read_is_left_to_the_mapping() -> None:
    window = Window("id", "a.at", "iso", "UTC", Position(AT), None)
    records = [{"id": 1, "a": {"at": value}} for value in (None, "soon", 5, "")] + [{"id": 2}]
    assert window.keep(records) == records


def test_without_a_key_all_records_of_the_very_time_are_in() -> None:
    window = Window("id", "at", "iso", "UTC", Position(AT), AT)
    found = window.keep([{"id": 1, "at": "2026-01-15T12:00:00Z"}, {"id": 2, "at": "2026-01-15T12:00:01Z"}])
    assert [record["id"] for record in found] == [1]
