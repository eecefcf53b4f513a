"""The Hub: how full the tables are, how the last syncs went, and when the next one is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from kwiksync_ops.api.context import Context, ContextDep
from kwiksync_ops.api.pages.charts import Bar, bars
from kwiksync_ops.api.pages.declared import dag_id_of, directions_of, systems_of
from kwiksync_ops.api.pages.formats import duration, number
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.snapshot import snapshots_of
from kwiksync_ops.services.overview import RunSummary, recent_runs, totals
from kwiksync_ops.vocabulary import RECORD_TABLES

router = APIRouter()

CHARTED_RUNS = 40
LISTED_RUNS = 10


@dataclass(frozen=True)
class NextSync:
    system: str
    direction: str
    at: datetime


@router.get("/")
def read_hub(request: Request, context: ContextDep) -> HTMLResponse:
    runs = recent_runs(context.hub, limit=CHARTED_RUNS)
    return show(
        request,
        "hub.html",
        title="Hub",
        runs=runs,
        listed=runs[:LISTED_RUNS],
        durations=_durations(runs),
        records=_records(runs),
        **_now(request, context),
    )


@router.get("/hub/now")
def read_now(request: Request, context: ContextDep) -> HTMLResponse:
    """What changes by the second, alone."""
    return show(request, "hub_now.html", **_now(request, context))


def _now(request: Request, context: Context) -> dict[str, Any]:
    now = context.clock.now()
    snapshot = snapshots_of(request).take()
    return {
        "snapshot": snapshot,
        "newest": max(snapshot.last.values(), key=lambda row: row["started"], default=None),
        "tables": list(RECORD_TABLES),
        "day": totals(context.hub, now - timedelta(days=1)),
        "week": totals(context.hub, now - timedelta(days=7)),
        "coming": _coming(context),
    }


def _coming(context: Context) -> list[NextSync]:
    """The next start of each DAG that has a schedule, the nearest first."""
    found = [
        NextSync(system.system, direction, at)
        for system in systems_of(context)
        if system.schedule
        for direction in directions_of(system)
        if (at := context.gateway.next_run(dag_id_of(system, direction)))
    ]
    return sorted(found, key=lambda each: each.at)


def _durations(runs: Sequence[RunSummary]) -> Markup:
    ended = [run for run in reversed(runs) if run.duration_s is not None]
    items = [
        Bar(
            start,
            f"{run.system} {run.direction}, {run.started:%Y-%m-%d %H:%M}: {duration(run.duration_s)}, {run.status}",
            (("bar-bad" if run.status == "failed" else "bar", run.duration_s or 0.0),),
        )
        for run, start in zip(ended, starts_of(ended), strict=True)
    ]
    longest = max((run.duration_s or 0.0 for run in ended), default=0.0)
    summary = f"Duration of the last {len(ended)} syncs; the longest took {duration(longest)}."
    return bars(items, summary, _seconds)


def _records(runs: Sequence[RunSummary]) -> Markup:
    synced = list(reversed(runs))
    items = [
        Bar(
            start,
            f"{run.system} {run.direction}, {run.started:%Y-%m-%d %H:%M}: {run.created:,} created, "
            f"{run.updated:,} updated, {run.deleted:,} deleted, {run.failed:,} rejected",
            (
                ("bar-2", run.created),
                ("bar", run.updated),
                ("bar-3", run.deleted),
                ("bar-bad", run.failed),
            ),
        )
        for run, start in zip(synced, starts_of(synced), strict=True)
    ]
    changed = sum(run.changed for run in runs)
    failed = sum(run.failed for run in runs)
    summary = f"Records of the last {len(runs)} syncs: {changed:,} changed, {failed:,} rejected."
    return bars(items, summary, lambda value: number(round(value)) if value >= 1 else f"{value:g}")


def _seconds(value: float) -> str:
    """On an axis, where halves are told too."""
    return f"{value:g} s" if value < 120 else f"{value / 60:g} min" if value < 7_200 else f"{value / 3_600:g} h"


def starts_of(runs: Sequence[RunSummary]) -> Iterator[str]:
    """Days; times where all are of one day."""
    pattern = "%d %b" if len({run.started.date() for run in runs}) > 1 else "%H:%M"
    return (run.started.strftime(pattern) for run in runs)
