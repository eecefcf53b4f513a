"""Retention: old rows are archived and removed; what somebody waits for stays, however old it is."""

from __future__ import annotations

import gzip
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services import retention
from kwiksync_ops.services.settings import change_setting
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import (
    API_CALL,
    BATCH,
    ERROR_LOG,
    KEPT_ANSWER,
    OUTBOX,
    RECORD_HISTORY,
    RECORD_LINK,
    SYNC_LOG,
)
from kwiksync_ops.testing import ManualClock

NOW = datetime(2026, 11, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=1_000)
LOG = {"system": "erp", "direction": "inbound", "table_name": "tickets", "trigger": "cli", "mode": "full", "who": "t"}


@pytest.fixture
def settings(hub: Hub, tmp_path: Path) -> Settings:
    return Settings(str(hub.engine.url), tmp_path, f"file://{tmp_path}/stage", home=tmp_path)


def add(hub: Hub, table: sa.Table, *rows: dict[str, Any]) -> None:
    hub.write(lambda connection: [connection.execute(table.insert().values(row)) for row in rows])


def log_row(name: str, started: datetime, *, ended: datetime | None = NOW) -> dict[str, Any]:
    return {**LOG, "sys_id": name, "run_id": name, "status": "success", "started": started, "ended": ended}


def error(name: str, run: str, resolution: str) -> dict[str, Any]:
    shared = {"occurred": OLD, "code": "ERR_008", "message": "m", "severity": "error", "system": "erp"}
    return {**shared, "sys_id": name, "run_id": run, "resolution": resolution}


def clean(hub: Hub, settings: Settings) -> dict[str, int]:
    done = retention.clean(hub, settings, who="tester", clock=ManualClock(NOW))
    return {each.name: each.rows for each in done}


def keys(hub: Hub, column: sa.Column[Any]) -> set[Any]:
    with hub.read() as connection:
        return set(connection.execute(sa.select(column)).scalars())


def test_old_runs_go_and_new_and_running_ones_stay(hub: Hub, settings: Settings) -> None:
    add(hub, SYNC_LOG, log_row("old", OLD), log_row("new", NOW), log_row("running", OLD, ended=None))
    batch = {"direction": "inbound", "table_name": "tickets", "number": 1, "fencing_token": 1, "digest": "d"}
    add(hub, BATCH, *({**batch, "run_id": name, "committed": OLD} for name in ("old", "new")))
    assert clean(hub, settings)["sync_log"] == 1
    assert keys(hub, SYNC_LOG.c.run_id) == {"new", "running"}
    assert keys(hub, BATCH.c.run_id) == {"new"}


def test_what_is_still_to_be_replayed_stays_with_its_run(hub: Hub, settings: Settings) -> None:
    add(hub, SYNC_LOG, log_row("with-open", OLD), log_row("with-closed", OLD))
    add(hub, ERROR_LOG, error("open", "with-open", "open"), error("closed", "with-closed", "resolved"))
    assert clean(hub, settings) == {"error_log": 1, "sync_log": 1, "history": 0, "outbox": 0}
    assert keys(hub, ERROR_LOG.c.sys_id) == {"open"}
    assert keys(hub, SYNC_LOG.c.run_id) == {"with-open"}


def test_history_that_a_system_has_not_got_yet_stays(hub: Hub, settings: Settings) -> None:
    entry = {"table_name": "tickets", "action": "update", "changes": "{}", "run_id": "r", "sys_created_by": "t"}
    rows = [{**entry, "sys_id": name, "sys_mod_count": 2, "sys_created_on": OLD} for name in ("sent", "waits", "local")]
    add(hub, RECORD_HISTORY, *rows)
    link = {"system": "erp", "table_name": "tickets"}
    add(
        hub,
        RECORD_LINK,
        {**link, "external_id": "1", "sys_id": "sent", "mod_count": 2},
        {**link, "external_id": "2", "sys_id": "waits", "mod_count": 1},
    )
    assert clean(hub, settings)["history"] == 2
    assert keys(hub, RECORD_HISTORY.c.sys_id) == {"waits"}


def test_deliveries_that_have_not_ended_well_stay(hub: Hub, settings: Settings) -> None:
    row = {"run_id": "r", "system": "erp", "table_name": "tickets", "record_sys_id": "x", "sys_mod_count": 1}
    states = ("confirmed", "superseded", "refused", "unconfirmed", "sending", "queued")
    shared = {**row, "action": "update", "payload": "{}", "hash_out": b"\0", "sys_created_on": OLD}
    add(hub, OUTBOX, *({**shared, "sys_id": state, "idempotency_key": state, "state": state} for state in states))
    assert clean(hub, settings)["outbox"] == 2
    assert keys(hub, OUTBOX.c.state) == set(states[2:])


def test_what_goes_stands_in_the_archive_whole(hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "ROWS", 3)
    add(hub, SYNC_LOG, *(log_row(f"run-{number}", OLD) for number in range(7)))
    assert [each.rows for each in retention.plan_clean(hub, ManualClock(NOW))] == [0, 7, 0, 0]
    assert clean(hub, settings)["sync_log"] == 7
    files = sorted((settings.home / "archive" / "sync_log").iterdir())
    archived = [json.loads(line) for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert [row["run_id"] for row in archived] == [f"run-{number}" for number in range(7)]
    assert len(files) == 3


def test_what_is_waited_for_again_while_it_is_archived_stays(
    hub: Hub, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(hub, ERROR_LOG, *(error(name, "run", "resolved") for name in ("reopened", "closed")))
    archive = retention._archive

    def archive_meanwhile(*given: Any) -> str:
        reopen = ERROR_LOG.update().where(ERROR_LOG.c.sys_id == "reopened").values(resolution="open")
        hub.write(lambda connection: connection.execute(reopen))
        return archive(*given)

    monkeypatch.setattr(retention, "_archive", archive_meanwhile)
    assert clean(hub, settings)["error_log"] == 1
    assert keys(hub, ERROR_LOG.c.sys_id) == {"reopened"}


def test_calls_of_callers_that_never_come_back_are_forgotten(hub: Hub, settings: Settings) -> None:
    now_s = time.time()
    calls = {"once": now_s - 3_600, "just now": now_s, "under way": now_s + 100}
    add(hub, API_CALL, *({"system": name, "at": at} for name, at in calls.items()))
    answer = {"caller": "key:acme", "digest": "d", "answer": "{}"}
    moments = {"long ago": NOW - timedelta(days=2), "today": NOW}
    add(hub, KEPT_ANSWER, *({**answer, "idempotency_key": name, "sys_created_on": at} for name, at in moments.items()))
    clean(hub, settings)
    assert keys(hub, API_CALL.c.system) == {"just now", "under way"}
    assert keys(hub, KEPT_ANSWER.c.idempotency_key) == {"today"}


def test_the_age_is_a_setting(hub: Hub, settings: Settings) -> None:
    add(hub, SYNC_LOG, log_row("old", OLD))
    change_setting(hub, "retention.sync_log_days", 2_000, who="ann", clock=ManualClock(NOW))
    assert clean(hub, settings)["sync_log"] == 0


def test_without_an_archive_nothing_is_removed(hub: Hub, settings: Settings) -> None:
    (settings.home / "archive").write_text("in the way")
    add(hub, SYNC_LOG, log_row("old", OLD))
    with pytest.raises(ConfigurationError, match="Nothing was removed"):
        clean(hub, settings)
    assert keys(hub, SYNC_LOG.c.run_id) == {"old"}
