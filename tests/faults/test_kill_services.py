"""kill -9 of what follows a sync: deletions, a repair and an undo end whole, and do nothing twice."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import sqlalchemy as sa
import trustme

from kwiksync_ops.storage import schema
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.storage.models import RECORD_HISTORY, RECORDS
from kwiksync_ops.vocabulary import Action
from tests.support.https_server import HttpsServer
from tests.support.inbound import hub_records
from tests.support.killed_service import STYLE, Service, service_processes
from tests.support.killed_sync import KILLED, SyncProcesses
from tests.support.lean_system import AUDIT_KEYS, LeanSystem, lean_system, server_context

KILLS = 8
RECORDS_AT_FIRST = 2_000
ASSETS = RECORDS["assets"]


@dataclass
class World:
    system: LeanSystem
    processes: SyncProcesses
    template: Service

    def end_by_kills(self, name: str, run_id: str) -> None:
        """Tries of one service, all but the last one killed, each of which lives a little longer."""
        wanted = replace(self.template, name=name, run_id=run_id)
        chance, kills, life_s = random.Random(20260115), 0, 0.02
        while (ended := self.processes.run(wanted, kill_after_s=chance.uniform(life_s, 2 * life_s))) != 0:
            assert ended == KILLED
            kills += 1
            life_s *= 1.15
        assert kills >= KILLS

    def history(self, run_id: str) -> Counter[str]:
        """How often the run changed each record."""
        rows = RECORD_HISTORY.c
        wanted = sa.select(rows.sys_id).where(rows.run_id == run_id, rows.action != Action.CREATE)
        with self.system.hub.read() as connection:
            return Counter(connection.execute(wanted).scalars())


@pytest.fixture
def killed_hub(hub_url: str) -> Iterator[Hub]:
    opened = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    schema.upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def world(killed_hub: Hub, certificate_authority: trustme.CA, ca_file: str, tmp_path: Path) -> Iterator[World]:
    """A hub that has taken all the records of a system."""
    server = HttpsServer(server_context(certificate_authority))
    system = lean_system(killed_hub, server, ca_file, tmp_path, STYLE)
    system.api.fill(RECORDS_AT_FIRST)
    system.sync("first")
    url = killed_hub.engine.url.render_as_string(hide_password=False)
    template = Service("", url, str(tmp_path / "include"), server.url(), ca_file, system.stage_url, "")
    with service_processes() as processes:
        yield World(system, processes, template)
    server.close()


def living(hub: Hub) -> dict[str, str]:
    return {key: row["name"] for key, row in hub_records(hub, "assets").items() if row["sys_deleted_on"] is None}


def at_system(system: LeanSystem) -> dict[str, str]:
    return {key: record["name"] for key, record in system.api.records.items()}


def test_deletions_are_taken_over_whole_and_once(world: World) -> None:
    for key in sorted(world.system.api.records)[::2]:
        del world.system.api.records[key]
    world.end_by_kills("deletes", "full")
    assert living(world.system.hub) == at_system(world.system)
    assert set(world.history("full").values()) == {1}
    assert world.history("full").total() == RECORDS_AT_FIRST // 2


def test_a_repair_ends_with_both_sides_equal_and_each_record_written_once(world: World) -> None:
    spoilt = ASSETS.update().where(ASSETS.c.quantity < RECORDS_AT_FIRST // 2).values(name="spoilt")
    world.system.hub.write(lambda connection: connection.execute(spoilt))
    for key in sorted(world.system.api.records)[-300:]:
        del world.system.api.records[key]
    world.end_by_kills("repair", "repair")
    assert living(world.system.hub) == at_system(world.system)
    assert set(world.history("repair").values()) == {1}
    assert world.history("repair").total() == RECORDS_AT_FIRST // 2 + 300


def test_an_undo_puts_every_record_back_once(world: World) -> None:
    before = living(world.system.hub)
    for key in sorted(world.system.api.records):
        world.system.api.put(key, name=f"changed {key}")
    world.system.sync("second")
    world.end_by_kills("undo", "second")
    assert living(world.system.hub) == before
    undone = world.history("undo_second")
    assert (set(undone.values()), undone.total()) == ({1}, RECORDS_AT_FIRST)
