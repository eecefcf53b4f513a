"""A strict system to write to: honours idempotency keys and ETags, refuses an amount that is no integer, logs what it
applied, fails as planned."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from tests.support.https_server import Exchange, Fault, HttpsServer, Request, Response, json_response

PATH = "/api/tickets"
BULK_PATH = "/api/bulk"
BULK: dict[str, Any] = {
    "path": "bulk",
    "records": 10,
    "records_path": "records",
    "action_field": "action",
    "key_field": "key",
    "fields_field": "fields",
    "idempotency_field": "once",
    "results_path": "results",
    "key_path": "record.id",
    "error_path": "record.error",
}
PUSH: dict[str, Any] = {
    "create": {"method": "POST", "path": "tickets"},
    "update": {"method": "PATCH", "path": "tickets/{key}"},
    "delete": {"method": "DELETE", "path": "tickets/{key}"},
    "read": {"path": "tickets/{key}"},
    "idempotency_header": "Idempotency-Key",
    "repeat": "idempotent",
    "etag": "header",
}

Plan = Callable[[Response], Response | Fault]


class TargetApp:
    """`applied` counts the changes by idempotency key; `plan` lists what becomes of the next answers, in order.

    A plan is given the proper answer after the change was applied; `before` answers instead of applying.
    """

    def __init__(self, server: HttpsServer) -> None:
        self.records: dict[str, dict[str, Any]] = {}
        self.versions: Counter[str] = Counter()
        self.applied: Counter[str] = Counter()
        self.plan: list[Plan] = []
        self.before: list[Response] = []
        self._answers: dict[str, Response] = {}
        server.on(PATH, self._answer)
        server.on(BULK_PATH, self._answer_bulk)
        server.on(f"{PATH}/*", self._answer)

    def _answer(self, request: Request) -> Response | Fault:
        if self.before:
            return self.before.pop(0)
        answer = self._once(request)
        return self.plan.pop(0)(answer) if self.plan else answer

    def _answer_bulk(self, request: Request) -> Response:
        elements = json.loads(request.body)["records"]
        answers = [self._once(_request_of(element)) for element in elements]
        return json_response(
            {"results": [{"status": each.status, "record": json.loads(each.body or b"{}")} for each in answers]}
        )

    def _once(self, request: Request) -> Response:
        token = request.headers.get("Idempotency-Key", "")
        answer = self._answers.get(token) or self._apply(request, token)
        if token and answer.status < 300:
            self._answers[token] = answer
        return answer

    def _apply(self, request: Request, token: str) -> Response:
        key = unquote(request.path.removeprefix(PATH).strip("/"))
        if request.method != "POST" and key not in self.records:
            return json_response({"error": "no such ticket"}, 404)
        if request.method == "GET":
            return self._shown(key, 200)
        if request.headers.get("If-Match", self._etag(key)) != self._etag(key):
            return json_response({"error": "changed meanwhile"}, 412)
        fields = json.loads(request.body or b"{}")
        if not isinstance(fields.get("amount", 0), int):
            return json_response({"error": "the amount is no integer"}, 422)
        self.applied[token] += 1
        if request.method == "DELETE":
            del self.records[key]
            return Response(204)
        key = key or str(len(self.records) + 1)
        self.records[key] = {**self.records.get(key, {}), **fields, "id": key}
        self.versions[key] += 1
        return self._shown(key, 201 if request.method == "POST" else 200)

    def _etag(self, key: str) -> str:
        return f'"{self.versions[key]}"'

    def _shown(self, key: str, status: int) -> Response:
        return json_response(self.records[key], status, {"ETag": self._etag(key)})


def _request_of(element: dict[str, Any]) -> Request:
    """An element of a bulk call as the call of its own that it stands for."""
    method = {"create": "POST", "update": "PATCH", "delete": "DELETE"}[element["action"]]
    path = f"{PATH}/{quote(element['key'], safe='')}" if "key" in element else PATH
    body = json.dumps(element.get("fields", {})).encode()
    return Request(method, path, {}, {"Idempotency-Key": element["once"]}, body)


def status(code: int, **headers: str) -> Plan:
    """Applied, and answered with this status all the same."""
    return lambda answer: Response(code, b"{}", headers)


def truncated(answer: Response) -> Fault:
    def fault(exchange: Exchange) -> None:
        exchange.begin(answer.status, {"Content-Length": str(len(answer.body) + 9)})
        exchange.write(answer.body)
        exchange.reset()

    return fault


def unanswered(answer: Response) -> Fault:
    return Exchange.wait_for_end


def reset(answer: Response) -> Fault:
    return Exchange.reset
