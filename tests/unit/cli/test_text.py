"""Values as a person at a terminal reads them, and as no terminal obeys them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from kwiksync_ops.cli.text import ago, count, duration, printable, shown

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (True, "yes"),
        (1234567, "1,234,567"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 1, 31), "2026-01-31"),
        (NOW, "2026-01-15 12:00:00"),
        ("two\nlines\ttab", "two↵lines tab"),
    ],
)
def test_a_value_is_one_line(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x9b31m", "\r", "\x07", "\u202e", "\u200b", "\ud800"])
def test_no_control_sign_of_a_system_reaches_the_terminal(evil: str) -> None:
    assert evil[0] not in printable(f"name{evil}", lines=True)
    assert evil[0] not in shown(evil)


def test_line_breaks_stay_where_lines_are_wanted() -> None:
    assert printable("a\nb", lines=True) == "a\nb"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.14, "0.1 s"),
        (9.96, "10.0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (7200, "2 h"),
        (200_000, "2 d"),
    ],
)
def test_a_duration_has_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_how_long_ago_is_never_in_the_future() -> None:
    assert ago(NOW - timedelta(seconds=1.6), NOW) == "2 s ago"
    assert ago(NOW + timedelta(hours=1), NOW) == "0 s ago"
    assert ago(None, NOW) == "never"


def test_one_is_not_many() -> None:
    assert (count(1, "row"), count(2, "row"), count(0, "row")) == ("1 row", "2 rows", "0 rows")
