"""Records: read by filter, by cursor or as ServiceNow people ask, as JSON or CSV; written by those who may."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, Field

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.context import AdminDep, CallerDep, Context, ContextDep
from kwiksync_ops.api.once import once
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services import edit, encoded_query, records
from kwiksync_ops.services.records import BYTE_ORDER_MARK
from kwiksync_ops.storage import history, record_search
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.record_search import AnyOf, Condition, Sort
from kwiksync_ops.vocabulary import Column, ColumnType, RecordTable

router = APIRouter(prefix="/records", tags=["records"])

DEFAULT_RECORDS = 100
MAX_RECORDS = 1_000
EXPORT_PAGE = 1_000
_OWN = frozenset({"q", "fields", "filter", "sort", "limit", "cursor", "format", "deleted"})
_TEXTS = (ColumnType.STRING, ColumnType.TEXT, ColumnType.REFERENCE)
_THEIRS = frozenset({"sysparm_query", "sysparm_fields", "sysparm_limit", "sysparm_offset"})
_EXAMPLE = {"sys_id": "1f" * 16, "number": "TKT0000045", "state": "3", "sys_mod_count": 2}

Values = Annotated[dict[str, Any], Body(examples=[{"short_description": "Pump 3 leaks", "priority": "2"}])]


class RecordsAnswer(BaseModel):
    """A page. `next` is the cursor of the page behind it, None at the end."""

    result: list[dict[str, Any]] = Field(examples=[[_EXAMPLE]])
    next: str | None = Field(examples=["WyIyMDI2LTAxLTE1VDAyOjAwOjAwKzAwOjAwIiwiMWYiXQ"])


class RecordAnswer(BaseModel):
    result: dict[str, Any] = Field(examples=[_EXAMPLE])


class RecordPage(BaseModel):
    """The parameters of a read. Any other parameter is a field of the table that is to be equal: `state=3`."""

    q: str = Field(default="", max_length=200, description="A text that the number or the name contains.")
    fields: str = Field(default="", description="Names of fields with commas between; all, where none is named.")
    filter: list[str] = Field(default=[], description="Conditions that must all hold: quantity>=10, name~pump.")
    sort: str = Field(default="", description="A field; with - before it the other way round.")
    limit: int = Field(default=DEFAULT_RECORDS, ge=1, le=MAX_RECORDS)
    cursor: str = Field(default="", description="`next` of the page before.")
    format: Literal["json", "csv"] = Field(
        default="json",
        description="csv streams all records that are wanted, by sys_id; with `limit` a page of them, as json has it.",
    )
    deleted: bool = Field(default=False, description="Those that were deleted, too.")
    sysparm_query: str = Field(default="", description="An encoded query: state=1^ORDERBYDESCsys_updated_on.")
    sysparm_fields: str = ""
    sysparm_limit: int | None = Field(default=None, ge=1, le=MAX_RECORDS)
    sysparm_offset: int = Field(default=0, ge=0, le=1_000_000)


@router.get(
    "/{table}",
    response_model=RecordsAnswer,
    summary="Records of a table",
    responses={200: {"content": {"text/csv": {}}}},
)
def read_records(
    table: str, page: Annotated[RecordPage, Query()], request: Request, context: ContextDep, caller: CallerDep
) -> Response:
    found = table_of(table)
    wanted = _conditions(found, page, request)
    fields = _fields(found, page)
    if page.format == "csv":
        query = str(request.url.query)
        records.note_export(context.hub, found, fields, query, who=caller.name, clock=context.clock)
        is_page = not {"limit", "sysparm_limit"}.isdisjoint(request.query_params)
        stream = (
            _csv_page(_page(context, found, page, wanted)[: _limit(page)], fields)
            if is_page
            else _csv(context, found, fields, wanted, deleted=page.deleted)
        )
        name = f'attachment; filename="{found.name}.csv"'
        return StreamingResponse(stream, media_type="text/csv; charset=utf-8", headers={"Content-Disposition": name})
    limit = _limit(page)
    rows = _page(context, found, page, wanted)
    following = cursor_of(_sort(found, page), rows[limit - 1]) if len(rows) > limit else None
    return json_response({"result": [_picked(row, fields) for row in rows[:limit]], "next": following})


@router.get("/{table}/{sys_id}", response_model=RecordAnswer, summary="One record")
def read_record(table: str, sys_id: str, context: ContextDep, _caller: CallerDep) -> Response:
    row = _record(context, table_of(table), sys_id)
    return json_response({"result": row}, ETag=f'"{row["sys_mod_count"]}"')


@router.get("/{table}/{sys_id}/history", response_model=RecordsAnswer, summary="Who changed what of a record, and when")
def read_history(table: str, sys_id: str, context: ContextDep, _caller: CallerDep) -> Response:
    found = table_of(table)
    _record(context, found, sys_id)
    with context.hub.read() as connection:
        entries = history.of_record(connection, found.name, sys_id)
    return json_response({"result": [vars(entry) for entry in entries], "next": None})


@router.post("/{table}", status_code=HTTPStatus.CREATED, response_model=RecordAnswer, summary="Make a record")
def create_record(
    table: str,
    values: Values,
    request: Request,
    context: ContextDep,
    caller: CallerDep,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
) -> JSONResponse:
    found = table_of(table)

    def work(connection: Connection) -> JSONResponse:
        sys_id = edit.create_within(connection, found.name, values, who=caller.name, clock=context.clock)
        answer = json_response({"result": _record_within(connection, found, sys_id)})
        location = {"Location": f"{found.name}/{sys_id}"}
        return JSONResponse(json.loads(bytes(answer.body)), HTTPStatus.CREATED, headers=location)

    return once(context, caller, request, values, idempotency_key, work)


@router.patch("/{table}/{sys_id}", response_model=RecordAnswer, summary="Change fields of a record")
def edit_record(
    table: str,
    sys_id: str,
    values: Values,
    context: ContextDep,
    caller: CallerDep,
    if_match: Annotated[str | None, Header(max_length=40, description="The ETag that you saw.")] = None,
) -> Response:
    found = table_of(table)
    _record(context, found, sys_id)
    seen = _seen(if_match)
    edit.edit_record(
        context.hub, found.name, sys_id, values, who=caller.name, clock=context.clock, expected_mod_count=seen
    )
    return read_record(table, sys_id, context, caller)


@router.delete("/{table}/{sys_id}", status_code=HTTPStatus.NO_CONTENT, summary="Delete a record")
def delete_record(table: str, sys_id: str, context: ContextDep, admin: AdminDep) -> Response:
    found = table_of(table)
    _record(context, found, sys_id)
    edit.delete_records(context.hub, found.name, [sys_id], who=admin.name, clock=context.clock)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def table_of(name: str) -> RecordTable:
    try:
        return records.find_record_table(name)
    except ConfigurationError as exc:
        raise NotFoundError(exc.message, remedy=exc.remedy) from exc


def _record(context: Context, table: RecordTable, sys_id: str) -> dict[str, Any]:
    with context.hub.read() as connection:
        return _record_within(connection, table, sys_id)


def _record_within(connection: Connection, table: RecordTable, sys_id: str) -> dict[str, Any]:
    (row,) = record_search.read_page(
        connection, table.name, [Condition("sys_id", "=", sys_id)], sort=Sort("sys_id"), limit=1
    ) or (None,)
    if row is None:
        raise NotFoundError(f"There is no record {sys_id} in {table.name}.", remedy="It may have been deleted.")
    return {name: row[name] for name in records.columns_of(table)}


def _conditions(table: RecordTable, page: RecordPage, request: Request) -> encoded_query.EncodedQuery:
    query = encoded_query.parse_query(table, page.sysparm_query)
    named = [f"{name}={value}" for name, value in request.query_params.multi_items() if name not in _OWN | _THEIRS]
    own = tuple(records.parse_condition(table, text) for text in (*page.filter, *named))
    searched = (records.search_condition(table, page.q),) if page.q else ()
    conditions: tuple[Condition | AnyOf, ...] = (*searched, *own, *query.conditions)
    return encoded_query.EncodedQuery(conditions, query.sort)


def _fields(table: RecordTable, page: RecordPage) -> list[str]:
    named = [name.strip() for name in (page.sysparm_fields or page.fields).split(",") if name.strip()]
    return records.check_fields(table, named) if named else records.columns_of(table)


def _sort(table: RecordTable, page: RecordPage) -> Sort:
    if page.sort:
        (name,) = records.check_fields(table, [page.sort.removeprefix("-")])
        return Sort(name, page.sort.startswith("-"))
    return encoded_query.parse_query(table, page.sysparm_query).sort or Sort()


def _limit(page: RecordPage) -> int:
    return page.sysparm_limit or page.limit


def _page(
    context: Context, table: RecordTable, page: RecordPage, wanted: encoded_query.EncodedQuery
) -> list[Mapping[str, Any]]:
    """The records of a page, and the one behind it, if there is one."""
    sort = _sort(table, page)
    with context.hub.read() as connection:
        return record_search.read_page(
            connection,
            table.name,
            wanted.conditions,
            sort=sort,
            after=place_of(table, sort, page.cursor),
            offset=0 if page.cursor else page.sysparm_offset,
            limit=_limit(page) + 1,
            deleted=page.deleted,
        )


def _picked(row: Mapping[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in fields}


def cursor_of(sort: Sort, row: Mapping[str, Any]) -> str:
    """Where the page behind a record begins."""
    value = row[sort.field]
    text = value.isoformat() if isinstance(value, (date, datetime)) else None if value is None else str(value)
    return base64.urlsafe_b64encode(json.dumps([text, row["sys_id"]]).encode()).decode().rstrip("=")


def place_of(table: RecordTable, sort: Sort, cursor: str) -> tuple[Any, str] | None:
    """Where a cursor of this sort points to. Raises ConfigurationError for what is none."""
    if not cursor:
        return None
    column = table.column(sort.field)
    try:
        text, sys_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        value = _cursor_value(column, text) if column and text is not None else None
        return value, str(sys_id)
    except (ValueError, TypeError, AttributeError, binascii.Error, ConfigurationError) as exc:
        raise ConfigurationError("The cursor is not one of this read.", remedy="Take `next` as it came.") from exc


def _cursor_value(column: Column, text: str) -> Any:
    return str(text) if column.type in _TEXTS else records.parse_value(column, text)


def _seen(etag: str | None) -> int | None:
    if etag is None or etag == "*":
        return None
    text = etag.removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ConfigurationError(f"{etag!r} is no ETag of a record.", remedy='Send the one that came: "3".')
    return int(text)


def _csv(
    context: Context,
    table: RecordTable,
    fields: Sequence[str],
    wanted: encoded_query.EncodedQuery,
    *,
    deleted: bool,
) -> Iterator[str]:
    """Page by page, so that a million records never stand in memory, and no transaction stays open on the way."""
    yield BYTE_ORDER_MARK + _line(fields)
    sort, after = Sort("sys_id", is_descending=False), None
    while True:
        with context.hub.read() as connection:
            rows = record_search.read_page(
                connection, table.name, wanted.conditions, sort=sort, after=after, limit=EXPORT_PAGE, deleted=deleted
            )
        yield _csv_lines(rows, fields)
        if len(rows) < EXPORT_PAGE:
            return
        after = (rows[-1]["sys_id"], rows[-1]["sys_id"])


def _csv_page(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> Iterator[str]:
    yield BYTE_ORDER_MARK + _line(fields) + _csv_lines(rows, fields)


def _csv_lines(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> str:
    return "".join(_line([records.csv_cell(row[name]) for name in fields]) for row in rows)


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()
