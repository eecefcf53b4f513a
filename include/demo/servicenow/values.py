"""Values as the instance stores them (always text) and as it shows them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from servicenow.clock import FORMAT
from servicenow.schema import BOOLEAN, DATE, DATE_TIME, DECIMAL, INTEGER, NUMBERS, Column

MOMENT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
DAY = re.compile(r"\d{4}-\d\d-\d\d")


def as_text(value: Any) -> str:
    """A value of a JSON body as text. A nested one is spoilt, as in an instance: `:` becomes `=`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={as_text(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_text, value)) + "]"
    return str(value)


def stored(column: Column, text: str) -> str:
    """What the column makes of a text: a number or date that is none becomes empty, and too long a text is cut off."""
    if column.type == BOOLEAN:
        return "" if text == "" else str(text.lower() in ("true", "1", "yes", "on")).lower()
    if column.type in NUMBERS:
        return _number(column, text)
    if column.type == DATE_TIME:
        return _moment(text)
    if column.type == DATE:
        day = text[:10]
        return day if is_day(day) else ""
    return text[: column.max_length]


def _number(column: Column, text: str) -> str:
    number = number_of(text)
    if number is None:
        return ""
    return str(int(number)) if column.type == INTEGER else format(number, "f")


def number_of(text: str) -> Decimal | None:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(text: str) -> str:
    if is_moment(text):
        return text
    return f"{text} 00:00:00" if is_day(text) else ""


def is_moment(text: str) -> bool:
    return bool(MOMENT.fullmatch(text)) and _parses(text, FORMAT)


def is_day(text: str) -> bool:
    return bool(DAY.fullmatch(text)) and _parses(text, "%Y-%m-%d")


def _parses(text: str, format: str) -> bool:
    try:
        datetime.strptime(text, format).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


def to_utc(text: str, zone: str) -> str:
    """A date-time of a user's zone in UTC."""
    moment = datetime.strptime(text, FORMAT).replace(tzinfo=ZoneInfo(zone))
    return moment.astimezone(UTC).strftime(FORMAT)


def to_zone(text: str, zone: str) -> str:
    """A date-time of UTC in a user's zone."""
    moment = datetime.strptime(text, FORMAT).replace(tzinfo=UTC)
    return moment.astimezone(ZoneInfo(zone)).strftime(FORMAT)


def is_valid_operand(column: Column, text: str) -> bool:
    """Whether a query may compare the column with the text."""
    if column.type in (INTEGER, DECIMAL):
        return number_of(text) is not None
    if column.type in (DATE, DATE_TIME):
        return is_moment(text) or is_day(text)
    return True
