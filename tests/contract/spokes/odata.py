"""OData services of both versions: read by key and by link, written one by one and in batches."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
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
from tests.support import https_server
from tests.support.https_server import Request, Response
from tests.support.odata_server import ROOT, ODataServer, ODataService, Settings

_KEYSET: dict[str, Any] = {"pagination": {"type": "keyset"}}
_OPTIONS: dict[str, dict[str, Any]] = {
    "v4": {**_KEYSET, "push": {"repeat": "look"}},
    "v2": {**_KEYSET, "push": {"repeat": "look", "confirm": "read"}},
    "v4-json-batch": {"count": True, "push": {"batch": {"records": 10, "format": "json"}}},
    "v4-batch": {"pagination": {"type": "keyset", "two_queries": True}, "push": {"batch": {"records": 10}}},
    "v2-batch": {"count": True, "push": {"batch": {"records": 10}}},
}

VARIANTS = tuple(_OPTIONS)
LACKS = {variant: frozenset({Ability.STEADY}) for variant in ("v4-json-batch", "v2-batch")}


class ODataSpoke:
    def __init__(self, server: ODataServer, variant: str, ca_file: str) -> None:
        self.clock = ManualClock()
        self._service = server.service
        self._options = {**_OPTIONS[variant], "allow_hosts": ["127.0.0.0/8"], "timeouts": {"read_s": 0.3}}
        self.call_records = self._options["push"].get("batch", {}).get("records", 1)
        self._credentials = Credentials(server.url(ROOT), login="sync", password="a-password", ca_file=ca_file)
        self._fault: Fault | None = None
        self._calls_before = 0
        self._service.before = self._refuse
        self._service.after = self._spoil

    def fill(self, rows: Sequence[Row]) -> None:
        self._service.entities["Tickets"].clear()
        for row in rows:
            self.change(row["id"], **row)

    def change(self, key: str, **fields: Any) -> None:
        old = self._service.entities["Tickets"].get((key,), {})
        new = {"changedAt" if name == "changed" else name: value for name, value in fields.items() if name != "id"}
        self._service.put("Tickets", **{**old, "ID": key, **new})

    def rows(self) -> dict[str, Row]:
        return {entity["ID"]: self.row_of(entity) for entity in self._service.entities["Tickets"].values()}

    def fail(self, fault: Fault, *, after_calls: int = 0) -> None:
        """The metadata are asked for once by each connector, and do not count."""
        self._fault, self._calls_before = fault, after_calls

    def row_of(self, record: Any) -> Row:
        changed = record["changedAt"] or "2026-01-15T12:00:00Z"
        return Row(
            id=record["ID"],
            name=record["name"],
            note=record["note"],
            amount=int(Decimal(record["amount"])),
            changed=changed if isinstance(changed, datetime) else datetime.fromisoformat(changed),
        )

    def payload_of(self, row: Row) -> dict[str, Any]:
        return {"ID": row["id"], "name": row["name"], "note": row["note"], "amount": row["amount"]}

    def unfit_payload(self) -> dict[str, Any]:
        return {"ID": "unfit", "name": "unfit", "note": "", "amount": "many"}

    def source(self) -> Source:
        return open_source("odata", self._credentials, self._options, Unlimited(), self.clock)

    def target(self) -> Target:
        return open_target("odata", self._credentials, self._options, Unlimited(), self.clock)

    def request(self, **changes: Any) -> ReadRequest:
        return ReadRequest("Tickets", "ID", **{"cursor_field": "changedAt", "page_records": 10, **changes})

    def push_request(self) -> PushRequest:
        return PushRequest("Tickets", "ID")

    def _meets_fault(self, request: Request) -> bool:
        if self._fault is None or request.path.endswith("$metadata"):
            return False
        if self._calls_before:
            self._calls_before -= 1
            return False
        return True

    def _refuse(self, request: Request) -> Response | https_server.Fault | None:
        """Faults that apply nothing; the others are left to `_spoil`."""
        self._is_hit = self._meets_fault(request)
        if self._is_hit and self._fault in (Fault.UNAUTHORIZED, Fault.TOO_MANY):
            status, self._fault = int(self._fault[:3]), None
            return Response(status, headers={"Retry-After": "7"} if status == 429 else {})
        return None

    def _spoil(self, request: Request, answer: Response) -> Response | https_server.Fault:
        if not self._is_hit or "X-CSRF-Token" in answer.headers:
            return answer
        fault, self._fault = self._fault, None
        if fault == Fault.SERVER_ERROR:
            return Response(500)
        if fault == Fault.SILENCE:
            return https_server.silence
        return Response(answer.status, answer.body[: len(answer.body) // 2], answer.headers)


@contextmanager
def open_spoke(variant: str, tmp_path: Path) -> Iterator[ODataSpoke]:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    settings = Settings(page_cap=10, needs_csrf=variant == "v2-batch")
    server = ODataServer(context, ODataService(variant.partition("-")[0], settings))
    try:
        yield ODataSpoke(server, variant, str(ca_file))
    finally:
        server.close()
