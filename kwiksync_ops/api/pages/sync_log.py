"""The Sync Log: the list of what ran, and one run with its timeline, its batches and what it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from kwiksync_ops.api.context import Context, ContextDep
from kwiksync_ops.api.pages.charts import Span, timeline
from kwiksync_ops.api.pages.declared import all_systems
from kwiksync_ops.api.pages.filters import PAGE_ROWS, cursor_of, day_end, day_start, one_of, read_cursor, read_day
from kwiksync_ops.api.pages.formats import duration, words
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.snapshot import LogRow, snapshots_of
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.services.errors import ErrorFilter, search_errors
from kwiksync_ops.services.overview import RunSummary, summed
from kwiksync_ops.services.status import run_rows
from kwiksync_ops.services.undo import undo_id
from kwiksync_ops.storage import activity, sync_log
from kwiksync_ops.storage.activity import Change
from kwiksync_ops.vocabulary import RECORD_TABLES, Direction, Mode, SyncStatus

router = APIRouter(prefix="/sync-log")

SHOWN_BATCHES, SHOWN_CHANGES, SHOWN_ERRORS = 200, 50, 20
Text = Annotated[str, Query(max_length=300)]


@dataclass(frozen=True)
class ChangeView:
    """`label` is what people call the record; None where it is there no more."""

    change: Change
    label: str | None


@router.get("")
def read_sync_log(
    request: Request,
    context: ContextDep,
    system: Text = "",
    table: Text = "",
    status: Text = "",
    from_: Annotated[str, Query(alias="from", max_length=20)] = "",
    to: Text = "",
    cursor: Text = "",
) -> HTMLResponse:
    with context.hub.read() as connection:
        rows = sync_log.search(
            connection,
            system=system or None,
            table=one_of(table, RECORD_TABLES, "table"),
            status=one_of(status, list(SyncStatus), "status"),
            since=day_start(read_day(from_)),
            until=day_end(read_day(to)),
            after=read_cursor(cursor),
            limit=PAGE_ROWS + 1,
        )
    more = cursor_of(dict(rows[PAGE_ROWS - 1]), "started") if len(rows) > PAGE_ROWS else ""
    return show(
        request,
        "sync_log.html",
        title="Sync Log",
        rows=rows[:PAGE_ROWS],
        more=more,
        systems=[each.system for each in all_systems(context)],
        tables=list(RECORD_TABLES),
        statuses=list(SyncStatus),
        snapshot=snapshots_of(request).take(),
        asked={"system": system, "table": table, "status": status, "from": from_, "to": to},
    )


@router.get("/{run_id:path}")
def read_run(
    request: Request, run_id: str, context: ContextDep, table: Text = "", after: Annotated[int, Query(ge=0)] = 0
) -> HTMLResponse:
    rows = run_rows(context.hub, run_id)
    if not rows:
        return _not_begun(request, context, run_id)
    wanted = one_of(table, RECORD_TABLES, "table")
    with context.hub.read() as connection:
        batches = activity.batches_of(connection, run_id, limit=SHOWN_BATCHES + 1)
        changes = activity.changes_of(connection, run_id, table=wanted, after=after, limit=SHOWN_CHANGES + 1)
    (summary,) = summed(list(reversed(rows)))
    return show(
        request,
        "run.html",
        title=f"Run {run_id}",
        run_id=run_id,
        rows=rows,
        summary=summary,
        snapshot=snapshots_of(request).take(),
        drawn=_timeline(rows, batches, summary),
        batches=batches[:SHOWN_BATCHES],
        has_more_batches=len(batches) > SHOWN_BATCHES,
        changes=_labelled(context, changes[:SHOWN_CHANGES]),
        more_changes=changes[SHOWN_CHANGES - 1].id if len(changes) > SHOWN_CHANGES else None,
        changed_table=wanted or "",
        errors=search_errors(context.hub, ErrorFilter(run_id=run_id, resolution=None), limit=SHOWN_ERRORS),
        shown_errors=SHOWN_ERRORS,
        tasks=_tasks(rows),
        undone_by=_undone(context, run_id),
        can_undo=_can_undo(rows),
    )


def _not_begun(request: Request, context: Context, run_id: str) -> HTMLResponse:
    """A run that Airflow has, and that has no row yet; else there is none."""
    dag_id, _, of_dag = run_id.partition("/")
    known = dag_id.startswith("kwiksync_") and of_dag
    found = next((run for run in context.gateway.active_runs(dag_id) if run.run_id == of_dag), None) if known else None
    if found is None:
        raise NotFoundError(f"There is no run {run_id}.", remedy="The Sync Log lists the runs that there were.")
    return show(request, "run_waits.html", title=f"Run {run_id}", run_id=run_id, found=found)


def _timeline(rows: Sequence[LogRow], batches: Sequence[Mapping[str, Any]], summary: RunSummary) -> Markup:
    """A line a table: from its start to its end, with a mark for each batch that was committed."""
    end = summary.ended or max([row["started"] for row in rows] + [batch["committed"] for batch in batches])
    spans = [
        Span(
            label=words(row["table_name"]),
            title=f"{words(row['table_name'])}: {row['status']}, {_took(row)}",
            name={SyncStatus.FAILED: "bar-bad", SyncStatus.RUNNING: "bar-3"}.get(row["status"], "bar"),
            start_s=(row["started"] - summary.started).total_seconds(),
            end_s=((row["ended"] or end) - summary.started).total_seconds(),
            marks_s=tuple(
                (batch["committed"] - summary.started).total_seconds()
                for batch in batches
                if (batch["table_name"], batch["direction"]) == (row["table_name"], row["direction"])
            ),
        )
        for row in rows
    ]
    told = f"Timeline of {len(rows)} tables over {duration((end - summary.started).total_seconds())}."
    return timeline(spans, told, duration)


def _took(row: LogRow) -> str:
    return duration((row["ended"] - row["started"]).total_seconds()) if row["ended"] else "not ended"


def _labelled(context: Context, changes: Sequence[Change]) -> list[ChangeView]:
    by_table: dict[str, list[str]] = {}
    for change in changes:
        by_table.setdefault(change.table, []).append(change.sys_id)
    labels: dict[str, str] = {}
    with context.hub.read() as connection:
        for table, sys_ids in by_table.items():
            labels |= activity.labels_of(connection, table, sys_ids)
    return [ChangeView(change, labels.get(change.sys_id)) for change in changes]


def _tasks(rows: Sequence[LogRow]) -> dict[str, tuple[str, ...]]:
    """The tasks of Airflow that sync a table, whose logs tell more."""
    steps = {Direction.INBOUND: ("extract", "transform", "load"), Direction.OUTBOUND: ("detect", "push", "confirm")}
    return {
        row["table_name"]: tuple(f"{row['table_name']}.{step}" for step in steps[Direction(row["direction"])])
        for row in rows
        if row["mode"] in (Mode.INCREMENTAL, Mode.FULL)
    }


def _can_undo(rows: Sequence[LogRow]) -> bool:
    """Whether an undo may be asked for; the plan says the rest."""
    return any(row["direction"] == Direction.INBOUND for row in rows) and all(
        row["status"] != SyncStatus.RUNNING for row in rows
    )


def _undone(context: Context, run_id: str) -> str | None:
    found = undo_id(run_id)
    return found if run_rows(context.hub, found) else None
