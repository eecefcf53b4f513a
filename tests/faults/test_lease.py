"""One sync at a time, whatever stops, wakes up, or meddles: two processes never write in turns."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from kwiksync_ops.errors import LeaseError
from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import BATCH, SYNC_LEASE
from kwiksync_ops.vocabulary import Mode
from tests.faults.conftest import StartSystem
from tests.support.inbound import rows_of
from tests.support.invariants import Oracle, assert_run_is_whole
from tests.support.killed_sync import SyncProcesses, Try
from tests.support.lean_system import LeanSystem


def stop_between_transactions(hub: Hub, pid: int) -> None:
    """Stop the process where it holds no lock, and let its lease run out."""
    is_sqlite = hub.is_sqlite
    hasty = {"timeout": 0.05} if is_sqlite else {"options": "-c lock_timeout=50"}
    engine = sa.create_engine(hub.engine.url, connect_args=hasty)
    while True:
        os.kill(pid, signal.SIGSTOP)
        try:
            with engine.begin() as connection:
                connection.execute(SYNC_LEASE.update().values(until=0.0))
                break
        except sa.exc.OperationalError:
            os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)
    engine.dispose()


def attempt(system: LeanSystem, folder: Path, run_id: str) -> Try:
    url = system.hub.engine.url.render_as_string(hide_password=False)
    ca_file = system.credentials.ca_file or ""
    include, base = str(folder / "include"), system.credentials.base_url
    return Try(url, include, "keyset", base, ca_file, system.stage_url, run_id, "full", system.staged)


def test_a_process_that_was_stopped_longer_than_its_lease_commits_nothing_any_more(
    start_system: StartSystem, hub: Hub, tmp_path: Path, is_staged: bool
) -> None:
    system = start_system("keyset", staged=is_staged)
    system.api.fill(3_000)
    with SyncProcesses() as processes:
        pid = processes.start(attempt(system, tmp_path, "stopped"))
        while not rows_of(hub, SYNC_LEASE) or not system.api.calls:
            time.sleep(0.01)
        stop_between_transactions(hub, pid)
        try:
            system.sync("other", Mode.FULL)
            before = [row for row in rows_of(hub, BATCH) if row["run_id"] == "stopped"]
        finally:
            os.kill(pid, signal.SIGCONT)
        assert processes.wait() == 1
    assert [row for row in rows_of(hub, BATCH) if row["run_id"] == "stopped"] == before
    system.sync("stopped", Mode.FULL)
    created = sum(row["created"] for row in rows_of(hub, BATCH))
    assert created == 3_000


@pytest.mark.parametrize("meddle", ["delete", "take"])
def test_a_lease_that_went_away_in_the_middle_stops_its_holder_at_the_next_batch(
    start_system: StartSystem, hub: Hub, is_staged: bool, meddle: str
) -> None:
    system = start_system("keyset", staged=is_staged)
    system.api.fill(550)
    sync, source = system.open_run("r1", Mode.FULL), system.open_source()
    if meddle == "delete":
        hub.write(lambda connection: connection.execute(SYNC_LEASE.delete()))
    else:
        take_lease(hub, "r1")
    with pytest.raises(LeaseError, match="ERR_010"):
        system.run(sync, source)
    assert rows_of(hub, BATCH) == []
    system.sync("r1", Mode.FULL)
    assert_run_is_whole(hub, Oracle("keyset"), system.api, "r1", is_full=True)


def test_a_token_is_never_given_twice_though_its_row_was_deleted(hub: Hub) -> None:
    tokens = []
    for _ in range(3):
        tokens += [take_lease(hub, "r1"), take_lease(hub, "r1")]
        hub.write(lambda connection: connection.execute(SYNC_LEASE.delete()))
        time.sleep(0.01)
    assert sorted(set(tokens)) == tokens


def test_of_two_runs_at_once_one_is_refused_and_told_who_runs(start_system: StartSystem) -> None:
    system = start_system("keyset")
    system.open_run("first")
    with pytest.raises(LeaseError, match="first"):
        system.sync("second")
