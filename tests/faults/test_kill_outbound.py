"""kill -9 between any two steps of the way back: every edit arrives once, or is left for a person to decide."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import trustme

from kwiksync_ops.storage import schema
from kwiksync_ops.storage.hub import open_hub
from tests.support.https_server import HttpsServer
from tests.support.killed_push import Push, push_processes
from tests.support.killed_sync import KILLED, SyncProcesses
from tests.support.lean_system import AUDIT_KEYS, server_context
from tests.support.two_way_system import TwoWay, two_way

KILLS = 200
PROMISES = ("idempotent", "bulk", "upsert", "look", "never")
DATABASES = 2
CREATED = 20


@dataclass
class Harness:
    """Rounds of edits in the hub, each pushed by processes that are killed until one comes to its end."""

    system: TwoWay
    processes: SyncProcesses
    template: Push
    random: random.Random
    kills: int = 0
    rounds: int = 0

    def run_until(self, kills: int) -> None:
        while self.kills < kills:
            self.rounds += 1
            self._edit()
            self._complete()

    def _edit(self) -> None:
        first = self.rounds * 1_000
        self.system.create(*(f"{first + number:032x}" for number in range(CREATED)), quantity=0)
        known = sorted(self.system.rows())
        for sys_id in self.random.sample(known, min(len(known), 10)):
            self.system.edit(sys_id, quantity=self.rounds)

    def _complete(self) -> None:
        run = replace(self.template, run_id=f"run-{self.rounds}", staged=self.rounds % 2 == 0)
        tries = 0
        while True:
            ended = self.processes.run(run, kill_after_s=self.random.uniform(0, 0.5 * 1.15**tries))
            if ended == 0:
                return
            assert ended == KILLED
            self.kills += 1
            tries += 1


StartHarness = Callable[[str], Harness]


@pytest.fixture
def start(hub_url: str, tmp_path: Path, certificate_authority: trustme.CA, ca_file: str) -> Iterator[StartHarness]:
    hub = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    schema.upgrade(hub)
    server = HttpsServer(server_context(certificate_authority))

    def started(promise: str) -> Harness:
        system = two_way(hub, server, ca_file, tmp_path, promise)
        stage = f"file://{tmp_path}/stage"
        template = Push(hub_url, str(tmp_path / "include"), server.url(), ca_file, stage, "", staged=False)
        return Harness(system, processes, template, random.Random(20260115))

    with push_processes() as processes:
        yield started
    server.close()
    hub.close()


def assert_all_arrived_once(system: TwoWay) -> None:
    by_record = Counter(record["ours"] for record in system.api.records.values())
    assert max(by_record.values()) == 1, "a record was created twice"
    waiting, living = system.unconfirmed(), system.rows()
    assert not waiting or system.api.promise == "never"
    assert by_record.keys() | waiting >= living.keys(), "an edit was lost"
    for record in system.api.records.values():
        if record["ours"] not in waiting:
            assert record["quantity"] == living[record["ours"]]["quantity"]
    assert set(system.states()) <= {"confirmed", "superseded", "unconfirmed"}
    open_errors = [error for error in system.errors() if error["resolution"] == "open"]
    assert len(waiting) == len(open_errors)


@pytest.mark.parametrize("promise", PROMISES)
def test_kills_at_random_moments_lose_no_edit_and_send_none_twice(start: StartHarness, promise: str) -> None:
    harness = start(promise)
    harness.run_until(KILLS // len(PROMISES) // DATABASES)
    assert_all_arrived_once(harness.system)


def test_a_target_that_forgets_its_keys_is_found_out(start: StartHarness) -> None:
    """The negative control: where the system breaks its promise, the same harness finds records created twice."""
    harness = start("idempotent")
    harness.system.api.forgets_keys = True
    harness.run_until(20)
    with pytest.raises(AssertionError, match="twice"):
        assert_all_arrived_once(harness.system)
