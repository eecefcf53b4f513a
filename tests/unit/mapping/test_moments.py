# ruff: noqa: DTZ001  wall times without a zone are what is tested
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kwiksync_ops.errors import ConfigurationError, ValidationError
from kwiksync_ops.mapping.moments import MomentError, compile_moments, parse_moment, read_column
from kwiksync_ops.mapping.notation import NotationWriter
from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import map_records

GAP = "2026-03-29 02:30:00"
OVERLAP = "2026-10-25 02:30:00"
WALL = "YYYY-MM-DD HH:mm:ss"


@pytest.mark.parametrize(
    ("value", "format", "timezone", "expected"),
    [
        ("2016-02-29T01:23:00Z", "iso", "UTC", datetime(2016, 2, 29, 1, 23, tzinfo=UTC)),
        (" 2016-02-29 01:23 ", "iso", "UTC", datetime(2016, 2, 29, 1, 23, tzinfo=UTC)),
        ("2016-02-29T01:23:00", "iso", "Asia/Kolkata", datetime(2016, 2, 28, 19, 53, tzinfo=UTC)),
        ("2016-02-29T01:23:00+14:00", "iso", "UTC", datetime(2016, 2, 28, 11, 23, tzinfo=UTC)),
        ("2016-02-29T01:23:00-12:00", "iso", "Europe/Berlin", datetime(2016, 2, 29, 13, 23, tzinfo=UTC)),
        ("29/2/2016 1:23", "D/M/YYYY H:mm", "UTC", datetime(2016, 2, 29, 1, 23, tzinfo=UTC)),
        ("29/2/2016 1:23", "D/M/YYYY H:mm", "Pacific/Kiritimati", datetime(2016, 2, 28, 11, 23, tzinfo=UTC)),
        ("29/2/2016 1:23", "D/M/YYYY H:mm", "Etc/GMT+12", datetime(2016, 2, 29, 13, 23, tzinfo=UTC)),
        (20_160_229, "YYYYMMDD", "UTC", datetime(2016, 2, 29, tzinfo=UTC)),
        (1_456_708_980, "epoch", "UTC", datetime(2016, 2, 29, 1, 23, tzinfo=UTC)),
        ("1456708980.5", "epoch", "Europe/Berlin", datetime(2016, 2, 29, 1, 23, 0, 500_000, tzinfo=UTC)),
        (Decimal("1456708980.123456789"), "epoch", "UTC", datetime(2016, 2, 29, 1, 23, 0, 123_456, tzinfo=UTC)),
        (1_456_708_980_001, "epoch_ms", "UTC", datetime(2016, 2, 29, 1, 23, 0, 1_000, tzinfo=UTC)),
        (-1, "epoch", "UTC", datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (date(2016, 2, 29), "iso", "Asia/Kolkata", datetime(2016, 2, 28, 18, 30, tzinfo=UTC)),
    ],
    ids=ascii,
)
def test_a_moment_is_read_as_utc(value: Any, format: str, timezone: str, expected: datetime) -> None:
    moment = parse_moment(value, format, timezone)
    assert (moment, moment.tzinfo) == (expected, UTC)


@pytest.mark.parametrize(
    ("value", "format", "timezone", "reason"),
    [
        ("yesterday", "iso", "UTC", "is not an ISO date or time: 'yesterday'."),
        (None, "iso", "UTC", "is not an ISO date or time: None."),
        (1_456_708_980, "iso", "UTC", "is not an ISO date or time: 1456708980."),
        ({"a": 1}, "D/M/YYYY", "UTC", "is not a date written as D/M/YYYY: an object."),
        (True, "YYYYMMDD", "UTC", "is not a date written as YYYYMMDD: true."),
        ("soon", "epoch", "UTC", "is not a number of seconds since 1970: 'soon'."),
        (10**30, "epoch", "UTC", "is out of range"),
        ("0001-01-01T00:00:00", "iso", "Asia/Tokyo", "is out of range as UTC"),
        ("9999-12-31T23:59:59", "iso", "Pacific/Niue", "is out of range as UTC"),
        (GAP, WALL, "Europe/Berlin", "never happens in Europe/Berlin"),
        (OVERLAP, WALL, "Europe/Berlin", "happens twice in Europe/Berlin"),
        ("2011-12-30 12:00:00", WALL, "Pacific/Apia", "never happens in Pacific/Apia"),
    ],
    ids=ascii,
)
def test_what_is_no_moment_is_an_invalid_value(value: Any, format: str, timezone: str, reason: str) -> None:
    with pytest.raises(ValidationError) as error:
        parse_moment(value, format, timezone)
    assert reason in error.value.message
    assert error.value.code == "ERR_008"


@pytest.mark.parametrize(
    ("format", "timezone", "reason"),
    [
        ("yyyy", "UTC", "write YYYY"),
        ("iso", "Mars/Olympus", "there is no time zone 'Mars/Olympus'"),
        ("iso", "../etc/passwd", "there is no time zone"),
        ("iso", "", "there is no time zone"),
    ],
)
def test_a_format_or_zone_that_is_not_one_is_a_configuration_error(format: str, timezone: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        parse_moment("2026-01-15", format, timezone)


@pytest.mark.parametrize(
    ("wall", "setting", "choice", "expected"),
    [
        (OVERLAP, "ambiguous", "earlier", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        (OVERLAP, "ambiguous", "later", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        (GAP, "nonexistent", "earlier", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),
        (GAP, "nonexistent", "later", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
    ],
)
def test_the_choice_decides_between_two_readings(wall: str, setting: str, choice: str, expected: datetime) -> None:
    assert compile_moments(WALL, "Europe/Berlin", **{setting: choice}).read(wall) == expected
    other = {"ambiguous": "nonexistent", "nonexistent": "ambiguous"}[setting]
    with pytest.raises(MomentError):
        compile_moments(WALL, "Europe/Berlin", **{other: choice}).read(wall)


@pytest.mark.parametrize("format", ["iso", "YYYY-MM-DD HH:mm:ss"])
@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Asia/Tokyo", "0001-01-01 00:00:00"),
        ("Pacific/Niue", "9999-12-31 23:59:59"),
        ("Europe/Berlin", GAP),
        ("Europe/Berlin", OVERLAP),
    ],
)
def test_a_column_is_refused_for_what_is_refused_alone(format: str, zone: str, text: str) -> None:
    moments = compile_moments(format, zone)
    with pytest.raises(MomentError):
        moments.read(text)
    for read_all in (moments.read_all, moments.read_versions):
        with pytest.raises(MomentError):
            read_all(["2026-01-15 00:00:00", text])


@pytest.mark.parametrize(("zone", "text"), [("Asia/Tokyo", "9999-12-31T23:00:00Z"), ("America/Lima", "0001-01-01Z")])
def test_a_day_beyond_the_calendar_is_refused(zone: str, text: str) -> None:
    with pytest.raises(MomentError, match="is out of range in"):
        compile_moments("iso", zone).read_day(text.replace("01Z", "01T00:00:00Z"))


def test_a_day_on_which_the_clocks_change_is_read_in_a_column() -> None:
    rule = FieldRule("at", "opened_at", TransformType.DATE_FORMAT, {"source_format": WALL, "timezone": "Europe/Berlin"})
    records = [{"id": hour, "at": f"2026-03-29 {hour:02d}:00:00"} for hour in range(6)]
    batch = map_records(records, rule)
    assert [row[1].hour for row in batch.rows] == [23, 0, 1, 2, 3]
    assert [found.external_id for found in batch.rejects] == ["2"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "UTC"])
@settings(deadline=None)
@given(moment=st.datetimes(min_value=datetime(1950, 1, 1), max_value=datetime(2060, 1, 1)))
def test_local_times_are_read_as_the_moment_that_they_show(zone: str, moment: datetime) -> None:
    instant = moment.replace(microsecond=0, tzinfo=UTC)
    local = instant.astimezone(ZoneInfo(zone))
    text = NotationWriter(WALL).write(local)
    choice = "later" if local.fold else "earlier"
    moments = compile_moments(WALL, zone, ambiguous=choice)
    assert moments.read(text) == instant
    assert read_column([text, None], moments.read, moments.read_all, code="ERR_004") == [instant, None]


@settings(deadline=None)
@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=2))
def test_versions_sort_as_the_moments_do(moments: list[datetime]) -> None:
    iso = compile_moments("iso")
    versions = {iso.read_version(moment.isoformat()): moment for moment in moments}
    assert [versions[version] for version in sorted(versions)] == sorted(set(moments))
    assert all(version == versions[version].isoformat(timespec="microseconds") for version in versions)


@pytest.mark.parametrize("format", ["D/M/YYYY H:mm", "D/M/YYYY HH:mm:ss", "MM-DD-YYYY hh:mm:ss A", "iso"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_versions_of_a_column_are_those_of_its_values(format: str, zone: str) -> None:
    walls = [datetime(2026, 1, 15) + timedelta(hours=number) for number in range(30)]
    write = datetime.isoformat if format == "iso" else NotationWriter(format).write
    texts = [write(wall) for wall in walls]
    moments = compile_moments(format, zone)
    assert moments.read_versions([*texts, None]) == [*(moments.read_version(text) for text in texts), None]
    assert moments.read_versions(texts)[0] == (
        "2026-01-15T00:00:00.000000+00:00" if zone == "UTC" else "2026-01-14T18:15:00.000000+00:00"
    )
