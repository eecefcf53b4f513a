"""The runs of late and the totals of a time: what the Hub shows beside the state of the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kwiksync_ops.services.status import worst_of
from kwiksync_ops.storage import activity, sync_log
from kwiksync_ops.storage.activity import Totals
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.vocabulary import Mode

ROWS_READ = 300


@dataclass(frozen=True)
class RunSummary:
    """The rows of the Sync Log of one run, summed up. `ended` is None while one of them runs."""

    run_id: str
    system: str
    direction: str
    mode: str
    status: str
    tables: tuple[str, ...]
    started: datetime
    ended: datetime | None
    processed: int
    created: int
    updated: int
    deleted: int
    failed: int

    @property
    def changed(self) -> int:
        return self.created + self.updated + self.deleted

    @property
    def duration_s(self) -> float | None:
        return (self.ended - self.started).total_seconds() if self.ended else None


def recent_runs(hub: Hub, *, limit: int) -> list[RunSummary]:
    """The newest syncs, newest first; the oldest of what was read is left out, since it may be read in part."""
    with hub.read() as connection:
        rows = [dict(row) for row in sync_log.latest(connection, limit=ROWS_READ)]
    runs = summed(row for row in rows if row["mode"] != Mode.VERIFY)
    return (runs[:-1] if len(rows) == ROWS_READ else runs)[:limit]


def summed(rows: Iterable[Mapping[str, Any]]) -> list[RunSummary]:
    """Rows, newest first, by their run."""
    by_run: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_run.setdefault(row["run_id"], []).append(row)
    return [_summary(of_run) for of_run in by_run.values()]


def totals(hub: Hub, since: datetime) -> Totals:
    with hub.read() as connection:
        return activity.totals_since(connection, since)


def _summary(rows: Sequence[Mapping[str, Any]]) -> RunSummary:
    first = rows[-1]
    ends = [row["ended"] for row in rows]
    return RunSummary(
        run_id=first["run_id"],
        system=first["system"],
        direction=first["direction"],
        mode=first["mode"],
        status=worst_of(row["status"] for row in rows),
        tables=tuple(row["table_name"] for row in reversed(rows)),
        started=min(row["started"] for row in rows),
        ended=None if None in ends else max(ends),
        **{name: sum(row[name] for row in rows) for name in ("processed", "created", "updated", "deleted", "failed")},
    )
