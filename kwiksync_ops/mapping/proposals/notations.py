"""Which notation dates are written in, found by reading samples back with it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from kwiksync_ops.mapping.moments import MomentError, compile_moments
from kwiksync_ops.mapping.notation import MONTHS, WEEKDAYS

READABLE_SHARE = 0.9
_EPOCHS = {"epoch": 1, "epoch_ms": 1_000}
_EPOCH_SECONDS = (315_532_800, 4_102_444_800)
"""1980 to 2100: other numbers are hardly moments."""

_ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?\s?(?:Z|[+-]\d\d:?\d\d)?)?")
_PART = re.compile(r"\d+|[A-Za-z]+|[^\dA-Za-z]+")
_TIME = re.compile(
    r"(?P<gap>T|,?\s+|\s*-\s+)(?P<h>\d{1,2}):(?P<m>\d\d)(?P<s>:\d\d)?(?P<f>[.,]\d{1,9})?(?P<half>\s?[AaPp][Mm])?"
    r"(?P<z>\s?(?:Z|[+-]\d\d:?\d\d))?$"
)
_DAY = re.compile(
    r"(?P<y>\d{4})(?P<a>[./-])(?P<m>\d{1,2})(?P=a)(?P<d>\d{1,2})$"
    r"|(?P<one>\d{1,2})(?P<b>[./-])(?P<two>\d{1,2})(?P=b)(?P<year>\d{4}|\d\d)$"
    r"|(?P<named_day>\d{1,2})(?P<c>[ .-]+)(?P<named>[A-Za-z]{3,9})(?P<e>[ .,-]+)(?P<named_year>\d{4}|\d\d)$"
    r"|(?P<first_named>[A-Za-z]{3,9})(?P<g> )(?P<second_day>\d{1,2})(?P<h>,? )(?P<last_year>\d{4})$"
    r"|(?P<compact>\d{8})$"
)
_SHORT_NAMES = {name[:3].lower() for name in MONTHS}
_WEEKDAY = re.compile(rf"(?:{'|'.join(day[:3] for day in WEEKDAYS)})[a-z]*,? ", re.IGNORECASE)


@dataclass(frozen=True)
class Notation:
    """How moments are written. `format` is `iso`, `epoch`, `epoch_ms` or the product's notation.

    `is_sure` is false where all samples can be read with day and month in either order.
    """

    format: str
    has_time: bool
    has_zone: bool
    is_sure: bool = True


def detect_notation(texts: Sequence[str], *, day_first: bool | None = None) -> Notation | None:
    """The notation that reads at least nine in ten of the texts; None where there is none.

    Args:
        day_first: whether `3/4/2026` is in April, where the texts themselves do not tell.
    """
    shapes = Counter(map(_shape, texts))
    for shape, _ in shapes.most_common(3):
        alike = [text for text in texts if _shape(text) == shape]
        for notation in _notations(alike, day_first):
            if readable_share(notation.format, texts) >= READABLE_SHARE:
                return notation
    return None


def detect_epoch(numbers: Sequence[str]) -> Notation | None:
    """Seconds or milliseconds since 1970, where all numbers are such of our days."""
    for format, units in _EPOCHS.items():
        if numbers and all(_is_epoch(number, units) for number in numbers):
            return Notation(format, has_time=True, has_zone=True)
    return None


def readable_share(format: str, texts: Sequence[str]) -> float:
    try:
        moments = compile_moments(format)
    except ValueError:
        return 0.0
    return sum(_reads(moments.wall, text) for text in texts) / len(texts) if texts else 0.0


def tells_day_first(texts: Iterable[str]) -> bool | None:
    """Whether the day stands before the month in `13/4/2026`; None where no text tells."""
    for text in texts:
        found = _DAY.match(_split_time(text)[0])
        if found and found["one"]:
            if int(found["one"]) > 12:
                return True
            if int(found["two"]) > 12:
                return False
    return None


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except MomentError:
        return False
    return True


def _is_epoch(number: str, units: int) -> bool:
    try:
        seconds = Decimal(number) / units
    except InvalidOperation:
        return False
    return _EPOCH_SECONDS[0] <= seconds <= _EPOCH_SECONDS[1]


def _shape(text: str) -> str:
    """`29/2/2016 06:05` as `9/9/9 9:9`: what is the same in all texts of a notation."""
    return "".join("9" if part[0].isdigit() else "A" if part[0].isalpha() else part for part in _PART.findall(text))


def _notations(texts: Sequence[str], day_first: bool | None) -> Iterator[Notation]:
    if all(_ISO.fullmatch(text) for text in texts):
        zoned = all(re.search(r"(Z|[+-]\d\d:?\d\d)$", text[10:]) for text in texts)
        yield Notation("iso", has_time=any(len(text) > 10 for text in texts), has_zone=zoned)
        return
    split = [_split_time(text) for text in texts]
    found = [(_DAY.match(day), time) for day, time in split]
    days = [day for day, _ in found if day]
    times = [time for _, time in found if time]
    orders = {tuple(part for part, value in day.groupdict().items() if value) for day in days}
    if len(days) < len(texts) or len(orders) > 1 or len(times) not in (0, len(texts)):
        return
    prefix = "ddd, " if all("," in text[:12] for text in texts) else "ddd "
    weekday = prefix if all(_WEEKDAY.match(text) for text in texts) else ""
    for day, is_sure in _day_notations(days, day_first):
        clock = _time_notation(times)
        yield Notation(weekday + day + clock, bool(times), "Z" in clock, is_sure=is_sure)


def _split_time(text: str) -> tuple[str, re.Match[str] | None]:
    plain = _WEEKDAY.sub("", text.strip(), count=1)
    time = _TIME.search(plain)
    return (plain[: time.start()], time) if time else (plain, None)


def _day_notations(days: Sequence[re.Match[str]], day_first: bool | None) -> Iterator[tuple[str, bool]]:
    first = days[0]
    if first["y"]:
        months, numbers = [d["m"] for d in days], [d["d"] for d in days]
        mark = first["a"]
        yield f"YYYY{mark}{_digits('M', months, numbers)}{mark}{_digits('D', numbers, months)}", True
    elif first["one"]:
        yield from _numeric(days, first["b"], day_first)
    elif first["named"]:
        day, month = _digits("D", [d["named_day"] for d in days]), _named([d["named"] for d in days])
        yield f"{day}{first['c']}{month}{first['e']}{_year(first['named_year'])}", True
    elif first["first_named"]:
        day, month = _digits("D", [d["second_day"] for d in days]), _named([d["first_named"] for d in days])
        yield f"{month}{first['g']}{day}{first['h']}YYYY", True
    elif first["compact"]:
        yield "YYYYMMDD", True


def _numeric(days: Sequence[re.Match[str]], mark: str, day_first: bool | None) -> Iterator[tuple[str, bool]]:
    one, two, year = [d["one"] for d in days], [d["two"] for d in days], _year(days[0]["year"])
    month_first = f"{_digits('M', one, two)}{mark}{_digits('D', two, one)}{mark}{year}"
    day_in_front = f"{_digits('D', one, two)}{mark}{_digits('M', two, one)}{mark}{year}"
    is_day, is_month = any(int(d) > 12 for d in one), any(int(d) > 12 for d in two)
    if is_day != is_month:
        yield (day_in_front if is_day else month_first), True
        return
    is_day_first = mark == "." if day_first is None else day_first
    in_order = (day_in_front, month_first) if is_day_first else (month_first, day_in_front)
    yield from ((notation, day_first is not None or mark == ".") for notation in in_order)


def _digits(letter: str, numbers: Iterable[str], others: Iterable[str] = ()) -> str:
    """Two letters where numbers below ten have a zero in front, here or in the date's other part."""
    own = list(numbers)
    is_padded = any(number.startswith("0") for number in (*own, *others))
    return letter * 2 if is_padded and not any(len(number) == 1 for number in own) else letter


def _year(text: str) -> str:
    return "Y" * len(text)


def _named(names: Iterable[str]) -> str:
    return "MMM" if all(name.lower() in _SHORT_NAMES for name in names) else "MMMM"


def _time_notation(times: Sequence[re.Match[str]]) -> str:
    if not times:
        return ""
    first = times[0]
    letter = "h" if first["half"] else "H"
    hour = letter if any(len(time["h"]) == 1 for time in times) else letter * 2
    second = ":ss" if first["s"] else ""
    fraction = f"{first['f'][0]}{'S' * (len(first['f']) - 1)}" if first["f"] else ""
    half = f"{' ' if first['half'][0].isspace() else ''}A" if first["half"] else ""
    zone = f"{' ' if first['z'][0].isspace() else ''}Z" if first["z"] else ""
    return f"{first['gap']}{hour}:mm{second}{fraction}{half}{zone}"
