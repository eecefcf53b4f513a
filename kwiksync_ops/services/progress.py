"""How far the sync of a table is, and when it may end, judged by the last one of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kwiksync_ops.storage import sync_log
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.vocabulary import SyncStatus

ROWS_SEARCHED = 20
_WHOLE = (SyncStatus.SUCCESS, SyncStatus.PARTIAL)


@dataclass(frozen=True)
class Progress:
    """`expected` is what the last whole sync of the same mode processed; None where there was none, or it had less."""

    started: datetime
    processed: int
    pages: int
    api_calls: int
    expected: int | None
    ends: datetime | None

    @property
    def share(self) -> float | None:
        return min(self.processed / self.expected, 1.0) if self.expected else None


def progress_of(connection: Connection, row: Mapping[str, Any], now: datetime) -> Progress:
    """Of a row of the Sync Log that runs."""
    expected, processed = _expected(connection, row), row["processed"]
    ends = None
    if expected and expected > processed > 0:
        ends = now + (now - row["started"]) * ((expected - processed) / processed)
    return Progress(
        started=row["started"],
        processed=processed,
        pages=row["pages"],
        api_calls=row["api_calls"],
        expected=expected if expected and expected >= processed else None,
        ends=ends,
    )


def _expected(connection: Connection, row: Mapping[str, Any]) -> int | None:
    earlier = sync_log.search(
        connection, system=row["system"], table=row["table_name"], until=row["started"], limit=ROWS_SEARCHED
    )
    alike = (
        each["processed"]
        for each in earlier
        if each["direction"] == row["direction"] and each["mode"] == row["mode"] and each["status"] in _WHOLE
    )
    return next(alike, None)
