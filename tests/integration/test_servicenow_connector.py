"""The shipped example of a ServiceNow system, synced into a real hub and back, against a strict double over HTTPS."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import trustme

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.errors import DeleteGuardError, KwikSyncError, SystemUnavailableError
from kwiksync_ops.services import configuration
from kwiksync_ops.services.identity import Identity
from kwiksync_ops.services.sync import SyncOutcome, SyncRequest, sync_system
from kwiksync_ops.storage import schema
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.storage.models import ERROR_LOG, OUTBOX, RECORD_HISTORY, RECORDS, SYNC_LOG
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Direction, Mode
from tests.support.servicenow import PASSWORD, USER, RunningInstance, start_instance

# tests.support.servicenow puts the double on the path.
from servicenow.faults import FaultKind  # isort: skip
from servicenow.imports import Staging, TransformMap  # isort: skip
from servicenow.instance import Instance  # isort: skip
from servicenow.schema import Column, Table  # isort: skip

INCLUDE = Path(__file__).parents[2] / "include"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
BATCH = "/api/now/v1/batch"


class Silent:
    def begins(self, run_id: str, tables: Sequence[str]) -> None: ...

    def waits(self, seconds: float, error: KwikSyncError) -> None: ...


@dataclass
class System:
    """The example's system on one hub, both with one clock that is moved by hand."""

    hub: Hub
    spec: SystemSpec
    credentials: Credentials
    instance: Instance
    clock: ManualClock

    def sync(self, direction: Direction = Direction.INBOUND, *tables: str, **request: Any) -> SyncOutcome:
        """A sync some time after what happened before it."""
        self.pass_time(600)
        wanted = SyncRequest(tables, direction=direction, retry_delays_s=(), **request)
        return sync_system(
            self.hub,
            self.spec,
            Identity(lambda: self.credentials),
            wanted,
            who="tester",
            clock=self.clock,
            watcher=Silent(),
        )

    def pull(self, *tables: str, **request: Any) -> dict[str, Counts]:
        return counts_of(self.sync(Direction.INBOUND, *tables, **request))

    def push(self, *tables: str, **request: Any) -> dict[str, Counts]:
        return counts_of(self.sync(Direction.OUTBOUND, *tables, **request))

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.instance.clock.stop_at(self.clock.now())

    def rows(self, table: str) -> dict[str, Mapping[str, Any]]:
        """The living records of the hub, by external id."""
        records = RECORDS[table]
        with self.hub.read() as connection:
            found = connection.execute(records.select().where(records.c.sys_deleted_on.is_(None))).mappings()
            return {row["external_id"]: row for row in found}

    def create(self, count: int, **values: Any) -> None:
        """Somebody writes tickets in the hub."""
        now = self.clock.now()
        stamps = {"sys_created_on": now, "sys_updated_on": now, "sys_mod_count": 0, "active": True}
        rows = [
            {
                "sys_id": f"{number:032x}",
                "external_id": f"{number:032x}",
                "source_system": "kwiksync",
                "short_description": f"ticket {number}",
                "state": "1",
                **stamps,
                **values,
            }
            for number in range(count)
        ]
        self.hub.write(lambda connection: connection.execute(RECORDS["tickets"].insert(), rows))

    def select(self, statement: sa.Select[Any]) -> list[Any]:
        with self.hub.read() as connection:
            return list(connection.execute(statement))

    def errors(self) -> list[tuple[str, str]]:
        return [tuple(row) for row in self.select(sa.select(ERROR_LOG.c.code, ERROR_LOG.c.message))]


def counts_of(outcome: SyncOutcome) -> dict[str, Counts]:
    assert outcome.errors == ()
    return {table.table: table.counts for table in outcome.tables if table.counts}


@pytest.fixture
def running(certificate_authority: trustme.CA) -> Iterator[RunningInstance]:
    with start_instance(certificate_authority) as running:
        running.instance.clock.stop_at(START)
        yield running


