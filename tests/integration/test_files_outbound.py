"""The hub's changes as files: each delivery in one file, confirmed by reading it back, whatever ends the process."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.files.target import FilesTarget
from kwiksync_ops.errors import LeaseError
from kwiksync_ops.services import configuration
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.system_spec.loader import load_system
from tests.support.two_way_system import TwoWay, TwoWayApi

SYSTEM = {
    "system": "depot",
    "kind": "files",
    "connection": "none",
    "direction": "both",
    "limits": {"batch_records": 100, "overlap_s": 0},
    "files": {"settle_s": 0},
    "tables": [
        {
            "table": "assets",
            "source": "assets_*.csv",
            "key": "id",
            "deletes": {"mirror": True},
            "files": {
                "push": {
                    "file": "assets_{action}_{time}_{digest}.csv",
                    "columns": ["action", "id", "name", "quantity"],
                    "action_column": "action",
                    "records": 10,
                }
            },
        }
    ],
}


@pytest.fixture
def depot(hub: Hub, tmp_path: Path) -> TwoWay:
    include = tmp_path / "include"
    (include / "systems").mkdir(parents=True)
    (include / "mappings" / "depot").mkdir(parents=True)
    (tmp_path / "in").mkdir()
    (include / "systems" / "depot.yaml").write_text(json.dumps(SYSTEM))  # YAML reads JSON
    inbound = {"id": "external_id", "name": "name", "quantity": "quantity"}
    for ending, fields in (("json", inbound), ("outbound.json", {"name": "name", "quantity": "quantity"})):
        rules = [
            {"source_field": source, "target_field": target, "transform": "direct"} for source, target in fields.items()
        ]
        mapping = {"source_table": "assets", "target_table": "assets", "fields": rules}
        (include / "mappings" / "depot" / f"assets.{ending}").write_text(json.dumps(mapping))
    configuration.apply(hub, include, who="tester", clock=SystemClock())
    spec = load_system(include / "systems" / "depot.yaml", include / "mappings")
    credentials = Credentials((tmp_path / "in").as_uri())
    return TwoWay(hub, TwoWayApi("none"), spec, credentials, f"file://{tmp_path}/stage")


def written(tmp_path: Path) -> list[dict[str, Any]]:
    """The rows of all files, in the order in which they were written."""
    files = sorted((tmp_path / "in" / "out").glob("*"), key=lambda file: file.name.split("_")[2])
    return [row for file in files for row in csv.DictReader(file.read_text().splitlines())]


def ids(count: int) -> list[str]:
    return [f"{number:032x}" for number in range(count)]


@pytest.mark.parametrize("staged", [False, True])
def test_creates_edits_and_deletions_go_out_in_files_of_their_own(depot: TwoWay, tmp_path: Path, staged: bool) -> None:
    depot.staged = staged
    depot.create(*ids(25), quantity=1)
    assert depot.push() == Counts(processed=25, created=25)
    assert [len(list((tmp_path / "in" / "out").glob(f"assets_{action}_*"))) for action in ("create", "update")] == [
        3,
        0,
    ]
    depot.edit(ids(1)[0], quantity=9)
    depot.bury(ids(2)[1])
    counts = depot.push()
    assert (counts.updated, counts.deleted) == (1, 1)
    assert depot.push() == Counts()
    rows = written(tmp_path)
    assert sorted(row["id"] for row in rows if row["action"] == "create") == ids(25)
    assert [(row["action"], row["id"], row["quantity"]) for row in rows[25:]] in (
        [("update", ids(1)[0], "9"), ("delete", ids(2)[1], "")],
        [("delete", ids(2)[1], ""), ("update", ids(1)[0], "9")],
    )
    assert depot.errors() == []


def test_what_was_written_before_the_end_of_its_process_is_not_written_again(
    depot: TwoWay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depot.create(*ids(25), quantity=1)
    push = FilesTarget.push

    def ending(self: FilesTarget, *args: Any) -> Any:
        push(self, *args)
        raise LeaseError("killed behind the write", remedy="none")

    monkeypatch.setattr(FilesTarget, "push", ending)
    with pytest.raises(LeaseError):
        depot.push(run_id="one")
    assert len(written(tmp_path)) == 10
    monkeypatch.setattr(FilesTarget, "push", push)
    assert depot.push(run_id="one").created == 25
    assert sorted(row["id"] for row in written(tmp_path)) == ids(25)
    assert depot.states() == {"confirmed": 25}


def test_a_record_that_came_in_goes_out_under_its_own_id_and_is_no_echo(depot: TwoWay, tmp_path: Path) -> None:
    (tmp_path / "in" / "assets_1.csv").write_text("id,name,quantity\nA-1,pump,1\n")
    assert depot.pull().created == 1
    assert depot.push() == Counts()
    depot.edit(depot.sys_id("A-1"), quantity=2)
    assert depot.push() == Counts(processed=1, updated=1)
    assert [(row["action"], row["id"], row["quantity"]) for row in written(tmp_path)] == [("update", "A-1", "2")]
    assert depot.pull().processed == 0
