"""Undo of a run, for administrators: what it comes to, and the undo itself."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import Response
from pydantic import BaseModel, Field

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.context import AdminDep, ContextDep
from kwiksync_ops.services import undo
from kwiksync_ops.services.undo import SHOWN

router = APIRouter(prefix="/undo", tags=["undo"])


class PlanAnswer(BaseModel):
    """By table, how many records the run created, updated and deleted, and which were changed again since."""

    run_id: str
    undo_id: str = Field(description="The run that the undo will be.")
    system: str
    tables: list[dict[str, Any]]


class UndoneAnswer(BaseModel):
    """`restored` records have their old values again, `buried` ones the run created; `kept` stay as they are."""

    undo_id: str
    tables: list[dict[str, Any]]


@router.get("/{run_id:path}", response_model=PlanAnswer, summary="What undoing a run comes to")
def plan_undo(run_id: str, context: ContextDep, admin: AdminDep) -> Response:
    plan = undo.plan_undo(context.hub, run_id, who=admin.name, clock=context.clock)
    tables = [
        {
            "table": table.table,
            "created": table.created,
            "updated": table.updated,
            "deleted": table.deleted,
            "changed_since": len(table.later),
            "examples": [asdict(later) for later in table.later[:SHOWN]],
        }
        for table in plan.tables
    ]
    return json_response({"run_id": run_id, "undo_id": plan.undo_id, "system": plan.system, "tables": tables})


@router.post("/{run_id:path}", response_model=UndoneAnswer, summary="Undo what a run changed in the hub")
def undo_run(
    run_id: str, context: ContextDep, admin: AdminDep, skip_conflicts: Annotated[bool, Body(embed=True)] = False
) -> Response:
    """Records that were changed again since are left as they are with `skip_conflicts`; without, nothing is undone."""
    plan = undo.plan_undo(context.hub, run_id, who=admin.name, clock=context.clock)
    done = undo.undo_run(context.hub, plan, who=admin.name, clock=context.clock, skip_conflicts=skip_conflicts)
    return json_response({"undo_id": plan.undo_id, "tables": [asdict(table) for table in done]})
