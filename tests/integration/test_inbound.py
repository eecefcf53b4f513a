"""Inbound syncs of the sample ERP into both databases, staged and streamed: what comes in, and what does not twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kwiksync_ops.errors import AuthenticationError, CustomerKeyError, ErrorBudgetError, LeaseError
from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage import audit, error_log, sync_log
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import BATCH, CHECKPOINT, ERROR_LOG, RECORD_HISTORY, SYNC_LOG
from kwiksync_ops.vocabulary import Mode
from tests.support.inbound import Inbound, erp_credentials, rows_of
from tests.support.sample_erp import SampleErp, running_sample_erp

START = "2016-03-24T18:30"
each_way = pytest.mark.parametrize(
    ("hub_url", "inbound"), [("sqlite", "staged"), ("postgresql", "streamed")], indirect=True
)
ERP_NAMES = {"kw_corp_ticket_tasks": "tasks"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as started:
        yield started


@pytest.fixture
def erp(running: SampleErp) -> SampleErp:
    running.move_clock(now=START)
    return running


@pytest.fixture(params=["streamed", "staged"])
def inbound(request: pytest.FixtureRequest, hub: Hub, erp: SampleErp, tmp_path: Path) -> Inbound:
    made = Inbound(hub, erp_credentials(erp), f"file://{tmp_path}/stage", staged=request.param == "staged")
    made.apply()
    return made


def assert_hub_equals_erp(inbound: Inbound, erp: SampleErp) -> None:
    """Keys, and the state or name of each record, are those of the ERP; faulty records aside."""
    faulty = {fault["id"] for fault in erp.faults()}
    for table in inbound.spec.tables:
        truth = {record[table.key]: record for record in erp.truth(ERP_NAMES.get(table.table, table.table))}
        stored = inbound.records(table.table)
        assert stored.keys() - faulty == truth.keys() - faulty, table.table
        for mapped, field in (("short_description", "description"), ("asset_tag", "asset_tag")):
            if table.table in {"tickets", "assets"} and mapped in next(iter(stored.values())):
                assert all(stored[key][mapped] == truth[key][field] for key in stored.keys() - faulty)


def test_a_full_sync_brings_everything_and_puts_the_faulty_aside(inbound: Inbound, erp: SampleErp) -> None:
    counts = inbound.sync(Mode.FULL)
    assert_hub_equals_erp(inbound, erp)
    assert {table: (count.created, count.failed) for table, count in counts.items()} == {
        "locations": (1490, 3),
        "projects": (442, 1),
        "tickets": (3146, 3),
        "kw_corp_ticket_tasks": (5026, 0),
        "assets": (1807, 1),
        "deliverables": (1494, 1),
    }
    errors = rows_of(inbound.hub, ERROR_LOG)
    assert {error["external_id"] for error in errors} == {fault["id"] for fault in erp.faults()}
    assert len(errors) == 9
    tickets = inbound.records("tickets")
    projects = {row["sys_id"] for row in inbound.records("projects").values()}
    assert {ticket["project"] for ticket in tickets.values()} <= projects | {None}
    with inbound.hub.read() as connection:
        assert audit.verify(connection, ("test-audit-key",)) is None


def test_a_second_sync_writes_no_record_row(inbound: Inbound, erp: SampleErp) -> None:
    inbound.sync(Mode.FULL)
    history, before = len(rows_of(inbound.hub, RECORD_HISTORY)), inbound.records("tickets")
    for mode in (Mode.INCREMENTAL, Mode.FULL):
        counts = inbound.sync(mode)
        assert all(not (count.created or count.updated) for count in counts.values())
        assert all(count.processed == count.unchanged + count.failed for count in counts.values())
    assert len(rows_of(inbound.hub, RECORD_HISTORY)) == history
    assert inbound.records("tickets") == before


@each_way
def test_an_incremental_sync_brings_what_changed_and_needs_few_calls(inbound: Inbound, erp: SampleErp) -> None:
    inbound.sync(Mode.FULL)
    changed = erp.move_clock(advance_minutes=10)
    counts = inbound.sync()
    assert changed["tickets"] == 423
    assert counts["tickets"] == Counts(processed=424, updated=422, unchanged=2)  # one changed in no field of ours
    assert_hub_equals_erp(inbound, erp)
    calls = {row["run_id"]: 0 for row in rows_of(inbound.hub, SYNC_LOG)}
    for row in rows_of(inbound.hub, SYNC_LOG):
        calls[row["run_id"]] += row["api_calls"]
    assert calls == {"run-1": 17, "run-2": 6}


@each_way
def test_the_sync_log_counts_what_the_batches_did(inbound: Inbound, erp: SampleErp) -> None:
    inbound.sync(Mode.FULL)
    erp.move_clock(advance_minutes=60)
    inbound.sync()
    for row in rows_of(inbound.hub, SYNC_LOG):
        assert row["processed"] == row["created"] + row["updated"] + row["unchanged"] + row["failed"]
        assert row["status"] == ("partial" if row["failed"] else "success")
        assert row["mapping_version"] == 1
        assert row["ended"] >= row["started"]


@each_way
def test_a_watermark_lies_at_the_newest_record_and_not_after_the_erps_clock(inbound: Inbound, erp: SampleErp) -> None:
    inbound.sync(Mode.FULL)
    marks = {row["table_name"]: row["watermark_at"] for row in rows_of(inbound.hub, CHECKPOINT)}
    assert len(marks) == 6
    assert all(mark <= "2016-03-24T18:31" for mark in marks.values())
    assert marks["tickets"] >= "2016-03-24T18:2"


@each_way
def test_a_run_that_is_run_again_has_no_second_effect(inbound: Inbound, erp: SampleErp) -> None:
    first = inbound.sync(Mode.FULL, "run-x")
    batches = rows_of(inbound.hub, BATCH)
    assert inbound.sync(Mode.FULL, "run-x") == first
    assert rows_of(inbound.hub, BATCH) == batches


@each_way
def test_a_preview_writes_nothing_and_says_what_would_be(inbound: Inbound, erp: SampleErp) -> None:
    inbound.sync(Mode.PREVIEW, "look", "locations")
    assert inbound.records("locations") == {}
    assert rows_of(inbound.hub, CHECKPOINT) == rows_of(inbound.hub, ERROR_LOG) == rows_of(inbound.hub, BATCH) == []
    (row,) = rows_of(inbound.hub, SYNC_LOG)
    assert "998 would be created, 0 updated, 2 rejected" in row["message"]


def test_a_wrong_customer_key_and_a_wrong_token_stop_the_run_with_their_codes(hub: Hub, erp: SampleErp) -> None:
    for change, error in (
        ({"customer_key": "wrong" * 9}, CustomerKeyError),
        ({"token": "no" * 9}, AuthenticationError),
    ):
        wrong = Inbound(hub, erp_credentials(erp, **change), "")
        wrong.apply()
        with pytest.raises(error):
            wrong.sync(Mode.FULL)
    assert rows_of(hub, CHECKPOINT) == []


@each_way
def test_over_the_error_budget_nothing_is_loaded_and_each_reject_is_logged_once(inbound: Inbound) -> None:
    strict = replace(inbound.spec, limits=replace(inbound.spec.limits, error_budget=0.0))
    inbound.sync(Mode.FULL, "base", "locations")
    known = len(rows_of(inbound.hub, ERROR_LOG))
    inbound.spec = strict
    with pytest.raises(ErrorBudgetError, match="ERR_015"):
        inbound.sync(Mode.FULL, "strict", "projects")
    assert inbound.records("projects") == {}
    assert [row["table_name"] for row in rows_of(inbound.hub, CHECKPOINT)] == ["locations"]
    assert [row["code"] for row in rows_of(inbound.hub, ERROR_LOG)[known:]] == ["ERR_004"]


@each_way
def test_a_record_that_was_rejected_heals_when_the_source_mends_it(inbound: Inbound, erp: SampleErp) -> None:
    inbound.sync(Mode.FULL)
    erp.move_clock(advance_minutes=60)
    inbound.sync()
    with inbound.hub.read() as connection:
        (healed,) = error_log.search(connection, resolution="resolved")
    assert healed["external_id"] == "T-0003938"


@each_way
def test_a_window_is_read_without_moving_the_watermark(inbound: Inbound, erp: SampleErp) -> None:
    window = {"since": datetime(2016, 3, 24, 12, tzinfo=UTC), "until": datetime(2016, 3, 24, 13, tzinfo=UTC)}
    inbound.sync(Mode.FULL, "base", "locations", "projects")
    counts = inbound.sync(Mode.INCREMENTAL, "window", "tickets", **window)
    assert 0 < counts["tickets"].created < 500
    assert "tickets" not in {row["table_name"] for row in rows_of(inbound.hub, CHECKPOINT) if row["watermark_at"]}


@each_way
def test_while_another_run_holds_the_lease_a_sync_is_refused_with_its_name(inbound: Inbound) -> None:
    take_lease(inbound.hub, "the-other")
    with pytest.raises(LeaseError, match="the-other"):
        inbound.sync(Mode.FULL)
    with inbound.hub.read() as connection:
        assert sync_log.latest(connection, limit=5) == []


def test_counts_add_up() -> None:
    assert Counts(1, 1) + Counts(2, 0, 1, 0, 1) == Counts(3, 1, 1, 0, 1)
