"""The ERP's interface for writing: one record a call, up to a thousand, and the same at the operator's door."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from erp_access import erp_of
from erp_fields import FORMS
from erp_history import Version
from erp_writes import CREATE, DELETE, OK, UPDATE, Write, Writer, Written, etag, fault_json, result_json

MAX_BULK = 1_000
CALLER, OPERATOR = "API", "Operator"

records = APIRouter()
"""Writing as a program does it, below the tables."""
by_hand = APIRouter(prefix="/records")
"""Writing as a person at the ERP does it, below /admin."""

Fields = Annotated[dict[str, Any], Body()]
Key = Annotated[str, Header(alias="Idempotency-Key")]
IfMatch = Annotated[str, Header(alias="If-Match")]


class BulkWrite(BaseModel):
    """`key` is the write's idempotency key, `if_match` the ETag that it is based on."""

    model_config = ConfigDict(extra="forbid")
    action: Annotated[str, Field(pattern=f"^({CREATE}|{UPDATE}|{DELETE})$")]
    id: str | None = None
    fields: dict[str, Any] = {}
    idempotency_key: str | None = None
    if_match: str | None = None


class Bulk(BaseModel):
    model_config = ConfigDict(extra="forbid")
    records: Annotated[list[BulkWrite], Field(max_length=MAX_BULK)]


@records.post("/{table}/bulk")
async def write_many(request: Request, table: str, bulk: Bulk) -> Response:
    """Each record on its own: one that is refused holds up none of the others."""
    writes = (
        Write(one.action, _writable(request, table), one.id, one.fields, one.idempotency_key or "", one.if_match or "")
        for one in bulk.records
    )
    results = [result_json(index, _writer(request).write(write, CALLER)) for index, write in enumerate(writes)]
    return JSONResponse({"results": results})


@records.post("/{table}")
async def create_one(request: Request, table: str, fields: Fields, key: Key = "") -> Response:
    write = Write(CREATE, _writable(request, table), None, fields, key)
    return _answer(_writer(request).write(write, CALLER))


@records.patch("/{table}/{record_id:path}")
async def update_one(
    request: Request, table: str, record_id: str, fields: Fields, key: Key = "", if_match: IfMatch = ""
) -> Response:
    write = Write(UPDATE, _writable(request, table), record_id, fields, key, if_match)
    return _answer(_writer(request).write(write, CALLER))


@records.delete("/{table}/{record_id:path}")
async def delete_one(request: Request, table: str, record_id: str, key: Key = "", if_match: IfMatch = "") -> Response:
    write = Write(DELETE, _writable(request, table), record_id, key=key, if_match=if_match)
    return _answer(_writer(request).write(write, CALLER))


@records.get("/{table}")
async def refuse_unknown(request: Request, table: str) -> None:
    _known(request, table)


@records.get("/{table}/{record_id:path}")
@by_hand.get("/{table}/{record_id:path}")
async def get_one(request: Request, table: str, record_id: str) -> Response:
    version = erp_of(request).find(_known(request, table), record_id)
    if version is None:
        raise HTTPException(404, f"{table} has no {record_id!r}")
    return _record(version)


@by_hand.post("/{table}")
async def create_by_hand(request: Request, table: str, fields: Fields) -> Response:
    return _answer(_writer(request).write(Write(CREATE, _writable(request, table), None, fields), OPERATOR))


@by_hand.patch("/{table}/{record_id:path}")
async def edit_by_hand(request: Request, table: str, record_id: str, fields: Fields) -> Response:
    return _answer(_writer(request).write(Write(UPDATE, _writable(request, table), record_id, fields), OPERATOR))


@by_hand.delete("/{table}/{record_id:path}")
async def delete_by_hand(request: Request, table: str, record_id: str) -> Response:
    return _answer(_writer(request).write(Write(DELETE, _writable(request, table), record_id), OPERATOR))


def _writer(request: Request) -> Writer:
    writer: Writer = request.app.state.writer
    return writer


def _known(request: Request, table: str) -> str:
    if table not in erp_of(request).histories:
        raise HTTPException(404, f"no table {table!r}; there are {', '.join(erp_of(request).histories)}")
    return table


def _writable(request: Request, table: str) -> str:
    if _known(request, table) not in FORMS:
        raise HTTPException(405, f"{table} is only read; {' and '.join(FORMS)} can be written to")
    return table


def _answer(written: Written) -> Response:
    if written.fault:
        return JSONResponse(fault_json(written), written.status)
    return _record(written.version, written.status) if written.version else Response(status_code=written.status)


def _record(version: Version, status: int = OK) -> Response:
    headers = {"ETag": etag(version)}
    return Response(version.body, status, headers, media_type="application/json")
