"""What pages tell of runs: totals, sums, progress and the activity log, over both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kwiksync_ops.services.edit import create_record
from kwiksync_ops.services.feed import Place, read_feed
from kwiksync_ops.services.overview import recent_runs, totals
from kwiksync_ops.services.progress import progress_of
from kwiksync_ops.storage import activity, audit, error_log, sync_log
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import SYNC_LOG
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Direction, SyncStatus

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def ran(
    hub: Hub, run_id: str, *tables: str, at: datetime, status: SyncStatus | None = SyncStatus.SUCCESS, **counts: int
) -> None:
    """Rows of the Sync Log of a run that took a minute; None as the status: it still runs."""
    for table in tables:
        run = TableRun(run_id, "erp", Direction.INBOUND, table)
        hub.write(lambda connection, run=run: _log(connection, run, at, status, counts))


def _log(connection: object, run: TableRun, at: datetime, status: SyncStatus | None, counts: dict[str, int]) -> None:
    sync_log.start(connection, run, trigger="ui", mode="incremental", who="user", now=at)
    sync_log.count(connection, run, counts)
    if status:
        sync_log.end(connection, run, status, now=at + timedelta(minutes=1))


def test_a_run_is_the_sum_of_its_tables_and_as_bad_as_the_worst(hub: Hub) -> None:
    ran(hub, "run-1", "locations", "projects", at=NOW, processed=10, created=2, failed=1)
    ran(hub, "run-1", "tickets", at=NOW + timedelta(minutes=1), status=SyncStatus.FAILED)
    (run,) = recent_runs(hub, limit=10)
    assert (run.status, run.processed, run.created, run.failed, run.duration_s) == ("failed", 20, 4, 2, 120.0)
    assert set(run.tables) == {"locations", "projects", "tickets"}


def test_totals_are_of_their_time_and_know_no_share_of_nothing(hub: Hub) -> None:
    assert totals(hub, NOW).error_share is None
    ran(hub, "run-1", "tickets", at=NOW - timedelta(days=2), processed=100, failed=100)
    ran(hub, "run-2", "tickets", at=NOW, processed=100, failed=25)
    found = totals(hub, NOW - timedelta(days=1))
    assert (found.syncs, found.processed, found.error_share) == (1, 100, 0.25)


@pytest.mark.parametrize(("processed", "share", "left_s"), [(0, 0.0, None), (250, 0.25, 30.0), (2_000, None, None)])
def test_progress_is_judged_by_the_last_whole_sync(
    hub: Hub, processed: int, share: float | None, left_s: float | None
) -> None:
    ran(hub, "run-1", "tickets", at=NOW - timedelta(days=1), processed=1_000)
    ran(hub, "run-2", "tickets", at=NOW - timedelta(hours=1), status=SyncStatus.FAILED, processed=7)
    ran(hub, "run-3", "tickets", at=NOW, status=None, processed=processed)
    later = NOW + timedelta(seconds=10)
    with hub.read() as connection:
        row = connection.execute(SYNC_LOG.select().where(SYNC_LOG.c.run_id == "run-3")).mappings().one()
        found = progress_of(connection, row, later)
    assert found.share == share
    assert (found.ends - later).total_seconds() == left_s if left_s else found.ends is None


def test_a_first_sync_has_no_expected_end(hub: Hub) -> None:
    ran(hub, "run-1", "tickets", at=NOW, status=None, processed=100)
    with hub.read() as connection:
        row = connection.execute(SYNC_LOG.select()).mappings().one()
        assert progress_of(connection, row, NOW + timedelta(seconds=5)).expected is None


def test_the_feed_goes_on_where_it_ended_and_tells_of_nobody_s_keys(hub: Hub) -> None:
    def note(connection: object) -> None:
        audit.append(connection, "customer_key.set", "erp", who="admin", now=NOW, details={"new": "x"})
        audit.append(connection, "batch.load", "tickets from erp", who="user", now=NOW, details={"created": 3})

    hub.write(note)
    ran(hub, "run-1", "tickets", at=NOW)
    events, place = read_feed(hub, Place(), limit=50)
    assert [event.text for event in events] == [
        "from erp: nothing to change",
        "from erp: incremental begins",
        "from erp: a batch in, 3 created",
    ]
    seen = {event.id for event in events}
    again, same = read_feed(hub, place, limit=50)
    assert (same, {event.id for event in again} - seen) == (place, set())
    ran(hub, "run-2", "tickets", at=NOW + timedelta(minutes=5))
    fresh = [event for event in read_feed(hub, place, limit=50)[0] if event.id not in seen]
    assert {event.run_id for event in fresh} == {"run-2"}


def test_the_feed_calls_a_record_what_people_call_it_and_names_it_for_a_link(hub: Hub) -> None:
    long = {"number": "PRJ0000042", "name": "A bridge over the " + "very " * 20 + "wide river"}
    sys_id = create_record(hub, "projects", long, who="admin", clock=ManualClock(NOW))
    hub.write(
        lambda connection: audit.append(connection, "record.update", "projects gone", who="user", now=NOW, details={})
    )
    gone, made = read_feed(hub, Place(), limit=50)[0]
    assert (gone.text, gone.record) == ("gone: changed, by user", "")
    assert (made.table, made.record) == ("projects", sys_id)
    assert made.text == f"PRJ0000042 {long['name'][:80].rstrip()}…: created, by admin"


def test_the_newest_sync_of_each_table_is_found_whatever_was_verified_since(hub: Hub) -> None:
    for days in (3, 2, 1):
        ran(hub, f"run-{days}", "assets", "tickets", at=NOW - timedelta(days=days))
    ran(hub, "run-0", "tickets", at=NOW)
    for system, way, run_id in (("erp", Direction.OUTBOUND, "out"), ("crm", Direction.INBOUND, "crm")):
        run = TableRun(run_id, system, way, "assets")
        hub.write(lambda connection, run=run: _log(connection, run, NOW, SyncStatus.SUCCESS, {}))
    verified = SYNC_LOG.c.run_id.in_(("run-0", "out"))
    hub.write(lambda connection: connection.execute(SYNC_LOG.update().where(verified).values(mode="verify")))
    with hub.read() as connection:
        rows = sync_log.last_by_table(connection)
    found = [(row["system"], row["direction"], row["table_name"], row["run_id"]) for row in rows]
    assert sorted(found) == [
        ("crm", "inbound", "assets", "crm"),
        ("erp", "inbound", "assets", "run-1"),
        ("erp", "inbound", "tickets", "run-1"),
    ]


def test_open_errors_are_counted_by_system_table_and_code(hub: Hub) -> None:
    entries = [ErrorEntry("ERR_004", "no match", external_id=f"T{number}") for number in range(3)]
    closed = replace(entries[0], resolution="resolved")
    run = TableRun("run-1", "erp", Direction.INBOUND, "tickets")
    hub.write(lambda connection: error_log.append(connection, run, [*entries, closed], now=NOW))
    with hub.read() as connection:
        assert activity.open_errors(connection) == {("erp", "tickets", "ERR_004"): 3}
