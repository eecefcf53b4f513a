"""Values as a person at a page reads them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from markupsafe import Markup

from kwiksync_ops.vocabulary import RECORD_TABLES

NONE = "—"


def number(value: Any) -> str:
    return NONE if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """A share of 1 in percent, with as many digits as say something."""
    if value is None:
        return NONE
    return f"{value:.0%}" if value in (0, 1) or value >= 0.1 else f"{value:.1%}" if value >= 0.001 else "<0.1%"


def duration(seconds: float | None) -> str:
    """`850 ms`, `12 s`, `3 min 5 s`, `2 h 4 min`, `3 days`."""
    if seconds is None:
        return NONE
    if seconds < 1:
        return f"{round(seconds * 1000)} ms"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 else f"{whole // 60} min"
    if whole < 2 * 86_400:
        minutes = whole % 3600 // 60
        return f"{whole // 3600} h {minutes} min" if minutes else f"{whole // 3600} h"
    return f"{whole // 86_400} days"


def ago(value: datetime | None, now: datetime) -> str:
    """`just now`, `3 min ago`, `in 4 h`."""
    if value is None:
        return "never"
    seconds = (now - value).total_seconds()
    if abs(seconds) < 5:
        return "just now"
    size = abs(seconds)
    told = duration(size if size < 60 else size // 60 * 60 if size < 3600 else size // 3600 * 3600)
    return f"{told} ago" if seconds > 0 else f"in {told}"


def moment(value: datetime | str | None, seconds: bool = False) -> Markup:
    """A `<time>`; in UTC, as all of KWikSync's times are."""
    if value is None:
        return Markup("{}").format(NONE)
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    at = at.astimezone(UTC)
    text = f"{at:%Y-%m-%d %H:%M:%S}" if seconds else f"{at:%Y-%m-%d %H:%M}"
    return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
        at.isoformat(), f"{at:%A %d %B %Y %H:%M:%S}", text
    )


def clock(value: datetime, now: datetime) -> Markup:
    """The time of a moment of today, and the day of another."""
    at = value.astimezone(UTC)
    text = f"{at:%H:%M:%S}" if at.date() == now.astimezone(UTC).date() else f"{at:%d %b %H:%M}"
    return Markup('<time datetime="{}" title="{:%A %d %B %Y %H:%M:%S} UTC">{}</time>').format(at.isoformat(), at, text)


def watermark(value: str | None) -> str:
    """`2026-01-15T02:00:00.000000+00:00 T-17` without what says nothing."""
    return value.replace(".000000", "").replace("+00:00", "").replace("T", " ", 1) if value else NONE


def value_text(value: Any) -> str:
    """Any value of a record, on one line or more."""
    match value:
        case None:
            return NONE
        case bool():
            return "yes" if value else "no"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
        case date() | Decimal() | int() | float():
            return str(value)
        case str():
            return value
        case _:
            return pretty(value)


def field_text(value: Any, table: str, field: str) -> str:
    """A value of a record's field: one of the field's choices in words."""
    column = RECORD_TABLES[table].column(field)
    return (column.choice(value) if column else None) or value_text(value)


def pretty(value: Any) -> str:
    """JSON over several lines; a text that is none stays what it is."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, default=str)


def words(name: str) -> str:
    """`kw_corp_ticket_tasks` as `Tasks`, `sync_log` as `Sync log`."""
    return TABLE_TITLES.get(name) or name.replace("_", " ").capitalize()


TABLE_TITLES = {
    "locations": "Locations",
    "projects": "Projects",
    "tickets": "Tickets",
    "kw_corp_ticket_tasks": "Tasks",
    "assets": "Assets",
    "deliverables": "Deliverables",
}
