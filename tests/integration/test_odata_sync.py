"""An OData service kept in step with a hub, both ways."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trustme

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.services import configuration
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.system_spec.loader import load_system
from tests.support.odata_server import ROOT, ODataServer, ODataService, Settings
from tests.support.two_way_system import TwoWay, TwoWayApi

INBOUND = {"ID": "external_id", "name": "name", "amount": "quantity", "note": "status"}
OUTBOUND = {"name": "name", "quantity": "amount", "status": "note"}
PUSH = {
    "single": {"correlation_field": "ref"},
    "batch": {"correlation_field": "ref", "batch": {"records": 10}},
    "read back": {"correlation_field": "ref", "confirm": "read"},
}


class Step:
    """A service, a hub, and the syncs between them."""

    def __init__(self, service: ODataService, sync: TwoWay) -> None:
        self.service = service
        self.sync = sync

    def put(self, key: str, **fields: Any) -> None:
        """A person changes a record at the service."""
        old = self.service.entities["Tickets"].get((key,), {})
        self.service.put("Tickets", **{**old, "ID": key, "changedAt": datetime.now(UTC), **fields})

    def at_service(self) -> dict[str, Any]:
        return {
            entity["name"]: (entity["amount"], entity["note"]) for entity in self.service.entities["Tickets"].values()
        }

    def in_hub(self) -> dict[str, Any]:
        return {row["name"]: (row["quantity"], row["status"]) for row in self.sync.rows().values()}


def write_system(include: Path, push: dict[str, Any]) -> None:
    (include / "systems").mkdir(parents=True)
    (include / "mappings" / "crm").mkdir(parents=True)
    assets = {
        "table": "assets",
        "source": "Tickets",
        "key": "ID",
        "cursor": {"field": "changedAt"},
        "deletes": {"mirror": True},
    }
    options = {"allow_hosts": ["127.0.0.1"], "pagination": {"type": "keyset"}, "push": push}
    system = {"system": "crm", "kind": "odata", "connection": "none", "direction": "both", "odata": options}
    (include / "systems" / "crm.yaml").write_text(json.dumps({**system, "tables": [assets]}))  # YAML reads JSON
    for name, fields in (("assets.json", INBOUND), ("assets.outbound.json", OUTBOUND)):
        rules = [
            {"source_field": source, "target_field": target, "transform": "direct"} for source, target in fields.items()
        ]
        mapping = {"source_table": "assets", "target_table": "assets", "fields": rules}
        (include / "mappings" / "crm" / name).write_text(json.dumps(mapping))


@pytest.fixture(params=[("v4", "batch"), ("v4", "read back"), ("v2", "batch"), ("v2", "single")], ids="-".join)
def step(
    request: pytest.FixtureRequest, hub: Hub, certificate_authority: trustme.CA, ca_file: str, tmp_path: Path
) -> Iterator[Step]:
    version, push = request.param
    write_system(tmp_path / "include", PUSH[push])
    configuration.apply(hub, tmp_path / "include", who="tester", clock=SystemClock())
    spec = load_system(tmp_path / "include" / "systems" / "crm.yaml", tmp_path / "include" / "mappings")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    service = ODataService(version, Settings(page_cap=10, needs_csrf=True, needs_etag=version == "v2"))
    server = ODataServer(context, service)
    credentials = Credentials(server.url(ROOT), login="sync", password="a-password", ca_file=ca_file)
    yield Step(service, TwoWay(hub, TwoWayApi(), spec, credentials, f"file://{tmp_path}/stage"))
    server.close()


@pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)  # what each database does is not OData's matter
def test_service_and_hub_are_kept_in_step(step: Step) -> None:
    begun = datetime.now(UTC) - timedelta(hours=1)
    for number in range(25):
        step.put(f"K/{number}", name=f"asset {number}", amount=Decimal(number), note="new", changedAt=begun)
    assert step.sync.pull().created == 25
    again = step.sync.pull()
    assert (again.created, again.updated) == (0, 0)

    for number in range(3):
        step.sync.edit(step.sync.sys_id(f"K/{number}"), quantity=100 + number)
    step.sync.create("a" * 32, "b" * 32, quantity=7)
    step.sync.bury(step.sync.sys_id("K/24"))
    pushed = step.sync.push()
    assert (pushed.created, pushed.updated, pushed.deleted, pushed.failed) == (2, 3, 1, 0)
    assert step.at_service() == step.in_hub()
    assert len(step.at_service()) == 26

    writes = step.service.applied.total()
    echo = step.sync.pull()
    assert (echo.created, echo.updated, step.sync.push().updated) == (0, 0, 0)
    assert step.service.applied.total() == writes

    step.put("K/5", note="theirs")
    step.sync.edit(step.sync.sys_id("K/5"), quantity=55)
    step.sync.edit(step.sync.sys_id("K/6"), quantity=66)
    assert step.sync.push().failed == 0
    step.sync.pull()
    step.sync.push()
    assert step.at_service() == step.in_hub()
    assert step.at_service()["asset 5"] == (Decimal(55), "theirs")
    assert step.sync.errors() == []
