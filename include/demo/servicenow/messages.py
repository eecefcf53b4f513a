"""What goes in to the instance and comes out of it, by a connection of its own or as an item of a batch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

JSON_TYPE = "application/json;charset=UTF-8"
HTML_TYPE = "text/html;charset=UTF-8"


@dataclass(frozen=True)
class Request:
    """`headers` have names in lower case; `path` is decoded, `query_string` is not. An item came inside of a batch."""

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base_url: str = ""
    is_item: bool = False

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The first of each name counts."""
        pairs = parse_qsl(self.query_string, keep_blank_values=True)
        return dict(reversed(pairs))

    def parameter(self, name: str, default: str = "") -> str:
        return self.parameters.get(name, default)

    def flag(self, name: str) -> bool:
        return self.parameter(name).lower() == "true"


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        return HTTPStatus(self.status).phrase


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(status, body, {"Content-Type": JSON_TYPE, **(headers or {})})


class ApiError(Exception):
    """The call is refused: the body is ServiceNow's, of message and detail."""

    def __init__(
        self, status: int, message: str, detail: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {message}: {detail}")
        self.status, self.message, self.detail, self.headers = status, message, detail, headers or {}

    def response(self) -> Response:
        error = {"message": self.message, "detail": self.detail}
        return json_response({"error": error, "status": "failure"}, self.status, self.headers)


def no_record() -> ApiError:
    return ApiError(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


def no_resource() -> ApiError:
    return ApiError(400, "Requested URI does not represent any resource")


def not_authenticated() -> ApiError:
    headers = {"WWW-Authenticate": 'BASIC realm="Service-now"'}
    return ApiError(401, "User Not Authenticated", "Required to provide Auth information", headers)


def read_json(body: bytes) -> dict[str, Any]:
    """The one JSON object of a body."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ApiError(400, "Exception while reading request", "The payload is not valid JSON.")
    return value
