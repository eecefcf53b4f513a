"""Deletions at a system come into the hub: by its list of them, or by what a complete read did not see."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import DeleteGuardError, KwikSyncError
from kwiksync_ops.services import deletes
from kwiksync_ops.services.conflicts import list_conflicts, resolve_conflict
from kwiksync_ops.storage import checkpoints, lease, sync_log
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, BATCH, ERROR_LOG, RECORD_HISTORY, RECORD_LINK, RECORDS, SEEN_KEY
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.system_spec.spec import ConflictSpec, CursorSpec, DeletesSpec
from kwiksync_ops.vocabulary import Direction, Mode
from tests.conftest import StartServer
from tests.support.https_server import Request, Response
from tests.support.inbound import hub_records, rows_of
from tests.support.lean_system import EPOCH, LeanSystem, lean_system

FEED = DeletesSpec("feed", 0.5, "/deleted", "id", CursorSpec("deleted_at"), {"pagination": {"type": "none"}})
COMPARE = DeletesSpec("compare", 0.5)


@dataclass
class World:
    lean: LeanSystem
    deletions: list[dict[str, Any]] = field(default_factory=list)
    requests: list[Mapping[str, str]] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        self.requests.append(dict(request.query))
        return Response(200, json.dumps({"data": self.deletions}).encode(), {"Content-Type": "application/json"})

    def table(self, spec: DeletesSpec, **changes: Any) -> None:
        table = replace(self.lean.spec.tables[0], deletes=spec, **changes)
        self.lean.spec = replace(self.lean.spec, tables=(table,))

    def delete(self, key: str, minute: int) -> None:
        at = (EPOCH + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
        self.deletions.append({"id": key, "deleted_at": at})
        self.lean.api.records.pop(key, None)

    def sync(self, run_id: str, mode: Mode = Mode.INCREMENTAL, *, allow: bool = False) -> Any:
        sync = self.lean.open_run(run_id, mode)
        sync = replace(sync, run=replace(sync.run, allow_deletes=allow))
        source = self.lean.open_source()
        try:
            self.lean.run(sync, source)
            return deletes.bring_in(sync, source)
        finally:
            source.close()
            self.lean.hub.write(lambda connection: lease.release(connection, run_id))

    def buried(self) -> set[str]:
        return {key for key, row in hub_records(self.lean.hub, "assets").items() if row["sys_deleted_on"]}


@pytest.fixture(params=[False, True], ids=["stream", "staged"])
def world(
    request: pytest.FixtureRequest, hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path
) -> Iterator[World]:
    server = https_server()
    lean = lean_system(hub, server, ca_file, tmp_path, "keyset", staged=request.param)
    made = World(lean)
    server.on("/deleted", made)
    lean.api.fill(20)
    return made


def test_what_the_system_lists_as_deleted_is_deleted_in_the_hub_once(world: World) -> None:
    world.table(FEED)
    world.sync("r1")
    world.delete("R00003", 30)
    counts = world.sync("r2")
    assert (world.buried(), counts.deleted) == ({"R00003"}, 1)
    assert world.sync("r3").deleted == 0
    hub = world.lean.hub
    with hub.read() as connection:
        row = sync_log.read_table(connection, TableRun("r2", "keyset", Direction.INBOUND, "assets"))
        mark = checkpoints.read_watermark(connection, "keyset", "inbound", "assets:deleted")
    assert row
    assert (row["deleted"], row["status"]) == (1, "success")
    assert mark
    assert mark.at.startswith("2026-01-01T00:30")
    assert rows_of(hub, SEEN_KEY) == []
    assert json.loads(rows_of(hub, AUDIT)[-1]["details"])["deleted"] == 1


def test_the_list_of_deletions_is_read_from_its_own_checkpoint_on(world: World) -> None:
    world.table(FEED)
    world.delete("R00003", 30)
    world.sync("r1")
    world.sync("r2")
    assert "changed_after" not in world.requests[0]
    assert world.requests[1]["changed_after"].startswith("2026-01-01T00:30")


def test_a_record_that_was_made_again_is_not_deleted_by_its_old_deletion(world: World) -> None:
    world.table(FEED)
    world.sync("r1")
    world.delete("R00003", 30)
    world.sync("r2")
    world.lean.api.put("R00003", minute=40, name="again", quantity=1)
    world.sync("r3")
    assert world.buried() == set()
    world.sync("r4", Mode.FULL)
    assert world.buried() == set()


def test_a_record_that_a_complete_read_does_not_see_is_deleted(world: World) -> None:
    world.table(COMPARE)
    world.sync("r1", Mode.FULL)
    world.delete("R00003", 30)
    assert world.sync("r2").deleted == 0
    assert world.sync("r3", Mode.FULL).deleted == 1
    assert world.buried() == {"R00003"}
    assert rows_of(world.lean.hub, SEEN_KEY) == []


def test_a_rejected_record_is_not_a_deleted_one(world: World) -> None:
    world.table(COMPARE)
    world.sync("r1", Mode.FULL)
    world.lean.api.put("R00003", name="faulty", quantity="not a number")
    assert world.sync("r2", Mode.FULL).failed == 1
    assert world.buried() == set()


def test_over_the_guard_nothing_is_deleted_until_it_is_allowed(world: World) -> None:
    world.table(replace(COMPARE, guard=0.1))
    world.sync("r1", Mode.FULL)
    for number in range(5):
        world.delete(f"R{number:05d}", 30)
    with pytest.raises(DeleteGuardError, match=r"5 of 20 records of assets .* 10%") as raised:
        world.sync("r2", Mode.FULL)
    assert (raised.value.code, world.buried()) == ("ERR_015", set())
    assert "--allow-deletes" in raised.value.remedy
    assert world.sync("r3", Mode.FULL, allow=True).deleted == 5


def test_the_guard_holds_for_a_list_of_deletions_too(world: World) -> None:
    world.table(replace(FEED, guard=0.1))
    world.sync("r1")
    for number in range(5):
        world.delete(f"R{number:05d}", 30)
    with pytest.raises(DeleteGuardError):
        world.sync("r2")
    assert world.buried() == set()
    assert world.sync("r3", allow=True).deleted == 5


def test_an_empty_read_deletes_nothing(world: World) -> None:
    world.table(COMPARE)
    world.sync("r1", Mode.FULL)
    world.lean.api.records.clear()
    with contextlib.suppress(DeleteGuardError):
        world.sync("r2", Mode.FULL)
    assert world.buried() == set()


def test_a_batch_that_did_not_note_its_keys_stops_the_comparison(world: World) -> None:
    world.sync("r1", Mode.FULL)
    older = BATCH.update().where(BATCH.c.number == 1).values(run_id="r2", number=7)
    world.lean.hub.write(lambda connection: connection.execute(older))
    world.table(COMPARE)
    world.delete("R00003", 30)
    assert world.sync("r2", Mode.FULL).deleted == 0
    with world.lean.hub.read() as connection:
        row = sync_log.read_table(connection, TableRun("r2", "keyset", Direction.INBOUND, "assets"))
    assert row
    assert "Deletions were not looked for: not every batch" in row["message"]


@pytest.mark.parametrize("spec", [FEED, COMPARE], ids=["feed", "compare"])
def test_stopped_between_two_batches_it_goes_on(
    world: World, spec: DeletesSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.table(spec)
    world.sync("r1", Mode.FULL)
    world.lean.spec = replace(world.lean.spec, limits=replace(world.lean.spec.limits, batch_records=2))
    for number in range(6):
        world.delete(f"R{number:05d}", 30)
    work, seen = deletes._delete_batch, []

    def stop(*args: Any, **options: Any) -> int:
        seen.append(1)
        done = work(*args, **options)
        if len(seen) == 2:
            raise KwikSyncError("stopped before its commit")
        return done

    monkeypatch.setattr(deletes, "_delete_batch", stop)
    with pytest.raises(KwikSyncError, match="stopped"):
        world.sync("r2", Mode.FULL)
    assert len(world.buried()) == 2
    assert world.sync("r2", Mode.FULL).deleted == 6
    assert len(world.buried()) == 6
    actions = [row["action"] for row in rows_of(world.lean.hub, RECORD_HISTORY)]
    assert actions.count("delete") == 6


def edit_in_the_hub(world: World, key: str) -> None:
    row = hub_records(world.lean.hub, "assets")[key]
    entry = {"table_name": "assets", "sys_id": row["sys_id"], "action": "update", "sys_mod_count": 1, "run_id": "edit"}

    def work(connection: Any) -> None:
        now = world.lean.clock.now()
        values = {"name": "mine", "sys_mod_count": 1, "sys_updated_on": now}
        connection.execute(RECORDS["assets"].update().where(RECORDS["assets"].c.external_id == key).values(**values))
        changes = json.dumps({"name": [row["name"], "mine"]})
        connection.execute(
            RECORD_HISTORY.insert().values(**entry, changes=changes, sys_created_on=now, sys_created_by="somebody")
        )

    world.lean.hub.write(work)


@pytest.mark.parametrize(
    ("policy", "is_buried", "is_linked"),
    [
        ("system_wins", True, True),
        ("hub_wins", False, False),
        ("newest_wins", False, False),
        ("manual", False, True),
    ],
)
def test_a_deleted_record_that_was_edited_in_the_hub_is_a_conflict(
    world: World, policy: str, is_buried: bool, is_linked: bool
) -> None:
    world.lean.spec = replace(world.lean.spec, direction="both")
    world.table(FEED, outbound_mapping="keyset/assets.outbound.json", conflict=ConflictSpec(policy))
    world.sync("r1")
    edit_in_the_hub(world, "R00003")
    world.delete("R00003", 30)
    world.sync("r2")
    hub = world.lean.hub
    assert (world.buried() == {"R00003"}) is is_buried
    assert ("R00003" in {row["external_id"] for row in rows_of(hub, RECORD_LINK)}) is is_linked
    (error,) = rows_of(hub, ERROR_LOG)
    assert (error["code"], error["external_id"]) == ("ERR_009", "R00003")
    assert json.loads(error["payload"])["hub"]["name"] == ["record 3", "mine"]
    world.sync("r3", Mode.FULL)
    assert len(rows_of(hub, ERROR_LOG)) == 1


def test_a_person_who_takes_the_systems_deletion_is_audited_with_what_the_record_held(world: World) -> None:
    world.lean.spec = replace(world.lean.spec, direction="both")
    world.table(FEED, outbound_mapping="keyset/assets.outbound.json", conflict=ConflictSpec("manual"))
    world.sync("r1")
    edit_in_the_hub(world, "R00003")
    world.delete("R00003", 30)
    world.sync("r2")
    (conflict,) = list_conflicts(world.lean.hub)
    resolve_conflict(world.lean.hub, conflict.sys_id, use="system", who="ann", clock=SystemClock())
    assert world.buried() == {"R00003"}
    details = json.loads(rows_of(world.lean.hub, AUDIT)[-1]["details"])
    assert (details["use"], details["old"]["name"]) == ("system", "mine")


def test_a_preview_says_what_would_be_deleted_and_deletes_nothing(world: World) -> None:
    world.table(FEED)
    world.sync("r1")
    world.delete("R00003", 30)
    world.sync("r2", Mode.PREVIEW)
    with world.lean.hub.read() as connection:
        row = sync_log.read_table(connection, TableRun("r2", "keyset", Direction.INBOUND, "assets"))
    assert row
    assert row["message"].endswith("1 would be deleted.")
    assert (world.buried(), rows_of(world.lean.hub, SEEN_KEY)) == (set(), [])
