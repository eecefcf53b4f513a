"""A strict double of a ServiceNow instance: written by the Batch API, record by record, and through import sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import trustme

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.servicenow.keyset import text_of
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import PushRequest, Target
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.contract.spoke import Ability, Fault, Row
from tests.support.servicenow import PASSWORD, USER, RunningInstance, start_instance

from servicenow.faults import FaultKind  # isort: skip  # the line before leads there
from servicenow.imports import Staging, TransformMap  # isort: skip
from servicenow.schema import Column, Table  # isort: skip
from servicenow.writing import BusinessRule  # isort: skip

TABLE, STAGING = "u_row", "u_row_import"
_COLUMNS = (
    Column("name", max_length=200),
    Column("note", max_length=4_000),
    Column("amount", "integer"),
    Column("correlation_id", max_length=100),
)
_STAGED = {f"u_{column.name}": column.name for column in _COLUMNS}
_LABELS = {name: name.removeprefix("u_").replace("_", " ").capitalize() for name in _STAGED}
_IMPORT = {"by": "import_set", "records": 10, "correlation_field": "u_correlation_id"}
_PUSH: dict[str, dict[str, Any]] = {
    "batch": {"records": 10},
    "record": {"by": "record"},
    "import_set": {**_IMPORT, "import_set": {"table": STAGING}},
    "import_set_by_labels": {**_IMPORT, "import_set": {"table": STAGING, "labels": _LABELS}},
}
_FAULTS = {
    Fault.UNAUTHORIZED: {"kind": FaultKind.SERVER_ERROR, "status": 401},
    Fault.TOO_MANY: {"kind": FaultKind.RATE_LIMITED, "retry_after_s": 7},
    Fault.SERVER_ERROR: {"kind": FaultKind.SERVER_ERROR, "status": 500, "is_done": True},
    Fault.BROKEN_BODY: {"kind": FaultKind.BROKEN_BODY},
    Fault.SILENCE: {"kind": FaultKind.TIMEOUT, "is_done": True},
}

VARIANTS = tuple(_PUSH)
LACKS = dict.fromkeys(VARIANTS, frozenset({Ability.NULLS, Ability.KEYS}))


class ServiceNowSpoke:
    def __init__(self, running: RunningInstance, variant: str, ca_file: str) -> None:
        self.clock = ManualClock()
        self.call_records = 1 if variant == "record" else 10
        self._instance = running.instance
        self._is_staged = variant.startswith("import_set")
        self._writes = False
        self._options = {"allow_hosts": ["127.0.0.0/8"], "timeouts": {"read_s": 0.5}, "push": _PUSH[variant]}
        self._credentials = Credentials(running.url, login=USER, password=PASSWORD, ca_file=ca_file)
        self._add_tables(by_labels=variant == "import_set_by_labels")

    def fill(self, rows: Sequence[Row]) -> None:
        for record in self._instance.all(TABLE):
            self._instance.delete(TABLE, record["sys_id"])
        for row in rows:
            self._instance.insert(TABLE, **self._record(row))

    def change(self, key: str, **fields: Any) -> None:
        (old,) = self._instance.find(TABLE, sys_id=key)
        self._instance.delete(TABLE, key)
        self._instance.insert(TABLE, **self._record(Row(**{**self.row_of(old), **fields})))

    def rows(self) -> dict[str, Row]:
        return {record["sys_id"]: self.row_of(record) for record in self._instance.all(TABLE)}

    def fail(self, fault: Fault, *, after_calls: int = 0) -> None:
        """While a target is open, of its writing calls."""
        self._instance.faults.add(**_FAULTS[fault], skip=after_calls, method="POST" if self._writes else "")

    def row_of(self, record: Any) -> Row:
        changed = datetime.fromisoformat(record["sys_updated_on"]).replace(tzinfo=UTC)
        amount = int(record["amount"] or 0)
        return Row(id=record["sys_id"], name=record["name"], note=record["note"], amount=amount, changed=changed)

    def payload_of(self, row: Row) -> dict[str, Any]:
        payload = {"name": row["name"], "note": row["note"], "amount": row["amount"]}
        return {f"u_{name}": value for name, value in payload.items()} if self._is_staged else payload

    def unfit_payload(self) -> dict[str, Any]:
        return {"u_name": "unfit"} if self._is_staged else {"name": "unfit"}

    def source(self) -> Source:
        return open_source("servicenow", self._credentials, self._options, Unlimited(), self.clock)

    def target(self) -> Target:
        self._writes = True
        return open_target("servicenow", self._credentials, self._options, Unlimited(), self.clock)

    def request(self, **changes: Any) -> ReadRequest:
        return ReadRequest(TABLE, "sys_id", **{"cursor_field": "sys_updated_on", "page_records": 10, **changes})

    def push_request(self) -> PushRequest:
        return PushRequest(TABLE, "sys_id")

    def _record(self, row: Row) -> dict[str, str]:
        texts = {"name": row["name"] or "", "note": row["note"] or "", "amount": str(row["amount"])}
        return {"sys_id": row["id"], **texts, "sys_updated_on": text_of(row["changed"])}

    def _add_tables(self, *, by_labels: bool) -> None:
        instance = self._instance
        instance.add_table(Table(TABLE, _COLUMNS))
        instance.rules.append(BusinessRule("Fit rows", TABLE, lambda row: row["name"] == "unfit"))
        columns = tuple(Column(f"u_{column.name}", max_length=4_000) for column in _COLUMNS)
        row_map = TransformMap("Rows", TABLE, _STAGED, coalesce=("correlation_id",))
        instance.add_staging(
            Table(STAGING, columns, parent="sys_import_set_row"),
            Staging(STAGING, (row_map,), is_synchronous=by_labels, has_column_names=not by_labels),
        )


@contextmanager
def open_spoke(variant: str, tmp_path: Path) -> Iterator[ServiceNowSpoke]:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    with start_instance(authority) as running:
        yield ServiceNowSpoke(running, variant, str(ca_file))
