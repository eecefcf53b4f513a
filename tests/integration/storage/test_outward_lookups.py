"""From the hub's ids to those of the system that is written to."""

from __future__ import annotations

from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORD_LINK
from kwiksync_ops.storage.outward_lookups import OutwardLookups

ONE, OTHER = "1" * 32, "2" * 32
BY_ID = ("projects", "sys_id", "external_id")


def link(hub: Hub, system: str, table: str, external_id: str, sys_id: str) -> None:
    row = {"system": system, "table_name": table, "external_id": external_id, "sys_id": sys_id}
    hub.write(lambda connection: connection.execute(RECORD_LINK.insert(), row))


def test_a_sys_id_becomes_the_id_that_this_system_has_for_the_record(hub: Hub) -> None:
    link(hub, "erp", "projects", "P-1", ONE)
    link(hub, "crm", "projects", "C-1", ONE)
    link(hub, "crm", "projects", "C-2", OTHER)
    link(hub, "erp", "tickets", "T-2", OTHER)
    assert OutwardLookups(hub, "erp").find(*BY_ID, {ONE, OTHER}) == {ONE: "P-1"}
    assert OutwardLookups(hub, "crm").find("x_kwr_kwiksync_projects", *BY_ID[1:], {OTHER}) == {OTHER: "C-2"}
    assert OutwardLookups(hub, "crm").find(*BY_ID, []) == {}


def test_of_a_record_that_a_system_has_twice_the_first_id_counts(hub: Hub) -> None:
    for external_id in ("P-2", "P-1", "P-3"):
        link(hub, "erp", "projects", external_id, ONE)
    assert OutwardLookups(hub, "erp").find(*BY_ID, [ONE]) == {ONE: "P-1"}
