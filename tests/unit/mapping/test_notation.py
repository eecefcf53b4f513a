# ruff: noqa: DTZ001  wall times without a zone are what is tested
from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwiksync_ops.mapping.notation import NotationReader, NotationWriter

AFTERNOON = datetime(2016, 2, 9, 13, 4, 5, 678_901)

SECOND_EXACT = (
    "YYYY-MM-DD HH:mm:ss",
    "YYYY-MM-DDTHH:mm:ss",
    "D/M/YYYY H:mm:ss",
    "MM/DD/YYYY hh:mm:ss A",
    "DD-MMM-YYYY h:m:s a",
    "dddd, D MMMM YYYY [at] H.mm.ss",
    "ddd D MMM YYYY HH:mm:ss",
    "YYYYMMDDHHmmss",
    "HH:mm:ss YYYY/MM/DD",
    "YYYY-MM-DDTHH:mm:ss.SSSSSS",
)


@pytest.mark.parametrize(
    ("notation", "text", "expected"),
    [
        ("MM/DD/YYYY", "01/15/2026", datetime(2026, 1, 15)),
        ("MM/DD/YYYY HH:mm", "01/15/2026 07:05", datetime(2026, 1, 15, 7, 5)),
        ("D/M/YYYY H:mm", "29/2/2016 1:16", datetime(2016, 2, 29, 1, 16)),
        ("D/M/YYYY H:mm", "29/02/2016 01:16", datetime(2016, 2, 29, 1, 16)),
        ("D MMM YYYY", "5 sep 2026", datetime(2026, 9, 5)),
        ("MMMM D, YYYY h:mm A", "March 5, 2026 12:30 am", datetime(2026, 3, 5, 0, 30)),
        ("MMMM D, YYYY h:mm A", "May 5, 2026 12:30 p.m.", datetime(2026, 5, 5, 12, 30)),
        ("DD.MM.YY", "15.01.68", datetime(2068, 1, 15)),
        ("DD.MM.YY", "15.01.69", datetime(1969, 1, 15)),
        ("YYYYMMDD", "20260115", datetime(2026, 1, 15)),
        ("YYYY-MM-DD HH:mm:ss.SSS", "2026-01-15 10:20:30.250", datetime(2026, 1, 15, 10, 20, 30, 250_000)),
        ("YYYY-MM-DD HH:mm:ss.SSSSSSS", "2026-01-15 10:20:30.1234567", datetime(2026, 1, 15, 10, 20, 30, 123_456)),
        ("YYYY-MM-DDTHH:mmZ", "2026-01-15T10:20Z", datetime(2026, 1, 15, 10, 20, tzinfo=UTC)),
        (
            "YYYY-MM-DD HH:mm ZZ",
            "2026-01-15 10:20 -05:30",
            datetime(2026, 1, 15, 10, 20, tzinfo=timezone(-timedelta(hours=5, minutes=30))),
        ),
        ("'Q'YYYY [DD]DD MM", "Q2026 DD15 01", datetime(2026, 1, 15)),
    ],
)
def test_text_is_read_in_its_notation(notation: str, text: str, expected: datetime) -> None:
    reader = NotationReader(notation)
    assert reader.read(text) == expected
    assert reader.read_all([text, None, text]) == [expected, None, expected]
    iso = expected.isoformat(timespec="microseconds")
    assert reader.read_texts([text, None]) == [iso, None]


@pytest.mark.parametrize(
    ("notation", "text", "reason"),
    [
        ("MM/DD/YYYY", "15/01/2026", "month must be in 1..12"),
        ("MM/DD/YYYY", "02/30/2026", "day is out of range for month"),
        ("MM/DD/YYYY", "1/15/2026", "is not a date written as MM/DD/YYYY: '1/15/2026'"),
        ("MM/DD/YYYY", "01/15/2026 ", "is not a date"),
        ("MM/DD/YYYY", "\uff101/15/2026", "is not a date"),
        ("D/M/YYYY H:mm", "29/2/2016", "is not a date"),
        ("D/M/YYYY H:mm", "29/2/2016 1:6", "is not a date"),
        ("D/M/YYYY H:mm", "29/2/2016 25:06", "hour must be in 0..23"),
        ("D/M/YYYY H:mm", "29/2/2016 0001:06", "is not a date"),
        ("D/M/YYYY HH:mm", "29/2/2016 1:06", "is not a date"),
        ("D/M/YYYY HH:mm", "29/2/2016 01:06+01:00", "is not a date"),
        ("D/M/YYYY HH:mm:ss", "29/2/2016 01:06+01", "is not a date"),
        ("D/M/YYYY HH:mm:ss", "29/2/2016 010600.1", "is not a date"),
        ("D/M/YYYY HH:mm:ss", "29/2/2016 01:06:60", "second must be in 0..59"),
        ("D/M/YYYY hh:mm A", "29/2/2016 13:06 PM", "hour must be in 1..12"),
        ("YYYY-MM-DDTHH:mmZ", "2026-01-15T10:20+01:75", "minutes must be below 60"),
        ("YYYY-MM-DDTHH:mmZ", "2026-01-15T10:20+25:00", "strictly between"),
        ("YYYY-MM-DD", "0000-01-15", "year 0 is out of range"),
    ],
)
def test_text_that_is_no_real_date_is_refused(notation: str, text: str, reason: str) -> None:
    reader = NotationReader(notation)
    with pytest.raises(ValueError, match=r"is not a date written as") as error:
        reader.read(text)
    assert reason in str(error.value)
    assert _refuses(reader.read_all, text)
    assert _refuses(reader.read_texts, text)


