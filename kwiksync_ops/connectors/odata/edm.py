"""Values of the Entity Data Model as each version of OData writes them, in URLs and in JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from kwiksync_ops.connectors.time_format import EPOCH

Version = Literal["v2", "v4"]

MOMENTS = frozenset({"Edm.DateTime", "Edm.DateTimeOffset", "Edm.Date"})
TICKS = frozenset({"Edm.DateTime", "Edm.DateTimeOffset"})
LONG_NUMBERS = frozenset({"Edm.Decimal", "Edm.Int64"})
NUMBERS = LONG_NUMBERS | {"Edm.Double", "Edm.Single", "Edm.Int32", "Edm.Int16", "Edm.Byte", "Edm.SByte"}

_QUOTED: Mapping[Version, Mapping[str, str]] = {
    "v2": {
        "Edm.DateTime": "datetime",
        "Edm.DateTimeOffset": "datetimeoffset",
        "Edm.Time": "time",
        "Edm.Guid": "guid",
        "Edm.Binary": "X",
    },
    "v4": {"Edm.Duration": "duration", "Edm.Binary": "binary"},
}
_SUFFIXES = {"Edm.Int64": "L", "Edm.Decimal": "M", "Edm.Double": "d", "Edm.Single": "f"}
_PLAIN = re.compile(r"[A-Za-z0-9_.:+=/-]+")
_TICKS = re.compile(r"/Date\((-?[0-9]{1,18})(?:([+-])([0-9]{1,4}))?\)/")
_FRACTION = re.compile(r"(\.[0-9]+?)0*(?=$|[Z+-])|\.0*(?=$|[Z+-])")
_SUFFIXED = re.compile(r"(-?[0-9][0-9.]*)[LlMmDdFf]")
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def to_literal(value: Any, edm_type: str | None, version: Version) -> str:
    """A value as it stands in a URL, not yet percent-encoded.

    Raises:
        ValueError: it is no value of that type; so no record can smuggle an expression into a filter.
    """
    if edm_type is None:
        edm_type = "Edm.String" if isinstance(value, str) else "Edm.Int32"
    text = _text(value)
    if edm_type == "Edm.String":
        return _quoted(text)
    if not edm_type.startswith("Edm."):
        return edm_type + _quoted(text)
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is no value of type {edm_type}")
    prefix = _QUOTED[version].get(edm_type)
    if prefix:
        return f"{prefix}'{text}'"
    return text + _SUFFIXES.get(edm_type, "") if version == "v2" else text


def from_literal(literal: str) -> str:
    """The value in a literal of either version: `guid'…'`, `'O''Neil'`, `5L`."""
    start = literal.find("'")
    if start >= 0 and literal.endswith("'"):
        return literal[start + 1 : -1].replace("''", "'")
    number = _SUFFIXED.fullmatch(literal)
    return number[1] if number else literal


def from_json(value: Any, edm_type: str | None) -> Any:
    """`/Date(…)/` as ISO text: without a zone for Edm.DateTime, which has none. Anything else as it is."""
    if not isinstance(value, str) or not (edm_type is None or edm_type in MOMENTS):
        return value
    found = _TICKS.fullmatch(value)
    if not found:
        return value
    try:
        clock = EPOCH + timedelta(milliseconds=int(found[1]))
    except OverflowError:
        return value
    sign, minutes = found[2], int(found[3] or 0)
    if edm_type == "Edm.DateTime" or (edm_type is None and sign is None):
        return clock.replace(tzinfo=None).isoformat()
    moment = clock - timedelta(minutes=minutes if sign == "+" else -minutes)  # the milliseconds are those of the clock
    return moment.isoformat().replace("+00:00", "Z")


def to_json(value: Any, edm_type: str | None, version: Version, *, decimals: str = "string") -> Any:
    """A value as it stands in a body. What does not fit its type is sent as it is, for the system to refuse."""
    if value is None or isinstance(value, (dict, list)):
        return value
    if edm_type in MOMENTS:
        return _moment_json(value, edm_type, version)
    if edm_type == "Edm.Boolean":
        return _TRUTHS.get(str(value).lower(), value)
    if edm_type == "Edm.String" or (edm_type and not edm_type.startswith("Edm.")):
        return _text(value)
    if edm_type in NUMBERS:
        is_text = (version == "v2" and edm_type in _SUFFIXES) or (edm_type in LONG_NUMBERS and decimals == "string")
        return _number_json(value, is_text=is_text)
    return value


def is_same(one: Any, other: Any, edm_type: str | None) -> bool:
    """Whether two values of a property mean the same: numbers by value, moments by the moment."""
    if one is None or other is None or isinstance(one, (dict, list)):
        return bool(one == other)
    if edm_type in NUMBERS:
        return bool(_number(one) == _number(other))
    if edm_type in MOMENTS:
        return bool(_instant(one) == _instant(other))
    return _text(one) == _text(other)


def moment_literal(moment: datetime, edm_type: str | None, version: Version, precision: int | None) -> str:
    """The text of a moment for a literal; `moment` has a zone, which an Edm.DateTime drops. Cut, not rounded."""
    if edm_type == "Edm.Date":
        return moment.date().isoformat()
    kept = 3 if version == "v2" else precision
    text = moment.replace(tzinfo=None).isoformat() if edm_type == "Edm.DateTime" else _utc_text(moment)
    return _cut(text, kept)


def moment_of(value: Any) -> datetime | None:
    """A moment from ISO text; None where there is none. Without a zone it is UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if isinstance(value, str) else str(value)


def _moment_json(value: Any, edm_type: str, version: Version) -> Any:
    moment = moment_of(value)
    if moment is None:
        return value
    if edm_type == "Edm.Date":
        return str(value)[:10]
    if version == "v4":
        return _utc_text(moment)
    ticks = (moment - EPOCH) // timedelta(milliseconds=1)
    return f"/Date({ticks})/" if edm_type == "Edm.DateTime" else f"/Date({ticks}+0000)/"


def _number_json(value: Any, *, is_text: bool) -> Any:
    if is_text:
        return _text(value)
    number = _number(value) if isinstance(value, str) else value
    return int(number) if isinstance(number, Decimal) and number == number.to_integral_value() else number


def _number(value: Any) -> Any:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return value
    return number if number.is_finite() else value


def _instant(value: Any) -> Any:
    return moment_of(value) or value


def _utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _cut(text: str, digits: int | None) -> str:
    """At most so many digits of a second, without trailing zeros."""
    if digits is not None:
        text = re.sub(rf"(\.[0-9]{{{digits}}})[0-9]+", r"\1", text)
    return _FRACTION.sub(lambda found: found[1] or "", text)
