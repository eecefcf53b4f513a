"""The hub's database fails at any statement, for a while or for good: a retry recovers, and nothing is half done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from kwiksync_ops.errors import HubError, KwikSyncError, SystemUnavailableError
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORDS, SYNC_LEASE
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Mode
from tests.faults.conftest import StartSystem
from tests.support.https_server import reset_after
from tests.support.inbound import hub_records, rows_of
from tests.support.invariants import Oracle, assert_run_is_whole
from tests.support.lean_system import LeanSystem


class Failing:
    """Makes one statement of an engine fail, counted over all its connections."""

    def __init__(self, engine: sa.Engine, at: int) -> None:
        self.engine = engine
        self.left = at
        self.has_failed = False

    def __call__(self, connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        self.left -= 1
        if self.left == 0:
            self.has_failed = True
            raise sa.exc.StatementError("disk I/O error", statement, None, OSError("injected"))

    def __enter__(self) -> Failing:
        sa.event.listen(self.engine, "before_cursor_execute", self)
        return self

    def __exit__(self, *exc: object) -> None:
        sa.event.remove(self.engine, "before_cursor_execute", self)


def filled(system: LeanSystem, count: int) -> LeanSystem:
    system.api.fill(count)
    system.api.put("R00003", quantity="many")
    return system


def test_whichever_statement_fails_a_retry_makes_the_run_whole(start_system: StartSystem, is_staged: bool) -> None:
    """Statement 1, 6, 11, … of a run, until a run passes without reaching it."""
    system = filled(start_system("keyset", staged=is_staged), 150)
    oracle = Oracle("keyset")
    for number in range(1, 10_000, 5):
        run_id = f"r{number}"
        system.api.put("R00001", name=f"before run {number}")
        with Failing(system.hub.engine, number) as fault:
            try:
                system.sync(run_id, Mode.FULL)
            except (sa.exc.StatementError, KwikSyncError):
                assert fault.has_failed
        system.sync(run_id, Mode.FULL)
        assert_run_is_whole(system.hub, oracle, system.api, run_id, is_full=True)
        if not fault.has_failed:
            return
    raise AssertionError("no run passed")


def test_whichever_call_fails_a_retry_makes_the_run_whole(start_system: StartSystem, is_staged: bool) -> None:
    system = filled(start_system("keyset", staged=is_staged), 350)
    oracle = Oracle("keyset")
    for number in range(1, 100):
        run_id, system.api.calls = f"r{number}", 0
        system.api.put("R00001", name=f"before run {number}")
        system.api.instead = {number + attempt: reset_after() for attempt in range(3)}
        try:
            system.sync(run_id, Mode.FULL)
        except SystemUnavailableError:
            assert system.api.calls >= number
        is_passed = system.api.calls < number
        system.api.instead = {}
        system.sync(run_id, Mode.FULL)
        assert_run_is_whole(system.hub, oracle, system.api, run_id, is_full=True)
        if is_passed:
            return
    raise AssertionError("no run passed")


def test_a_commit_whose_answer_is_lost_is_not_done_twice(start_system: StartSystem, is_staged: bool) -> None:
    system = filled(start_system("keyset", staged=is_staged), 350)
    system.hub = AmnesicHub(system.hub.engine, system.hub.audit_keys, ManualClock())
    system.sync("r1", Mode.FULL)
    assert system.hub.lost >= 5
    assert_run_is_whole(system.hub, Oracle("keyset"), system.api, "r1", is_full=True)


class AmnesicHub(Hub):
    """Every other transaction commits and is run again, as when the answer to COMMIT never came."""

    calls = 0
    lost = 0

    def write(self, work: Any) -> Any:
        self.calls += 1
        if self.calls % 2:
            super().write(work)
            self.lost += 1
        return super().write(work)


def test_a_copy_that_the_database_refuses_is_an_error_of_the_hub(start_system: StartSystem) -> None:
    system = filled(start_system("keyset"), 50)
    table = RECORDS["assets"].name
    refuse = {
        "postgresql": f"alter table {table} add check (quantity < 0)",
        "sqlite": f"create trigger refuse before insert on {table} begin select raise(abort, 'refused'); end",
    }
    with system.hub.engine.begin() as connection:
        connection.execute(sa.text(refuse[connection.dialect.name]))
    with pytest.raises(HubError, match="ERR_012"):
        system.sync("r1")


def test_another_writer_that_holds_the_lock_for_good_ends_the_try_with_the_hubs_code(
    start_system: StartSystem, hub: Hub
) -> None:
    system = filled(start_system("keyset"), 50)
    clock = ManualClock()
    system.hub = Hub(hub.engine, hub.audit_keys, clock)
    sync, source = system.open_run("r1"), system.open_source()
    with impatient(hub.engine), blocking(hub), pytest.raises(HubError, match="ERR_012"):
        system.run(sync, source)
    assert len(clock.slept) == 5
    system.sync("r1")
    assert len(hub_records(hub, "assets")) == 49


@contextmanager
def impatient(engine: sa.Engine) -> Iterator[None]:
    """Connections that wait for a lock as good as not at all."""

    def at_connect(connection: Any, *rest: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA busy_timeout=1")
        else:
            connection.execute("set lock_timeout = '10ms'")
            connection.commit()

    engine.dispose()
    sa.event.listen(engine, "connect", at_connect)
    yield
    sa.event.remove(engine, "connect", at_connect)
    engine.dispose()


@contextmanager
def blocking(hub: Hub) -> Iterator[None]:
    """Another connection that holds the write lock, or the lease's row."""
    other = sa.create_engine(hub.engine.url)
    with other.connect() as connection:
        if hub.is_sqlite:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(sa.select(SYNC_LEASE).with_for_update())
        yield
    other.dispose()


@pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)
def test_a_full_disk_stops_the_run_with_its_remedy_and_room_lets_it_go_on(
    start_system: StartSystem, hub: Hub, is_staged: bool
) -> None:
    system = filled(start_system("keyset", staged=is_staged), 2_000)
    pages = 0

    def at_connect(connection: sqlite3.Connection, *rest: Any) -> None:
        if pages:
            connection.execute(f"PRAGMA max_page_count={pages}")

    sa.event.listen(hub.engine, "connect", at_connect)
    with hub.read() as connection:
        pages = connection.execute(sa.text("PRAGMA page_count")).scalar_one() + 60
    hub.engine.dispose()
    with pytest.raises(HubError, match=r"ERR_012.*full.*room on its disk"):
        system.sync("r1", Mode.FULL)
    taken = len(hub_records(hub, "assets"))
    assert 0 < taken < 1_999
    assert len(rows_of(hub, SYNC_LEASE)) == 1
    pages = 0
    hub.engine.dispose()
    system.sync("r1", Mode.FULL)
    assert_run_is_whole(hub, Oracle("keyset"), system.api, "r1", is_full=True)


def test_a_stage_without_room_stops_the_run_with_its_remedy(start_system: StartSystem) -> None:
    system = filled(start_system("keyset", staged=True), 250)
    folder = system.stage_url.removeprefix("file://")
    with open(folder, "w") as file:  # noqa: PTH123  # a file where the folder should be
        file.write("")
    with pytest.raises(HubError, match="KWIKSYNC_STAGE_URL"):
        system.sync("r1")
    assert hub_records(system.hub, "assets") == {}
    system.stage_url += "-with-room"
    system.sync("r1", Mode.FULL)
    assert len(hub_records(system.hub, "assets")) == 249
