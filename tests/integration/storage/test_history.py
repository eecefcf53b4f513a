"""The history of records: one row a batch for what it created, one for each change after."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.storage import history, records
from kwiksync_ops.storage.history import Author, Entry
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORD_HISTORY, RECORDS
from kwiksync_ops.vocabulary import Action
from tests.integration.storage.test_merge import NOW, rows

NAMES = {"P1": "Dam", "P2": "Rail", "P3": "Bridge"}


def merge(hub: Hub, run_id: str, names: dict[str, str]) -> None:
    batch = MappedBatch("projects", ("external_id", "name"), list(names.items()), [None] * len(names), [], len(names))
    hub.write(lambda connection: records.merge(connection, batch, Author("erp", run_id, "tester", NOW)))


def sys_ids(hub: Hub) -> dict[str, str]:
    return {row["external_id"]: row["sys_id"] for row in rows(hub, RECORDS["projects"])}


def test_a_batch_notes_all_that_it_created_in_one_row(hub: Hub) -> None:
    merge(hub, "r1", NAMES)
    (row,) = rows(hub, RECORD_HISTORY)
    assert (row["action"], row["sys_id"]) == ("create", min(sys_ids(hub).values()))
    with hub.read() as connection:
        assert history.created_in(connection, "r1", "projects") == list(sys_ids(hub).values())
        assert history.created_in(connection, "r1", "tickets") == []
        assert history.created_in(connection, "r2", "projects") == []


@pytest.mark.parametrize("key", NAMES)
def test_a_record_has_its_creation_and_its_changes_and_nobody_elses(hub: Hub, key: str) -> None:
    merge(hub, "r1", NAMES)
    merge(hub, "r2", {"P4": "Tunnel"})
    merge(hub, "r3", {key: "New name"})
    with hub.read() as connection:
        found = history.of_record(connection, "projects", sys_ids(hub)[key])
    assert found == [
        Entry(Action.CREATE, {}, "erp", 0, "r1", NOW, "tester"),
        Entry(Action.UPDATE, {"name": (NAMES[key], "New name")}, "erp", 1, "r3", NOW, "tester"),
    ]


def test_a_creation_noted_by_itself_is_read_as_well(hub: Hub) -> None:
    alone = {"table_name": "projects", "action": "create", "run_id": "r0", "sys_created_on": NOW, "sys_created_by": "x"}
    hub.write(lambda connection: connection.execute(sa.insert(RECORD_HISTORY).values(sys_id="f" * 32, **alone)))
    with hub.read() as connection:
        assert history.created_in(connection, "r0", "projects") == ["f" * 32]
        assert [entry.action for entry in history.of_record(connection, "projects", "f" * 32)] == [Action.CREATE]
