"""Before a run is undone: what that comes to, and what was changed since. For administrators."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops.api.context import ContextDep
from kwiksync_ops.api.pages.access import AdminLookDep
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.services.undo import SHOWN, plan_undo

router = APIRouter(prefix="/undo")


@router.get("/{run_id:path}")
def read_plan(request: Request, run_id: str, context: ContextDep, admin: AdminLookDep) -> HTMLResponse:
    plan = plan_undo(context.hub, run_id, who=admin.name, clock=context.clock)
    return show(request, "undo.html", title=f"Undo {run_id}", plan=plan, shown=SHOWN)
