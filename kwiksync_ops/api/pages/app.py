"""The pages: an app of its own inside the REST app, under /pages, with its own budget, errors and policy.

A page is a module with a `router`, a template, and an entry in `layout.NAVIGATION`.
"""

from __future__ import annotations

from typing import Any

from fastapi import Depends, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kwiksync_ops.api.context import Context
from kwiksync_ops.api.pages import (
    airflow,
    conflicts,
    connections,
    error_log,
    hub,
    mapping_editor,
    mapping_trial,
    mappings,
    records,
    settings,
    sync_log,
    undo,
)
from kwiksync_ops.api.pages.access import LookBudget, admit_look
from kwiksync_ops.api.pages.failures import add_handlers
from kwiksync_ops.api.pages.links import STATIC
from kwiksync_ops.api.pages.snapshot import Snapshots

POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "script-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'self'",
    )
)
"""No inline script or style, nothing from elsewhere; framed by Airflow's own UI only."""

PAGES = (
    hub,
    connections,
    records,
    conflicts,
    sync_log,
    undo,
    error_log,
    mappings,
    mapping_editor,
    mapping_trial,
    settings,
    airflow,
)


def create_pages(context: Context) -> FastAPI:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(admit_look)])
    app.state.context = context
    app.state.budget = LookBudget()
    app.state.snapshots = Snapshots(context)
    app.state.plans = undo.Plans(context)
    add_handlers(app)
    for page in PAGES:
        app.include_router(page.router)
    app.mount("/static", _KeptFiles(directory=STATIC), name="static")
    app.add_middleware(_Policy)
    return app


class _KeptFiles(StaticFiles):
    """Their addresses hold a digest of them, so that they may be kept for good."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        answer = super().file_response(*args, **options)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer


class _Policy:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self._app(scope, receive, with_policy)
