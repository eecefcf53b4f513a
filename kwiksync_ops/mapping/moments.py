"""Moments: from what a system writes to aware UTC, by a format and a time zone.

A format is `iso`, `epoch` (seconds), `epoch_ms`, or a notation. Where a local time happens twice or never, because the
clocks change, the choice is the mapping's: reject, or take the earlier or the later of the two readings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from types import NoneType
from typing import Any, Literal, Protocol, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kwiksync_ops.errors import ConfigurationError, ValidationError
from kwiksync_ops.mapping.coercion import decimal_of
from kwiksync_ops.mapping.faults import Column, Fault, kinds_of, shown
from kwiksync_ops.mapping.notation import MEMO_LIMIT, NotationReader

Choice = Literal["reject", "earlier", "later"]
CHOICES: tuple[str, ...] = get_args(Choice)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_DIGITS = 10**18
_TWO = tuple(f"{number:02d}" for number in range(60))
_DAY_TEXTS: dict[int, str] = {}


def parse_moment(value: object, format: str = "iso", timezone: str = "UTC") -> datetime:
    """The moment as aware UTC; what names no zone is in `timezone`.

    Raises:
        ValidationError: the value can't be read in this format, or happens twice or never in the time zone.
        ConfigurationError: the format or the time zone is not one.
    """
    try:
        moments = compile_moments(format, timezone)
    except ValueError as exc:
        raise ConfigurationError(f"A cursor can't be read: {exc}.") from exc
    try:
        return moments.read(value)
    except MomentError as exc:
        raise ValidationError(f"The change time {exc}", remedy="Check the cursor's format and time zone.") from exc


def _version_text(moment: datetime) -> str:
    """A UTC moment as ISO text of one width: `2016-02-29T01:23:00.000000+00:00`; sorts as the moments do.

    What isoformat says, in a third of its time.
    """
    day, fraction = moment.toordinal(), moment.microsecond
    if day not in _DAY_TEXTS:
        if len(_DAY_TEXTS) >= MEMO_LIMIT:
            _DAY_TEXTS.clear()
        _DAY_TEXTS[day] = f"{moment.date()}T"
    end = f".{fraction:06d}+00:00" if fraction else ".000000+00:00"
    return f"{_DAY_TEXTS[day]}{_TWO[moment.hour]}:{_TWO[moment.minute]}:{_TWO[moment.second]}{end}"


class MomentError(ValueError):
    """A value that is no moment; the text goes on from the field's name."""


