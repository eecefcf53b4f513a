"""The filters of a list: which rows, and the page behind the one that is shown."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError

PAGE_ROWS = 50


def day_start(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def day_end(day: date | None) -> datetime | None:
    """The first moment that is no more of the day."""
    return datetime.combine(day, time(), UTC) + timedelta(days=1) if day else None


def cursor_of(row: Mapping[str, Any], at: str) -> str:
    """Where the page behind a row begins."""
    text = json.dumps([row[at].astimezone(UTC).isoformat(), row["sys_id"]])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[datetime, str] | None:
    """Raises ConfigurationError for a text that is no cursor."""
    if not text:
        return None
    try:
        moment, sys_id = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        found = datetime.fromisoformat(moment)
        return found.astimezone(UTC), str(sys_id)
    except (ValueError, TypeError, binascii.Error, OverflowError) as exc:
        raise ConfigurationError(
            "The page's cursor is not one of this list.", remedy="Begin again from the first page."
        ) from exc


def read_day(text: str) -> date | None:
    """A day as a browser sends it. Raises ConfigurationError for what is none."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise ConfigurationError(f"{text!r} is no day.", remedy="Write it so: 2026-01-31.") from exc


def one_of(text: str, known: Collection[str], what: str) -> str | None:
    """A choice of a list; None where none was made. Raises ConfigurationError for what is not in it."""
    if not text:
        return None
    if text not in known:
        raise ConfigurationError(
            f"There is no {what} {text!r}.{did_you_mean(text, known)}", remedy=f"There are: {', '.join(known)}."
        )
    return text
