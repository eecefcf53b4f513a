"""POST /sync: start a sync, once, however often it is asked for."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from kwiksync_ops.api.callers import Caller, DagRun
from kwiksync_ops.api.context import CallerDep, Context, ContextDep, note_refusal
from kwiksync_ops.api.moments import Moment
from kwiksync_ops.api.once import once
from kwiksync_ops.api.problems import RefusedError
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.systems import find_system, find_table
from kwiksync_ops.storage import audit
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.locks import serialize
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Mode

router = APIRouter(tags=["sync"])


class SyncRequest(BaseModel):
    """What to sync. A table that is not named is not synced; where none is named, all are."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"system": "erp", "tables": ["tickets"]}]}
    )

    system: str = Field(min_length=1, max_length=40, description="A system of include/systems.")
    direction: Literal["inbound", "outbound"] = "inbound"
    tables: list[str] = Field(default=[], max_length=20, description="Short names of tables.")
    mode: Literal["incremental", "full", "preview"] = "incremental"
    from_: Moment | None = Field(default=None, alias="from", description="Inbound: what changed from then on.")
    to: Moment | None = Field(default=None, description="Inbound: nothing that changed later.")
    allow_deletes: bool = Field(default=False, description="Inbound: delete also more than a table's guard allows.")


class Run(BaseModel):
    """A run of the system's DAG; its state in Airflow's words."""

    run_id: str = Field(examples=["kwiksync_erp_inbound/manual__2026-01-15T02:00:00+00:00"])
    dag_id: str = Field(examples=["kwiksync_erp_inbound"])
    state: str = Field(examples=["queued"])
    conf: dict[str, Any] = Field(examples=[{"tables": ["tickets"], "mode": "incremental"}])


class SyncAnswer(BaseModel):
    """`created` is false where a run that was asked for in the same words is queued or runs already."""

    run: Run
    created: bool


@router.post(
    "/sync",
    status_code=HTTPStatus.ACCEPTED,
    response_model=SyncAnswer,
    summary="Start a sync",
    responses={202: {"headers": {"Location": {"description": "Where its state is.", "schema": {"type": "string"}}}}},
)
def start_sync(
    request: Request,
    body: SyncRequest,
    caller: CallerDep,
    context: ContextDep,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="The same call again is answered the same.")
    ] = None,
) -> JSONResponse:
    """Start the DAG of a system. A run that does the same already is answered instead of a second one."""
    system = find_system(context.settings.include, body.system)
    dag_id, conf = _dag_of(system, body), _conf(system, body)
    if caller.means != "key" and not context.gateway.may_trigger(request, dag_id):
        note_refusal(context, caller, request)
        raise RefusedError(
            f"Airflow does not let {caller.name} trigger {dag_id}.",
            status=HTTPStatus.FORBIDDEN,
            remedy="An administrator of Airflow can grant it.",
        )
    said = body.model_dump(mode="json", by_alias=True)
    start = partial(_start, context=context, caller=caller, dag_id=dag_id, conf=conf)
    return once(context, caller, request, said, idempotency_key, start)


def _start(connection: Connection, context: Context, caller: Caller, dag_id: str, conf: dict[str, Any]) -> JSONResponse:
    """Looked for and started under a lock, so that fifty at once start one."""
    serialize(connection, f"trigger:{dag_id}")
    same = [run for run in context.gateway.active_runs(dag_id) if _asked(run.conf) == _asked(conf)]
    if same:
        return _told(same[0], created=False)
    run = context.gateway.trigger(dag_id, conf, caller.name)
    details = {"run": run.run_id, "conf": conf}
    audit.append(connection, "sync.start", dag_id, who=caller.name, now=context.clock.now(), details=details)
    return _told(run, created=True)


def _told(run: DagRun, *, created: bool) -> JSONResponse:
    run_id = f"{run.dag_id}/{run.run_id}"
    told = SyncAnswer(run=Run(run_id=run_id, dag_id=run.dag_id, state=run.state, conf=run.conf), created=created)
    headers = {"Location": f"status/{quote(run_id)}"}
    return JSONResponse(told.model_dump(mode="json"), HTTPStatus.ACCEPTED, headers=headers)


def _dag_of(system: SystemSpec, body: SyncRequest) -> str:
    if system.direction not in (body.direction, "both"):
        raise ConfigurationError(
            f"{system.system} is {system.direction} only.", remedy=f"Ask for {system.direction}, or change its file."
        )
    return f"kwiksync_{system.system}_{body.direction}"


def _conf(system: SystemSpec, body: SyncRequest) -> dict[str, Any]:
    tables = sorted({find_table(system, name).table for name in body.tables})
    conf: dict[str, Any] = {"tables": tables, "mode": body.mode}
    if body.direction == "inbound":
        moments = {"from": body.from_, "to": body.to}
        conf |= {name: moment.isoformat() for name, moment in moments.items() if moment}
        if body.allow_deletes:
            conf["allow_deletes"] = True
    return conf


def _asked(conf: dict[str, Any]) -> dict[str, Any]:
    """What a run was asked for; a scheduled one is asked for everything. Airflow's form sends defaults, too."""
    said = {name: value for name, value in conf.items() if value not in (None, False, "", [])}
    return {"mode": Mode.INCREMENTAL.value, **{name: _comparable(name, value) for name, value in said.items()}}


def _comparable(name: str, value: Any) -> Any:
    """Of any form: who starts a run in Airflow's UI can write what they like."""
    try:
        match name:
            case "tables":
                return sorted(value)
            case "from" | "to":
                return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        pass
    return value
