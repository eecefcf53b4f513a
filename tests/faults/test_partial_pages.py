"""A run that is gone on with, or run again, while its source moved on: no batch is taken for another one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kwiksync_ops.batch import Page, Reject
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.errors import ErrorBudgetError, HubError
from kwiksync_ops.redaction import Redactor
from kwiksync_ops.services import inbound
from kwiksync_ops.services.rejections import error_entries
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import batches
from kwiksync_ops.storage.models import BATCH, CHECKPOINT, ERROR_LOG
from kwiksync_ops.storage.stage import remove_run
from kwiksync_ops.vocabulary import Mode
from tests.faults.conftest import StartSystem
from tests.support.inbound import hub_records, rows_of
from tests.support.invariants import Oracle, assert_run_is_whole
from tests.support.lean_system import LeanSystem


class ReadPages:
    """A source whose pages are given."""

    def __init__(self, pages: list[Page]) -> None:
        self._pages = pages

    def check(self) -> str:
        return "2 pages"

    def read(self, request: ReadRequest) -> Iterator[Page]:
        yield from self._pages

    def close(self) -> None: ...


def interrupt(system: LeanSystem, run_id: str, monkeypatch: pytest.MonkeyPatch, *, after: int, mode: Mode) -> None:
    """A try that fails after so many batches were committed."""
    load, left = batches.load, [None] * after

    def failing(*args: Any, **kwargs: Any) -> Any:
        if not left:
            raise HubError("The hub went away.")
        left.pop()
        return load(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(batches, "load", failing)
        with pytest.raises(HubError):
            system.sync(run_id, mode)


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.INCREMENTAL])
def test_a_page_of_many_batches_is_gone_on_with_where_it_was_interrupted(
    start_system: StartSystem, monkeypatch: pytest.MonkeyPatch, mode: Mode
) -> None:
    system = start_system("whole")
    system.api.fill(550)
    system.api.put("R00020", quantity="many")
    interrupt(system, "r1", monkeypatch, after=3, mode=mode)
    counts = system.sync("r1", mode)
    assert (counts.processed, counts.created, counts.failed) == (550, 549, 1)
    assert_run_is_whole(system.hub, Oracle("whole"), system.api, "r1", is_full=True)


def test_records_that_moved_to_other_batches_between_two_tries_are_all_taken(
    start_system: StartSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = start_system("whole")
    system.api.fill(350)
    interrupt(system, "r1", monkeypatch, after=2, mode=Mode.FULL)
    system.api.put("A-new", minute=0, name="before all others", quantity=1)
    system.sync("r1", Mode.FULL)
    assert hub_records(system.hub, "assets").keys() == system.api.records.keys()


def test_a_run_that_is_run_again_after_another_one_loses_nothing_new(
    start_system: StartSystem, is_staged: bool
) -> None:
    """Its batches have numbers that it used before, for other records."""
    system = start_system("keyset", staged=is_staged)
    system.api.fill(250)
    system.sync("r1")
    system.api.fill(50, first=250)
    system.sync("r2")
    remove_run(system.stage_url, "r1")
    system.api.fill(450, first=300)
    system.sync("r1")
    assert hub_records(system.hub, "assets").keys() == system.api.records.keys()


def test_a_run_that_was_done_is_done_again_without_a_call_or_an_effect(start_system: StartSystem) -> None:
    system = start_system("keyset")
    system.api.fill(250)
    system.api.put("R00003", quantity="many")
    first = system.sync("r1")
    calls, committed, checkpoint = system.api.calls, rows_of(system.hub, BATCH), rows_of(system.hub, CHECKPOINT)
    assert system.sync("r1") == first
    assert system.api.calls == calls
    assert (rows_of(system.hub, BATCH), rows_of(system.hub, CHECKPOINT)) == (committed, checkpoint)
    assert len(rows_of(system.hub, ERROR_LOG)) == 1


def test_an_old_run_that_is_replayed_takes_nothing_back(start_system: StartSystem) -> None:
    system = start_system("keyset", staged=True)
    system.api.fill(150)
    system.sync("r1")
    system.api.put("R00007", name="newer")
    system.sync("r2")
    mark = rows_of(system.hub, CHECKPOINT)
    system.sync("r1")
    assert hub_records(system.hub, "assets")["R00007"]["name"] == "newer"
    after = rows_of(system.hub, CHECKPOINT)
    assert [row["watermark_at"] for row in after] == [row["watermark_at"] for row in mark]


def test_a_run_over_its_error_budget_logs_each_record_once_however_often_it_is_tried(
    start_system: StartSystem, is_staged: bool
) -> None:
    system = start_system("keyset", staged=is_staged, error_budget=0.05)
    system.api.fill(90)
    for number in range(20):
        system.api.put(f"R{number:05d}", quantity="many")
    states = []
    for _ in range(3):
        with pytest.raises(ErrorBudgetError, match="ERR_015"):
            system.sync("r1")
        states.append([row["watermark_at"] for row in rows_of(system.hub, CHECKPOINT)])
    assert len(rows_of(system.hub, ERROR_LOG)) == 20
    assert states[0] == states[1] == states[2]


def test_each_record_that_is_no_object_has_an_error_row_of_its_own() -> None:
    rejects = [Reject("ERR_008", "A record must be an object.", payload=payload) for payload in ("1", "1", None, None)]
    assert len(error_entries(rejects, Redactor())) == 4


def test_faults_of_one_record_share_an_error_row() -> None:
    record = {"id": "1"}
    rejects = [Reject("ERR_008", "too long", "a", "1", record), Reject("ERR_006", "missing", "b", "1", record)]
    (entry,) = error_entries(rejects, Redactor())
    assert (entry.code, len(entry.faults)) == ("ERR_008", 2)


def test_a_record_that_is_mended_while_it_is_read_heals_in_the_same_run(
    start_system: StartSystem, is_staged: bool
) -> None:
    system = start_system("numbered", staged=is_staged)
    sync = system.open_run("r1")
    asset = {"updated_at": "2026-01-01T00:00:00Z", "name": "a pump", "quantity": 1}
    sound = [{"id": f"R{number:05}", **asset} for number in range(60)]
    mended = {**sound[0], "updated_at": "2026-01-01T00:01:00Z"}
    pages = [
        Page(1, [{**sound[0], "quantity": "many"}, *sound[1:]], False, {}),
        Page(2, [mended], True, None),
    ]
    counts = system.run(sync, ReadPages(pages))
    assert (counts.created, counts.failed) == (60, 1)
    assert [(row["external_id"], row["resolution"]) for row in rows_of(system.hub, ERROR_LOG)] == [
        ("R00000", "resolved")
    ]


def test_a_zombie_that_wakes_up_in_a_step_is_refused_at_the_next(start_system: StartSystem, is_staged: bool) -> None:
    system = start_system("keyset", staged=is_staged)
    system.api.fill(250)
    old, source = system.open_run("r1"), system.open_source()
    system.sync("r1")
    before = rows_of(system.hub, BATCH)
    _run_late(system, old, source)
    assert rows_of(system.hub, BATCH) == before


def _run_late(system: LeanSystem, old: TableSync, source: Source) -> None:
    """Whatever it still does with its old token, it writes nothing into the hub."""
    page = next(iter(source.read(old.request())), None)
    assert page
    mapped = old.mapping().apply(page.records[:50], inbound.HubLookups(system.hub, "keyset"))
    batch = batches.Batch(1, mapped, ())
    author = old.author()
    with pytest.raises(Exception, match="ERR_010"):
        system.hub.write(lambda connection: batches.load(connection, old.key, batch, author, old.token))
