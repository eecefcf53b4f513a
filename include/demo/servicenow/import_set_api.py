"""The Import Set API: `/api/now[/v1]/import/{staging_table}[/insertMultiple | /{sys_id}]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from servicenow.imports import SET_TABLE, Staging
from servicenow.messages import ApiError, Request, Response, json_response, no_record, no_resource, read_json

if TYPE_CHECKING:
    from servicenow.access import User
    from servicenow.instance import Instance
    from servicenow.records import Row

MULTIPLE = "insertMultiple"


def answer(instance: Instance, request: Request, user: User, path: list[str]) -> Response:
    """`path` is what follows `/import/`."""
    if len(path) not in (1, 2) or not all(path):
        raise no_resource()
    staging, rest = instance.imports.staging(path[0]), path[1] if len(path) == 2 else ""
    routes = {("POST", ""): _one, ("POST", MULTIPLE): _many}
    if (request.method, rest) in routes:
        return routes[request.method, rest](instance, request, user, staging)
    if request.method == "GET" and rest not in ("", MULTIPLE):
        return _look(instance, request, staging, rest)
    raise ApiError(405, "Method not supported", f"{request.method} is not supported for this resource")


def _one(instance: Instance, request: Request, user: User, staging: Staging) -> Response:
    row = instance.imports.load_one(user, staging, read_json(request.body))
    return json_response(_transformed(instance, request, staging, row), 201)


def _look(instance: Instance, request: Request, staging: Staging, sys_id: str) -> Response:
    row = instance.records.find(staging.table, sys_id)
    if row is None:
        raise no_record()
    return json_response(_transformed(instance, request, staging, row))


def _many(instance: Instance, request: Request, user: User, staging: Staging) -> Response:
    records = read_json(request.body).get("records")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise ApiError(400, "Exception while reading request", "records must be a list of objects")
    import_set = instance.imports.load(user, staging, records, request.parameter("multi_import_set_id"))
    ids = {"import_set_id": import_set["sys_id"], "multi_import_set_id": import_set["multi_import_set"]}
    return json_response(ids, 201)


def _transformed(instance: Instance, request: Request, staging: Staging, row: Row) -> dict[str, Any]:
    import_set = instance.records.find(SET_TABLE, row["sys_import_set"])
    return {
        "import_set": import_set["number"] if import_set else "",
        "staging_table": staging.table,
        "result": [_result(instance, request, row)],
    }


def _result(instance: Instance, request: Request, row: Row) -> dict[str, str]:
    table, sys_id = row["sys_target_table"], row["sys_target_sys_id"]
    result = {
        "transform_map": row["sys_transform_map"] or "Invalid map",
        "table": table or "No target table",
        "status": row["sys_import_state"],
    }
    target = instance.records.find(table, sys_id) if table and sys_id else None
    display = instance.schema.display_column(table) if target else None
    if target and display:
        link = f"{request.base_url}/api/now/table/{table}/{sys_id}"
        result |= {"display_name": display.name, "display_value": target[display.name], "record_link": link}
        result["sys_id"] = sys_id
    if row["sys_import_state_comment"]:
        name = "error_message" if row["sys_import_state"] == "error" else "status_message"
        result[name] = row["sys_import_state_comment"]
    return result
