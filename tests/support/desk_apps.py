"""Records behind the dialects that are no plain REST: GraphQL, JSON-RPC with sessions, and a search by POST."""

from __future__ import annotations

import json
from typing import Any

from tests.support.graphql_app import GraphqlApp, connection, told
from tests.support.https_server import HttpsServer, Request, Response, json_response

Records = dict[str, dict[str, Any]]
CAP = 7
LOGIN, PASSWORD = "anna", "anna-password-1"

SCHEMA = """
input Fields { name: String, note: String, amount: Int }
type Ticket { id: ID!, name: String, note: String, amount: Int!, updated_at: String! }
type PageInfo { hasNextPage: Boolean!, endCursor: String }
type Tickets { nodes: [Ticket!]!, pageInfo: PageInfo!, totalCount: Int! }
type Query { tickets(first: Int!, after: String): Tickets!, ticket(id: ID!): Ticket }
type Mutation {
  create(fields: Fields!, once: String!): Ticket!
  update(id: ID!, fields: Fields!): Ticket!
  delete(id: ID!): ID!
}
"""


class Store:
    """What the dialects have in common. A create of a key that was seen before is the record that it made."""

    def __init__(self) -> None:
        self.records: Records = {}
        self._made: dict[str, str] = {}

    def after(self, changed: str, key: str) -> list[dict[str, Any]]:
        ordered = sorted(self.records.values(), key=place_of)
        return [record for record in ordered if place_of(record) > (changed, key)]

    def create(self, fields: dict[str, Any], once: str) -> dict[str, Any]:
        if self._made.get(once) not in self.records:
            key = self._made[once] = f"N{len(self._made) + 1}"
            self.records[key] = {"id": key, "updated_at": "2026-01-15T12:00:00Z", **fields}
        return self.records[self._made[once]]


def place_of(record: dict[str, Any]) -> tuple[str, str]:
    return record["updated_at"], record["id"]