@pytest.fixture(scope="module")
def empty_hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database at the current schema, to be copied."""
    path: Path = tmp_path_factory.mktemp("hub") / "hub.db"
    hub = open_hub(f"sqlite:///{path}", audit_keys=("test-audit-key",))
    schema.upgrade(hub)
    hub.close()
    return path


@pytest.fixture
def system(running: RunningInstance, ca_file: str, tmp_path: Path, empty_hub: Path) -> Iterator[System]:
    shutil.copy(empty_hub, tmp_path)
    shutil.copytree(INCLUDE / "mappings", tmp_path / "mappings")
    (tmp_path / "systems").mkdir()
    shutil.copy(INCLUDE / "systems" / "examples" / "servicenow.yaml", tmp_path / "systems")
    declared = load_system(tmp_path / "systems" / "servicenow.yaml", tmp_path / "mappings")
    spec = replace(declared, limits=replace(declared.limits, calls_per_minute=6_000))  # the database's clock runs on
    credentials = Credentials(running.url, login=USER, password=PASSWORD, ca_file=ca_file, allow_hosts=("127.0.0.0/8",))
    clock = ManualClock(START)
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.db'}", audit_keys=("test-audit-key",))
    configuration.apply(hub, tmp_path, who="tester", clock=clock)
    yield System(hub, spec, credentials, running.instance, clock)
    hub.close()


@pytest.fixture
def instance(system: System) -> Instance:
    return system.instance


def fill(instance: Instance, incidents: int) -> tuple[str, list[str]]:
    """A location, somebody, and incidents of both, twenty to a second."""
    site = instance.insert("cmn_location", name="Köln, Dom", city="Köln", country="DE", latitude="50.941278")
    anna = instance.insert("sys_user", name="Anna", email="anna@example.com")
    keys = [
        instance.insert(
            "incident",
            short_description=f"incident {number}",
            location=site,
            assigned_to=anna,
            opened_at="2026-02-27 08:00:00",
            sys_updated_on=f"{START - timedelta(days=1) + timedelta(seconds=number // 20):%Y-%m-%d %H:%M:%S}",
        )
        for number in range(incidents)
    ]
    return site, keys


def batch_calls(instance: Instance) -> int:
    return sum(call.path == BATCH for call in instance.calls)


class TestInbound:
    def test_incidents_come_with_their_references(self, system: System, instance: Instance) -> None:
        site, keys = fill(instance, 1_250)
        counts = system.pull()
        assert (counts["locations"].created, counts["tickets"].created, system.errors()) == (1, 1_250, [])
        tickets, places = system.rows("tickets"), system.rows("locations")
        assert sorted(tickets) == sorted(keys)
        first = tickets[keys[0]]
        assert first["location"] == places[site]["sys_id"]
        assert (first["assigned_to"], first["priority"], first["due_date"]) == ("anna@example.com", "4", None)
        assert str(places[site]["latitude"]) == "50.941278"

    def test_all_calls_are_counted_into_the_sync_log(self, system: System, instance: Instance) -> None:
        fill(instance, 1_250)
        system.pull()
        assert system.select(sa.select(sa.func.sum(SYNC_LOG.c.api_calls)))[0][0] == len(instance.calls)

    def test_the_next_sync_brings_what_changed_and_takes_what_was_deleted(
        self, system: System, instance: Instance
    ) -> None:
        _, keys = fill(instance, 60)
        system.pull()
        system.pass_time(60)
        instance.change("incident", keys[3], state="6", short_description="solved")
        instance.delete("incident", keys[4])
        counts = system.pull()["tickets"]
        assert (counts.updated, counts.deleted) == (1, 1)
        tickets = system.rows("tickets")
        assert (tickets[keys[3]]["short_description"], tickets[keys[3]]["state"]) == ("solved", "6")
        assert keys[4] not in tickets

    def test_nothing_new_is_nothing_done_in_a_few_calls(self, system: System, instance: Instance) -> None:
        fill(instance, 60)
        system.pull()
        before = len(instance.calls)
        counts = system.pull("tickets")["tickets"]
        assert (counts.created, counts.updated, counts.deleted) == (0, 0, 0)
        assert len(instance.calls) - before <= 6

    def test_a_deletion_is_found_by_comparing_keys_too(self, system: System, instance: Instance) -> None:
        instance.insert("cmn_location", name="Another")
        site = instance.insert("cmn_location", name="Gone soon")
        system.pull("locations")
        instance.delete("cmn_location", site)
        counts = system.pull("locations", mode=Mode.FULL)["locations"]
        assert (counts.deleted, site in system.rows("locations")) == (1, False)

    def test_an_instance_that_suddenly_hides_its_records_empties_no_table(
        self, system: System, instance: Instance
    ) -> None:
        keys = [instance.insert("cmn_location", name=f"Place {number}") for number in range(30)]
        system.pull("locations")
        instance.controls.limit_rows("cmn_location", lambda user, row: row["sys_id"] in keys[:3])
        outcome = system.sync(Direction.INBOUND, "locations", mode=Mode.FULL)
        assert [type(error) for error in outcome.errors] == [DeleteGuardError]
        assert len(system.rows("locations")) == 30

    def test_a_sync_that_broke_off_is_gone_on_with_from_its_last_page(self, system: System, instance: Instance) -> None:
        _, keys = fill(instance, 400)
        system.pull("locations")
        limits = replace(system.spec.limits, batch_records=100, overlap_s=1)
        system.spec = replace(system.spec, limits=limits)
        instance.faults.add(FaultKind.SERVER_ERROR, path="/incident", skip=4, status=500)
        outcome = system.sync(Direction.INBOUND, "tickets")
        assert [type(error) for error in outcome.errors] == [SystemUnavailableError]
        before = len(system.rows("tickets"))
        counts = system.pull("tickets")["tickets"]
        assert sorted(system.rows("tickets")) == sorted(keys)
        assert 0 < before < 400
        assert counts.processed < 400


class TestOutbound:
    def test_a_thousand_tickets_go_out_in_one_batch(self, system: System, instance: Instance) -> None:
        fill(instance, 0)
        system.create(1_000, assigned_to="anna@example.com")
        before = len(instance.calls)
        counts = system.push("tickets")["tickets"]
        assert (counts.created, counts.failed) == (1_000, 0)
        incidents = instance.all("incident")
        assert len(incidents) == 1_000
        assert {row["correlation_id"] for row in incidents} == {f"{number:032x}" for number in range(1_000)}
        assert batch_calls(instance) == 1
        assert len(instance.calls) - before == 3  # whether there is a correlation_id, who Anna is, the batch

    def test_a_call_that_is_applied_and_never_answered_makes_no_second_ticket(
        self, system: System, instance: Instance
    ) -> None:
        system.create(1_000)
        instance.faults.add(FaultKind.LOST, path=BATCH, is_done=True)
        counts = system.push("tickets")["tickets"]
        assert (counts.created, counts.failed, len(instance.all("incident"))) == (1_000, 0, 1_000)
        assert batch_calls(instance) == 2  # the second looks for all of them

    def test_a_push_that_was_interrupted_goes_on_where_it_was(self, system: System, instance: Instance) -> None:
        system.create(1_000)
        instance.settings.batch_item_s = 0.1
        instance.faults.add(FaultKind.SERVER_ERROR, path=BATCH, skip=2, times=4)
        outcome = system.sync(Direction.OUTBOUND, "tickets")
        assert len(outcome.errors) == 1
        assert 0 < len(instance.all("incident")) < 1_000
        instance.faults.clear()
        counts = system.push("tickets")["tickets"]
        assert (counts.failed, len(instance.all("incident"))) == (0, 1_000)
        assert len({row["correlation_id"] for row in instance.all("incident")}) == 1_000
        assert {row[0] for row in system.select(sa.select(OUTBOX.c.state))} == {"confirmed"}

    def test_a_thousand_tickets_go_out_through_an_import_set(self, system: System, instance: Instance) -> None:
        fill(instance, 0)
        push = {"by": "import_set", "correlation_field": "u_our_id", "import_set": {"table": "u_ticket_import"}}
        import_tickets(instance)
        tables = (replace(table, push=push, options={**table.options, "push": push}) for table in system.spec.tables)
        system.spec = replace(system.spec, tables=tuple(tables))
        system.create(1_000, assigned_to="anna@example.com")
        instance.settings.rows_per_import_poll = 400
        before = len(instance.calls)
        counts = system.push("tickets")["tickets"]
        assert (counts.created, counts.failed, len(instance.all("incident"))) == (1_000, 0, 1_000)
        posts = [call for call in instance.calls[before:] if call.method == "POST"]
        assert len(posts) == 1
        assert len(instance.calls) - before < 10
        assert system.push("tickets")["tickets"].processed == 0

    def test_a_ticket_of_the_hub_comes_back_as_itself(self, system: System, instance: Instance) -> None:
        system.create(30)
        system.push("tickets")
        counts = system.pull("tickets")["tickets"]
        assert (counts.created, len(system.rows("tickets")), len(instance.all("incident"))) == (0, 30, 30)
        assert {row["number"] for row in system.rows("tickets").values()} == {
            row["number"] for row in instance.all("incident")
        }

    def test_nothing_goes_to_and_fro_for_ever(self, system: System, instance: Instance) -> None:
        fill(instance, 10)
        system.create(10)
        for _ in range(3):
            system.push("locations", "tickets")
            system.pull("locations", "tickets")
        versions = {row["sys_id"]: row["sys_mod_count"] for row in instance.all("incident")}
        for _ in range(3):
            assert system.push("tickets")["tickets"].updated == 0
            assert system.pull("tickets")["tickets"].updated == 0
        assert {row["sys_id"]: row["sys_mod_count"] for row in instance.all("incident")} == versions
        assert set(versions.values()) == {"0"}

    def test_an_edit_goes_out_alone_and_a_cleared_field_is_cleared(self, system: System, instance: Instance) -> None:
        _, (key,) = fill(instance, 1)
        system.pull()
        ticket = system.rows("tickets")[key]
        edit(system, ticket, assigned_to=None, state="2")
        counts = system.push("tickets")["tickets"]
        assert counts.updated == 1
        (incident,) = instance.all("incident")
        assert (incident["assigned_to"], incident["state"], incident["short_description"]) == ("", "2", "incident 0")

    def test_a_ticket_that_is_refused_holds_up_no_other(self, system: System, instance: Instance) -> None:
        system.create(3, assigned_to="nobody@example.com")
        counts = system.push("tickets")["tickets"]
        assert (counts.created, counts.failed) == (0, 3)
        assert all(
            "sys_user has no record with email 'nobody@example.com'" in message for _, message in system.errors()
        )


def import_tickets(instance: Instance) -> None:
    """A staging table whose columns are named as the tickets' fields."""
    names = (
        "short_description",
        "description",
        "state",
        "category",
        "assigned_to",
        "location",
        "opened_at",
        "due_date",
    )
    columns = tuple(Column(name, max_length=4_000) for name in (*names, "u_our_id"))
    fields = {**{name: name for name in names}, "u_our_id": "correlation_id"}
    row_map = TransformMap("Tickets", "incident", fields, ("correlation_id",), {"assigned_to": "email"})
    staging = Staging("u_ticket_import", (row_map,), has_column_names=True)
    instance.add_staging(Table("u_ticket_import", columns, parent="sys_import_set_row"), staging)


def edit(system: System, ticket: Mapping[str, Any], **values: Any) -> None:
    """Somebody changes a ticket in the hub."""
    now, at = system.clock.now(), ticket["sys_mod_count"] + 1
    tickets = RECORDS["tickets"]
    changes = {name: [ticket[name], value] for name, value in values.items()}

    def work(connection: sa.Connection) -> None:
        changed = {**values, "sys_mod_count": at, "sys_updated_on": now, "sys_updated_by": "ann"}
        connection.execute(tickets.update().where(tickets.c.sys_id == ticket["sys_id"]).values(**changed))
        connection.execute(
            RECORD_HISTORY.insert().values(
                table_name="tickets",
                sys_id=ticket["sys_id"],
                action="update",
                changes=json.dumps(changes),
                sys_mod_count=at,
                run_id="by hand",
                sys_created_on=now,
                sys_created_by="ann",
            )
        )

    system.hub.write(work)
