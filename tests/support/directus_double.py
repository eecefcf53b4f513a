"""Directus's items API for one collection, written from its reference: what it does not know, it refuses."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tests.support.https_server import HttpsServer, Request, Response, json_response

FIELDS = ("id", "title", "text", "status", "changed_at", "due_on", "assignee", "hub_id")
STATUSES = ("draft", "published", "archived")
NOW = "2026-01-16T08:00:00.000Z"
_FILTER = re.compile(r"filter\[(\w+)\]\[(_\w+)\]")
_COMPARE = {"_eq": lambda a, b: a == b, "_gt": lambda a, b: a > b, "_gte": lambda a, b: a >= b}


@dataclass
class Directus:
    """`items` by id; a new one gets the next number. A `hub_id` is unique."""

    token: str
    items: dict[int, dict[str, Any]] = field(default_factory=dict)

    def serve(self, server: HttpsServer, path: str = "/items/tickets", ids: int = 20) -> None:
        server.on(path, self._guarded(self._collection))
        server.on("/users/me", self._guarded(lambda request: json_response({"data": {"email": "sync@example.com"}})))
        for number in range(1, ids):
            server.on(f"{path}/{number}", self._guarded(self._item))

    def add(self, **fields: Any) -> int:
        number = max(self.items, default=0) + 1
        self.items[number] = {**dict.fromkeys(FIELDS), "id": number, "changed_at": NOW, "status": "draft", **fields}
        return number

    def _guarded(self, handle: Any) -> Any:
        def guarded(request: Request) -> Response:
            if request.headers.get("Authorization") != f"Bearer {self.token}":
                return _error(401, "INVALID_CREDENTIALS", "Invalid user credentials.")
            return handle(request)

        return guarded

    def _collection(self, request: Request) -> Response:
        if request.method == "GET":
            return self._list(request)
        sent = json.loads(request.body)
        fields = sent if isinstance(sent, list) else [sent]
        refusal = next((fault for one in fields if (fault := self._fault_in(one))), None)
        if refusal:
            return refusal
        made = [self.items[self.add(**one)] for one in fields]
        return json_response({"data": made if isinstance(sent, list) else made[0]})

    def _list(self, request: Request) -> Response:
        query = dict(request.query)
        wanted = query.pop("fields", "*").split(",")
        limit = int(query.pop("limit", "100"))
        found = sorted(self.items.values(), key=lambda item: item[query.pop("sort", "id")])
        for name, value in query.items():
            asked = _FILTER.fullmatch(name)
            if not asked or asked[1] not in FIELDS or asked[2] not in _COMPARE:
                return _error(400, "INVALID_QUERY", f'Invalid query. "{name}"')
            found = [item for item in found if _holds(item[asked[1]], asked[2], value)]
        return json_response({"data": [_shown(item, wanted) for item in found[:limit]]})

    def _item(self, request: Request) -> Response:
        number = int(request.path.rpartition("/")[2])
        if number not in self.items:
            return _error(403, "FORBIDDEN", "You don't have permission to access this.")
        if request.method == "DELETE":
            del self.items[number]
            return Response(204)
        fields = json.loads(request.body)
        refusal = self._fault_in(fields)
        if refusal:
            return refusal
        self.items[number].update(fields, changed_at=NOW)
        return json_response({"data": self.items[number]})

    def _fault_in(self, fields: dict[str, Any]) -> Response | None:
        unknown = [name for name in fields if name not in FIELDS]
        if unknown:
            return _error(403, "FORBIDDEN", f"You don't have permission to access field {unknown[0]}.")
        if fields.get("status", "draft") not in STATUSES:
            return _error(400, "FAILED_VALIDATION", 'Validation failed for field "status".')
        taken = {item["hub_id"] for item in self.items.values()} - {None}
        if fields.get("hub_id") in taken:
            return _error(400, "RECORD_NOT_UNIQUE", 'Value for field "hub_id" has to be unique.')
        return None


def _holds(value: Any, operator: str, asked: str) -> bool:
    if value is None:
        return False
    if isinstance(value, int):
        return bool(_COMPARE[operator](value, int(asked)))
    return bool(_COMPARE[operator](_moment(value), _moment(asked)))


def _moment(text: str) -> str:
    return text.replace(".000Z", "Z")


def _shown(item: dict[str, Any], wanted: list[str]) -> dict[str, Any]:
    if wanted == ["*"]:
        return item
    names = [name.partition(".") for name in wanted]
    return {
        name: {inner: (item[name] or {}).get(inner)} if inner and item[name] else item[name] for name, _, inner in names
    }


def _error(status: int, code: str, message: str) -> Response:
    return json_response({"errors": [{"message": message, "extensions": {"code": code}}]}, status)
