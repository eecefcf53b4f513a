"""The Table API: `/api/now[/v1|/v2]/table/{table}[/{sys_id}]`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from servicenow.access import READ, User
from servicenow.encoded_query import Asker, Compiler, EncodedQuery
from servicenow.messages import ApiError, Request, Response, json_response, no_record, no_resource, read_json
from servicenow.records import Row
from servicenow.rendering import Form, Renderer

if TYPE_CHECKING:
    from servicenow.instance import Instance

DEFAULT_LIMIT = 10_000


@dataclass(frozen=True)
class Window:
    limit: int
    offset: int


@dataclass(frozen=True)
class Call:
    """A call to a table, by a user who is logged in."""

    instance: Instance
    request: Request
    user: User
    table: str
    sys_id: str
    version: str

    @property
    def zone(self) -> str:
        return self.instance.zone_of(self.user)

    def show(self, row: Row) -> dict[str, Any]:
        return self.renderer().show(row)

    def renderer(self) -> Renderer:
        form = Form.of(self.request, self.zone)
        return Renderer(self.instance.schema, self.instance.records, self.table, form, self.may_read_field)

    def may_read_field(self, name: str) -> bool:
        return self.instance.controls.may_use_field(self.user, self.table, name, READ)


def answer(instance: Instance, request: Request, user: User, version: str, path: list[str]) -> Response:
    """`path` is what follows `/table/`."""
    if len(path) not in (1, 2) or not all(path):
        raise no_resource()
    table, sys_id = path[0], path[1] if len(path) == 2 else ""
    methods = {"GET": _get, "PUT": _update, "PATCH": _update, "DELETE": _delete} if sys_id else _COLLECTION
    if request.method not in methods:
        raise ApiError(405, "Method not supported", f"{request.method} is not supported for this resource")
    if table not in instance.schema:
        raise ApiError(400, f"Invalid table {table}")
    return methods[request.method](Call(instance, request, user, table, sys_id, version))


def _list(call: Call) -> Response:
    window = _window(call)
    query = _query(call)
    if query is None:
        rows: list[Row] = []
    else:
        rows = [row for row in query.select(call.instance.rows(call.table)) if _is_in_domain(call, row)]
    page = rows[window.offset : window.offset + window.limit]
    visible = [row for row in page if call.instance.controls.may_use_row(call.user, call.table, row, READ)]
    headers = _page_headers(call, window, len(rows))
    if not visible and call.version == "v1":
        refused = no_record()
        raise ApiError(refused.status, refused.message, refused.detail, headers)
    renderer = call.renderer()
    return json_response({"result": [renderer.show(row) for row in visible]}, headers=headers)


def _get(call: Call) -> Response:
    return json_response({"result": call.show(_row(call))})


def _insert(call: Call) -> Response:
    row = call.instance.writer.insert(call.user, call.table, _body(call), display_zone=_display_zone(call))
    location = f"{call.request.base_url}/api/now/table/{call.table}/{row['sys_id']}"
    return _written(call, row, 201, {"Location": location})


def _update(call: Call) -> Response:
    row = _row(call)
    call.instance.writer.update(call.user, call.table, row, _body(call), display_zone=_display_zone(call))
    return _written(call, row, 200, {})


def _delete(call: Call) -> Response:
    call.instance.writer.delete(call.user, call.table, _row(call))
    return Response(204)


_COLLECTION = {"GET": _list, "POST": _insert}


def _written(call: Call, row: Row, status: int, headers: dict[str, str]) -> Response:
    if call.request.headers.get("x-no-response-body", "").lower() == "true":
        return Response(status if status == 201 else 204, b"", headers)
    return json_response({"result": call.show(row)}, status, headers)


def _row(call: Call) -> Row:
    row = call.instance.records.find(call.table, call.sys_id)
    controls = call.instance.controls
    if row is None or not _may_read(call) or not controls.may_use_row(call.user, call.table, row, READ):
        raise no_record()
    if not _is_in_domain(call, row):
        raise no_record()
    return row


def _may_read(call: Call) -> bool:
    """A table that is denied is refused, or looks empty."""
    if call.instance.controls.may_use_table(call.user, call.table, READ):
        return True
    if call.instance.settings.hides_denied_tables:
        return False
    raise ApiError(403, "User Not Authorized", "Failed API level ACL Validation")


def _body(call: Call) -> dict[str, Any]:
    return read_json(call.request.body)


def _display_zone(call: Call) -> str:
    return call.zone if call.request.flag("sysparm_input_display_value") else ""


def _is_in_domain(call: Call, row: Row) -> bool:
    if call.user.domain == "global" or "sys_domain" not in row:
        return True
    if call.request.flag("sysparm_query_no_domain") and call.user.sees_all_domains:
        return True
    return row["sys_domain"] in ("global", call.user.domain)


def _window(call: Call) -> Window:
    limit = _number(call.request, "sysparm_limit", DEFAULT_LIMIT, smallest=1)
    most = call.instance.settings.max_limit or limit
    return Window(min(limit, most), _number(call.request, "sysparm_offset", 0, smallest=0))


def _number(request: Request, name: str, default: int, *, smallest: int) -> int:
    text = request.parameter(name)
    if text == "":
        return default
    if not text.isdecimal() or int(text) < smallest:
        raise ApiError(400, f"Invalid value for {name}: {text}", f"{name} must be a number from {smallest} on")
    return int(text)


def _query(call: Call) -> EncodedQuery | None:
    """The compiled query; None when it finds nothing whatever there is."""
    if not _may_read(call):
        return None
    settings = call.instance.settings
    zone = call.zone if settings.reads_query_dates_in_user_zone else ""
    asker = Asker(call.user.sys_id, call.user.name, zone, settings.has_case_sensitive_values)
    compiler = Compiler(call.instance.schema, call.instance.records, call.table, asker)
    query = compiler.compile(call.request.parameter("sysparm_query") or _pairs(call))
    if not all(call.may_read_field(name) for name in query.fields):
        detail = "Field(s) present in the query do not have permission to be read"
        raise ApiError(403, "Insufficient rights to query records", detail)
    return None if query.invalid and settings.invalid_query_returns_no_rows else query


def _pairs(call: Call) -> str:
    """`?active=true&state=Closed` as an encoded query; display values are understood."""
    columns = call.instance.schema.columns(call.table)
    parts = []
    for name, value in call.request.parameters.items():
        column = columns.get(name)
        if column is None:
            continue
        named = next((known for known, label in column.choices.items() if label == value), value)
        found = column.reference and not call.instance.records.find(column.reference, value)
        parts.append(f"{name}={call.instance.writer.sys_id_of(column.reference, value) if found else named}")
    return "^".join(parts)


def _page_headers(call: Call, window: Window, total: int) -> dict[str, str]:
    is_counted = not call.request.flag("sysparm_no_count")
    headers = {"X-Total-Count": str(total)} if is_counted else {}
    if call.request.flag("sysparm_suppress_pagination_header"):
        return headers
    link = ",".join(
        f'<{_page_url(call, window, offset)}>;rel="{rel}"' for rel, offset in _links(call, window, total).items()
    )
    return headers | ({"Link": link} if link else {})


def _links(call: Call, window: Window, total: int) -> dict[str, int]:
    """The offset that each link of the page leads to; there are none when there is one page."""
    has_odd_prev = call.instance.settings.has_odd_prev_link and window.offset == 0
    if total <= window.limit and window.offset == 0 and not has_odd_prev:
        return {}
    links = {"first": 0}
    if window.offset or has_odd_prev:
        links["prev"] = -1 if has_odd_prev else max(window.offset - window.limit, 0)
    if window.offset + window.limit < total:
        links["next"] = window.offset + window.limit
    if not call.request.flag("sysparm_no_count"):
        links["last"] = max(total - 1, 0) // window.limit * window.limit
    return links


def _page_url(call: Call, window: Window, offset: int) -> str:
    asked = {**call.request.parameters, "sysparm_limit": str(window.limit), "sysparm_offset": str(offset)}
    return f"{call.request.base_url}{call.request.path}?{urlencode(asked)}"
