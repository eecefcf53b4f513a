"""From a mapped value to the type of its hub column: exact, or a fault. Nothing is rounded, cut or made a float.

The outcome is the same whatever database the hub lives in: what one of them would refuse is refused here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Context, Decimal, Inexact, InvalidOperation
from types import NoneType
from typing import Any

from kwiksync_ops import vocabulary
from kwiksync_ops.mapping.faults import Column, Fault, invalid, kinds_of, shown, unmappable
from kwiksync_ops.vocabulary import ColumnType

MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
DECIMAL_DIGITS = 18
"""Digits of a decimal column, before and after the point together: what fits a scaled 64-bit integer."""

_MAX_NUMBER_LENGTH = 1_000
_MAX_EXPONENT = 1_000
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?")
_TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class Coercion:
    """How values become a column's type.

    Attributes:
        plain: types that may pass as they are.
        convert: one value, not None, to its typed value or a Fault.
        fits: whether a whole column of plain values needs no second look.
    """

    plain: frozenset[type]
    convert: Convert
    fits: Callable[[Column], bool]

    def column(self, values: Column, kinds: set[type]) -> Column:
        """The typed column; `kinds` are the types in it. Faults and None stay where they are."""
        if kinds <= self.plain and self.fits(values):
            return values
        convert = self.convert
        return [value if value is None or type(value) is Fault else convert(value) for value in values]


def compile_coercion(column: vocabulary.Column) -> Coercion:
    match column.type:
        case ColumnType.INTEGER:
            return _coercion(int, to_integer, _are_64_bit)
        case ColumnType.DECIMAL:
            return _coercion(NoneType, _to_decimal(column.scale or 0), bool)
        case ColumnType.DATE:
            return _coercion(date, to_date, lambda values: True)
        case ColumnType.DATETIME:
            return _coercion(NoneType, to_moment, bool)
        case ColumnType.BOOLEAN:
            return _coercion(bool, to_truth, lambda values: True)
        case _:
            limit = column.max_length or vocabulary.SYS_ID_LENGTH
            return _coercion(str, _to_text(limit), lambda values: _are_storable(values, limit))


def _coercion(kind: type, convert: Convert, fits: Callable[[Column], bool]) -> Coercion:
    return Coercion(frozenset({kind, NoneType}), convert, fits)


def text_of(value: Any) -> Any:
    """A value as text: None and Fault as they are, a nested value as a Fault."""
    if value is None or type(value) in (str, Fault):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return _number_text(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    if isinstance(value, (dict, list)):
        return _nested(value)
    return unmappable(f"is a {type(value).__name__}, which has no text form.")


def _number_text(value: int | float | Decimal) -> str | Fault:
    number = decimal_of(value)
    if isinstance(number, Fault):
        return number
    return str(value) if isinstance(value, int) else format(number, "f")


def texts_of(values: Column) -> Column:
    if kinds_of(values) <= {str, NoneType}:
        return values
    return [text_of(value) for value in values]


def is_storable(text: str) -> bool:
    """Whether every database can hold the text: no NUL character, no lone surrogate."""
    return "\0" not in text and (text.isascii() or _is_unicode(text))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _are_storable(values: Column, limit: int) -> bool:
    texts = [text for text in values if text is not None] if None in values else values
    joined = "".join(texts)
    return is_storable(joined) and (len(joined) <= limit or max(map(len, texts)) <= limit)


def _to_text(limit: int) -> Convert:
    def convert(value: Any) -> Any:
        text = text_of(value)
        if isinstance(text, Fault):
            return text
        if len(text) > limit:
            return invalid(f"has {len(text):,} characters; the column holds {limit:,}.")
        if not is_storable(text):
            return invalid(f"holds a NUL character or half a surrogate pair, which no database stores: {shown(text)}.")
        return text

    return convert


def decimal_of(value: Any, wanted: str = "a number") -> Decimal | Fault:
    """A number, or text that is one, exactly."""
    number = _number(value)
    if number is None:
        return _not(value, wanted)
    if not number.is_finite():
        return _not(value, "a finite number")
    if number and abs(number.adjusted()) > _MAX_EXPONENT:
        return invalid(f"is out of range: {shown(value)}.")
    return number


def _number(value: Any) -> Decimal | None:
    if isinstance(value, str):
        text = value.strip()
        return Decimal(text) if len(text) <= _MAX_NUMBER_LENGTH and _NUMBER.fullmatch(text) else None
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return Decimal(repr(value))  # the shortest text of a float is what its source wrote
    return Decimal(value) if isinstance(value, (int, Decimal)) else None


def _not(value: Any, wanted: str) -> Fault:
    if isinstance(value, (dict, list)):
        return _nested(value)
    return invalid(f"is not {wanted}: {shown(value)}.{_null_hint(value)}")


def _nested(value: Any) -> Fault:
    return unmappable(f"is {shown(value)}, not a single value; map a field of it by its path, such as customer.id.")


def _null_hint(value: Any) -> str:
    is_filler = isinstance(value, str) and len(value) < 5 and not any(map(str.isalnum, value))
    return f" If {value!r} means no value, add it to null_values." if is_filler else ""


def to_integer(value: Any) -> Any:
    number = decimal_of(value, "a whole number")
    if isinstance(number, Fault):
        return number
    if number != number.to_integral_value():
        return invalid(f"is not a whole number: {shown(value)}.")
    whole = int(number)
    return whole if MIN_INTEGER <= whole <= MAX_INTEGER else invalid(f"does not fit 64 bits: {shown(value)}.")


def _are_64_bit(values: Column) -> bool:
    numbers = [value for value in values if value is not None]
    return not numbers or (min(numbers) >= MIN_INTEGER and max(numbers) <= MAX_INTEGER)


def _to_decimal(scale: int) -> Convert:
    step = Decimal((0, (1,), -scale))
    exact = Context(prec=DECIMAL_DIGITS, traps=[Inexact, InvalidOperation])
    room = f"{DECIMAL_DIGITS - scale} digits before the point and {scale} after it"

    def convert(value: Any) -> Any:
        number = decimal_of(value)
        if isinstance(number, Fault):
            return number
        try:
            fitted = number.quantize(step, context=exact)
        except (Inexact, InvalidOperation):
            return invalid(f"does not fit the column, which holds {room}, without rounding: {shown(value)}.")
        return fitted or fitted.copy_abs()  # no -0

    return convert


def to_date(value: Any) -> Any:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    moment = _iso(value)
    if moment is None:
        return _not(value, "an ISO date (YYYY-MM-DD); other notations need a date_format transform")
    if moment.time() != time():
        return invalid(f"has a time of day, and the column holds a date: {shown(value)}. Use a date_format transform.")
    return moment.date()


def to_moment(value: Any) -> Any:
    """ISO text or a datetime as aware UTC; what names no zone is UTC."""
    moment = _iso(value)
    if moment is None:
        return _not(value, "an ISO date and time; other notations need a date_format transform")
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return invalid(f"is out of range as UTC: {shown(value)}.")


def _iso(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    try:
        return datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None


def to_truth(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    text = text_of(value)
    truth = _TRUTHS.get(text.strip().lower()) if isinstance(text, str) else None
    return _not(value, "true or false (nor 1, 0, yes, no)") if truth is None else truth
