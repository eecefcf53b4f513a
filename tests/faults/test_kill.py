"""kill -9 at random moments of a sync, and of its recovery: nothing is lost, and nothing doubled."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trustme

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import configuration
from kwiksync_ops.storage import schema
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.vocabulary import Mode
from tests.support.https_server import HttpsServer
from tests.support.invariants import Oracle, assert_checkpoint_is_behind, assert_nothing_doubled, assert_run_is_whole
from tests.support.killed_sync import KILLED, SyncProcesses, Try
from tests.support.lean_system import AUDIT_KEYS, STYLES, LeanApi, server_context, write_include

RECORDS = 2_000
KILLS = {"sqlite": 200, "postgresql": 100}
FIRST_S = 0.25
"""The kill of a run's first try comes within so many seconds; each later try has a tenth more."""


@dataclass
class KillHarness:
    """Runs of three systems, round and round, each killed until it completes and then looked at."""

    hub: Hub
    processes: SyncProcesses
    template: Try
    apis: dict[str, LeanApi]
    random: random.Random
    kills: int = 0
    oracles: dict[str, Oracle] = field(default_factory=lambda: {style: Oracle(style) for style in STYLES})

    def run_until(self, kills: int) -> None:
        kinds = itertools.cycle(itertools.product(STYLES, (True, False)))
        for place, (style, staged) in enumerate(kinds):
            number = place // (2 * len(STYLES)) + 1
            self._change(self.apis[style], number)
            mode = Mode.FULL if number % 3 == 2 else Mode.INCREMENTAL
            run_id = f"{style}-{number}-{'staged' if staged else 'streamed'}"
            wanted = replace(self.template, system=style, run_id=run_id, mode=str(mode), staged=staged)
            self._complete(wanted)
            is_full = mode == Mode.FULL
            assert_run_is_whole(self.hub, self.oracles[style], self.apis[style], run_id, is_full=is_full)
            if self.kills >= kills:
                return

    def _change(self, api: LeanApi, number: int) -> None:
        """New records and, from the second round on, new versions of old ones; some of each are poison."""
        count = len(api.records)
        for key in self.random.sample(sorted(api.records), count // 4):
            api.put(key, name=f"changed in round {number}", quantity=self.random.choice([number, number, number, "x"]))
        api.fill(RECORDS if not count else 150, first=count)
        for key in self.random.sample(sorted(api.records), 20):
            api.put(key, quantity="many")

    def _complete(self, wanted: Try) -> None:
        for tries in itertools.count():
            ended = self.processes.run(wanted, kill_after_s=self.random.uniform(0, FIRST_S * 1.1**tries))
            if ended == 0:
                return
            assert ended == KILLED
            self.kills += 1
            with self.hub.read() as connection:
                assert_checkpoint_is_behind(connection, wanted.system, self.apis[wanted.system])
                assert_nothing_doubled(connection, wanted.system)


@pytest.fixture
def killed_hub(hub_url: str) -> Iterator[Hub]:
    opened = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    schema.upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def harness(killed_hub: Hub, certificate_authority: trustme.CA, ca_file: str, tmp_path: Path) -> Iterator[KillHarness]:
    include = tmp_path / "include"
    write_include(include)
    configuration.apply(killed_hub, include, who="tester", clock=SystemClock())
    server = HttpsServer(server_context(certificate_authority))
    apis = {style: LeanApi(style) for style in STYLES}
    for style, api in apis.items():
        server.on(f"/{style}", api)
    url = killed_hub.engine.url.render_as_string(hide_password=False)
    template = Try(url, str(include), "", server.url(), ca_file, f"file://{tmp_path}/stage", "", "", staged=False)
    with SyncProcesses() as processes:
        yield KillHarness(killed_hub, processes, template, apis, random.Random(20260115))
    server.close()


def test_kills_at_random_moments_lose_and_double_nothing(harness: KillHarness) -> None:
    harness.run_until(KILLS[harness.hub.engine.dialect.name])


def test_a_loader_that_commits_its_checkpoint_first_is_found_out(harness: KillHarness) -> None:
    harness.template = replace(harness.template, is_broken=True)
    with pytest.raises(AssertionError):
        harness.run_until(40)
    assert harness.kills
