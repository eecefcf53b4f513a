"""From what a driver gives to the JSON values of a record: exact, or the record is told apart as unfit.

A page is looked at column by column: a column of plain values costs one pass over its types.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from types import NoneType
from typing import Any
from uuid import UUID

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.connectors.sql.options import BytesForm

MAX_DIGITS = 38
MAX_TEXT = 1024 * 1024
MAX_DEPTH = 20

_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMBERS = frozenset({int, NoneType, bool})
_TEXTS = frozenset({str, NoneType})
_DECIMALS = frozenset({Decimal, NoneType})

Row = tuple[Any, ...]


class Kind(StrEnum):
    """What a column holds, as far as it matters. A wall time names no zone."""

    WALL = "wall"
    MOMENT = "moment"
    DATE = "date"
    INTEGER = "integer"
    NUMBER = "number"
    TEXT = "text"
    OTHER = "other"


class UnfitError(ValueError):
    """A value that no hub can keep."""


@dataclass(frozen=True)
class Fault:
    """Why the row at this place of a page is no record."""

    at: int
    column: str
    message: str


@dataclass(frozen=True)
class Plain:
    records: list[SourceRecord]
    faults: list[Fault] = field(default_factory=list)


def plain_records(names: Sequence[str], kinds: Sequence[Kind], rows: Sequence[Row], form: BytesForm) -> Plain:
    """The rows as records, but for those that hold what no hub can keep: these are faults, each with its first one."""
    if not rows:
        return Plain([])
    faults: dict[int, Fault] = {}
    columns: list[Sequence[Any]] = []
    for name, kind, values in zip(names, kinds, zip(*rows, strict=True), strict=True):
        told = _iso_column(values, _ISO[kind]) if kind in _ISO else values
        columns.append(told if _is_plain(told) else _each(told, name, form, faults))
    records = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    if faults:
        records = [record for at, record in enumerate(records) if at not in faults]
    return Plain(records, [faults[at] for at in sorted(faults)])


def plain(value: Any, form: BytesForm, depth: int = MAX_DEPTH) -> Any:  # noqa: C901  # one line a type
    """A driver's value as a JSON value. Raises UnfitError."""
    match value:
        case None | bool():
            return value
        case str():
            return _fit_text(value)
        case int():
            return _fit_integer(value)
        case Decimal():
            return _fit_decimal(value)
        case float():
            return _fit_decimal(Decimal(repr(value)))
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return _duration(value)
        case UUID():
            return str(value)
        case bytes() | bytearray() | memoryview():
            return text_of_bytes(bytes(value), form)
        case list() | tuple() | dict() if depth == 0:
            raise UnfitError(f"is nested deeper than {MAX_DEPTH} levels.")
        case list() | tuple():
            return [plain(item, form, depth - 1) for item in value]
        case dict():
            return {_fit_text(str(name)): plain(item, form, depth - 1) for name, item in value.items()}
    return _fit_text(str(value))


def text_of_bytes(value: bytes, form: BytesForm) -> str:
    return value.hex() if form == "hex" else base64.b64encode(value).decode()


def bytes_of_text(text: str, form: BytesForm) -> bytes:
    """Raises ValueError."""
    return bytes.fromhex(text) if form == "hex" else base64.b64decode(text, validate=True)


def _iso_column(values: Sequence[Any], end: str) -> list[Any]:
    """Times as databases write them, as ISO; what Python's calendar does not hold (infinity) stays as it is."""
    return [
        f"{value[:10]}T{value[11:19]}{value[19:].removesuffix('+00')}{end}"
        if type(value) is str and value[10:11] == " " and value[4:5] == "-" and value[-1] != "C"
        else value
        for value in values
    ]


_ISO = {Kind.WALL: "", Kind.MOMENT: "+00:00"}


def _is_plain(values: Sequence[Any]) -> bool:
    """Whether a column needs no second look, told by its types and what is quick to see."""
    types = set(map(type, values))
    if types <= _TEXTS:
        texts = [value for value in values if value is not None] if NoneType in types else values
        joined = "".join(texts)
        is_sound = "\0" not in joined and (joined.isascii() or not _SURROGATE.search(joined))
        return is_sound and (len(joined) <= MAX_TEXT or max(map(len, texts)) <= MAX_TEXT)
    if types <= _NUMBERS:
        numbers = [value for value in values if value is not None]
        return not numbers or (min(numbers) >= -(2**63) and max(numbers) < 2**63)
    return types <= _DECIMALS and _are_short_decimals(values)


def _are_short_decimals(values: Sequence[Any]) -> bool:
    """Whether their texts show at once that they are finite numbers of a few digits."""
    texts = [str(value) for value in values if value is not None]
    joined = "".join(texts)
    return all(sign not in joined for sign in "EeNn") and max(map(len, texts), default=0) <= MAX_DIGITS


def _each(values: Sequence[Any], name: str, form: BytesForm, faults: dict[int, Fault]) -> list[Any]:
    found = []
    for at, value in enumerate(values):
        try:
            found.append(plain(value, form))
        except UnfitError as exc:
            found.append(None)
            faults.setdefault(at, Fault(at, name, f"{name} {exc}"))
    return found


def _fit_text(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise UnfitError(f"has {len(text):,} characters; the limit is {MAX_TEXT:,}.")
    if "\0" in text:
        raise UnfitError("holds a NUL character.")
    if _SURROGATE.search(text):
        raise UnfitError("is not valid Unicode (a lone surrogate, or bytes that are not UTF-8).")
    return text


def _fit_integer(value: int) -> int:
    if not -(2**63) <= value < 2**63:
        raise UnfitError("is an integer that does not fit into 64 bits.")
    return value


def _fit_decimal(value: Decimal) -> Decimal:
    if not _is_fit_decimal(value):
        raise UnfitError("is no number that a column can keep (at most 38 digits, neither NaN nor infinite).")
    return value


def _is_fit_decimal(value: Decimal) -> bool:
    if not value.is_finite():
        return False
    return len(value.as_tuple().digits) <= MAX_DIGITS and -MAX_DIGITS <= value.adjusted() <= MAX_DIGITS


def _duration(value: timedelta) -> str:
    seconds, rest = divmod(abs(value), timedelta(seconds=1))
    sign = "-" if value < timedelta() else ""
    fraction = f".{rest.microseconds:06d}" if rest else ""
    return f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}"


def same(sent: Any, stored: Any) -> bool:
    """Whether a value that was sent is the one that is stored, both as JSON values."""
    if sent == stored:
        return True
    match sent, stored:
        case str(), str():
            return _same_texts(sent, stored)
        case (int() | Decimal(), str()):
            return _number(stored) == sent
        case (str(), int() | Decimal()):
            return _number(sent) == stored
        case list(), list():
            return len(sent) == len(stored) and all(map(same, sent, stored))
        case dict(), dict():
            return sent.keys() == stored.keys() and all(same(sent[name], stored[name]) for name in sent)
    return False


def _same_texts(sent: str, stored: str) -> bool:
    """CHAR columns pad with blanks; a time is written in more than one way."""
    if sent.rstrip(" ") == stored.rstrip(" "):
        return True
    one, other = _moment(sent), _moment(stored)
    return one is not None and one == other


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except ArithmeticError:
        return None
