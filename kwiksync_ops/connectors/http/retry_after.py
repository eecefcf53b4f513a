"""How long a system asks us to wait."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

UNSAID_WAIT_S = 30.0


def http_date(text: str | None) -> datetime | None:
    """An HTTP date as aware UTC; None for anything else."""
    if not text:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by `Retry-After`, or None when it is absent or nonsense.

    A date counts from the answer's own `Date`, so that a clock that differs from ours does not change the wait.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = http_date(text)
    if moment is None:
        return None
    asked = (moment - (http_date(headers.get("Date")) or now)).total_seconds()
    return max(asked, 0.0)
