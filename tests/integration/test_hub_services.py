"""What the command line asks of a hub, on both databases: records, errors, replays, keys, health, and whole syncs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import ConfigurationError, KwikSyncError, LeaseError
from kwiksync_ops.services import configuration
from kwiksync_ops.services.errors import ErrorFilter, resolve_errors, search_errors
from kwiksync_ops.services.identity import Identity
from kwiksync_ops.services.keys import customer_key, list_customer_keys, set_customer_key
from kwiksync_ops.services.records import count_records, find_record_table, parse_condition, read_records
from kwiksync_ops.services.replay import replay
from kwiksync_ops.services.status import read_status
from kwiksync_ops.services.sync import SyncRequest, sync_system
from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage import audit, health, lease, records
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, CUSTOMER_KEY, ERROR_LOG, SYNC_LOG
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vault import Vault
from kwiksync_ops.vocabulary import Mode, Resolution
from tests.conftest import StartServer
from tests.support.inbound import ERP, INCLUDE, Inbound, erp_credentials, hub_records, rows_of
from tests.support.sample_erp import SampleErp, running_sample_erp

KEY, OTHER_KEY = "b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQtb2xkLW9sZCE=", "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldyE="
ASSETS = find_record_table("assets")
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


@dataclass
class Notes:
    """Who watches a sync and remembers it."""

    begun: list[Sequence[str]] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    def begins(self, run_id: str, tables: Sequence[str]) -> None:
        self.begun.append(tables)

    def waits(self, seconds: float, error: KwikSyncError) -> None:
        self.waits_s.append(seconds)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as started:
        started.move_clock(now="2016-03-24T18:30")
        yield started


@pytest.fixture
def include(tmp_path: Path) -> Path:
    for name in ("systems", "mappings"):
        shutil.copytree(INCLUDE / name, tmp_path / "include" / name)
    return tmp_path / "include"


@pytest.fixture
def assets(hub: Hub) -> Hub:
    rows = [("A1", "Anvil", 10), ("A2", "100%_anvil", 20), ("A3", None, None)]
    batch = MappedBatch("assets", ("external_id", "name", "quantity"), list(rows), [None] * 3, [], 3)
    hub.write(lambda connection: records.merge(connection, batch, Author("erp", "run", "tester", NOW)))
    return hub


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("name=Anvil", {"A1"}),
        ("name!=Anvil", {"A2", "A3"}),
        ("name~ANVIL", {"A1", "A2"}),
        ("name~%", {"A2"}),
        ("name~_", {"A2"}),
        ("name=", {"A3"}),
        ("name!=", {"A1", "A2"}),
        ("quantity>10", {"A2"}),
        ("quantity<=10", {"A1"}),
        ("active=true", {"A1", "A2", "A3"}),
        ("sys_created_on>=2026-01-15T12:00", {"A1", "A2", "A3"}),
        ("sys_created_on>2026-01-15T13:00+01:00", set()),
    ],
)
def test_a_condition_finds_the_same_records_on_every_database(assets: Hub, condition: str, found: set[str]) -> None:
    parsed = [parse_condition(ASSETS, condition)]
    with read_records(assets, ASSETS, parsed) as stream:
        assert {record["external_id"] for record in stream} == found
    assert count_records(assets, ASSETS, parsed) == len(found)


def test_a_limit_takes_the_last_changed_first(assets: Hub) -> None:
    with read_records(assets, ASSETS, limit=2) as stream:
        assert [record["external_id"] for record in stream] == ["A3", "A2"]


def test_a_key_is_decrypted_for_its_system_alone_and_survives_a_rotation(hub: Hub) -> None:
    set_customer_key(hub, Vault([KEY]), "erp", "the-secret", who="tester", clock=ManualClock())
    assert customer_key(hub, [KEY], "erp") == "the-secret"
    assert customer_key(hub, [OTHER_KEY, KEY], "erp") == "the-secret"
    assert customer_key(hub, [], "crm") is None
    with pytest.raises(ConfigurationError, match="not configured"):
        customer_key(hub, [OTHER_KEY], "erp")
    hub.write(lambda connection: connection.execute(CUSTOMER_KEY.update().values(system="crm")))
    with pytest.raises(ConfigurationError, match="of crm is not its own"):
        customer_key(hub, [KEY], "crm")


def test_the_newest_key_is_sent_and_each_change_is_audited(hub: Hub) -> None:
    clock = ManualClock()
    for secret in ("first", "second"):
        set_customer_key(hub, Vault([KEY]), "erp", secret, who="tester", clock=clock)
        clock.advance(1)
    assert customer_key(hub, [KEY], "erp") == "second"
    assert [entry.is_active for entry in list_customer_keys(hub)] == [True, False]
    rows = [row for row in rows_of(hub, AUDIT) if row["action"] == "customer_key.set"]
    assert [row["who"] for row in rows] == ["tester", "tester"]
    assert "second" not in str(rows)


def test_a_sound_hub_is_described_without_its_password(hub: Hub) -> None:
    assert health.describe(hub).startswith(("SQLite 3.", "PostgreSQL "))
    health.require_writable(hub)
    assert health.schema_drift(hub) == []
    assert health.audit_fault(hub) is None


def test_a_replay_takes_what_the_mapping_takes_now(hub: Hub, running: SampleErp, include: Path) -> None:
    inbound = Inbound(hub, erp_credentials(running), "")
    inbound.apply()
    inbound.sync(Mode.FULL, "", "locations")
    path = include / "mappings" / "erp" / "locations.json"
    document = json.loads(path.read_text())
    for rule in document["fields"]:
        rule.pop("validation", None)
    path.write_text(json.dumps(document))
    configuration.apply(hub, include, who="tester", clock=SystemClock())
    rows = search_errors(hub, ErrorFilter(system="erp"), limit=100)
    done = replay(hub, include, rows, who="tester", clock=SystemClock())
    assert done.count("replayed") == done.counts.created == 3
    assert {"CALLF", "DESLJ", "MERIJ"} <= hub_records(hub, "locations").keys()
    assert {row["resolution"] for row in rows_of(hub, ERROR_LOG)} == {Resolution.REPLAYED}
    assert read_status(hub).open_errors == {}
    with hub.read() as connection:
        assert audit.verify(connection, hub.audit_keys) is None


def test_a_replay_while_a_sync_runs_is_refused_and_changes_nothing(hub: Hub, running: SampleErp, include: Path) -> None:
    inbound = Inbound(hub, erp_credentials(running), "")
    inbound.apply()
    inbound.sync(Mode.FULL, "", "locations")
    rows = search_errors(hub, ErrorFilter(), limit=100)
    take_lease(hub, "the-other-run")
    with pytest.raises(LeaseError, match="the-other-run"):
        replay(hub, include, rows, who="tester", clock=SystemClock())
    assert {(row["resolution"], row["attempt"]) for row in rows_of(hub, ERROR_LOG)} == {("open", 1)}


def test_resolving_twice_closes_once(hub: Hub, running: SampleErp) -> None:
    inbound = Inbound(hub, erp_credentials(running), "")
    inbound.apply()
    inbound.sync(Mode.FULL, "", "locations")
    rows = search_errors(hub, ErrorFilter(), limit=100)
    assert len(resolve_errors(hub, rows, note=None, who="tester", clock=SystemClock()).closed) == 3
    again = search_errors(hub, ErrorFilter(resolution=None), limit=100)
    assert resolve_errors(hub, again, note=None, who="tester", clock=SystemClock()).closed == []


def test_a_system_that_stays_down_is_tried_after_1_5_and_15_minutes_and_logged_once(
    hub: Hub, running: SampleErp, https_server: StartServer
) -> None:
    configuration.apply(hub, INCLUDE, who="tester", clock=SystemClock())
    server = https_server()
    server.close()
    notes, clock = Notes(), ManualClock()
    down = replace(erp_credentials(running), base_url=server.url())
    outcome = sync_system(
        hub, ERP, Identity(lambda: down), SyncRequest(["locations"]), who="tester", clock=clock, watcher=notes
    )
    assert notes.waits_s == [60, 300, 900]
    assert [error.code for error in outcome.errors] == ["ERR_011"]
    assert [(row["code"], row["attempt"]) for row in rows_of(hub, ERROR_LOG)] == [("ERR_011", 4)]
    assert [row["status"] for row in rows_of(hub, SYNC_LOG)] == ["failed"]
    with hub.read() as connection:
        state = lease.state(connection)
    assert state is not None
    assert not state.is_held


def test_waiting_begins_when_the_other_sync_has_ended(hub: Hub, running: SampleErp) -> None:
    configuration.apply(hub, INCLUDE, who="tester", clock=SystemClock())
    take_lease(hub, "the-other-run")

    class EndsTheOther(Notes):
        def waits(self, seconds: float, error: KwikSyncError) -> None:
            super().waits(seconds, error)
            hub.write(lambda connection: lease.release(connection, "the-other-run"))

    notes, request = EndsTheOther(), SyncRequest(["locations"], wait=True)
    identity = Identity(lambda: erp_credentials(running))
    outcome = sync_system(hub, ERP, identity, request, who="tester", clock=ManualClock(), watcher=notes)
    assert notes.waits_s == [2.0]
    assert outcome.errors == ()
    assert len(hub_records(hub, "locations")) == 1490
