"""What Airflow shows of us beside a DAG, a DAG run or a task: in a frame that may run no script and follow no link."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops.api.context import ContextDep
from kwiksync_ops.api.pages.declared import dag_id_of, directions_of, systems_of
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.snapshot import snapshots_of
from kwiksync_ops.api.pages.sync_log import SHOWN_ERRORS
from kwiksync_ops.services.errors import ErrorFilter, search_errors
from kwiksync_ops.services.status import run_rows
from kwiksync_ops.vocabulary import RECORD_TABLES

router = APIRouter(prefix="/airflow")


@router.get("/{dag_id}")
def read_dag(request: Request, dag_id: str, context: ContextDep) -> HTMLResponse:
    """The newest sync of each table of a DAG."""
    found = [
        (system, way)
        for system in systems_of(context)
        for way in directions_of(system)
        if dag_id_of(system, way) == dag_id
    ]
    if not found:
        return show(request, "airflow_other.html", title=dag_id, dag_id=dag_id)
    ((system, way),) = found
    snapshot = snapshots_of(request).take()
    last = [snapshot.last.get((system.system, way, table.table)) for table in system.tables]
    rows = [row for row in last if row]
    return show(request, "airflow_run.html", title=dag_id, rows=rows, errors=[], snapshot=snapshot, run_id="")


@router.get("/{dag_id}/{run_id:path}")
def read_dag_run(request: Request, dag_id: str, run_id: str, context: ContextDep, task: str = "") -> HTMLResponse:
    """The rows of a run; of one table, where a task of it is looked at."""
    if not dag_id.startswith("kwiksync_"):
        return show(request, "airflow_other.html", title=dag_id, dag_id=dag_id)
    ours = f"{dag_id}/{run_id}"
    table = task.partition(".")[0]
    rows = [row for row in run_rows(context.hub, ours) if table not in RECORD_TABLES or row["table_name"] == table]
    wanted = ErrorFilter(run_id=ours, table=table if table in RECORD_TABLES else None, resolution=None)
    errors = search_errors(context.hub, wanted, limit=SHOWN_ERRORS)
    snapshot = snapshots_of(request).take()
    return show(request, "airflow_run.html", title=ours, rows=rows, errors=errors, snapshot=snapshot, run_id=ours)
