"""REST systems: ways of paging, one record a call and many, and the dialects that are no plain REST."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import trustme

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import PushRequest, Target
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.contract.spoke import Ability, Fault, Row
from tests.support import desk_apps, https_server, paged_api, target_app
from tests.support.https_server import HttpsServer, Request, Response

_PAGED = ("offset", "cursor", "link_header", "key")  # the others differ from these in a parameter's name
_DIALECTS = {"graphql": desk_apps.GRAPHQL, "rpc": desk_apps.RPC, "search": desk_apps.SEARCH}
_BULK_PUSH = {"bulk": target_app.BULK, "repeat": "idempotent"}
_PUSH = {"single": target_app.PUSH, "bulk": _BULK_PUSH}

VARIANTS = (*_PUSH, *_PAGED, *_DIALECTS)
LACKS = {
    **{style: frozenset({Ability.STEADY, Ability.WRITES}) for style in _PAGED},
    "key": frozenset({Ability.WRITES}),
    "search": frozenset({Ability.WRITES}),
}


class RestSpoke:
    """A server whose next answer a test may spoil. What holds the records, and how it is asked, says `variant`."""

    def __init__(self, server: HttpsServer, variant: str, ca_file: str) -> None:
        self.clock = ManualClock()
        self.call_records = 10 if variant == "bulk" else 1
        self._source = variant if variant in _DIALECTS else "records"
        self._app = _dialect(variant, server) if variant in _DIALECTS else _plain(variant, server)
        style = "keyset" if variant in _PUSH else variant
        self._options = {
            **(_DIALECTS.get(variant) or {**paged_api.OPTIONS[style], "push": _PUSH.get(variant, target_app.PUSH)}),
            "allow_hosts": ["127.0.0.0/8"],
        }
        who = {"login": desk_apps.LOGIN, "password": desk_apps.PASSWORD} if variant == "rpc" else {"token": "a-token"}
        self._credentials = Credentials(server.url("/api"), ca_file=ca_file, **who)
        self._answer = server.answer
        server.answer = self._answer_or_fail  # type: ignore[method-assign]  # stands before every path
        self._faults: list[Fault] = []
        self._calls_before = 0

    def fill(self, rows: Sequence[Row]) -> None:
        self._app.records = {row["id"]: self._record(row) for row in rows}

    def change(self, key: str, **fields: Any) -> None:
        old = self._app.records[key]
        self._app.records[key] = self._record(Row(**{**self.row_of(old), **fields}))

    def rows(self) -> dict[str, Row]:
        return {key: self.row_of(record) for key, record in self._app.records.items()}

    def fail(self, fault: Fault, *, after_calls: int = 0) -> None:
        renewed = fault == Fault.UNAUTHORIZED and self._source == "rpc"  # a new session does not help either
        self._faults, self._calls_before = [fault] * (2 if renewed else 1), after_calls

    def row_of(self, record: Any) -> Row:
        record = record.get("source", record)
        changed = datetime.fromisoformat(record.get("updated_at", "2026-01-15T12:00:00Z"))
        return Row(id=record["id"], name=record["name"], note=record["note"], amount=record["amount"], changed=changed)

    def payload_of(self, row: Row) -> dict[str, Any]:
        return {"name": row["name"], "note": row["note"], "amount": row["amount"]}

    def unfit_payload(self) -> dict[str, Any]:
        return {"name": "unfit", "note": "", "amount": "many"}

    def source(self) -> Source:
        return open_source("rest", self._credentials, self._options, Unlimited(), self.clock)

    def target(self) -> Target:
        return open_target("rest", self._credentials, self._options, Unlimited(), self.clock)

    def request(self, **changes: Any) -> ReadRequest:
        nested = "source." if self._source == "search" else ""
        fields = {"key": f"{nested}id", "cursor_field": f"{nested}updated_at"}
        return ReadRequest(self._source, **{**fields, "page_records": 10, "options": self._timeouts(), **changes})

    def push_request(self) -> PushRequest:
        return PushRequest("tickets", "id", options=self._timeouts())

    def _timeouts(self) -> dict[str, Any]:
        """Short where silence is due, which is waited for in real time; else a busy machine would be told from it."""
        return {"timeouts": {"read_s": 0.5}} if Fault.SILENCE in self._faults else {}

    def _record(self, row: Row) -> dict[str, Any]:
        changed = row["changed"].isoformat().replace("+00:00", "Z")
        return {"id": row["id"], **self.payload_of(row), "updated_at": changed}

    def _answer_or_fail(self, request: Request) -> Response | https_server.Fault:
        if not self._faults or b"session.login" in request.body:
            return self._answer(request)
        if self._calls_before:
            self._calls_before -= 1
            return self._answer(request)
        fault = self._faults.pop()
        if fault == Fault.UNAUTHORIZED:
            return Response(401)
        if fault == Fault.TOO_MANY:
            return Response(429, headers={"Retry-After": "7"})
        return self._applied_and_spoilt(fault, request)

    def _applied_and_spoilt(self, fault: Fault, request: Request) -> Response | https_server.Fault:
        answer = self._answer(request)
        if fault == Fault.SERVER_ERROR:
            return Response(500)
        if fault == Fault.SILENCE or not isinstance(answer, Response):
            return https_server.silence
        return Response(answer.status, answer.body[: len(answer.body) // 2], answer.headers)


def _plain(variant: str, server: HttpsServer) -> target_app.TargetApp:
    app = target_app.TargetApp(server)
    paged = paged_api.PagedApi("keyset" if variant in _PUSH else variant, [])

    def read(request: Request) -> Response | https_server.Fault:
        paged.records = sorted(app.records.values(), key=desk_apps.place_of)
        return paged(request)

    server.on(paged_api.PATH, read)
    return app


def _dialect(variant: str, server: HttpsServer) -> desk_apps.Store:
    store = desk_apps.Store()
    if variant == "graphql":
        desk_apps.GraphqlDesk(store, server)
    elif variant == "rpc":
        desk_apps.RpcDesk(store, server)
    else:
        desk_apps.serve_search(store, server)
    return store


@contextmanager
def open_spoke(variant: str, tmp_path: Path) -> Iterator[RestSpoke]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    server = HttpsServer(context)
    try:
        yield RestSpoke(server, variant, str(ca_file))
    finally:
        server.close()
