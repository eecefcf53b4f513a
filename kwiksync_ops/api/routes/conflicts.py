"""Conflicts: fields that hub and system both changed, listed, shown, and decided."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.context import CallerDep, Context, ContextDep
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.api.routes.records import table_of
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services import conflicts
from kwiksync_ops.services.conflicts import Conflict

router = APIRouter(prefix="/conflicts", tags=["conflicts"])

MAX_ROWS = 1_000
_EXAMPLE = {"table": "assets", "external_id": "A-17", "field": "quantity", "base": 4, "hub": 5, "theirs": 3}


class ConflictsAnswer(BaseModel):
    result: list[dict[str, Any]] = Field(examples=[[_EXAMPLE]])


class ConflictAnswer(BaseModel):
    """`base` is what both agreed on last, `hub` and `theirs` what each side made of it."""

    result: dict[str, Any] = Field(examples=[_EXAMPLE])


class Decision(BaseModel):
    """`use` says whose value stands; without it `value` does. `force`: also where the hub's was changed since."""

    model_config = ConfigDict(extra="forbid")

    use: Literal["hub", "system"] | None = None
    value: str | int | float | bool | None = None
    force: bool = False


class DecisionAnswer(BaseModel):
    """`value` is what the hub has now; `is_sent` whether the next outbound sync sends it."""

    result: dict[str, Any] = Field(examples=[_EXAMPLE])
    value: Any = Field(examples=[5])
    is_sent: bool


@router.get("", response_model=ConflictsAnswer, summary="Conflicts that wait, newest first")
def list_conflicts(
    context: ContextDep,
    _caller: CallerDep,
    system: str | None = None,
    table: str | None = None,
    decided: Annotated[bool, Query(description="Those too that are ended.")] = False,
    limit: Annotated[int, Query(ge=1, le=MAX_ROWS)] = 100,
) -> Response:
    name = table_of(table).name if table else None
    found = conflicts.list_conflicts(context.hub, system=system, table=name, decided=decided, limit=limit)
    return json_response({"result": [asdict(each) for each in found]})


@router.get("/{sys_id}", response_model=ConflictAnswer, summary="One conflict, with both versions")
def read_conflict(sys_id: str, context: ContextDep, _caller: CallerDep) -> Response:
    return json_response({"result": asdict(conflict_of(context, sys_id))})


@router.post("/{sys_id}/resolve", response_model=DecisionAnswer, summary="Decide which value stands")
def resolve_conflict(sys_id: str, decision: Decision, context: ContextDep, caller: CallerDep) -> Response:
    conflict = conflict_of(context, sys_id)
    done = conflicts.resolve_conflict(
        context.hub,
        conflict.sys_id,
        use=decision.use,
        value=decision.value,
        who=caller.name,
        clock=context.clock,
        force=decision.force,
    )
    ended = conflicts.find_conflict(context.hub, conflict.sys_id)
    return json_response({"result": asdict(ended), "value": done.value, "is_sent": done.is_sent})


def conflict_of(context: Context, sys_id: str) -> Conflict:
    try:
        return conflicts.find_conflict(context.hub, sys_id)
    except ConfigurationError as exc:
        raise NotFoundError(exc.message, remedy="The list of conflicts tells which there are.") from exc
