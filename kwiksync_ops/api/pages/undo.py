"""Before a run is undone: what that comes to, and what was changed since. For administrators."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops.api.context import Context
from kwiksync_ops.api.pages.access import AdminLookDep
from kwiksync_ops.api.pages.kept import FIRST_WAIT_S
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.errors import KwikSyncError
from kwiksync_ops.services.undo import SHOWN, UndoPlan, plan_undo

router = APIRouter(prefix="/undo")

MOST_PLANS = 20


class Plans:
    """One an app: plans are made in the background, since a run may have changed a million records."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="kwiksync-undo")
        self._plans: dict[str, Future[UndoPlan]] = {}
        self._lock = threading.Lock()

    def find(self, run_id: str, who: str, *, anew: bool) -> UndoPlan | None:
        """The plan, or None while it is made; `anew`: one that was made before does not count.

        Raises:
            ConfigurationError: the run can't be undone.
        """
        with self._lock:
            plan = self._plans.pop(run_id, None)
            if plan is None or (anew and plan.done()):
                plan = self._pool.submit(
                    partial(plan_undo, self._context.hub, run_id, who=who, clock=self._context.clock)
                )
            self._plans[run_id] = plan
            if len(self._plans) > MOST_PLANS:
                del self._plans[next(iter(self._plans))]
        wait([plan], FIRST_WAIT_S)
        return plan.result() if plan.done() else None


@router.get("/plan/{run_id:path}")
def read_plan(request: Request, run_id: str, admin: AdminLookDep) -> HTMLResponse:
    """The plan alone, as soon as it is there."""
    plans: Plans = request.app.state.plans
    try:
        plan, fault = plans.find(run_id, admin.name, anew=False), None
    except KwikSyncError as exc:
        plan, fault = None, exc
    answer = show(request, "undo_plan.html", plan=plan, fault=fault, shown=SHOWN)
    if plan or fault:
        answer.headers["X-Done"] = "1"
    return answer


@router.get("/{run_id:path}")
def read_undo(request: Request, run_id: str, admin: AdminLookDep) -> HTMLResponse:
    plans: Plans = request.app.state.plans
    plan = plans.find(run_id, admin.name, anew=True)
    return show(request, "undo.html", title=f"Undo {run_id}", run_id=run_id, plan=plan, fault=None, shown=SHOWN)
