"""Conflicts over REST: listed, shown and decided, as two-way syncs really had them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import edit
from kwiksync_ops.storage.hub import Hub
from tests.conftest import StartServer
from tests.support.api_server import ApiServer
from tests.support.two_way_system import TwoWay, two_way


@pytest.fixture
def crm(hub: Hub, server: ApiServer, https_server: StartServer, ca_file: str, tmp_path: Path) -> TwoWay:
    """An asset whose quantity was 0, is 1 in the hub, and 2 at the system."""
    manual = {"fields": {"quantity": "manual"}}
    system = two_way(hub, https_server(), ca_file, tmp_path / "crm", "never", conflict=manual)
    system.api.fill(1)
    system.pull()
    change(hub, system, quantity=1)
    system.api.edit("R00000", quantity=2)
    system.pull()
    return system


def change(hub: Hub, crm: TwoWay, **values: Any) -> None:
    edit.edit_record(hub, "assets", crm.sys_id("R00000"), values, who="ada", clock=SystemClock())


def listed(server: ApiServer, query: str = "") -> Any:
    answer = server.call("GET", f"/conflicts?{query}", who="user")
    assert answer.status_code == 200, answer.text
    return answer.json()["result"]


def decide(server: ApiServer, sys_id: str, **decision: Any) -> Any:
    return server.call("POST", f"/conflicts/{sys_id}/resolve", who="user", json=decision)


def test_a_conflict_is_listed_and_shown_with_both_versions(server: ApiServer, crm: TwoWay) -> None:
    (conflict,) = listed(server)
    assert (conflict["field"], conflict["base"], conflict["hub"], conflict["theirs"]) == ("quantity", 0, 1, 2)
    assert conflict["hub_changed_by"] == "ada"
    assert listed(server, "system=crm&table=assets") == [conflict]
    assert listed(server, "table=tickets") == listed(server, "system=erp") == []
    shown = server.call("GET", f"/conflicts/{conflict['sys_id']}", who="user").json()
    assert shown["result"] == conflict


@pytest.mark.parametrize(
    ("decision", "value", "is_sent"),
    [({"use": "hub"}, 1, True), ({"use": "system"}, 2, False), ({"value": "9"}, 9, True), ({"value": 9}, 9, True)],
)
def test_a_decision_stands_once_and_says_what_is_sent(
    server: ApiServer, crm: TwoWay, decision: dict[str, Any], value: int, is_sent: bool
) -> None:
    (conflict,) = listed(server)
    answer = decide(server, conflict["sys_id"], **decision)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["value"], told["is_sent"], told["result"]["resolution"]) == (value, is_sent, "resolved")
    assert crm.rows()[crm.sys_id("R00000")]["quantity"] == value
    assert listed(server) == []
    (decided,) = listed(server, "decided=true")
    assert decided == told["result"]
    assert (decided["decision"], decided["value"]) == (decision.get("use", "value"), value)
    assert (decided["decided_by"], decided["decided_on"] is None) == ("user", False)
    assert "until you decide" not in decided["message"]
    again = decide(server, conflict["sys_id"], **decision)
    assert (again.status_code, "decided already" in again.json()["message"]) == (400, True)


def test_a_field_that_was_changed_since_is_decided_by_force_only(server: ApiServer, hub: Hub, crm: TwoWay) -> None:
    (conflict,) = listed(server)
    change(hub, crm, quantity=5)
    refused = decide(server, conflict["sys_id"], use="system")
    assert (refused.status_code, refused.json()["code"]) == (409, "ERR_009")
    assert decide(server, conflict["sys_id"], use="system", force=True).json()["value"] == 2


@pytest.mark.parametrize(
    ("decision", "status"), [({}, 400), ({"use": "both"}, 422), ({"value": "many"}, 422), ({"used": "hub"}, 422)]
)
def test_what_decides_nothing_changes_nothing(
    server: ApiServer, crm: TwoWay, decision: dict[str, Any], status: int
) -> None:
    (conflict,) = listed(server)
    assert decide(server, conflict["sys_id"], **decision).status_code == status
    assert listed(server) == [conflict]


def test_what_is_no_conflict_is_not_found(server: ApiServer) -> None:
    assert server.call("GET", "/conflicts/none", who="user").status_code == 404
    assert decide(server, "none", use="hub").status_code == 404
    assert server.call("GET", "/conflicts?table=tikets", who="user").status_code == 404