def _refuses(read_column: Callable[[list[str | None]], object], text: str) -> bool:
    """The faster readers say only that they refuse; `read` says why."""
    try:
        read_column([None, text])
    except ValueError:
        return True
    return False


@pytest.mark.parametrize(
    ("notation", "reason"),
    [
        ("yyyy-MM-dd", "'yyyy' in 'yyyy-MM-dd' is no token of a date notation; write YYYY"),
        ("YYYY-MM-DD o", "text stands in brackets, [o]"),
        ("YYYY-MM", "names no day; a date needs YYYY, MM and DD"),
        ("HH:mm", "names no year and no month and no day"),
        ("YYYY-MM-DD-DD", "names the day twice"),
        ("YYYY-MM-DD HH:hh A", "names the hour twice"),
        ("YYYY-MM-DD hh:mm", "needs both hh and A"),
        ("YYYY-MM-DD HH:mm A", "needs both hh and A"),
        ("DMYYYY", "one-digit tokens that touch the next number"),
        ("", "names no year"),
    ],
)
def test_a_notation_that_can_not_be_read_back_is_refused(notation: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        NotationReader(notation)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("notation", "expected"),
    [
        ("YYYY-MM-DD", "2016-02-09"),
        ("D/M/YY H:m:s", "9/2/16 13:4:5"),
        ("dddd D MMMM YYYY", "Tuesday 9 February 2016"),
        ("ddd, DD MMM YYYY hh:mm A", "Tue, 09 Feb 2016 01:04 PM"),
        ("h:mm a", "1:04 pm"),
        ("YYYYMMDDTHHmmss.SSSZ", "20160209T130405.678+00:00"),
        ("HH:mm:ss.SSSSSSSSS ZZ", "13:04:05.678901000 +0000"),
        ("[Week of] D.M.", "Week of 9.2."),
    ],
)
def test_a_moment_is_written_in_a_notation(notation: str, expected: str) -> None:
    assert NotationWriter(notation).write(AFTERNOON) == expected


@pytest.mark.parametrize("notation", ["plain", "--", "[only text]"])
def test_a_notation_without_tokens_writes_nothing_and_is_refused(notation: str) -> None:
    with pytest.raises(ValueError, match="token of a date notation"):
        NotationWriter(notation)


@pytest.mark.parametrize("notation", SECOND_EXACT)
@settings(deadline=None)
@given(moment=st.datetimes(min_value=datetime(1000, 1, 1)))
def test_what_is_written_is_read_back(notation: str, moment: datetime) -> None:
    whole = moment if "S" in notation else moment.replace(microsecond=0)
    assert NotationReader(notation).read(NotationWriter(notation).write(whole)) == whole


@settings(deadline=None)
@given(st.datetimes(timezones=st.sampled_from([timezone(timedelta(hours=hours)) for hours in (-12, -3, 0, 14)])))
def test_an_offset_is_read_back(moment: datetime) -> None:
    notation = "YYYY-MM-DD HH:mm:ss.SSSSSS Z"
    assert NotationReader(notation).read(NotationWriter(notation).write(moment)) == moment


def test_more_different_texts_than_the_memo_holds_are_read_right() -> None:
    start = datetime(1990, 1, 1)
    days = [start + timedelta(days=number) for number in range(11_000)]
    texts = [NotationWriter("D/M/YYYY H:mm").write(day) for day in days]
    assert NotationReader("D/M/YYYY H:mm").read_all(texts) == days
