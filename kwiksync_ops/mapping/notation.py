"""Dates in the product's notation (`MM/DD/YYYY HH:mm`): a compiled reader and a compiled writer.

| token | meaning | token | meaning |
|---|---|---|---|
| YYYY, YY | year; YY is 1969 to 2068 | HH, H | hour 0 to 23 |
| MMMM, MMM, MM, M | January, Jan, 01, 1 | hh, h | hour 1 to 12, with A or a |
| DD, D | day of the month | mm, m and ss, s | minute and second |
| dddd, ddd | Monday, Mon; not checked when read | S to SSSSSSSSS | fraction of a second |
| Z, ZZ | +01:00, +0100; both read either, and Z | A, a | AM, am |

Other letters stand for themselves within `[brackets]` or `'quotes'`; a T needs neither.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from itertools import pairwise
from operator import attrgetter
from typing import Any, TypeVar

from kwiksync_ops.mapping.faults import shown

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TWO_DIGIT_YEAR_PIVOT = 69
MEMO_LIMIT = 10_000

_MONTH_NUMBERS = {name[:3].lower(): number for number, name in enumerate(MONTHS, 1)}
_ITEM = re.compile(
    r"\[(?P<bracketed>[^\]]*)\]|'(?P<quoted>[^']*)'"
    r"|(?P<token>YYYY|YY|M{1,4}|d{3,4}|DD?|HH?|hh?|mm?|ss?|S{1,9}|ZZ?|[Aa])"
    r"|(?P<bare>T|[^A-Za-z])|(?P<unknown>[A-Za-z]+)",
    re.DOTALL,
)
_DATE_PARTS = frozenset({"year", "month", "day", "weekday"})
_JAVA_TOKENS = {"y": "YYYY", "d": "DD", "E": "ddd", "X": "Z", "x": "ZZ", "n": "SSS", "D": "DD", "Y": "YYYY"}

T = TypeVar("T")


@dataclass(frozen=True)
class _Token:
    """`part` is what the token tells; `is_open` means that its digits may be one or two.

    `printed` is how `%` prints the attribute of a moment that is named like the part, for tokens that are no more.
    """

    part: str
    pattern: str
    read: Callable[[str], Any]
    write: Callable[[datetime], str]
    is_open: bool = False
    printed: str | None = None


_Item = _Token | str


def _number(part: str, digits: int, pick: Callable[[datetime], int] | None = None) -> _Token:
    """A number in so many digits; one means one or two."""
    is_open = digits == 1
    number = pick or attrgetter(part)
    return _Token(
        part,
        pattern=r"\d{1,2}" if is_open else rf"\d{{{digits}}}",
        read=int,
        write=lambda moment: f"{number(moment):0{digits}d}",
        is_open=is_open,
        printed=None if pick else f"%0{digits}d",
    )


def _hour_12(moment: datetime) -> int:
    return moment.hour % 12 or 12


def _half(text: str) -> int:
    return 12 if text[0] in "Pp" else 0


def _read_offset(text: str) -> tzinfo:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if minutes > 59:
        raise ValueError("the offset's minutes must be below 60")
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset) if offset else UTC


def _write_offset(moment: datetime) -> str:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).strftime("%z")


def _short_year(text: str) -> int:
    year = int(text)
    return year + (1900 if year >= TWO_DIGIT_YEAR_PIVOT else 2000)


def _fraction(digits: int) -> _Token:
    return _Token(
        "microsecond",
        rf"\d{{{digits}}}",
        lambda text: int(text[:6].ljust(6, "0")),
        lambda moment: f"{moment.microsecond:06d}000"[:digits],
    )


_HALF_PATTERN = r"[AaPp]\.?[Mm]\.?"
_OFFSET_PATTERN = r"Z|[+-]\d\d:?\d\d"
_TOKENS = {
    "YYYY": _number("year", 4),
    "YY": _Token("year", r"\d\d", _short_year, lambda moment: f"{moment.year % 100:02d}"),
    "MMMM": _Token(
        "month",
        "|".join(MONTHS),
        lambda text: _MONTH_NUMBERS[text[:3].lower()],
        lambda moment: MONTHS[moment.month - 1],
    ),
    "MMM": _Token(
        "month",
        "|".join(name[:3] for name in MONTHS),
        lambda text: _MONTH_NUMBERS[text.lower()],
        lambda moment: MONTHS[moment.month - 1][:3],
    ),
    "MM": _number("month", 2),
    "M": _number("month", 1),
    "DD": _number("day", 2),
    "D": _number("day", 1),
    "dddd": _Token("weekday", "|".join(WEEKDAYS), str, lambda moment: WEEKDAYS[moment.weekday()]),
    "ddd": _Token(
        "weekday", "|".join(name[:3] for name in WEEKDAYS), str, lambda moment: WEEKDAYS[moment.weekday()][:3]
    ),
    "HH": _number("hour", 2),
    "H": _number("hour", 1),
    "hh": _number("hour_12", 2, _hour_12),
    "h": _number("hour_12", 1, _hour_12),
    "mm": _number("minute", 2),
    "m": _number("minute", 1),
    "ss": _number("second", 2),
    "s": _number("second", 1),
    "A": _Token("half", _HALF_PATTERN, _half, lambda moment: "AM" if moment.hour < 12 else "PM"),
    "a": _Token("half", _HALF_PATTERN, _half, lambda moment: "am" if moment.hour < 12 else "pm"),
    "Z": _Token("offset", _OFFSET_PATTERN, _read_offset, lambda moment: _with_colon(_write_offset(moment))),
    "ZZ": _Token("offset", _OFFSET_PATTERN, _read_offset, _write_offset),
    **{"S" * digits: _fraction(digits) for digits in range(1, 10)},
}


def _with_colon(offset: str) -> str:
    return f"{offset[:3]}:{offset[3:]}"


def _items(notation: str) -> tuple[_Item, ...]:
    return tuple(_item(notation, match) for match in _ITEM.finditer(notation))


def _item(notation: str, match: re.Match[str]) -> _Item:
    if unknown := match["unknown"]:
        hint = f"write {known}" if (known := _JAVA_TOKENS.get(unknown[0])) else f"text stands in brackets, [{unknown}]"
        raise ValueError(f"{unknown!r} in {notation!r} is no token of a date notation; {hint}")
    if token := match["token"]:
        return _TOKENS[token]
    return match["bracketed"] or match["quoted"] or match["bare"] or ""


def _tokens(items: Iterable[_Item]) -> list[_Token]:
    return [item for item in items if isinstance(item, _Token)]


class NotationWriter:
    """Renders moments in a notation.

    Raises:
        ValueError: the notation is not one; the text says why.
    """

    def __init__(self, notation: str) -> None:
        self._items = _items(notation)
        parts = {token.part for token in _tokens(self._items)}
        if not parts:
            raise ValueError(f"{notation!r} holds no token of a date notation, such as YYYY")
        self.has_time = not parts <= _DATE_PARTS
        self.write: Callable[[datetime], str] = _printer(self._items) or self._write

    def _write(self, moment: datetime) -> str:
        return "".join(item if isinstance(item, str) else item.write(moment) for item in self._items)


def _printer(items: Sequence[_Item]) -> Callable[[datetime], str] | None:
    """One `%` for all items, ten times as fast as one by one; None where an item is more than a number."""
    printed = [item.replace("%", "%%") if isinstance(item, str) else item.printed for item in items]
    if None in printed:
        return None
    layout = "".join(filter(None, printed))
    numbers = attrgetter(*(token.part for token in _tokens(items)))
    return lambda moment: layout % numbers(moment)


class _Fragment:
    """A run of items as one pattern."""

    def __init__(self, items: Sequence[_Item]) -> None:
        groups = (re.escape(item) if isinstance(item, str) else f"({item.pattern})" for item in items)
        self._pattern = re.compile("".join(groups), re.ASCII | re.IGNORECASE)
        self._tokens = _tokens(items)

    def parts(self, text: str) -> dict[str, Any]:
        match = self._pattern.fullmatch(text)
        if match is None:
            raise ValueError
        return {token.part: token.read(group) for token, group in zip(self._tokens, match.groups(), strict=True)}


class _Memo(dict[str, T]):
    """What was read before, by its text; a sync sees the same days and minutes over and over."""

    def __init__(self, read: Callable[[str], T]) -> None:
        super().__init__()
        self._read = read

    def __missing__(self, text: str) -> T:
        value = self._read(text)
        if len(self) >= MEMO_LIMIT:
            self.clear()
        self[text] = value
        return value


class NotationReader:
    """Reads texts in a notation. Where they name no offset, the result has the time zone `naive_as`, or none.

    Raises:
        ValueError: the notation can't be read back to one date; the text says why.
    """

    def __init__(self, notation: str, naive_as: tzinfo | None = None) -> None:
        items = _items(notation)
        parts = _readable_parts(notation, items)
        self.notation = notation
        self.has_time = not set(parts) <= _DATE_PARTS
        self.has_offset = "offset" in parts
        self._naive_as = naive_as
        self._whole = _Fragment(items)
        self._separator, head, tail = _split(items)
        fragment = _Fragment(head)
        self._days = _Memo(lambda text: _date(fragment.parts(text)))
        self._day_texts = _Memo(lambda text: f"{self._days[text]}T")
        read_time, read_time_text = self._time_readers(tail)
        # Minutes of a day recur, seconds hardly do.
        is_fine = "second" in parts
        self._read_time = read_time if is_fine else _Memo(read_time).__getitem__
        self._read_time_text = read_time_text if is_fine else _Memo(read_time_text).__getitem__

    def read(self, text: str) -> datetime:
        """Raises ValueError where the text does not follow the notation or names no real date."""
        try:
            if self._separator:
                day, _, clock = text.partition(self._separator)
                return datetime.combine(self._days[day], self._read_time(clock))
            parts = self._whole.parts(text)
            return datetime.combine(_date(parts), self._time(parts))
        except ValueError as exc:
            detail = f" ({exc})" if str(exc) else ""
            raise ValueError(f"is not a date written as {self.notation}: {shown(text)}{detail}.") from exc

    def read_all(self, texts: Iterable[str | None]) -> list[datetime | None]:
        """As read, with None for None."""
        if not self._separator:
            return [None if text is None else self.read(text) for text in texts]
        separator, days, read_time, combine = self._separator, self._days, self._read_time, datetime.combine
        return [
            None if text is None else combine(days[(cut := text.partition(separator))[0]], read_time(cut[2]))
            for text in texts
        ]

    def read_texts(self, texts: Iterable[str | None]) -> list[str | None]:
        """As read_all, each as ISO text with microseconds."""
        if not self._separator:
            return [None if text is None else self.read(text).isoformat(timespec="microseconds") for text in texts]
        separator, days, read_time = self._separator, self._day_texts, self._read_time_text
        return [
            None if text is None else days[(cut := text.partition(separator))[0]] + read_time(cut[2]) for text in texts
        ]

    def _time_readers(self, items: Sequence[_Item]) -> tuple[Callable[[str], time], Callable[[str], str]]:
        """Readers to a time, and to its ISO text."""
        if clock := _Clock.of(items, self._naive_as):
            return clock.read, clock.read_text
        fragment = _Fragment(items)
        return (
            lambda text: self._time(fragment.parts(text)),
            lambda text: self._time(fragment.parts(text)).isoformat("microseconds"),
        )

    def _time(self, parts: dict[str, Any]) -> time:
        hour = parts.get("hour", 0)
        if "hour_12" in parts:
            if not 1 <= parts["hour_12"] <= 12:
                raise ValueError("hour must be in 1..12")
            hour = parts["hour_12"] % 12 + parts["half"]
        zone = parts.get("offset", self._naive_as)
        return time(hour, parts.get("minute", 0), parts.get("second", 0), parts.get("microsecond", 0), tzinfo=zone)


class _Clock:
    """Reads H:mm and H:mm:ss by the standard library's own reader, several times as fast as by a pattern."""

    def __init__(self, width: int, zone: tzinfo | None, *, is_open: bool) -> None:
        self._width = width
        self._short = width - 1 if is_open else 0
        self._offset = "" if zone is None else "+00:00"
        self._end = f"{':00' if width == len('HH:mm') else ''}.000000{self._offset}"

    @staticmethod
    def of(items: Sequence[_Item], zone: tzinfo | None) -> _Clock | None:
        """None where the items are no such clock time."""
        shape = [item if isinstance(item, str) else item.part for item in items]
        if shape not in (["hour", ":", "minute"], ["hour", ":", "minute", ":", "second"]) or zone not in (None, UTC):
            return None
        hour, *others = _tokens(items)
        return (
            None if any(token.is_open for token in others) else _Clock(3 * len(others) + 2, zone, is_open=hour.is_open)
        )

    def read(self, text: str) -> time:
        return time.fromisoformat(self._padded(text) + self._offset)

    def read_text(self, text: str) -> str:
        padded = self._padded(text)
        time.fromisoformat(padded)
        return padded + self._end

    def _padded(self, text: str) -> str:
        padded = f"0{text}" if len(text) == self._short else text
        if len(padded) != self._width or padded[2] != ":" or padded[-3] != ":":
            raise ValueError
        return padded


