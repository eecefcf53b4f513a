"""Sync Log and Error Log: read by filter; errors replayed and resolved."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.context import CallerDep, Context, ContextDep
from kwiksync_ops.api.moments import Moment
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services import errors, status
from kwiksync_ops.services.errors import ErrorFilter, ErrorRow
from kwiksync_ops.services.replay import replay
from kwiksync_ops.storage import sync_log
from kwiksync_ops.vocabulary import Resolution, SyncStatus

router = APIRouter(prefix="/logs", tags=["logs"])

MAX_ROWS = 1_000
Limit = Annotated[int, Query(ge=1, le=MAX_ROWS)]


class LogAnswer(BaseModel):
    result: list[dict[str, Any]]


class ErrorAnswer(BaseModel):
    result: dict[str, Any]


class ReplayAnswer(BaseModel):
    """`replayed`: taken now; `rejected`: again, for the reason that `message` says; `skipped`: can't be replayed."""

    outcome: str = Field(examples=["replayed"])
    code: str | None
    message: str | None


@router.get("/sync", response_model=LogAnswer, summary="The Sync Log, newest first")
def read_sync_log(
    context: ContextDep,
    _caller: CallerDep,
    system: str | None = None,
    table: str | None = None,
    status_: Annotated[SyncStatus | None, Query(alias="status")] = None,
    from_: Annotated[Moment | None, Query(alias="from")] = None,
    to: Moment | None = None,
    limit: Limit = 100,
) -> Response:
    with context.hub.read() as connection:
        rows = sync_log.search(
            connection, system=system, table=table, status=status_, since=from_, until=to, limit=limit
        )
    return json_response({"result": [status.run_document(dict(row)) for row in rows]})


@router.get("/error", response_model=LogAnswer, summary="The Error Log, newest first")
def read_error_log(
    context: ContextDep,
    _caller: CallerDep,
    system: str | None = None,
    table: str | None = None,
    code: str | None = None,
    run: str | None = None,
    resolution: Annotated[Resolution | None, Query(description="Open ones, where it is not said.")] = Resolution.OPEN,
    limit: Limit = 100,
) -> Response:
    rows = errors.search_errors(context.hub, ErrorFilter(system, table, code, run, resolution), limit=limit)
    return json_response({"result": [_short(row) for row in rows]})


@router.get("/error/{sys_id}", response_model=ErrorAnswer, summary="One error, with the record as it came")
def read_error(sys_id: str, context: ContextDep, _caller: CallerDep) -> Response:
    return json_response({"result": _error(context, sys_id)})


@router.post("/error/{sys_id}/replay", response_model=ReplayAnswer, summary="Map and load the record again")
def replay_error(sys_id: str, context: ContextDep, caller: CallerDep) -> Response:
    row = _error(context, sys_id)
    done = replay(context.hub, context.settings.include, [row], who=caller.name, clock=context.clock)
    (outcome,) = done.outcomes
    return json_response({"outcome": outcome.outcome, "code": outcome.code, "message": outcome.message})


@router.post("/error/{sys_id}/resolve", response_model=ErrorAnswer, summary="Set an error down as resolved")
def resolve_error(
    sys_id: str,
    context: ContextDep,
    caller: CallerDep,
    note: Annotated[str | None, Body(embed=True, max_length=1_000)] = None,
) -> Response:
    row = _error(context, sys_id)
    errors.resolve_errors(context.hub, [row], note=note, who=caller.name, clock=context.clock)
    return json_response({"result": _error(context, sys_id)})


def _error(context: Context, sys_id: str) -> ErrorRow:
    try:
        (row,) = errors.find_errors(context.hub, [sys_id])
    except ConfigurationError as exc:
        raise NotFoundError(exc.message, remedy="GET /logs/error lists them.") from exc
    return row


def _short(row: ErrorRow) -> dict[str, Any]:
    """Without what is long: one row of many."""
    return {name: value for name, value in row.items() if name not in ("payload", "faults", "stack_trace")}
