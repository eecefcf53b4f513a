"""Verify: hub and system compared over real HTTPS, on each kind of database; what differs is planted by the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import ConfigurationError, LeaseError, SystemUnavailableError
from kwiksync_ops.services.comparison import Comparison
from kwiksync_ops.services.identity import Identity
from kwiksync_ops.services.reconcile import TableVerification, VerifyOutcome, VerifyRequest, verify_system, verify_table
from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage import audit, lease, sync_log
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import (
    AUDIT,
    BATCH,
    CHECKPOINT,
    ERROR_LOG,
    RECORD_HISTORY,
    RECORD_LINK,
    RECORDS,
    SYNC_LOG,
)
from kwiksync_ops.vocabulary import Mode, Repair, Verdict
from tests.conftest import StartServer
from tests.support.https_server import Response
from tests.support.inbound import hub_records, rows_of
from tests.support.lean_system import LeanSystem, lean_system

ASSETS = RECORDS["assets"]
Start = Callable[..., LeanSystem]


@pytest.fixture
def start(https_server: StartServer, ca_file: str, hub: Hub, tmp_path: Path) -> Start:
    """A system of a paging style with 250 records, which the hub has synced."""

    def started(style: str = "keyset", **spec: Any) -> LeanSystem:
        system = lean_system(hub, https_server(), ca_file, tmp_path, style)
        system.spec = replace(system.spec, tables=(replace(system.spec.tables[0], **spec),))
        system.api.fill(250)
        system.sync("first")
        return system

    return started


def verify(system: LeanSystem, run_id: str = "check", **request: Any) -> TableVerification:
    sync, source = system.open_run(run_id, Mode.VERIFY), system.open_source()
    try:
        return verify_table(sync, source, VerifyRequest(**request), lambda table, records: None)
    finally:
        source.close()
        system.hub.write(lambda connection: lease.release(connection, run_id))


def compare(system: LeanSystem, run_id: str = "check") -> Comparison:
    return verify(system, run_id).after


def found(comparison: Comparison) -> dict[str, int]:
    return {str(verdict): number for verdict, number in comparison.counts.items() if number}


def execute(hub: Hub, *statements: Any) -> None:
    def work(connection: Any) -> None:
        for statement in statements:
            connection.execute(statement)

    hub.write(work)


def spoil(hub: Hub, key: str, **values: Any) -> None:
    """Change a record behind the product's back."""
    execute(hub, ASSETS.update().where(ASSETS.c.external_id == key).values(**values))


def lose(hub: Hub, key: str) -> None:
    execute(
        hub,
        ASSETS.delete().where(ASSETS.c.external_id == key),
        RECORD_LINK.delete().where(RECORD_LINK.c.external_id == key),
    )


def plant(system: LeanSystem) -> None:
    """Two missing, one extra, three different in the hub."""
    lose(system.hub, "R00010")
    lose(system.hub, "R00011")
    del system.api.records["R00020"]
    spoil(system.hub, "R00030", name="spoilt")
    spoil(system.hub, "R00031", name="spoilt", quantity=-1)
    spoil(system.hub, "R00032", quantity=None)


PLANTED = {"equal": 244, "missing": 2, "extra": 1, "different": 3}


@pytest.mark.parametrize("style", ["keyset", "numbered", "whole"])
def test_sides_that_agree_have_one_digest(start: Start, style: str) -> None:
    comparison = compare(start(style))
    assert found(comparison) == {"equal": 250}
    assert comparison.compared == 250
    assert comparison.agrees
    assert comparison.readings == 1


@pytest.mark.parametrize("style", ["keyset", "numbered", "whole"])
def test_missing_extra_and_different_records_are_told_with_fields_and_both_values(start: Start, style: str) -> None:
    system = start(style)
    plant(system)
    comparison = compare(system)
    assert found(comparison) == PLANTED
    assert not comparison.agrees
    assert dict(comparison.fields) == {"name": 2, "quantity": 2}
    shown = {each.external_id: each for each in comparison.examples}
    assert shown["R00010"].verdict is Verdict.MISSING
    assert shown["R00020"].verdict is Verdict.EXTRA
    name, quantity = shown["R00031"].differences
    assert (name.field, name.hub, name.system) == ("name", "spoilt", "record 31")
    assert (quantity.field, quantity.hub, quantity.system) == ("quantity", "-1", "31")


