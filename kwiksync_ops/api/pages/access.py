"""Who may see a page, and how often: a page looks more often than a program may call, so looks are counted apart.

They are counted in each worker's memory: a look writes nothing into the hub, and takes none of the API's 60 calls.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from kwiksync_ops.api.callers import Caller
from kwiksync_ops.api.context import ContextDep, check_admin, check_role, identify
from kwiksync_ops.api.problems import TooManyCallsError

WINDOW_S = 60.0
MAX_CALLERS = 10_000


class LookBudget:
    """The looks of the last minute, by caller. Only callers that were identified are kept."""

    def __init__(self) -> None:
        self._looks: dict[str, deque[float]] = {}
        self._lock = threading.Lock()

    def take(self, caller: str, limit: int, now_s: float) -> float:
        """0 for a look that is free, else how many seconds to wait for the next."""
        with self._lock:
            looks = self._looks.setdefault(caller, deque())
            while looks and looks[0] <= now_s - WINDOW_S:
                looks.popleft()
            if len(looks) >= limit:
                return looks[0] + WINDOW_S - now_s
            looks.append(now_s)
            if len(self._looks) > MAX_CALLERS:
                self._forget(now_s)
            return 0.0

    def _forget(self, now_s: float) -> None:
        self._looks = {name: looks for name, looks in self._looks.items() if looks[-1] > now_s - WINDOW_S}


async def admit_look(request: Request, context: ContextDep) -> Caller:
    """Who looks, if they may.

    Raises:
        RefusedError: nobody, or somebody without a role.
        TooManyCallsError: more looks in a minute than a person has.
    """
    caller = await identify(request, context)
    budget: LookBudget = request.app.state.budget
    wait_s = budget.take(caller.name, context.looks_per_minute, context.clock.monotonic())
    if wait_s > 0:
        raise TooManyCallsError(
            f"{caller.name} asked for more than {context.looks_per_minute} pages in 60 seconds.",
            remedy="Close pages that you do not need, and wait a moment.",
            retry_after_s=wait_s,
        )
    await run_in_threadpool(check_role, context, caller, request)
    request.state.caller = caller
    return caller


LookDep = Annotated[Caller, Depends(admit_look)]


def admit_admin_look(request: Request, caller: LookDep, context: ContextDep) -> Caller:
    """Raises RefusedError for whoever is not an administrator."""
    check_admin(context, caller, request)
    return caller


AdminLookDep = Annotated[Caller, Depends(admit_admin_look)]
