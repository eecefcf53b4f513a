"""Values as a person at a terminal reads them."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from decimal import Decimal
from typing import Any

NONE = "—"

STATUS_STYLES = {
    "success": "green",
    "ok": "green",
    "new": "green",
    "unchanged": "dim",
    "replayed": "green",
    "resolved": "green",
    "running": "cyan",
    "changed": "yellow",
    "partial": "yellow",
    "warning": "yellow",
    "open": "yellow",
    "undeclared": "yellow",
    "cancelled": "yellow",
    "failed": "bold red",
    "faulty": "bold red",
    "skipped": "dim",
}


def shown(value: Any) -> str:
    """One line without signs that a terminal would obey: what a system sent is never trusted."""
    match value:
        case None:
            return NONE
        case bool():
            return "yes" if value else "no"
        case datetime():
            return moment(value)
        case int():
            return f"{value:,}"
        case date() | Decimal():
            return str(value)
        case _:
            return printable(str(value))


def printable(text: str, *, lines: bool = False) -> str:
    """Control signs as a dot, line breaks as an arrow unless `lines` are wanted."""
    return "".join(_printable(sign, lines) for sign in text)


def moment(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else NONE


def ago(value: datetime | None, now: datetime) -> str:
    """`3 min ago`: how long it is since a moment."""
    return f"{duration(max(round((now - value).total_seconds()), 0))} ago" if value else "never"


def duration(seconds: float | None) -> str:
    if seconds is None:
        return NONE
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 and seconds % 1 else f"{seconds:.0f} s"
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {name}"
    return NONE


def count(number: int, noun: str, plural: str = "") -> str:
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def _printable(sign: str, lines: bool) -> str:
    if sign == "\n":
        return sign if lines else "↵"
    if sign == "\t":
        return " "
    return "·" if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co") else sign
