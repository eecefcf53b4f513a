"""A run is undone: the hub is as it was before it, and what was changed since is not lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import ConfigurationError, ConflictError, KwikSyncError
from kwiksync_ops.services import undo
from kwiksync_ops.storage import sync_log
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, RECORD_HISTORY, RECORD_LINK
from kwiksync_ops.vocabulary import Mode
from tests.conftest import StartServer
from tests.support.inbound import hub_records, rows_of
from tests.support.lean_system import LeanSystem, lean_system


@pytest.fixture
def lean(hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path) -> Iterator[LeanSystem]:
    system = lean_system(hub, https_server(), ca_file, tmp_path, "keyset")
    system.api.fill(6)
    system.sync("r1")
    return system


def plan(lean: LeanSystem, run_id: str, *tables: str) -> undo.UndoPlan:
    return undo.plan_undo(lean.hub, run_id, tables, who="tester", clock=SystemClock())


def put_back(lean: LeanSystem, run_id: str, **options: Any) -> list[undo.TableUndone]:
    return undo.undo_run(lean.hub, plan(lean, run_id), who="tester", clock=SystemClock(), **options)


def names(lean: LeanSystem) -> dict[str, Any]:
    return {key: row["name"] for key, row in hub_records(lean.hub, "assets").items() if row["sys_deleted_on"] is None}


def test_the_hub_is_as_it_was_before_the_run(lean: LeanSystem) -> None:
    before = names(lean)
    lean.api.put("R00001", name="wrong")
    lean.api.put("R90000", name="new")
    lean.sync("r2")
    assert put_back(lean, "r2") == [undo.TableUndone("assets", 1, 1, 0)]
    assert names(lean) == before
    (old,) = json.loads(rows_of(lean.hub, AUDIT)[-1]["details"])["old"].values()
    assert (old["external_id"], old["name"]) == ("R90000", "new")
    with lean.hub.read() as connection:
        (row,) = sync_log.read_run(connection, "undo_r2")
    assert (row["trigger"], row["status"], row["updated"], row["deleted"]) == ("undo", "success", 1, 1)
    link = next(row for row in rows_of(lean.hub, RECORD_LINK) if row["external_id"] == "R00001")
    assert (link["version"], link["hash_in"], link["mod_count"]) == (None, None, 1)


def test_a_full_sync_brings_the_systems_values_again(lean: LeanSystem) -> None:
    lean.api.put("R00001", name="wrong")
    lean.api.put("R90000", name="new")
    lean.sync("r2")
    put_back(lean, "r2")
    lean.sync("r3", Mode.FULL)
    assert (names(lean)["R00001"], names(lean)["R90000"]) == ("wrong", "new")


def test_a_run_is_undone_once(lean: LeanSystem) -> None:
    lean.api.put("R00001", name="wrong")
    lean.sync("r2")
    put_back(lean, "r2")
    with pytest.raises(ConfigurationError, match="undone already"):
        plan(lean, "r2")


def test_an_undo_can_be_undone(lean: LeanSystem) -> None:
    lean.api.put("R00001", name="wrong")
    lean.api.put("R90000", name="new")
    lean.sync("r2")
    after = names(lean)
    put_back(lean, "r2")
    put_back(lean, "undo_r2")
    assert names(lean) == after


def test_what_was_changed_since_is_refused_or_skipped(lean: LeanSystem) -> None:
    lean.api.put("R00001", name="wrong")
    lean.api.put("R00002", name="wrong too")
    lean.sync("r2")
    lean.api.put("R00001", name="right")
    lean.sync("r3")
    with pytest.raises(ConflictError, match=r"assets R00001 \(name, by r3\)"):
        put_back(lean, "r2")
    assert names(lean)["R00002"] == "wrong too"
    assert put_back(lean, "r2", skip_conflicts=True) == [undo.TableUndone("assets", 1, 0, 1)]
    assert (names(lean)["R00001"], names(lean)["R00002"]) == ("right", "record 2")


def test_a_later_change_of_another_field_is_kept(lean: LeanSystem) -> None:
    lean.api.put("R00001", name="wrong")
    lean.sync("r2")
    lean.api.put("R00001", quantity=77)
    lean.sync("r3")
    put_back(lean, "r2")
    row = hub_records(lean.hub, "assets")["R00001"]
    assert (row["name"], row["quantity"]) == ("record 1", 77)


def test_stopped_between_two_batches_it_goes_on(lean: LeanSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(lean)
    for number in range(6):
        lean.api.put(f"R{number:05d}", name="wrong")
    lean.sync("r2")
    monkeypatch.setattr(undo, "BATCH_RECORDS", 2)
    work, seen = undo._undo_batch, []

    def stop(*args: Any) -> bool:
        seen.append(1)
        more = work(*args)
        if len(seen) == 2:
            raise KwikSyncError("stopped before its commit")
        return more

    monkeypatch.setattr(undo, "_undo_batch", stop)
    with pytest.raises(KwikSyncError, match="stopped"):
        put_back(lean, "r2")
    assert list(names(lean).values()).count("wrong") == 4
    assert put_back(lean, "r2") == [undo.TableUndone("assets", 6, 0, 0)]
    assert names(lean) == before
    assert sum(row["run_id"] == "undo_r2" for row in rows_of(lean.hub, RECORD_HISTORY)) == 6


def test_an_unknown_run_is_told(lean: LeanSystem) -> None:
    with pytest.raises(ConfigurationError, match="There is no run 'none'"):
        plan(lean, "none")


def test_a_run_of_an_earlier_version_is_refused(lean: LeanSystem) -> None:
    lean.hub.write(lambda connection: connection.execute(RECORD_HISTORY.update().values(sys_mod_count=None)))
    with pytest.raises(ConfigurationError, match="earlier version"):
        plan(lean, "r1")
