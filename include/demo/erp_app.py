"""The ERP's web interface: its tables under /api/v1, and what the demo does with it under /admin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from erp_access import RefusedError, Secrets, check_customer_key, check_token, erp_of
from erp_fields import FORMS
from erp_history import iso
from erp_paging import (
    MAX_PAGE,
    Answer,
    BadParameterError,
    Window,
    page_by_cursor,
    page_by_keyset,
    page_by_link,
    page_by_number,
    page_by_offset,
    read_moment,
)
from erp_state import Erp
from erp_write_routes import by_hand, records
from erp_writes import Writer

API = "/api/v1"


async def read_window(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 100,
    updated_since: str | None = None,
    updated_until: str | None = None,
) -> Window:
    since = read_moment("updated_since", updated_since) if updated_since else None
    until = read_moment("updated_until", updated_until) if updated_until else None
    return Window(limit, since, until)


Asked = Annotated[Window, Depends(read_window)]
api = APIRouter(prefix=API, dependencies=[Depends(check_token), Depends(check_customer_key)])
admin = APIRouter(prefix="/admin", dependencies=[Depends(check_token)])


def _send(request: Request, answer: Answer) -> Response:
    return Response(answer.body(erp_of(request).now), media_type="application/json", headers=answer.headers)


@api.get("/locations")
async def get_locations(request: Request, asked: Asked, page: Annotated[int, Query(ge=1)] = 1) -> Response:
    return _send(request, page_by_number(erp_of(request).records("locations"), asked, page))


@api.get("/projects")
async def get_projects(request: Request, asked: Asked, offset: Annotated[int, Query(ge=0)] = 0) -> Response:
    return _send(request, page_by_offset(erp_of(request).records("projects"), asked, offset))


@api.get("/tickets")
@api.get("/tasks")
async def get_changed(request: Request, asked: Asked, changed_after: str | None = None, after_id: str = "") -> Response:
    table = request.url.path.rsplit("/", 1)[-1]
    moment = read_moment("changed_after", changed_after) if changed_after else None
    return _send(request, page_by_keyset(erp_of(request).records(table), asked, moment, after_id))


@api.get("/assets")
async def get_assets(request: Request, asked: Asked, cursor: str | None = None) -> Response:
    return _send(request, page_by_cursor(erp_of(request).records("assets"), asked, cursor))


@api.get("/deliverables")
async def get_deliverables(request: Request, asked: Asked, position: str | None = None) -> Response:
    url = str(request.url.replace(query=""))
    return _send(request, page_by_link(erp_of(request).records("deliverables"), asked, position, url))


@api.get("/deletions")
async def get_deletions(
    request: Request, asked: Asked, table: str, changed_after: str | None = None, after_id: str = ""
) -> Response:
    if table not in FORMS:
        raise BadParameterError(f"table={table!r} tells no deletions; {' and '.join(FORMS)} do")
    moment = read_moment("changed_after", changed_after) if changed_after else None
    return _send(request, page_by_keyset(erp_of(request).deletions(table), asked, moment, after_id))


class ClockMove(BaseModel):
    """Where the clock shall stand: at `now`, or so many minutes further on."""

    model_config = ConfigDict(extra="forbid")
    now: str | None = None
    advance_minutes: Annotated[int, Field(ge=0, le=1_000_000)] = 0


@admin.get("/clock")
async def get_clock(request: Request) -> dict[str, Any]:
    return {"now": iso(erp_of(request).now)}


@admin.post("/clock")
async def move_clock(request: Request, move: ClockMove) -> dict[str, Any]:
    erp = erp_of(request)
    start = read_moment("now", move.now) if move.now else erp.now
    try:
        moment = start + timedelta(minutes=move.advance_minutes)
    except OverflowError:
        raise BadParameterError("the clock can't go beyond the year 9999") from None
    changed = erp.move_clock(moment)
    return {"now": iso(erp.now), "changed": changed}


@admin.post("/customer-keys", status_code=204)
async def rotate_customer_keys(request: Request, keys: Annotated[list[str], Body(embed=True, min_length=1)]) -> None:
    """From now on these Customer Keys are valid, and no others."""
    request.app.state.secrets = replace(request.app.state.secrets, customer_keys=tuple(keys))


@admin.get("/calls")
async def get_calls(request: Request) -> dict[str, Any]:
    return erp_of(request).calls.summary()


@admin.get("/faults")
async def get_faults(request: Request) -> dict[str, Any]:
    return {"now": iso(erp_of(request).now), "faults": erp_of(request).faults()}


@admin.get("/truth/{table}")
async def get_truth(request: Request, table: str) -> Response:
    erp = erp_of(request)
    if table not in erp.histories:
        raise HTTPException(404, f"no table {table!r}; there are {', '.join(erp.histories)}")
    versions = erp.records(table)
    return _send(request, Answer(versions, {"key": erp.histories[table].key, "total": len(versions)}))


api.include_router(records)
admin.include_router(by_hand)


def _fault(status: int, code: str, message: str, **headers: str) -> JSONResponse:
    return JSONResponse({"code": code, "message": message}, status, headers=headers)


async def _on_refused(_request: Request, exc: Exception) -> JSONResponse:
    code = exc.code if isinstance(exc, RefusedError) else "ERR_003"
    return _fault(401, code, str(exc), **{"WWW-Authenticate": "Bearer"})


async def _on_bad_parameter(_request: Request, exc: Exception) -> JSONResponse:
    return _fault(400, "BAD_PARAMETER", str(exc))


async def _on_invalid(_request: Request, exc: Exception) -> JSONResponse:
    errors = exc.errors() if isinstance(exc, RequestValidationError) else []
    faults = (f"{'.'.join(map(str, error['loc'][1:]))}: {error['msg']}" for error in errors)
    return _fault(400, "BAD_PARAMETER", "; ".join(faults))


async def _on_http(_request: Request, exc: Exception) -> JSONResponse:
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    return _fault(status, f"HTTP_{status}", str(getattr(exc, "detail", exc)))


def _counted_as(path: str) -> str:
    """All records of a table are one path."""
    table, _, record_id = path.removeprefix(f"{API}/").partition("/")
    return path if record_id in ("", "bulk") else f"{API}/{table}/{{id}}"


async def _stamp(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Date every answer by the ERP's own clock, and count those of the tables."""
    response = await call_next(request)
    response.headers["Date"] = format_datetime(erp_of(request).now, usegmt=True)
    if request.url.path.startswith(API):
        erp_of(request).calls.add(_counted_as(request.url.path), response.status_code)
    return response


def create_app(erp: Erp, secrets: Secrets) -> FastAPI:
    app = FastAPI(title="Sample ERP", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.erp, app.state.secrets, app.state.writer = erp, secrets, Writer(erp)
    app.include_router(api)
    app.include_router(admin)
    app.add_exception_handler(RefusedError, _on_refused)
    app.add_exception_handler(BadParameterError, _on_bad_parameter)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.middleware("http")(_stamp)
    app.add_middleware(GZipMiddleware, minimum_size=1_000, compresslevel=1)
    return app
