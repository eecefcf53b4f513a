from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kwiksync_ops.connectors.http.retry_after import http_date, retry_after_s

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "9" * 400}, 999_999_999.0),
        ({"Retry-After": "Thu, 15 Jan 2026 12:01:00 GMT"}, 60.0),
        ({"Retry-After": "Thu, 15 Jan 2026 11:00:00 GMT"}, 0.0),
        ({"Retry-After": "Thu, 15 Jan 2026 12:01:00 GMT", "Date": "Thu, 15 Jan 2026 12:00:50 GMT"}, 10.0),
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "tomorrow"}, None),
    ],
)
def test_the_wait_is_what_was_asked(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers, NOW) == wait_s


@pytest.mark.parametrize("text", [None, "", "never", "Thu, 99 Jan 2026 12:00:00 GMT"])
def test_what_is_no_date_is_none(text: str | None) -> None:
    assert http_date(text) is None


def test_dates_are_utc_with_or_without_a_zone() -> None:
    assert http_date("Thu, 15 Jan 2026 13:00:00 +0100") == NOW
    assert http_date("Thu, 15 Jan 2026 12:00:00 -0000") == NOW
