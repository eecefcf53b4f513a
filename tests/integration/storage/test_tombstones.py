"""Tombstones: deleted records keep their rows, and can come back, on both databases."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.storage import history, records, tombstones
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORD_HISTORY, RECORD_LINK
from kwiksync_ops.vocabulary import Action
from tests.support.inbound import hub_records, rows_of

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 16, 12, tzinfo=UTC)


def hold(hub: Hub, *keys: str) -> dict[str, str]:
    """Records of the ERP in the hub: their sys_ids by external id."""
    batch = MappedBatch(
        "locations", ("external_id", "name"), [(key, f"Name {key}") for key in keys], ["2026-01-01"] * len(keys), [], 1
    )
    author = Author("erp", "r1", "tester", NOW)
    hub.write(lambda connection: records.merge(connection, batch, author))
    return {key: row["sys_id"] for key, row in hub_records(hub, "locations").items()}


def link_to(hub: Hub, system: str, sys_id: str) -> None:
    row = {"system": system, "table_name": "locations", "external_id": "X", "sys_id": sys_id, "mod_count": 0}
    hub.write(lambda connection: connection.execute(RECORD_LINK.insert().values(version="v", **row)))


def bury(hub: Hub, *sys_ids: str, system: str | None = "erp") -> int:
    return hub.write(
        lambda connection: tombstones.bury(
            connection, "locations", sys_ids, system=system, run_id="r2", who="tester", now=LATER
        )
    )


def links(hub: Hub) -> dict[str, Any]:
    return {row["system"]: row for row in rows_of(hub, RECORD_LINK)}


def test_a_buried_record_keeps_its_row_and_its_history_says_what_it_was(hub: Hub) -> None:
    sys_ids = hold(hub, "L1", "L2")
    assert bury(hub, sys_ids["L1"]) == 1
    buried, standing = hub_records(hub, "locations")["L1"], hub_records(hub, "locations")["L2"]
    assert (buried["sys_deleted_on"], buried["active"], buried["sys_mod_count"]) == (LATER, False, 1)
    assert (buried["sys_updated_on"], buried["name"]) == (LATER, "Name L1")
    assert standing["sys_deleted_on"] is None
    with hub.read() as connection:
        entry = history.of_record(connection, "locations", sys_ids["L1"])[-1]
    assert (entry.action, entry.system, entry.sys_mod_count, entry.run_id) == (Action.DELETE, "erp", 1, "r2")
    assert entry.changes == {"sys_deleted_on": (None, "2026-01-16T12:00:00Z"), "active": (True, False)}


def test_a_record_is_buried_once(hub: Hub) -> None:
    sys_ids = hold(hub, "L1")
    assert bury(hub, sys_ids["L1"]) == 1
    assert bury(hub, sys_ids["L1"]) == 0
    assert hub_records(hub, "locations")["L1"]["sys_mod_count"] == 1


def test_nobody_is_buried_where_no_record_is_named(hub: Hub) -> None:
    assert bury(hub) == 0


def test_the_system_that_deleted_agrees_and_the_others_are_to_be_told(hub: Hub) -> None:
    sys_id = hold(hub, "L1")["L1"]
    link_to(hub, "crm", sys_id)
    bury(hub, sys_id)
    assert (links(hub)["erp"]["mod_count"], links(hub)["erp"]["version"]) == (1, None)
    assert (links(hub)["crm"]["mod_count"], links(hub)["crm"]["version"]) == (0, "v")


def test_a_person_who_deletes_leaves_it_pending_for_every_system(hub: Hub) -> None:
    sys_id = hold(hub, "L1")["L1"]
    bury(hub, sys_id, system=None)
    assert links(hub)["erp"]["mod_count"] == 0
    assert rows_of(hub, RECORD_HISTORY)[-1]["system"] is None


def test_a_revived_record_is_active_again_and_only_a_buried_one_is_revived(hub: Hub) -> None:
    sys_ids = hold(hub, "L1", "L2")
    bury(hub, sys_ids["L1"])
    revived = hub.write(
        lambda connection: tombstones.revive(
            connection, "locations", list(sys_ids.values()), system="erp", run_id="r3", who="tester", now=LATER
        )
    )
    assert revived == [sys_ids["L1"]]
    row = hub_records(hub, "locations")["L1"]
    assert (row["sys_deleted_on"], row["active"], row["sys_mod_count"]) == (None, True, 2)
    changes = json.loads(rows_of(hub, RECORD_HISTORY)[-1]["changes"])
    assert changes == {"sys_deleted_on": ["2026-01-16T12:00:00Z", None], "active": [False, True]}


def come_in(
    hub: Hub,
    key: str,
    name: str,
    *,
    version: str = "2026-01-01",
    content: bytes | None = None,
    system: str = "erp",
    columns: tuple[str, ...] = ("external_id", "name"),
    more: tuple[Any, ...] = (),
) -> records.Merged:
    batch = MappedBatch("locations", columns, [(key, name, *more)], [version], [], 1, fingerprints=[content])
    author = Author(system, "r9", "tester", LATER)
    return hub.write(lambda connection: records.merge(connection, batch, author))


def test_a_deleted_record_that_comes_in_again_is_revived_and_counts_as_updated(hub: Hub) -> None:
    bury(hub, hold(hub, "L1")["L1"])
    assert come_in(hub, "L1", "Name L1") == records.Merged(0, 1, 0)
    row = hub_records(hub, "locations")["L1"]
    assert (row["sys_deleted_on"], row["active"]) == (None, True)
    assert links(hub)["erp"]["mod_count"] == row["sys_mod_count"]


def test_a_deleted_record_that_comes_in_with_new_values_is_counted_once(hub: Hub) -> None:
    bury(hub, hold(hub, "L1")["L1"])
    assert come_in(hub, "L1", "New") == records.Merged(0, 1, 0)
    assert hub_records(hub, "locations")["L1"]["name"] == "New"


def test_a_mapped_active_wins_over_the_revival(hub: Hub) -> None:
    bury(hub, hold(hub, "L1")["L1"])
    come_in(hub, "L1", "New", columns=("external_id", "name", "active"), more=(False,))
    row = hub_records(hub, "locations")["L1"]
    assert (row["sys_deleted_on"], row["active"]) == (None, False)


def test_an_old_version_does_not_bring_a_record_back_that_the_hub_deleted(hub: Hub) -> None:
    bury(hub, hold(hub, "L1")["L1"], system=None)
    come_in(hub, "L1", "Old", version="2025-01-01")
    assert hub_records(hub, "locations")["L1"]["sys_deleted_on"] == LATER


def test_a_record_deleted_in_the_hub_stays_deleted_until_the_system_changes_it(hub: Hub) -> None:
    come_in(hub, "L1", "Name L1", content=b"a" * 16)
    bury(hub, hub_records(hub, "locations")["L1"]["sys_id"], system=None)
    come_in(hub, "L1", "Name L1", content=b"a" * 16)
    assert hub_records(hub, "locations")["L1"]["sys_deleted_on"] == LATER
    come_in(hub, "L1", "Changed there", content=b"b" * 16)
    assert hub_records(hub, "locations")["L1"]["sys_deleted_on"] is None


def test_a_deleted_record_is_not_found_as_a_reference(hub: Hub) -> None:
    sys_ids = hold(hub, "L1", "L2")
    bury(hub, sys_ids["L1"])
    lookups = records.HubLookups(hub, "erp")
    assert lookups.find("locations", "external_id", "sys_id", ["L1", "L2"]) == {"L2": sys_ids["L2"]}
    assert lookups.find("locations", "name", "sys_id", ["Name L1", "Name L2"]) == {"Name L2": sys_ids["L2"]}
