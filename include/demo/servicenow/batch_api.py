"""The Batch API: `POST /api/now/v1/batch`, many calls in one."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from servicenow.messages import ApiError, Request, Response, json_response, no_resource, read_json

if TYPE_CHECKING:
    from servicenow.access import User
    from servicenow.instance import Instance

OUTPUT_LIMIT_HEADER = "x-batchrequest-max-output-size"


def answer(instance: Instance, request: Request, user: User) -> Response:
    if request.method != "POST":
        raise ApiError(405, "Method not supported", f"{request.method} is not supported for this resource")
    batch = read_json(request.body)
    items = batch.get("rest_requests")
    if not isinstance(items, list) or not all(_is_sound(item) for item in items):
        raise ApiError(400, "Exception while reading request", "rest_requests must be a list of id, method and url")
    serviced, unserviced = _service(instance, request, user, items)
    ids = {"batch_request_id": str(batch.get("batch_request_id", ""))}
    return json_response({**ids, "serviced_requests": serviced, "unserviced_requests": unserviced})


def _is_sound(item: Any) -> bool:
    return isinstance(item, dict) and all(isinstance(item.get(name), str) for name in ("id", "method", "url"))


def _service(
    instance: Instance, request: Request, user: User, items: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The answers in the order of the items, up to the one that breaks a limit; the others' ids."""
    settings = instance.settings
    limit = min(_output_limit(request), settings.batch_max_output_bytes)
    serviced: list[dict[str, Any]] = []
    elapsed_s = 0.0
    for index, item in enumerate(items):
        elapsed_s += settings.batch_item_s
        body = _body(item)
        if elapsed_s > settings.batch_time_limit_s or len(body) > settings.batch_max_input_bytes:
            return serviced, [left["id"] for left in items[index:]]
        response = _serve(instance, request, user, item, body)
        if len(response.body) > limit:
            return serviced, [left["id"] for left in items[index:]]
        serviced.append(_serviced(item, response, settings.batch_item_s))
    return serviced, []


def _output_limit(request: Request) -> float:
    text = request.headers.get(OUTPUT_LIMIT_HEADER, "")
    return int(text) if text.isdecimal() else float("inf")


def _body(item: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode(str(item.get("body") or ""), validate=True)
    except binascii.Error:
        raise ApiError(400, "Exception while reading request", f"body of {item['id']} is not base64") from None


def _serve(instance: Instance, request: Request, user: User, item: Mapping[str, Any], body: bytes) -> Response:
    url = str(item["url"])
    if not url.startswith("/"):
        return no_resource().response()
    path, _, query = url.partition("?")
    headers = {
        str(header.get("name", "")).lower(): str(header.get("value", "")) for header in item.get("headers") or []
    }
    inner = Request(item["method"].upper(), unquote(path), query, headers, body, request.base_url, is_item=True)
    return instance.serve_item(inner, user)


def _serviced(item: Mapping[str, Any], response: Response, took_s: float) -> dict[str, Any]:
    excludes = item.get("exclude_response_headers") is True
    headers = [] if excludes else [{"name": name, "value": value} for name, value in response.headers.items()]
    answered: dict[str, Any] = {
        "id": item["id"],
        "status_code": response.status,
        "status_text": response.reason,
        "headers": headers,
        "execution_time": int(took_s * 1_000),
    }
    return answered | ({"body": base64.b64encode(response.body).decode()} if response.body else {})
