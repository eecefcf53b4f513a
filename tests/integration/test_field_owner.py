"""Fields that one side owns, over real HTTPS: the owner's value stands, whatever the other side does."""

from __future__ import annotations

from pathlib import Path

import pytest

from kwiksync_ops.storage.hub import Hub
from tests.conftest import StartServer
from tests.support.two_way_system import TwoWay, two_way


@pytest.fixture
def system(hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path) -> TwoWay:
    """Two records on both sides; the system owns their names, the hub their quantities."""
    owners = {"fields": {"name": "system", "quantity": "hub"}}
    started = two_way(hub, https_server(), ca_file, tmp_path, "idempotent", conflict=owners)
    started.api.fill(2)
    assert started.pull().created == 2
    return started


def test_an_edit_of_what_the_system_owns_is_not_sent_and_is_overwritten(system: TwoWay) -> None:
    first, second = system.sys_id("R00000"), system.sys_id("R00001")
    system.edit(first, name="renamed here", status="stock")
    system.edit(second, name="renamed here")
    system.push()
    assert [dict(values) for _, values in system.api.applied] == [{"status": "stock"}]
    for key in ("R00000", "R00001"):
        system.api.edit(key, category="any")
    system.pull()
    assert (system.rows()[first]["name"], system.rows()[second]["name"]) == ("record 0", "record 1")
    assert (system.push().updated, system.errors()) == (0, [])


def test_a_change_of_what_the_hub_owns_is_put_right_at_the_system_once(system: TwoWay) -> None:
    first = system.sys_id("R00000")
    system.api.edit("R00000", quantity=99)
    system.pull()
    assert system.rows()[first]["quantity"] == 0
    for _ in range(3):
        system.push()
        system.pull()
    assert system.api.records["R00000"]["quantity"] == 0
    assert [dict(values) for _, values in system.api.applied] == [{"quantity": 0}]


def test_a_whole_record_goes_out_with_what_the_system_owns_as_it_is_there(
    hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path
) -> None:
    system = two_way(hub, https_server(), ca_file, tmp_path, "whole", conflict={"fields": {"name": "system"}})
    system.api.fill(2)
    system.pull()
    system.edit(system.sys_id("R00000"), name="renamed here", status="stock")
    system.edit(system.sys_id("R00001"), name="renamed here")
    assert (system.push().updated, system.api.writes) == (1, 1)
    sent = system.api.records["R00000"]
    assert (sent["name"], sent["status"]) == ("record 0", "stock")