def test_each_kind_is_shown_by_so_many_examples_at_most(start: Start) -> None:
    system = start()
    execute(system.hub, ASSETS.update().values(name="spoilt"))
    found_all = verify(system, examples=3).after
    assert found(found_all) == {"different": 250}
    assert len(found_all.examples) == 3
    assert verify(system, "again", examples=0).after.examples == ()


def test_a_buried_record_counts_as_absent(start: Start) -> None:
    system = start()
    spoil(system.hub, "R00040", sys_deleted_on=SystemClock().now())
    assert found(compare(system)) == {"equal": 249, "missing": 1}
    del system.api.records["R00040"]
    assert compare(system, "gone on both sides").agrees


def test_what_changed_at_the_system_after_the_last_sync_is_newer_not_different(start: Start) -> None:
    system = start()
    system.api.put("R00050", name="edited at the system")
    system.api.put("R99999", name="made at the system", quantity=1)
    comparison = compare(system)
    assert found(comparison) == {"equal": 249, "newer": 2}
    assert (comparison.wrong, comparison.pending, comparison.agrees) == (0, 2, False)
    system.sync("second")
    assert compare(system, "later").agrees


def test_an_edit_of_the_hub_that_was_not_sent_yet_is_told_as_one(start: Start) -> None:
    system = start(push={"update": {}})
    edit_in_hub(system.hub, "R00060", name="edited in the hub")
    spoil(system.hub, "R00061", name="spoilt")
    assert found(compare(system)) == {"equal": 248, "edited": 1, "different": 1}


def test_an_edit_of_the_hub_that_is_never_sent_is_a_difference(start: Start) -> None:
    system = start()
    edit_in_hub(system.hub, "R00060", name="edited in the hub")
    assert found(compare(system)) == {"equal": 249, "different": 1}


def edit_in_hub(hub: Hub, key: str, **values: Any) -> None:
    """As a person's edit stands in the hub: counted, and in the history."""
    record = hub_records(hub, "assets")[key]
    count = record["sys_mod_count"] + 1
    changes = {name: [record[name], value] for name, value in values.items()}
    spoil(hub, key, sys_mod_count=count, sys_updated_on=SystemClock().now(), **values)
    entry = {"table_name": "assets", "sys_id": record["sys_id"], "action": "update", "sys_mod_count": count}
    entry |= {"changes": json.dumps(changes), "run_id": "edit", "sys_created_by": "somebody"}
    execute(hub, RECORD_HISTORY.insert().values(**entry, sys_created_on=SystemClock().now()))


def test_records_that_cannot_be_mapped_are_told_by_code_and_not_taken_for_extra(start: Start) -> None:
    system = start()
    system.api.put("R00070", quantity="many")
    comparison = compare(system)
    assert found(comparison) == {"equal": 249, "rejected": 1}
    assert comparison.codes == {"ERR_008": 1}
    assert comparison.agrees
    (example,) = comparison.examples
    assert (example.external_id, example.code) == ("R00070", "ERR_008")


def test_without_change_times_a_record_that_moves_while_it_is_read_is_no_difference(start: Start) -> None:
    system = start("numbered", cursor=None)
    system.sync("all again", Mode.FULL)
    spoil(system.hub, "R00080", name="spoilt")
    Moving(system, after_calls=2, key="R00090").install()
    comparison = compare(system)
    assert comparison.readings == 2
    assert found(comparison) == {"equal": 249, "different": 1}


@dataclass
class Moving:
    """Serves one record otherwise during the first reading of a table than in its second."""

    system: LeanSystem
    after_calls: int
    key: str

    def install(self) -> None:
        record, api = self.system.api.records[self.key], self.system.api
        sound = record["name"]
        record["name"] = "in the middle of a change"
        page = json.dumps({"data": api.sorted()[:100], "more": True}).encode()
        record["name"] = sound
        api.instead[api.calls + 1] = Response(200, page, {"Content-Type": "application/json"})


def test_an_unfinished_read_proves_nothing_and_says_so(start: Start) -> None:
    system = start()
    system.api.instead[system.api.calls + 2] = Response(200, b"<html>log in</html>", {"Content-Type": "text/html"})
    with pytest.raises(SystemUnavailableError):
        compare(system)
    assert [row["action"] for row in rows_of(system.hub, AUDIT)].count("table.verify") == 0


