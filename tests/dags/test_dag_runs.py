"""The inbound DAG in a real Airflow, against the sample ERP: what each task does, and what a run leaves behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import CHECKPOINT, ERROR_LOG, RECORD_HISTORY, SYNC_LOG
from tests.support.airflow_runs import AirflowHome
from tests.support.inbound import hub_records, rows_of
from tests.support.sample_erp import SampleErp

STEPS = ("extract", "transform", "load")
TABLES = ("locations", "projects", "tickets", "kw_corp_ticket_tasks", "assets", "deliverables")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    return AirflowHome(tmp_path_factory.mktemp("airflow"))


def is_lease_free(hub: Hub) -> bool:
    with hub.read() as connection:
        held = lease.state(connection)
    return held is not None and not held.is_held


def test_everything_comes_in_then_only_what_changed_then_nothing(
    airflow: AirflowHome, airflow_hub: Hub, erp: SampleErp, tmp_path: Path
) -> None:
    first = airflow.run()
    assert first.state == "success", first.output[-3_000:]
    assert {state for state, _ in first.tasks.values()} == {"success"}
    (batch,) = [line for line in first.output.splitlines() if "Batch 1 of locations" in line][:1]
    assert "system=erp" in batch
    assert "table=locations" in batch
    assert "run=kwiksync_erp_inbound/" in batch
    assert "batch=1" in batch
    assert {table: len(hub_records(airflow_hub, table)) for table in TABLES} == {
        "locations": 1490,
        "projects": 442,
        "tickets": 3146,
        "kw_corp_ticket_tasks": 5026,
        "assets": 1807,
        "deliverables": 1494,
    }
    erp.move_clock(advance_minutes=10)
    assert airflow.run().state == "success"
    history = len(rows_of(airflow_hub, RECORD_HISTORY))
    third = airflow.run()
    assert third.state == "success"
    skipped = {task for task, (state, _) in third.tasks.items() if state == "skipped"}
    assert skipped == {f"{table}.{step}" for table in TABLES for step in ("transform", "load")}
    assert len(rows_of(airflow_hub, RECORD_HISTORY)) == history
    logs = rows_of(airflow_hub, SYNC_LOG)
    assert len(logs) == 18
    assert all(row["ended"] for row in logs)
    assert sum(row["created"] + row["updated"] for row in logs if row["run_id"].endswith(third.run_id)) == 0
    assert is_lease_free(airflow_hub)


def test_only_the_tables_that_were_asked_for_are_synced(airflow: AirflowHome, airflow_hub: Hub) -> None:
    run = airflow.run(tables=["locations", "assets"], mode="full")
    assert run.state == "success", run.output[-3_000:]
    done = {task.split(".")[0] for task, (state, _) in run.tasks.items() if state == "success"}
    assert done == {"acquire", "locations", "assets", "log", "release"}
    assert {row["table_name"] for row in rows_of(airflow_hub, SYNC_LOG)} == {"locations", "assets"}


def test_a_preview_writes_no_record(airflow: AirflowHome, airflow_hub: Hub) -> None:
    run = airflow.run(tables=["locations"], mode="preview")
    assert run.state == "success", run.output[-3_000:]
    assert hub_records(airflow_hub, "locations") == {}
    assert rows_of(airflow_hub, CHECKPOINT) == []
    (row,) = rows_of(airflow_hub, SYNC_LOG)
    assert "998 would be created" in row["message"]


def test_a_wrong_customer_key_fails_at_once_is_logged_once_and_frees_the_lease(
    airflow: AirflowHome, airflow_hub: Hub
) -> None:
    airflow.set_customer_key(airflow_hub, "not-the-key-that-the-erp-knows")
    run = airflow.run()
    assert run.state == "failed"
    assert run.tasks["locations.extract"] == ["failed", 1]
    assert run.task("tickets.load") == "upstream_failed"
    assert run.task("log") == run.task("release") == "success"
    (error,) = rows_of(airflow_hub, ERROR_LOG)
    assert (error["code"], error["severity"], error["attempt"]) == ("ERR_001", "critical", 1)
    assert error["stack_trace"]
    (row,) = rows_of(airflow_hub, SYNC_LOG)
    assert (row["status"], row["error_code"]) == ("failed", "ERR_001")
    assert "not-the-key" not in run.output
    assert is_lease_free(airflow_hub)


def test_without_a_connection_the_run_says_which_one_is_missing(airflow: AirflowHome, airflow_hub: Hub) -> None:
    kept = airflow.environment.pop("AIRFLOW_CONN_KWIKSYNC_ERP")
    try:
        run = airflow.run(tables=["locations"])
    finally:
        airflow.environment["AIRFLOW_CONN_KWIKSYNC_ERP"] = kept
    assert run.state == "failed"
    (error,) = rows_of(airflow_hub, ERROR_LOG)
    assert "no connection 'kwiksync_erp'" in error["message"]


def test_a_system_that_is_down_is_tried_four_times_and_logged_once(airflow: AirflowHome, airflow_hub: Hub) -> None:
    """With short delays; that they are 1, 5 and 15 minutes by default is tested beside the policy."""
    airflow.set_connection("https://localhost:1")
    airflow.environment["KWIKSYNC_RETRY_DELAYS_S"] = "1,1,1"
    try:
        run = airflow.run(tables=["locations"])
    finally:
        del airflow.environment["KWIKSYNC_RETRY_DELAYS_S"]
    assert run.state == "failed"
    assert run.tasks["locations.extract"] == ["failed", 4]
    (error,) = rows_of(airflow_hub, ERROR_LOG)
    assert (error["code"], error["attempt"]) == ("ERR_011", 4)
    assert is_lease_free(airflow_hub)


def test_while_another_sync_runs_a_run_waits_visibly_and_starts_when_it_is_over(
    airflow: AirflowHome, airflow_hub: Hub
) -> None:
    take_lease(airflow_hub, "another/run")
    airflow_hub.write(lambda connection: lease.extend(connection, "another/run", 600))
    process = airflow.start(tables=["locations"])
    while "up_for_reschedule" not in airflow.task_states("acquire"):
        assert process.poll() is None, airflow.result(process).output[-3_000:]
        time.sleep(0.2)
    assert rows_of(airflow_hub, SYNC_LOG) == []
    airflow_hub.write(lambda connection: lease.release(connection, "another/run"))
    assert airflow.result(process).state == "success"
    assert len(hub_records(airflow_hub, "locations")) == 1490
