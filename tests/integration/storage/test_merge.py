"""A batch's way into the hub, on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.errors import LeaseError
from kwiksync_ops.storage import audit, batches, checkpoints, lease, schema, sync_log
from kwiksync_ops.storage.batches import Batch, Counts
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.error_log import ErrorEntry, search
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, RECORD_HISTORY, RECORDS, SYNC_LEASE
from kwiksync_ops.storage.records import HubLookups, known_states
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import Direction

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
COLUMNS = ("external_id", "name", "start_date", "percent_complete")


def run_of(run_id: str) -> TableRun:
    return TableRun(run_id, "erp", Direction.INBOUND, "projects")


def projects(*rows: tuple[Any, ...], version: str = "2026-01-01", read: int | None = None) -> MappedBatch:
    return MappedBatch("projects", COLUMNS, list(rows), [version] * len(rows), [], len(rows) if read is None else read)


def load(hub: Hub, mapped: MappedBatch, run_id: str = "r1", number: int = 1, **extra: Any) -> Counts:
    run = run_of(run_id)
    author = Author("erp", run_id, "tester", NOW)

    def work(connection: sa.Connection) -> Counts:
        token = lease.acquire(connection, run_id)
        assert token
        sync_log.start(connection, run, trigger="cli", mode="full", who="tester", now=NOW)
        batch = Batch(number, mapped, extra.get("errors", ()), extra.get("watermark"))
        return batches.load(connection, run, batch, author, token)

    counts = hub.write(work)
    hub.write(lambda connection: lease.release(connection, run_id))
    return counts


def rows(hub: Hub, table: sa.Table) -> list[Any]:
    with hub.read() as connection:
        return list(connection.execute(table.select()).mappings())


ONE = ("P1", "Dam", date(2026, 2, 1), Decimal("12.50"))
TWO = ("P2", "Rail 🚄", None, None)


def test_schema_equals_the_models_and_an_upgrade_can_be_repeated(hub: Hub) -> None:
    schema.upgrade(hub)
    schema.require_current(hub)
    with hub.read() as connection:
        assert schema.drift(connection) == []


def test_new_records_are_created_with_typed_values(hub: Hub) -> None:
    assert load(hub, projects(ONE, TWO)) == Counts(processed=2, created=2)
    stored = {row["external_id"]: row for row in rows(hub, RECORDS["projects"])}
    assert stored["P1"]["percent_complete"] == Decimal("12.50")
    assert stored["P1"]["start_date"] == date(2026, 2, 1)
    assert stored["P1"]["sys_created_on"] == NOW
    assert stored["P2"]["name"] == "Rail 🚄"
    assert stored["P2"]["active"] is True
    assert len({row["sys_id"] for row in stored.values()}) == 2


def test_an_unchanged_row_is_not_written_and_a_changed_one_keeps_old_and_new(hub: Hub) -> None:
    load(hub, projects(ONE, TWO))
    changed = ("P2", "Railway", None, Decimal(1))
    assert load(hub, projects(ONE, changed, version="2026-01-02"), "r2") == Counts(2, 0, 1, 1)
    stored = {row["external_id"]: row for row in rows(hub, RECORDS["projects"])}
    assert (stored["P1"]["sys_mod_count"], stored["P2"]["sys_mod_count"]) == (0, 1)
    (update,) = (row for row in rows(hub, RECORD_HISTORY) if row["action"] == "update")
    assert update["changes"] == '{"name":["Rail 🚄","Railway"],"percent_complete":[null,"1"]}'


def test_an_older_version_changes_nothing(hub: Hub) -> None:
    load(hub, projects(ONE, version="2026-01-02"))
    older = ("P1", "Old name", None, None)
    assert load(hub, projects(older, version="2026-01-01"), "r2") == Counts(1, 0, 0, 1)


def test_a_batch_that_was_committed_is_not_loaded_again(hub: Hub) -> None:
    first = load(hub, projects(ONE))
    assert load(hub, projects(ONE)) == first
    (log,) = rows(hub, sync_log.SYNC_LOG)
    assert (log["processed"], log["created"]) == (1, 1)


def test_a_later_try_that_read_something_else_under_the_same_number_loses_nothing(hub: Hub) -> None:
    load(hub, projects(ONE))
    assert load(hub, projects(ONE, TWO)) == Counts(processed=2, created=1, unchanged=1)
    assert {row["external_id"] for row in rows(hub, RECORDS["projects"])} == {"P1", "P2"}


def test_text_and_values_of_every_kind_come_back_as_they_went_in(hub: Hub) -> None:
    odd = ("P3", "tab\t back\\slash \\N \r\n line", None, Decimal("0.50"))
    load(hub, projects(ONE, odd, ("P4", r"\N", date(2026, 3, 1), None)))
    stored = {row["external_id"]: row for row in rows(hub, RECORDS["projects"])}
    assert stored["P3"]["name"] == odd[1]
    assert stored["P4"]["name"] == r"\N"
    assert load(hub, projects(ONE, odd), "r2").unchanged == 2


def test_everything_of_a_batch_is_rolled_back_when_the_lease_is_lost(hub: Hub) -> None:
    run = run_of("r1")

    def lose(connection: sa.Connection) -> None:
        sync_log.start(connection, run, trigger="cli", mode="full", who="tester", now=NOW)
        batches.load(connection, run, Batch(1, projects(ONE), ()), Author("erp", "r1", "t", NOW), token=7)

    with pytest.raises(LeaseError, match="ERR_010"):
        hub.write(lose)
    assert rows(hub, RECORDS["projects"]) == rows(hub, AUDIT) == []


def test_another_run_waits_for_the_lease_and_a_second_try_fences_the_first(hub: Hub) -> None:
    first = hub.write(lambda connection: lease.acquire(connection, "a"))
    assert hub.write(lambda connection: lease.acquire(connection, "b")) is None
    again = hub.write(lambda connection: lease.acquire(connection, "a"))
    assert first
    assert again == first + 1
    with pytest.raises(LeaseError):
        hub.write(lambda connection: lease.renew(connection, first))
    assert hub.write(lambda connection: lease.release(connection, "a"))
    assert hub.write(lambda connection: lease.acquire(connection, "b")) == again + 1


def test_a_deleted_lease_row_stops_its_holder_and_comes_back_with_a_higher_token(hub: Hub) -> None:
    token = hub.write(lambda connection: lease.acquire(connection, "a"))
    hub.write(lambda connection: connection.execute(SYNC_LEASE.delete()))
    with pytest.raises(LeaseError):
        hub.write(lambda connection: lease.renew(connection, token or 0))
    assert (hub.write(lambda connection: lease.acquire(connection, "b")) or 0) > (token or 0)


def test_an_expired_lease_can_be_taken(hub: Hub) -> None:
    hub.write(lambda connection: lease.acquire(connection, "a", seconds=-1))
    assert hub.write(lambda connection: lease.acquire(connection, "b"))


def test_the_watermark_moves_with_the_rows_and_never_back(hub: Hub) -> None:
    load(hub, projects(ONE), watermark=Watermark("2026-01-05", "P1"))
    load(hub, projects(ONE), "r2", watermark=Watermark("2026-01-03", "P9"))
    with hub.read() as connection:
        assert checkpoints.read_watermark(connection, "erp", "inbound", "projects") == Watermark("2026-01-05", "P1")


def test_a_rejected_record_is_logged_and_healed_when_it_is_taken(hub: Hub) -> None:
    error = ErrorEntry("ERR_006", "name is missing", field="name", external_id="P1", payload="{}")
    assert load(hub, projects(read=1), errors=[error]).failed == 1
    with hub.read() as connection:
        assert [row["code"] for row in search(connection, resolution="open")] == ["ERR_006"]
    load(hub, projects(ONE), "r2")
    with hub.read() as connection:
        assert [row["resolution"] for row in search(connection)] == ["resolved"]


def test_an_older_version_that_is_replayed_leaves_the_error_of_a_newer_one_open(hub: Hub) -> None:
    error = ErrorEntry("ERR_004", "version 2 can't be mapped", external_id="P1", payload="{}")
    load(hub, projects(read=1), errors=[error])

    def replay(connection: sa.Connection) -> None:
        token = lease.acquire(connection, "replay") or 0
        author = Author("erp", "replay", "tester", NOW)
        batches.load(connection, run_of("replay"), Batch(1, projects(ONE), ()), author, token, heals=False)

    hub.write(replay)
    with hub.read() as connection:
        assert [row["resolution"] for row in search(connection)] == ["open"]


def test_lookups_find_by_external_id_within_the_system_and_by_any_other_column(hub: Hub) -> None:
    load(hub, projects(ONE, TWO))
    sys_ids = {row["external_id"]: row["sys_id"] for row in rows(hub, RECORDS["projects"])}
    lookups = HubLookups(hub, "erp")
    assert lookups.find("projects", "external_id", "sys_id", ["P1", "P9"]) == {"P1": sys_ids["P1"]}
    assert lookups.find("x_kwr_kwiksync_projects", "external_id", "name", ["P2"]) == {"P2": "Rail 🚄"}
    assert lookups.find("projects", "sys_id", "sys_id", [sys_ids["P2"], "x"]) == {sys_ids["P2"]: sys_ids["P2"]}
    assert HubLookups(hub, "crm").find("projects", "external_id", "sys_id", ["P1"]) == {}
    with hub.read() as connection:
        assert known_states(connection, "erp", "projects", ["P1", "P9"]) == {"P1": ("2026-01-01", None)}


def test_audit_names_the_first_row_that_was_tampered_with(hub: Hub) -> None:
    for number in range(1, 4):
        load(hub, projects(ONE, version=f"2026-01-0{number}"), f"r{number}")
        load(hub, projects((f"N{number}", "x", None, None)), f"n{number}")
    with hub.read() as connection:
        assert audit.verify(connection, ("test-audit-key",)) is None
        assert audit.verify(connection, ("another",)) is not None
    hub.write(lambda c: c.execute(AUDIT.update().where(AUDIT.c.number == 2).values(who="somebody")))
    with hub.read() as connection:
        fault = audit.verify(connection, ("test-audit-key",))
    assert fault
    assert fault.number == 2


def test_a_record_under_the_systems_key_without_a_link_is_adopted(hub: Hub) -> None:
    load(hub, projects(ONE))
    hub.write(lambda c: c.execute(sa.text("delete from x_kwr_kwiksync_record_link")))
    changed = ("P1", "Dam", date(2026, 2, 2), Decimal("12.50"))
    assert load(hub, projects(changed), "r2") == Counts(1, 0, 1, 0)
    assert HubLookups(hub, "erp").find("projects", "external_id", "sys_id", ["P1"])
