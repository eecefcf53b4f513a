"""GET /status: what runs, what ran last, what is queued, and when the next sync is."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.callers import DagRun
from kwiksync_ops.api.context import CallerDep, Context, ContextDep
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.services import status
from kwiksync_ops.system_spec.loader import load_systems
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Direction

router = APIRouter(tags=["status"])


class StatusAnswer(BaseModel):
    """The state of the whole."""

    syncing: bool
    run_id: str | None = Field(description="The run that holds the lease.")
    lease: dict[str, Any] | None = Field(
        description="Its fencing token, and how long it is held without a sign of life; null while no sync runs."
    )
    open_errors: dict[str, int] = Field(description="Open rows of the Error Log, by code.")
    calls_last_minute: dict[str, int] = Field(description="API calls of the last 60 seconds, by system.")
    tables: list[dict[str, Any]] = Field(description="Each table's records and its last syncs, with their watermarks.")
    dags: list[dict[str, Any]] = Field(description="Each DAG with its queued and running runs and its next start.")


class RunAnswer(BaseModel):
    """A run: its rows of the Sync Log, one a table; none while it is queued."""

    run_id: str
    state: str
    tables: list[dict[str, Any]]


@router.get("/status", response_model=StatusAnswer, summary="What runs, what ran last, what comes next")
def read_status(context: ContextDep, _caller: CallerDep) -> Response:
    found = status.status_document(status.read_status(context.hub))
    found.pop("runs")
    return json_response({**found, "dags": [_dag(context, dag_id) for dag_id in _dag_ids(context)]})


@router.get("/status/{run_id:path}", response_model=RunAnswer, summary="One run")
def read_run(run_id: str, context: ContextDep, _caller: CallerDep) -> Response:
    rows = [status.run_document(row) for row in status.run_rows(context.hub, run_id)]
    active = _active(context, run_id)
    if not rows and active is None:
        raise NotFoundError(f"There is no run {run_id!r}.", remedy="GET /logs/sync lists the runs that there were.")
    state = active.state if active else status.worst_of(row["status"] for row in rows)
    return json_response({"run_id": run_id, "state": state, "tables": rows})


def _dag_ids(context: Context) -> list[str]:
    systems = load_systems(context.settings.include, with_mappings=False)
    return [
        f"kwiksync_{system.system}_{direction}"
        for system in systems
        if isinstance(system, SystemSpec)
        for direction in (Direction.INBOUND, Direction.OUTBOUND)
        if system.direction in (direction, "both")
    ]


def _dag(context: Context, dag_id: str) -> dict[str, Any]:
    runs = context.gateway.active_runs(dag_id)
    active = [{"run_id": f"{dag_id}/{run.run_id}", "state": run.state} for run in runs]
    return {"dag_id": dag_id, "active": active, "next": context.gateway.next_run(dag_id)}


def _active(context: Context, run_id: str) -> DagRun | None:
    dag_id, _, of_dag = run_id.partition("/")
    if dag_id not in _dag_ids(context):
        return None
    return next((run for run in context.gateway.active_runs(dag_id) if run.run_id == of_dag), None)
