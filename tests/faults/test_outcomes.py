"""What a run leaves behind when the world moves on beside it: other changes, other processes, a hub that is away."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.errors import LeaseError, SystemUnavailableError
from kwiksync_ops.redaction import Redactor
from kwiksync_ops.services import inbound, outcome
from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.storage.models import CHECKPOINT, ERROR_LOG, SYNC_LEASE, SYNC_LOG
from kwiksync_ops.vocabulary import Mode
from tests.faults.conftest import StartSystem
from tests.support.inbound import hub_records, rows_of
from tests.support.lean_system import EPOCH, LeanSystem

SECRET = "canary-0123456789abcdef-0123456789abcdef-0123456789abcdef-0123456789abcdef"


class MovingSource:
    """Between the first page and the next, records behind and ahead of the read change at the system."""

    def __init__(self, source: Source, system: LeanSystem) -> None:
        self._source = source
        self._system = system

    def read(self, request: ReadRequest) -> Iterator[Page]:
        for page in self._source.read(request):
            yield replace(page, server_time=EPOCH + timedelta(hours=5 if page.number == 1 else 15))
            if page.number == 1:
                self._system.api.put("R00000", minute=400, name="changed behind the read")
                self._system.api.put("R00199", minute=800, name="changed ahead of it")

    def check(self) -> str:
        return self._source.check()

    def close(self) -> None:
        self._source.close()


def test_what_changes_behind_a_long_read_is_read_by_the_next_one(start_system: StartSystem, is_staged: bool) -> None:
    """At minute 300 a read by page numbers begins; its first page's record changes at 400, its last one's at 800."""
    system = start_system("numbered", staged=is_staged)
    system.api.fill(200)
    sync = system.open_run("r1", Mode.FULL)
    source = system.open_source()
    system.run(sync, MovingSource(source, system))
    source.close()
    system.hub.write(lambda connection: lease.release(connection, "r1"))
    (checkpoint,) = rows_of(system.hub, CHECKPOINT)
    assert checkpoint["watermark_at"].startswith("2026-01-01T05:00:00")
    system.sync("r2")
    assert hub_records(system.hub, "assets")["R00000"]["name"] == "changed behind the read"


def test_one_faulty_record_in_a_quiet_table_is_put_aside_and_fails_no_run(
    start_system: StartSystem, is_staged: bool
) -> None:
    system = start_system("keyset", staged=is_staged, overlap_s=120)
    system.api.fill(30)
    system.api.put("sick", name="n", quantity="many")
    assert system.sync("r1").failed == 1
    for run_id in ("r2", "r3"):
        counts = system.sync(run_id)
        assert (counts.created, counts.updated, counts.failed) == (0, 0, 1)


def test_a_stale_process_of_a_run_does_not_reopen_what_a_newer_try_has_ended(start_system: StartSystem) -> None:
    system = start_system("keyset")
    system.api.fill(30)
    stale = system.open_run("r1")
    system.sync("r1")
    before = rows_of(system.hub, SYNC_LOG)
    for attempt in (1, 4):
        outcome.record_failure(stale, LeaseError("taken over"), attempt)
    assert rows_of(system.hub, SYNC_LOG) == before
    assert rows_of(system.hub, ERROR_LOG) == []


def test_a_stale_process_does_not_shorten_the_lease_of_a_newer_try(start_system: StartSystem) -> None:
    system = start_system("keyset")
    stale = system.open_run("r1")
    take_lease(system.hub, "r1")
    system.hub.write(lambda connection: lease.extend(connection, "r1", 960))
    outcome.record_failure(stale, LeaseError("taken over"), 1)
    with system.hub.read() as connection:
        held = lease.state(connection)
    assert held
    assert held.remaining_s > 900


def test_a_run_that_lost_its_lease_to_another_run_says_so(start_system: StartSystem) -> None:
    system = start_system("keyset")
    sync = system.open_run("r1")
    sync.start()
    system.hub.write(lambda connection: connection.execute(SYNC_LEASE.update().values(until=0.0)))
    take_lease(system.hub, "r2")
    outcome.record_failure(sync, LeaseError("taken over"), 4)
    (row,) = rows_of(system.hub, SYNC_LOG)
    assert (row["status"], row["error_code"]) == ("failed", "ERR_010")


def test_a_failure_whose_commit_is_repeated_is_logged_once(start_system: StartSystem) -> None:
    system = start_system("keyset")
    sync = system.open_run("r1")
    error = SystemUnavailableError("down")
    for _ in range(2):
        outcome.record_failure(sync, error, 4)
    assert len(rows_of(system.hub, ERROR_LOG)) == 1


def test_a_hub_that_is_away_hides_no_failure_and_keeps_nobody_from_ending_the_run(
    start_system: StartSystem, caplog: pytest.LogCaptureFixture
) -> None:
    system = start_system("keyset")
    empty = open_hub("sqlite://")
    sync = replace(system.open_run("r1"), hub=empty)
    outcome.record_failure(sync, SystemUnavailableError("down"), 1)
    outcome.end_run(empty, "r1", system.clock)
    empty.close()
    assert "could not be written" in caplog.text
    assert "could not be released" in caplog.text


@pytest.mark.parametrize("field", ["quantity", "note", "id"])
def test_a_secret_that_the_system_echoes_is_in_no_error_row(
    start_system: StartSystem, is_staged: bool, field: str
) -> None:
    """Longer than what a message quotes of a value, so that a cut piece of it must not stay either."""
    system = start_system("whole", staged=is_staged)
    system.api.fill(3)
    system.api.put("sick", name="n", quantity="many")
    system.api.records["sick"][field] = SECRET
    sync = replace(system.open_run("r1"), redactor=Redactor((SECRET,)))
    source = system.open_source()
    system.run(sync, source)
    source.close()
    (error,) = rows_of(system.hub, ERROR_LOG)
    assert SECRET[:30] not in str(dict(error))
    assert "redacted" in error["payload"]


def test_nested_keys_and_change_times_are_followed(start_system: StartSystem) -> None:
    system = start_system("whole", overlap_s=120)
    table = system.spec.tables[0]
    nested = replace(table, key="ref.id", cursor=replace(table.cursor, field="meta.at")) if table.cursor else table
    system.spec = replace(system.spec, tables=(nested,))
    for number in range(3):
        system.api.put(f"R{number}", name="n", quantity=number)
    for key, record in system.api.records.items():
        record.update(ref={"id": key}, meta={"at": record["updated_at"]})
    assert system.sync("r1").created == 3
    (checkpoint,) = rows_of(system.hub, CHECKPOINT)
    assert checkpoint["watermark_at"].startswith("2026-01-01T00:03")
    sync = system.open_run("r2")
    source = system.open_source()
    extracted = inbound.extract(sync, source, system.stage("r2"))
    source.close()
    assert (extracted.records, extracted.known) == (0, 3)


def test_a_part_of_a_page_leaves_the_place_where_its_run_goes_on(start_system: StartSystem) -> None:
    system = start_system("numbered")
    system.api.fill(100)
    system.sync("r1")
    kept = [row["resume"] for row in rows_of(system.hub, CHECKPOINT)]
    sync = system.open_run("r1")
    page = Page(9, [{"id": "new", "updated_at": "2026-01-01T00:00:00Z", "name": "n", "quantity": 1}] * 250, True, {})
    staged = inbound.StagedPage(page)
    mapping, lookups = sync.mapping(), inbound.HubLookups(system.hub, system.spec.system)
    first = next(inbound._batches(sync, staged, mapping, lookups, inbound.Reach()))
    assert first.resume is None
    inbound._commit(sync, first, heals=False)
    assert [row["resume"] for row in rows_of(system.hub, CHECKPOINT)] == kept


def test_staged_pages_are_counted_with_one_in_memory_at_a_time(
    start_system: StartSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = start_system("numbered", staged=True)
    system.api.fill(500)
    sync, source = system.open_run("r1"), system.open_source()
    stage = system.stage("r1")
    read, most = type(stage).read_page, 0

    def counted(self: object, number: int) -> inbound.StagedPage:
        nonlocal most
        page = read(stage, number)
        gc.collect()
        most = max(most, sum(isinstance(each, inbound.StagedPage) for each in gc.get_objects()))
        return page

    monkeypatch.setattr(type(stage), "read_page", counted)
    extracted = inbound.extract(sync, source, stage)
    source.close()
    assert (extracted.pages, extracted.records) == (5, 500)
    assert most <= 2
