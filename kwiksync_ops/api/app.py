"""The REST app, mounted on Airflow's api-server under /api/x_kwr_kwiksync."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer

from kwiksync_ops.api.callers import Gateway, NoAirflow
from kwiksync_ops.api.context import KEY_HEADER, Context, admit
from kwiksync_ops.api.guard import Guard
from kwiksync_ops.api.pages.app import create_pages
from kwiksync_ops.api.problems import DESCRIBED, add_handlers
from kwiksync_ops.api.routes import administration, conflicts, logs, mappings, records, status, sync, systems, undo

ABOUT = """Start syncs, see how they do, read and write the records of the hub, and administer KWikSync.

Call with a bearer token of Airflow's, or with a Customer Key in `X-Customer-Key`. At most 60 calls in any 60 seconds
a caller; `Retry-After` says when the next is free. Errors are `{code, message, detail, request_id}`."""

_SCHEMES = (
    HTTPBearer(auto_error=False, scheme_name="AirflowToken", description="From Airflow's POST /auth/token."),
    APIKeyHeader(name=KEY_HEADER, auto_error=False, scheme_name="CustomerKey", description="kwiksync keys issue."),
)
"""For the OpenAPI document: who calls is found by `admit`."""


def create_app(context: Context | None = None, *, gateway: Gateway | None = None) -> FastAPI:
    """The app. Without a gateway it knows nothing of Airflow, and is what the OpenAPI document is made of."""
    own = context or Context(gateway or NoAirflow())
    app = FastAPI(
        title="KWikSync",
        version=version("kwiksync-ops"),
        description=ABOUT,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        dependencies=[Depends(admit), *(Depends(scheme) for scheme in _SCHEMES)],
        generate_unique_id_function=_operation_id,
        responses=DESCRIBED,
    )
    app.state.context = own
    add_handlers(app)
    for routes in (sync, status, undo, records, logs, conflicts, mappings, systems, administration):
        app.include_router(routes.router)
    app.mount("/pages", create_pages(own))
    app.add_middleware(Guard)
    return app


def _operation_id(route: APIRoute) -> str:
    """What generated clients call it."""
    return route.name


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.context.close()