class GraphqlDesk:
    def __init__(self, store: Store, server: HttpsServer) -> None:
        self._store = store
        server.on("/api/graphql", GraphqlApp(SCHEMA, self))

    def tickets(self, info: Any, first: int, after: str | None = None) -> dict[str, Any]:
        return connection(self._store.records.values(), min(first, CAP), after, position=place_of)

    def ticket(self, info: Any, id: str) -> dict[str, Any] | None:  # noqa: A002  # the schema calls it so
        return self._store.records.get(id)

    def create(self, info: Any, fields: dict[str, Any], once: str) -> dict[str, Any]:
        return self._store.create(fields, once)

    def update(self, info: Any, id: str, fields: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        self._known(id).update(fields)
        return self._known(id)

    def delete(self, info: Any, id: str) -> str:  # noqa: A002
        self._known(id)
        del self._store.records[id]
        return id

    def _known(self, key: str) -> dict[str, Any]:
        if key not in self._store.records:
            raise told(f"no ticket {key}", "NOT_FOUND")
        return self._store.records[key]


class RpcDesk:
    """JSON-RPC 2.0 over one path: errors inside a 200, and sessions that a test may end."""

    def __init__(self, store: Store, server: HttpsServer) -> None:
        self._store = store
        self.logins = 0
        self.session = ""
        server.on("/api/rpc", self._answer)

    def end_session(self) -> None:
        self.session = "ended"

    def _answer(self, request: Request) -> Response:
        asked = json.loads(request.body)
        name = asked["method"].replace(".", "_")
        if name != "session_login" and request.headers.get("X-Session") != self.session:
            return _rpc(asked, error={"code": 100, "message": "the session has ended"})
        return getattr(self, f"_{name}")(asked, *asked["params"])

    def _session_login(self, asked: Any, login: str, password: str) -> Response:
        if (login, password) != (LOGIN, PASSWORD):
            return _rpc(asked, result=None)
        self.logins += 1
        self.session = f"session-number-{self.logins}"
        return _rpc(asked, result=[7, self.session])

    def _ticket_list(self, asked: Any, changed: str, key: str, size: int) -> Response:
        return _rpc(asked, result={"tickets": self._store.after(changed, key)[: min(size, CAP)]})

    def _ticket_create(self, asked: Any, once: str, records: list[dict[str, Any]]) -> Response:
        if not all(isinstance(fields["amount"], int) for fields in records):
            return _rpc(asked, error={"code": 422, "message": "the amount is no integer"})
        return _rpc(asked, result=[self._store.create(fields, once)["id"] for fields in records])

    def _ticket_write(self, asked: Any, key: str, fields: dict[str, Any]) -> Response:
        if key not in self._store.records:
            return _rpc(asked, error={"code": 404, "message": "no such ticket"})
        self._store.records[key].update(fields)
        return _rpc(asked, result=True)

    def _ticket_delete(self, asked: Any, key: str) -> Response:
        if key not in self._store.records:
            return _rpc(asked, error={"code": 404, "message": "no such ticket"})
        return _rpc(asked, result=bool(self._store.records.pop(key)))


def serve_search(store: Store, server: HttpsServer) -> None:
    """A search endpoint: filters, order and position in the body of a POST."""

    def answer(request: Request) -> Response:
        asked = json.loads(request.body)
        assert asked["sort"] == ["updated_at", "id"]
        found = store.after(asked["after"].get("updated_at", ""), asked["after"].get("id", ""))
        return json_response({"hits": [{"source": record} for record in found[: min(asked["size"], CAP)]]})

    server.on("/api/search", answer)


def _rpc(asked: Any, **told: Any) -> Response:
    return json_response({"jsonrpc": "2.0", "id": asked["id"], **told})


GRAPHQL: dict[str, Any] = {
    "records_path": "data.tickets.nodes",
    "error_path": "errors",
    "error_codes": {"path": "errors.0.extensions.code", "gone": ["NOT_FOUND"]},
    "pagination": {
        "type": "cursor",
        "cursor_path": "data.tickets.pageInfo.endCursor",
        "has_more_path": "data.tickets.pageInfo.hasNextPage",
    },
    "request": {
        "body": {
            "query": """query ($size: Int!, $cursor: String) {
                tickets(first: $size, after: $cursor) {
                    nodes { id name note amount updated_at }
                    pageInfo { hasNextPage endCursor }
                }
            }""",
            "variables": {"size": "${size}", "cursor": "${cursor}"},
        }
    },
    "push": {
        "create": {
            "method": "POST",
            "path": "graphql",
            "body": {
                "query": "mutation ($f: Fields!, $once: String!) { create(fields: $f, once: $once) { id } }",
                "variables": {"f": "${fields}", "once": "${idempotency_key}"},
            },
        },
        "update": {
            "method": "POST",
            "path": "graphql",
            "body": {
                "query": "mutation ($id: ID!, $f: Fields!) { update(id: $id, fields: $f) { id } }",
                "variables": {"id": "${key}", "f": "${fields}"},
            },
        },
        "delete": {
            "method": "POST",
            "path": "graphql",
            "body": {"query": "mutation ($id: ID!) { delete(id: $id) }", "variables": {"id": "${key}"}},
        },
        "read": {
            "path": "graphql",
            "body": {
                "query": "query ($id: ID!) { ticket(id: $id) { id name note amount } }",
                "variables": {"id": "${key}"},
            },
            "record_path": "data.ticket",
        },
        "key_path": "data.create.id",
        "repeat": "idempotent",
        "changes_only": True,
    },
}
RPC: dict[str, Any] = {
    "auth": "session",
    "session": {
        "path": "rpc",
        "body": {"jsonrpc": "2.0", "id": 1, "method": "session.login", "params": ["${login}", "${password}"]},
        "values": {"session": "result.1"},
        "headers": {"X-Session": "${session}"},
        "ended_path": "error.code",
        "ended": [100],
    },
    "records_path": "result.tickets",
    "error_path": "error",
    "error_codes": {"path": "error.code", "gone": [404]},
    "pagination": {"type": "keyset"},
    "request": {
        "body": {"jsonrpc": "2.0", "id": 1, "method": "ticket.list", "params": ["${after|}", "${after_id|}", "${size}"]}
    },
    "push": {
        "create": {
            "method": "POST",
            "path": "rpc",
            "body": {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "ticket.create",
                "params": ["${idempotency_key}", ["${fields}"]],
            },
        },
        "update": {
            "method": "POST",
            "path": "rpc",
            "body": {"jsonrpc": "2.0", "id": 1, "method": "ticket.write", "params": ["${key}", "${fields}"]},
        },
        "delete": {
            "method": "POST",
            "path": "rpc",
            "body": {"jsonrpc": "2.0", "id": 1, "method": "ticket.delete", "params": ["${key}"]},
        },
        "key_path": "result.0",
        "repeat": "idempotent",
        "changes_only": True,
    },
}
SEARCH: dict[str, Any] = {
    "records_path": "hits",
    "pagination": {"type": "keyset"},
    "request": {
        "body": {
            "sort": ["updated_at", "id"],
            "size": "${size}",
            "after": {"updated_at": "${after}", "id": "${after_id}"},
        }
    },
}