def test_a_source_that_stops_before_its_last_page_is_an_unfinished_read(start: Start) -> None:
    system = start()

    class Cut:
        def __init__(self) -> None:
            self.source = system.open_source()

        def read(self, request: Any) -> Any:
            yield next(iter(self.source.read(request)))

    sync = system.open_run("check", Mode.VERIFY)
    cut: Any = Cut()
    with pytest.raises(SystemUnavailableError, match="before its last page"):
        verify_table(sync, cut, VerifyRequest(), lambda table, records: None)
    cut.source.close()


def test_a_verification_stands_in_the_sync_log_and_its_digests_in_the_audit_trail(start: Start) -> None:
    system = start()
    spoil(system.hub, "R00030", name="spoilt")
    comparison = compare(system)
    row = next(row for row in rows_of(system.hub, SYNC_LOG) if row["run_id"] == "check")
    assert (row["mode"], row["status"], row["direction"]) == ("verify", "partial", "inbound")
    assert (row["processed"], row["unchanged"], row["failed"], row["pages"]) == (250, 249, 1, 4)
    assert row["api_calls"] == 4
    assert comparison.hub_digest in row["message"]
    assert comparison.system_digest in row["message"]
    entry = next(row for row in rows_of(system.hub, AUDIT) if row["action"] == "table.verify")
    details = json.loads(entry["details"])
    assert (entry["who"], entry["run_id"], details["agrees"]) == ("tester", "check", False)
    assert details["hub_digest"] == comparison.hub_digest
    with system.hub.read() as connection:
        assert audit.verify(connection, system.hub.audit_keys) is None
        (last,) = sync_log.last_by_table(connection)
    assert last["run_id"] == "first", "a verification is no sync"


def test_it_writes_no_record_and_leaves_nothing_behind(start: Start) -> None:
    system = start()
    plant(system)
    before = [
        rows_of(system.hub, table) for table in (ASSETS, RECORD_LINK, RECORD_HISTORY, CHECKPOINT, BATCH, ERROR_LOG)
    ]
    compare(system)
    after = [
        rows_of(system.hub, table) for table in (ASSETS, RECORD_LINK, RECORD_HISTORY, CHECKPOINT, BATCH, ERROR_LOG)
    ]
    assert before == after
    assert "kwiksync_seen" not in sa.inspect(system.hub.engine).get_table_names()


def test_another_process_that_took_the_lease_ends_it(start: Start) -> None:
    system = start()
    sync, source = system.open_run("check", Mode.VERIFY), system.open_source()
    take_lease(system.hub, "check")
    with pytest.raises(LeaseError):
        verify_table(sync, source, VerifyRequest(), lambda table, records: None)
    source.close()


def test_a_repaired_hub_agrees_but_for_what_was_not_to_be_deleted(start: Start) -> None:
    system = start()
    plant(system)
    repaired = verify(system, repair=Repair.HUB)
    assert repaired.repaired is not None
    assert (repaired.repaired.loaded, repaired.repaired.deleted, repaired.repaired.left) == (5, 0, 1)
    assert found(repaired.before) == PLANTED
    assert found(repaired.after) == {"equal": 249, "extra": 1}
    assert hub_records(system.hub, "assets")["R00031"]["name"] == "record 31"
    changed = [row for row in rows_of(system.hub, RECORD_HISTORY) if row["run_id"] == "check"]
    assert sum(row["action"] == "update" for row in changed) == 3
    row = next(row for row in rows_of(system.hub, SYNC_LOG) if row["run_id"] == "check")
    assert (row["created"], row["updated"]) == (2, 3)


def test_a_repair_with_deletions_ends_with_equal_digests(start: Start) -> None:
    system = start()
    plant(system)
    repaired = verify(system, repair=Repair.HUB, repair_deletes=True)
    assert repaired.repaired is not None
    assert repaired.repaired.deleted == 1
    assert repaired.after.agrees
    assert found(repaired.after) == {"equal": 249}
    assert hub_records(system.hub, "assets")["R00020"]["sys_deleted_on"] is not None
    row = next(row for row in rows_of(system.hub, SYNC_LOG) if row["run_id"] == "check")
    assert (row["status"], row["deleted"]) == ("success", 1)
    (buried,) = [row for row in rows_of(system.hub, AUDIT) if row["action"] == "record.bury"]
    (old,) = json.loads(buried["details"])["old"].values()
    assert (old["external_id"], old["name"]) == ("R00020", "record 20")
    assert compare(system, "later").agrees


def test_nothing_is_deleted_where_a_rejected_record_may_be_the_extra_one(start: Start) -> None:
    system = start()
    del system.api.records["R00020"]
    system.api.put("R00070", quantity="many")
    with pytest.raises(ConfigurationError, match="may be among them"):
        verify(system, repair=Repair.HUB, repair_deletes=True)
    assert hub_records(system.hub, "assets")["R00020"]["sys_deleted_on"] is None


