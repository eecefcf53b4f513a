"""Files into the hub: each once, the bad ones set aside with a reason, whatever ends the process in between."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.errors import ErrorBudgetError, LeaseError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.services import configuration, inbound
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import ERROR_LOG, FILE_MARK
from kwiksync_ops.storage.stage import Stage
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Mode, Trigger
from tests.support.inbound import hub_records, rows_of
from tests.support.lean_system import write_mapping

SYSTEM = """
system: depot
kind: files
connection: none
direction: inbound
limits: {{batch_records: 10, error_budget: 0.5, overlap_s: 0}}
files: {options}
tables:
  - table: assets
    source: assets_*.csv*
    key: id
{table}
"""


@dataclass
class Depot:
    """A folder with files of assets, synced into a hub as one stream, or staged as Airflow does it."""

    hub: Hub
    place: Path
    is_staged: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    table: str = ""
    runs: int = 0
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.folder = self.place / "in"
        self.folder.mkdir(exist_ok=True)
        include = self.place / "include"
        (include / "systems").mkdir(parents=True, exist_ok=True)
        text = SYSTEM.format(options=json.dumps({"settle_s": 0, **self.options}), table=self.table)
        (include / "systems" / "depot.yaml").write_text(text)
        write_mapping(include, "depot")
        configuration.apply(self.hub, include, who="tester", clock=SystemClock())
        self.spec = load_system(include / "systems" / "depot.yaml", include / "mappings")

    def put(self, name: str, *keys: int, label: str = "asset") -> Path:
        rows = "".join(f"R{key:03d},{label} {key},{key}\n" for key in keys)
        path = self.folder / name
        path.write_text(f"id,name,quantity\n{rows}")
        return path

    def sync(self, mode: Mode = Mode.INCREMENTAL, run_id: str = "") -> Counts:
        self.runs += 1
        run = Run(run_id or f"run-{self.runs}", self.spec, Trigger.CLI, mode, "tester")
        token = take_lease(self.hub, run.run_id)
        sync = TableSync(self.hub, run, self.spec.tables[0], self.clock, token)
        source = open_source("files", Credentials(self.folder.as_uri()), self.spec.options, Unlimited(), self.clock)
        try:
            return self._steps(sync, source)
        finally:
            source.close()
            self.hub.write(lambda connection: lease.release(connection, run.run_id))

    def _steps(self, sync: TableSync, source: Any) -> Counts:
        if not self.is_staged:
            return inbound.sync_table(sync, source)
        stage = Stage((self.place / "stage").as_uri(), sync.run.run_id, "assets")
        if not inbound.extract(sync, source, stage).is_new:
            return inbound.finish(sync)
        inbound.transform(sync, stage)
        return inbound.load(sync, stage)

    def assets(self) -> dict[str, str]:
        return {key: str(record["name"]) for key, record in hub_records(self.hub, "assets").items()}

    def errors(self) -> list[str]:
        return [str(row["message"]) for row in rows_of(self.hub, ERROR_LOG)]

    def marks(self) -> dict[str, bool]:
        return {str(row["name"]): bool(row["is_rejected"]) for row in rows_of(self.hub, FILE_MARK)}


@pytest.fixture
def depot(hub: Hub, tmp_path: Path) -> Depot:
    return Depot(hub, tmp_path)


both_ways = pytest.mark.parametrize("is_staged", [False, True], ids=["stream", "staged"])


@both_ways
def test_each_file_is_read_once(depot: Depot, is_staged: bool) -> None:
    depot.is_staged = is_staged
    depot.put("assets_1.csv", *range(25))
    assert depot.sync().created == 25
    assert depot.sync().processed == 0
    depot.put("assets_2.csv", 30, 31)
    assert (depot.sync().processed, len(depot.assets())) == (2, 27)
    assert depot.marks() == {"assets_1.csv": False, "assets_2.csv": False}


@both_ways
def test_a_file_that_was_only_touched_or_copied_anew_is_not_read_again(depot: Depot, is_staged: bool) -> None:
    depot.is_staged = is_staged
    path = depot.put("assets_1.csv", 1, 2)
    depot.sync()
    os.utime(path, (1, 1))
    assert depot.sync().processed == 0
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert depot.sync().processed == 0


def days_later(depot: Depot, days: int) -> None:
    depot.clock.advance(timedelta(days=days).total_seconds())
    depot.sync()


def test_a_file_that_is_gone_for_long_is_forgotten(depot: Depot) -> None:
    gone, _ = depot.put("assets_1.csv", 1), depot.put("assets_2.csv", 2)
    (depot.folder / "assets_3.csv").write_text("number\n1\n")
    depot.sync()
    gone.unlink()
    (depot.folder / "rejected" / "assets_3.csv").unlink()
    days_later(depot, 400)
    assert depot.marks() == {"assets_1.csv": False, "assets_2.csv": False, "rejected/assets_3.csv": True}
    days_later(depot, 89)
    assert len(depot.marks()) == 3
    days_later(depot, 2)
    assert depot.marks() == {"assets_2.csv": False}
    assert len(depot.assets()) == 2


def test_a_file_that_comes_back_in_time_is_not_read_again(depot: Depot) -> None:
    depot.put("assets_2.csv", 2)
    content = depot.put("assets_1.csv", 1).read_bytes()
    depot.sync()
    (depot.folder / "assets_1.csv").unlink()
    days_later(depot, 1)
    (depot.folder / "assets_1.csv").write_bytes(content)
    assert depot.sync().processed == 0
    days_later(depot, 400)
    (depot.folder / "assets_1.csv").unlink()
    days_later(depot, 1)
    assert depot.marks() == {"assets_1.csv": False, "assets_2.csv": False}


def test_the_last_mark_stays_since_it_tells_that_the_table_was_read(depot: Depot) -> None:
    for number in (1, 2):
        depot.put(f"assets_{number}.csv", number)
    depot.sync()
    for number in (1, 2):
        (depot.folder / f"assets_{number}.csv").unlink()
    days_later(depot, 1)
    days_later(depot, 200)
    assert list(depot.marks()) == ["assets_2.csv"]


def test_files_that_another_pattern_means_are_not_taken_for_gone(hub: Hub, tmp_path: Path) -> None:
    depot = Depot(hub, tmp_path)
    depot.put("assets_1.csv", 1)
    depot.sync()
    narrower = replace(depot.spec.tables[0], source="assets_2*.csv")
    depot.spec = replace(depot.spec, tables=(narrower,))
    days_later(depot, 1)
    days_later(depot, 200)
    assert list(depot.marks()) == ["assets_1.csv"]


def test_a_preview_forgets_nothing(depot: Depot) -> None:
    depot.put("assets_1.csv", 1)
    depot.put("assets_2.csv", 2)
    depot.sync()
    (depot.folder / "assets_1.csv").unlink()
    depot.sync(Mode.PREVIEW)
    assert {row["version"] == "gone" for row in rows_of(depot.hub, FILE_MARK)} == {False}


def test_new_content_is_read_though_name_size_and_modification_time_are_as_before(depot: Depot) -> None:
    path = depot.put("assets_1.csv", 1, label="aaaaa")
    before = path.stat()
    depot.sync()
    depot.put("assets_1.csv", 1, label="bbbbb")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert depot.sync().updated == 1
    assert depot.assets() == {"R001": "bbbbb 1"}


@both_ways
def test_a_file_with_nothing_but_a_header_is_done_with(depot: Depot, is_staged: bool) -> None:
    depot.is_staged = is_staged
    depot.put("assets_1.csv")
    assert depot.sync().processed == 0
    depot.put("assets_2.csv")
    depot.put("assets_3.csv", 3)
    assert depot.sync().created == 1
    assert depot.marks() == {f"assets_{number}.csv": False for number in (1, 2, 3)}


def test_a_full_sync_reads_all_files_again_in_their_order(depot: Depot) -> None:
    depot.put("assets_1.csv", 1, label="old")
    depot.put("assets_2.csv", 1, 2, label="new")
    depot.sync()
    assert depot.sync(Mode.FULL).processed == 3
    assert depot.assets() == {"R001": "new 1", "R002": "new 2"}


def test_a_broken_row_is_rejected_alone_and_the_file_is_done_with(depot: Depot) -> None:
    path = depot.put("assets_1.csv", *range(12))
    path.write_text(path.read_text() + 'R900,"open,1\nR901,sound,2\nR902,too,many,cells\n')
    counts = depot.sync()
    assert (counts.processed, counts.created, counts.failed) == (15, 13, 2)
    assert "R901" in depot.assets()
    assert all("assets_1.csv: Row 1" in message for message in depot.errors())
    assert depot.sync().processed == 0
    assert len(depot.errors()) == 2


@both_ways
def test_a_bad_file_is_set_aside_with_its_reason_and_the_others_are_read(depot: Depot, is_staged: bool) -> None:
    depot.is_staged = is_staged
    depot.put("assets_1.csv", 1)
    depot.put("assets_3.csv", 3)
    (depot.folder / "assets_2.csv").write_text("number;name\n1;x\n")
    (depot.folder / "assets_4.csv.gz").write_bytes(gzip.compress(b"id,name,quantity\n" * 500)[:40])
    depot.put("assets_5.csv", 5, 6, 7)
    counts = depot.sync()
    assert (counts.created, counts.failed) == (5, 2)
    assert sorted(path.name for path in depot.folder.iterdir() if path.is_file()) == [
        f"assets_{number}.csv" for number in (1, 3, 5)
    ]
    aside = depot.folder / "rejected"
    reason = json.loads((aside / "assets_2.csv.reason.json").read_text())
    assert (aside / "assets_2.csv").read_text() == "number;name\n1;x\n"
    assert "no column 'id'" in reason["reason"]
    assert "cut off" in (aside / "assets_4.csv.gz.reason.json").read_text()
    assert any("assets_2.csv can't be read, and was moved to rejected/assets_2.csv" in each for each in depot.errors())
    assert depot.sync().processed == 0
    assert len(depot.errors()) == 2


def test_a_bad_file_that_is_put_back_is_read_again_however_it_is(depot: Depot) -> None:
    bad = depot.folder / "assets_2.csv"
    depot.put("assets_1.csv", *range(3))
    bad.write_text("number\n1\n")
    depot.sync()
    (depot.folder / "rejected" / "assets_2.csv").rename(bad)
    assert depot.sync().failed == 1
    depot.put("assets_2.csv", 8)
    assert depot.sync().created == 1


def test_where_nothing_can_be_moved_a_bad_file_is_told_once(hub: Hub, tmp_path: Path) -> None:
    depot = Depot(hub, tmp_path, options={"rejected_folder": ""})
    depot.put("assets_1.csv", *range(3))
    (depot.folder / "assets_2.csv").write_text("number\n1\n")
    assert depot.sync().failed == 1
    assert depot.sync().processed == 0
    assert depot.marks() == {"assets_1.csv": False, "assets_2.csv": True}
    assert "left where it is" in depot.errors()[0]


@both_ways
def test_a_bad_file_alone_fails_the_first_run_and_is_out_of_the_way_of_the_next(depot: Depot, is_staged: bool) -> None:
    depot.is_staged = is_staged
    (depot.folder / "assets_1.csv").write_text("number\n1\n")
    with pytest.raises(ErrorBudgetError):
        depot.sync()
    assert len(depot.errors()) == 1
    depot.put("assets_2.csv", 2)
    assert depot.sync().created == 1
    assert len(depot.errors()) == 1


def test_a_preview_moves_and_remembers_nothing(hub: Hub, tmp_path: Path) -> None:
    depot = Depot(hub, tmp_path)
    (depot.folder / "assets_0.csv").write_text("number\n1\n")
    depot.put("assets_1.csv", 1)
    depot.sync(Mode.PREVIEW)
    assert depot.marks() == {}
    assert (depot.folder / "assets_0.csv").exists()


def test_a_run_that_ends_in_the_middle_of_a_file_goes_on_there(hub: Hub, tmp_path: Path, monkeypatch: Any) -> None:
    depot = Depot(hub, tmp_path)
    depot.put("assets_1.csv", *range(25))
    depot.put("assets_2.csv", *range(100, 125))
    commit, commits = inbound._commit, []

    def ending(*args: Any, **kwargs: Any) -> Counts:
        commits.append(args)
        if len(commits) == 5:
            raise LeaseError("taken over", remedy="none")
        return commit(*args, **kwargs)

    monkeypatch.setattr(inbound, "_commit", ending)
    with pytest.raises(LeaseError):
        depot.sync(run_id="one")
    assert (len(depot.assets()), depot.marks()) == (35, {"assets_1.csv": False})
    monkeypatch.setattr(inbound, "_commit", commit)
    assert depot.sync(run_id="one").created == 50
    assert len(commits) == 5
    assert depot.marks() == {"assets_1.csv": False, "assets_2.csv": False}


def test_a_bad_file_that_was_moved_by_a_killed_run_is_told_by_the_next(hub: Hub, tmp_path: Path) -> None:
    depot = Depot(hub, tmp_path)
    depot.put("assets_1.csv", *range(5))
    (depot.folder / "assets_0.csv").write_text("number\n1\n")
    run = Run("killed", depot.spec, Trigger.CLI, Mode.INCREMENTAL, "tester")
    sync = TableSync(hub, run, depot.spec.tables[0], ManualClock(), 0)
    source = open_source("files", Credentials(depot.folder.as_uri()), depot.spec.options, Unlimited(), ManualClock())
    assert len(list(source.read(sync.request()))) == 2
    assert (depot.folder / "rejected" / "assets_0.csv").exists()
    assert depot.errors() == []
    counts = depot.sync()
    assert (counts.created, counts.failed, len(depot.errors())) == (5, 1, 1)


def test_deletions_are_not_concluded_from_a_file_that_could_not_be_read(hub: Hub, tmp_path: Path) -> None:
    from kwiksync_ops.services import deletes

    depot = Depot(hub, tmp_path, table="    deletes: {mode: compare, guard: 1}")
    depot.put("assets_1.csv", *range(5))
    depot.put("assets_2.csv", *range(5, 8))
    depot.sync()
    depot.put("assets_1.csv", *range(4))
    (depot.folder / "assets_2.csv").write_text("number\n1\n")

    def run(run_id: str) -> int:
        made = Run(run_id, depot.spec, Trigger.CLI, Mode.INCREMENTAL, "tester")
        sync = TableSync(hub, made, depot.spec.tables[0], ManualClock(), take_lease(hub, run_id))
        source = open_source(
            "files", Credentials(depot.folder.as_uri()), depot.spec.options, Unlimited(), ManualClock()
        )
        inbound.sync_table(sync, source)
        deleted = deletes.bring_in(sync, source).deleted
        hub.write(lambda connection: lease.release(connection, run_id))
        return deleted

    assert run("with a bad file") == 0
    depot.put("assets_2.csv", *range(5, 8))
    assert run("with all files") == 1