class Zone:
    """A time zone with a choice for the hours that its clocks repeat or leave out.

    Raises:
        ValueError: there is no such zone.
    """

    def __init__(self, name: str = "UTC", ambiguous: str = "reject", nonexistent: str = "reject") -> None:
        self.name = name
        self._zone = _zone_info(name)
        self._choices = {True: ambiguous, False: nonexistent}
        self._day_offsets: dict[int, timedelta | None] = {}

    def to_utc(self, wall: datetime) -> datetime:
        """Raises MomentError where the wall time has no single moment, or none that a calendar holds."""
        try:
            if wall.tzinfo is not None:
                return wall if wall.tzinfo is UTC else wall.astimezone(UTC)
            offset = self._day_offset(wall.toordinal())
            return wall.replace(tzinfo=UTC) - (self._offset(wall) if offset is None else offset)
        except OverflowError as exc:
            raise MomentError(f"is out of range as UTC: {wall}.") from exc

    def date_of(self, wall: datetime) -> date:
        """The day in the zone. Raises MomentError."""
        try:
            return wall.date() if wall.tzinfo is None else wall.astimezone(self._zone).date()
        except OverflowError as exc:
            raise MomentError(f"is out of range in {self.name}: {wall}.") from exc

    def all_to_utc(self, walls: Iterable[datetime | None]) -> list[datetime | None]:
        """As to_utc, with None for None."""
        to_utc = self.to_utc
        return [wall if wall is None or wall.tzinfo is UTC else to_utc(wall) for wall in walls]

    def all_naive_to_utc(self, walls: Iterable[datetime | None]) -> list[datetime | None]:
        """As all_to_utc, faster. Raises ValueError for a day on which the clocks change, too."""
        offset, combine = self._even_offset, datetime.combine
        try:
            return [None if wall is None else combine(utc := wall - offset(wall), utc.time(), UTC) for wall in walls]
        except OverflowError as exc:
            raise MomentError("is out of range as UTC.") from exc

    def _even_offset(self, wall: datetime) -> timedelta:
        offset = self._day_offset(wall.toordinal())
        if offset is None:
            raise MomentError("is on a day on which the clocks change.")
        return offset

    def _day_offset(self, day: int) -> timedelta | None:
        """The offset of a whole day, by its ordinal; None where the clocks change in it."""
        if day not in self._day_offsets:
            if len(self._day_offsets) >= MEMO_LIMIT:
                self._day_offsets.clear()
            start = datetime.combine(date.fromordinal(day), time())
            ends = (*(start + timedelta(hours=hour) for hour in range(24)), datetime.combine(start, time.max))
            offsets = {offset for wall in ends for offset in self._offsets(wall)}
            self._day_offsets[day] = offsets.pop() if len(offsets) == 1 else None
        return self._day_offsets[day]

    def _offsets(self, wall: datetime) -> tuple[timedelta, timedelta]:
        first, second = (wall.replace(tzinfo=self._zone, fold=fold).utcoffset() for fold in (0, 1))
        return first or timedelta(), second or timedelta()

    def _offset(self, wall: datetime) -> timedelta:
        first, second = self._offsets(wall)
        if first == second:
            return first
        is_twice = first > second
        match self._choices[is_twice]:
            case "earlier":
                return max(first, second)
            case "later":
                return min(first, second)
        happens = "happens twice" if is_twice else "never happens"
        setting = "ambiguous" if is_twice else "nonexistent"
        raise MomentError(
            f"{happens} in {self.name}, where the clocks change: {wall}. "
            f"Have the system send UTC or an offset, or set {setting} to earlier or later."
        )


def _zone_info(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError, TypeError) as exc:
        raise ValueError(f"there is no time zone {name!r}; write it as Europe/Berlin or UTC") from exc


class Walls(Protocol):
    """Reads values to wall times: naive where the value names no zone, else aware.

    `is_utc` and `is_naive` say it of all texts; a value of another type may differ.
    """

    has_time: bool
    is_utc: bool
    is_naive: bool

    def read(self, value: Any) -> datetime:
        """Raises ValueError with what is wrong with the value."""
        ...

    def read_all(self, texts: Iterable[str | None]) -> list[datetime | None]:
        """As read, with None for None. Raises ValueError where any text can't be read."""
        ...


class IsoWalls:
    has_time = True
    is_utc = is_naive = False

    def read(self, value: Any) -> datetime:
        try:
            return datetime.fromisoformat(_only_text(value, "an ISO date or time").strip())
        except MomentError:
            raise
        except ValueError as exc:
            raise MomentError(f"is not an ISO date or time: {shown(value)}.") from exc

    def read_all(self, texts: Iterable[str | None]) -> list[datetime | None]:
        parse = datetime.fromisoformat
        return [None if text is None else parse(text) for text in texts]


class EpochWalls:
    """Seconds, or the given number of them a unit, since 1970. Digits beyond a microsecond are cut off."""

    has_time = is_utc = True
    is_naive = False

    def __init__(self, units_per_s: int) -> None:
        self._units_per_us = Decimal(units_per_s) / 1_000_000

    def read(self, value: Any) -> datetime:
        number = decimal_of(value, "a number of seconds since 1970")
        if isinstance(number, Fault):
            raise MomentError(number.reason)
        try:
            return _EPOCH + int(number / self._units_per_us) * _MICROSECOND
        except OverflowError as exc:
            raise MomentError(f"is out of range: {shown(value)}.") from exc

    def read_all(self, texts: Iterable[str | None]) -> list[datetime | None]:
        return [None if text is None else self.read(text) for text in texts]