def test_a_repair_of_the_hub_keeps_its_edits_that_were_not_sent_yet(start: Start) -> None:
    system = start(push={"update": {}})
    edit_in_hub(system.hub, "R00060", name="edited in the hub")
    repaired = verify(system, repair=Repair.HUB)
    assert found(repaired.after) == {"equal": 249, "edited": 1}
    assert hub_records(system.hub, "assets")["R00060"]["name"] == "edited in the hub"


def test_a_repair_of_the_system_has_the_hubs_values_waiting_to_be_sent(start: Start) -> None:
    system = start(push={"update": {}})
    spoil(system.hub, "R00030", name="right in the hub")
    del system.api.records["R00020"]
    lose(system.hub, "R00010")
    before = hub_records(system.hub, "assets")
    repaired = verify(system, repair=Repair.SYSTEM)
    assert repaired.repaired is not None
    assert (repaired.repaired.to_send, repaired.repaired.left) == (2, 1)
    assert found(repaired.after) == {"equal": 247, "missing": 1, "extra": 1, "edited": 1}
    now = hub_records(system.hub, "assets")
    links = {row["external_id"]: row for row in rows_of(system.hub, RECORD_LINK)}
    for key in ("R00020", "R00030"):
        assert now[key]["sys_mod_count"] == before[key]["sys_mod_count"] + 1
        assert now[key]["sys_updated_on"] > before[key]["sys_updated_on"]
        assert links[key]["mod_count"] != now[key]["sys_mod_count"]
        assert links[key]["hash_out"] is None
    assert links["R00020"]["mod_count"] == -1
    entry = next(row for row in rows_of(system.hub, RECORD_HISTORY) if row["sys_id"] == now["R00030"]["sys_id"])
    assert json.loads(entry["changes"]) == {"name": ["record 30", "right in the hub"]}
    assert "record.send_again" in {row["action"] for row in rows_of(system.hub, AUDIT)}


class Quiet:
    """A watcher that keeps what it was told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int]] = []
        self.records = 0

    def begins(self, table: str, records: int) -> None:
        self.begun.append((table, records))

    def read(self, table: str, records: int) -> None:
        self.records += records

    def waits(self, seconds: float, error: Exception) -> None:
        raise AssertionError(error)


def verify_whole(system: LeanSystem, watcher: Quiet, **request: Any) -> VerifyOutcome:
    wanted = VerifyRequest(retry_delays_s=(), **request)
    return verify_system(
        system.hub,
        system.spec,
        Identity(lambda: system.credentials),
        wanted,
        who="tester",
        clock=SystemClock(),
        watcher=watcher,
    )


def test_a_whole_system_is_verified_under_the_lease_which_is_given_back(start: Start) -> None:
    system, watcher = start(), Quiet()
    outcome = verify_whole(system, watcher)
    assert outcome.agrees
    assert watcher.begun == [("assets", 250)]
    assert watcher.records == 250
    with system.hub.read() as connection:
        held = lease.state(connection)
    assert held
    assert not held.is_held


def test_while_a_sync_runs_nothing_is_verified(start: Start) -> None:
    system = start()
    take_lease(system.hub, "a sync")
    with pytest.raises(LeaseError, match="a sync"):
        verify_whole(system, Quiet())


def test_a_table_that_cannot_be_read_is_told_and_logged_as_failed(start: Start) -> None:
    system = start()
    html = Response(200, b"<html>log in</html>", {"Content-Type": "text/html"})
    system.api.instead = {system.api.calls + number: html for number in range(1, 20)}
    outcome = verify_whole(system, Quiet())
    (error,) = outcome.errors
    assert error.code == "ERR_011"
    assert not outcome.agrees
    row = next(row for row in rows_of(system.hub, SYNC_LOG) if row["mode"] == "verify")
    assert (row["status"], row["error_code"]) == ("failed", "ERR_011")


@pytest.mark.parametrize("request_", [{"repair": Repair.SYSTEM}, {"repair_deletes": True}])
def test_a_repair_that_is_not_possible_is_refused_before_anything_is_read(
    start: Start, request_: dict[str, Any]
) -> None:
    system, watcher = start(), Quiet()
    with pytest.raises(ConfigurationError):
        verify_whole(system, watcher, **request_)
    assert watcher.begun == []
