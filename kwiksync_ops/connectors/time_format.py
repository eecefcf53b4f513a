"""How a moment is written in a parameter."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMED_FORMATS = ("iso", "epoch", "epoch_ms")

_TOKENS = re.compile(r"YYYY|SSS|MM|DD|HH|mm|ss|M|D|H|\[[^\]]*\]")


def format_time(moment: datetime, notation: str, zone: ZoneInfo) -> str:
    """A moment as `iso`, `epoch`, `epoch_ms` or in the product's notation (`YYYY-MM-DD HH:mm:ss`), cut, not rounded."""
    if notation == "epoch":
        return str((moment - EPOCH) // timedelta(seconds=1))
    if notation == "epoch_ms":
        return str((moment - EPOCH) // timedelta(milliseconds=1))
    local = moment.astimezone(zone)
    if notation == "iso":
        return local.isoformat().replace("+00:00", "Z")
    return _TOKENS.sub(lambda match: _part(match[0], local), notation)


def notation_fault(notation: str) -> str | None:
    """What is wrong with a notation, if anything. `T` and `Z` stand for themselves, other letters within `[…]`."""
    if notation in NAMED_FORMATS:
        return None
    rest = _TOKENS.sub("", notation)
    unknown = re.search(r"[A-Za-z]", rest.replace("T", "").replace("Z", ""))
    if unknown:
        return (
            f"{notation!r} has {unknown[0]!r}, which stands for nothing; put letters that stand for themselves in [ ]"
        )
    return None if _TOKENS.search(notation) else f"{notation!r} names no part of a time"


def _part(name: str, local: datetime) -> str:
    if name.startswith("["):
        return name[1:-1]
    values = {"Y": local.year, "M": local.month, "D": local.day, "H": local.hour, "m": local.minute, "s": local.second}
    value = local.microsecond // 1000 if name == "SSS" else values[name[0]]
    return str(value).zfill(len(name))
