"""Dates in the notation that reads them back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwiksync_ops.mapping.moments import parse_moment
from kwiksync_ops.mapping.notation import NotationWriter
from kwiksync_ops.mapping.proposals.notations import (
    READABLE_SHARE,
    detect_epoch,
    detect_notation,
    readable_share,
    tells_day_first,
)

MOMENTS = [datetime(2023, 11, 2, 7, 5, 9, tzinfo=UTC) + timedelta(days=17 * at, minutes=531 * at) for at in range(60)]


@pytest.mark.parametrize(
    "notation",
    [
        "YYYY-MM-DD HH:mm",
        "D/M/YYYY HH:mm",
        "DD.MM.YYYY HH:mm:ss",
        "MM/DD/YYYY h:mm A",
        "M/D/YY H:mm",
        "DD-MMM-YYYY HH:mm",
        "D MMMM YYYY HH:mm",
        "MMMM D, YYYY HH:mm",
        "ddd, DD MMM YYYY HH:mm:ss Z",
        "YYYY/MM/DD HH:mm:ss.SSS",
    ],
)
def test_what_a_notation_wrote_is_read_back_to_the_same_moments(notation: str) -> None:
    writer = NotationWriter(notation)
    found = detect_notation([writer.write(moment) for moment in MOMENTS])
    assert found is not None
    assert found.is_sure
    for moment in MOMENTS:
        text = writer.write(moment)
        assert parse_moment(text, found.format) == parse_moment(text, notation)


@pytest.mark.parametrize(
    ("texts", "format", "has_time"),
    [
        (["29/2/2016 06:05", "1/3/2016 14:40"], "D/M/YYYY HH:mm", True),
        (["04/15/2014", "12/18/2016"], "MM/DD/YYYY", False),
        (["2016-02-29T01:23:00Z", "2016-02-29T01:23:00+01:00"], "iso", True),
        (["2016-02-29"], "iso", False),
        (["20240131", "20240201"], "YYYYMMDD", False),
    ],
)
def test_the_notation_is_the_narrowest_that_fits(texts: list[str], format: str, has_time: bool) -> None:
    found = detect_notation(texts)
    assert found is not None
    assert (found.format, found.has_time) == (format, has_time)


@pytest.mark.parametrize("texts", [[], ["hello"], ["4230N 00131E"], ["5/2024"], ["13/13/2024"], ["1.2.3.4"], [""]])
def test_texts_that_are_no_dates_have_no_notation(texts: list[str]) -> None:
    assert detect_notation(texts) is None


def test_two_orders_in_one_field_are_no_notation() -> None:
    assert detect_notation(["2024/01/05", "05/01/2024"]) is None


PARTS = st.lists(
    st.sampled_from(
        [*"0123456789", "2024", "31", "12", "/", "-", ".", ":", " ", "T", "Z", ",", "Jan", "May", "PM", "+01:00"]
    ),
    max_size=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the texts
@given(st.lists(PARTS.map("".join) | st.text(max_size=8), max_size=6))
def test_no_text_makes_the_search_fail(texts: list[str]) -> None:
    found = detect_notation(texts)
    if found:
        assert readable_share(found.format, texts) >= READABLE_SHARE


def test_a_few_broken_dates_do_not_hide_the_notation_of_the_others() -> None:
    texts = [f"{day}/3/2016" for day in range(1, 29)] + ["soon", "31/2/2016"]
    found = detect_notation(texts)
    assert found is not None
    assert found.format == "D/M/YYYY"


def test_day_and_month_that_can_be_either_are_told_apart_by_what_else_is_known() -> None:
    texts = ["3/4/2016", "5/6/2016"]
    alone, told = detect_notation(texts), detect_notation(texts, day_first=True)
    assert alone is not None
    assert told is not None
    assert (alone.is_sure, told.is_sure, told.format) == (False, True, "D/M/YYYY")
    assert tells_day_first(["3/4/2016", "13/4/2016"]) is True
    assert tells_day_first(["3/4/2016", "4/13/2016 10:00"]) is False
    assert tells_day_first(["3/4/2016"]) is None


def test_numbers_are_moments_only_where_all_are_of_our_days() -> None:
    seconds, milliseconds = detect_epoch(["1394956800", "1394956800.5"]), detect_epoch(["1394956800123"])
    assert seconds is not None
    assert milliseconds is not None
    assert (seconds.format, milliseconds.format) == ("epoch", "epoch_ms")
    assert detect_epoch(["1394956800", "12"]) is None
    assert detect_epoch([]) is None
