"""A run's counts as metrics, through Airflow's own stats: StatsD or OpenTelemetry, whichever it is set up for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.observability import stats

if TYPE_CHECKING:
    from kwiksync_ops.storage.sync_log import TableRun

_RECORDS = ("processed", "created", "updated", "unchanged", "deleted", "failed")


def emit(rows: Sequence[Mapping[str, Any]], codes: Mapping[tuple[str, str], int], now: datetime) -> None:
    """The Sync Log rows of a run, and how many errors of each (table, code) it logged."""
    for row in rows:
        tags = {"system": row["system"], "direction": row["direction"], "table": row["table_name"]}
        for name in _RECORDS:
            stats.incr(f"kwiksync.records.{name}", row[name], tags=tags)
        stats.incr("kwiksync.api_calls", row["api_calls"], tags=tags)
        stats.incr(f"kwiksync.syncs.{row['status']}", 1, tags=tags)
        if row["ended"]:
            stats.timing("kwiksync.sync.duration", row["ended"] - row["started"], tags=tags)
        if (lag_s := _lag_s(row["watermark_after"], now)) is not None:
            stats.gauge("kwiksync.watermark.lag_s", lag_s, tags=tags)
    for (table, code), number in codes.items():
        stats.incr(f"kwiksync.errors.{code}", number, tags={"table": table})


def emit_wait(of: TableRun, seconds: float) -> None:
    """A call had to wait until the call limit had one free."""
    tags = {"system": of.system, "direction": str(of.direction), "table": of.table}
    stats.incr("kwiksync.call_limit.waits", 1, tags=tags)
    stats.timing("kwiksync.call_limit.wait", timedelta(seconds=seconds), tags=tags)


def _lag_s(watermark: str | None, now: datetime) -> float | None:
    """How far the newest record that was taken lies behind."""
    if not watermark:
        return None
    try:
        moment = datetime.fromisoformat(watermark.split()[0])
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((now - aware).total_seconds(), 0.0)