def _date(parts: dict[str, Any]) -> date:
    return date(parts["year"], parts["month"], parts["day"])


def _readable_parts(notation: str, items: Sequence[_Item]) -> list[str]:
    parts = [token.part for token in _tokens(items)]
    if problem := next(_unreadable(parts, items), None):
        raise ValueError(f"{notation!r} {problem}")
    return parts


def _unreadable(parts: list[str], items: Sequence[_Item]) -> Iterator[str]:
    if twice := {part for part in parts if parts.count(part) > 1}:
        yield f"names the {min(twice)} twice"
    if lacking := [part for part in ("year", "month", "day") if part not in parts]:
        yield f"names no {' and no '.join(lacking)}; a date needs YYYY, MM and DD"
    if {"hour", "hour_12"} <= set(parts):
        yield "names the hour twice, as HH and as hh"
    if ("hour_12" in parts) != ("half" in parts):
        yield "needs both hh and A, or HH alone"
    for first, second in pairwise(items):
        if isinstance(first, _Token) and first.is_open and isinstance(second, _Token) and second.pattern[:2] == r"\d":
            yield "has one-digit tokens that touch the next number; separate them, or write two digits"


def _split(items: Sequence[_Item]) -> tuple[str, Sequence[_Item], Sequence[_Item]]:
    """Separator, date items, time items, where the first separator in a text must be the one between the two.

    Without such a separator it is empty, and all items count as date.
    """
    for index, item in enumerate(items):
        head, tail = items[:index], items[index + 1 :]
        if isinstance(item, str) and _is_boundary(item, head, tail):
            return item, head, tail
    return "", items, ()


def _is_boundary(separator: str, head: Sequence[_Item], tail: Sequence[_Item]) -> bool:
    days, times = _tokens(head), _tokens(tail)
    is_clean = not any(separator in item for item in head if isinstance(item, str)) and separator in (" ", "T")
    is_named = any(token.part in ("weekday", "month") and "|" in token.pattern for token in days)
    return (
        is_clean
        and not is_named
        and bool(days)
        and bool(times)
        and {token.part for token in days} <= _DATE_PARTS
        and not {token.part for token in times} & _DATE_PARTS
    )