class NotationWalls:
    def __init__(self, notation: str, *, is_utc: bool) -> None:
        self._reader = NotationReader(notation, UTC if is_utc else None)
        self.has_time = self._reader.has_time
        self.is_utc = is_utc and not self._reader.has_offset
        self.is_naive = not is_utc and not self._reader.has_offset
        self.read_all = self._reader.read_all
        self.read_texts = self._reader.read_texts

    def read(self, value: Any) -> datetime:
        is_digits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_DIGITS
        text = str(value) if is_digits else _only_text(value, f"a date written as {self._reader.notation}")
        return self._reader.read(text.strip())


def _only_text(value: Any, wanted: str) -> str:
    if not isinstance(value, str):
        raise MomentError(f"is not {wanted}: {shown(value)}.")
    return value


class Moments:
    """A compiled format and zone."""

    def __init__(self, walls: Walls, zone: Zone) -> None:
        self._walls = walls
        self._zone = zone
        self._latest: tuple[list[str | None], list[str | None]] = ([], [])
        self.has_time = walls.has_time

    def wall(self, value: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime.combine(value, time())
        try:
            return self._walls.read(value)
        except MomentError:
            raise
        except ValueError as exc:
            raise MomentError(str(exc)) from exc

    def read(self, value: Any) -> datetime:
        """The moment as aware UTC. Raises MomentError."""
        return self._zone.to_utc(self.wall(value))

    def read_day(self, value: Any) -> date:
        """The calendar day in the zone. Raises MomentError."""
        return self._zone.date_of(self.wall(value))

    def read_all(self, texts: Iterable[str | None]) -> list[datetime | None]:
        """As read, with None for None. Raises ValueError where any text can't be read."""
        walls = self._walls.read_all(texts)
        if self._walls.is_utc:
            return walls
        return self._zone.all_naive_to_utc(walls) if self._walls.is_naive else self._zone.all_to_utc(walls)

    def read_version(self, value: Any) -> str:
        """The moment as UTC text of one width, which sorts as the moments do. Raises MomentError."""
        return _version_text(self.read(value))

    def read_versions(self, texts: list[str | None]) -> list[str | None]:
        """As read_version, with None for None. Raises ValueError where any text can't be read.

        What was read last is kept: a page's change times are asked for twice, for its records and for its watermark.
        """
        latest, versions = self._latest
        if latest != texts:
            versions = self._read_versions(texts)
            if kinds_of(texts) <= {str, NoneType}:
                self._latest = list(texts), list(versions)
        return versions.copy()

    def _read_versions(self, texts: Iterable[str | None]) -> list[str | None]:
        if isinstance(self._walls, NotationWalls) and self._walls.is_utc:
            return self._walls.read_texts(texts)
        return [_version_text(moment) if moment else None for moment in self.read_all(texts)]


@lru_cache(maxsize=256)
def compile_moments(
    format: str, timezone: str = "UTC", *, ambiguous: str = "reject", nonexistent: str = "reject"
) -> Moments:
    """Raises ValueError with what is wrong with the format or the zone."""
    zone = Zone(timezone, ambiguous, nonexistent)
    match format:
        case "iso":
            return Moments(IsoWalls(), zone)
        case "epoch":
            return Moments(EpochWalls(1), zone)
        case "epoch_ms":
            return Moments(EpochWalls(1_000), zone)
    return Moments(NotationWalls(format, is_utc=timezone == "UTC"), zone)


def read_column(
    values: Column,
    read: Callable[[Any], Any],
    read_all: Callable[[Column], Column] | None = None,
    *,
    code: str,
) -> Column:
    """Each value as `read` gives it, None as None, a Fault where it raises MomentError.

    `read_all` may read a column of texts faster, and raises ValueError where one of them is bad.
    """

    def one(value: Any) -> Any:
        try:
            return None if value is None else read(value)
        except MomentError as exc:
            return Fault(code, str(exc))

    if not kinds_of(values) <= {str, NoneType}:
        return [value if type(value) is Fault else one(value) for value in values]
    different = list(set(values))
    is_recurring = 2 * len(different) <= len(values)
    if read_all is not None:
        with suppress(ValueError):
            return _spread(values, different, read_all(different)) if is_recurring else read_all(values)
    return _spread(values, different, map(one, different))


def _spread(values: Column, different: Column, results: Iterable[Any]) -> Column:
    known = dict(zip(different, results, strict=True))
    return list(map(known.__getitem__, values))
