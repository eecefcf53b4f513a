"""The DAGs that come from the system files: their shape, their retries, and what a faulty file breaks."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, RetryDecision
from airflow.sdk.exceptions import ParamValidationError

from kwiksync_ops.dag_factory import inbound_dags
from kwiksync_ops.errors import CustomerKeyError, HubError, SystemUnavailableError
from kwiksync_ops.operators.retry_policy import KwikSyncRetryPolicy

ROOT = Path(__file__).parents[2]
IMPORTS = """
import sys
sys.path.insert(0, "dags")
from airflow.sdk import DAG, BaseOperator, BaseSensorOperator, CronTriggerTimetable, Param, TaskGroup
before = set(sys.modules)
import kwiksync_inbound, kwiksync_outbound, kwiksync_verify
heavy = {"pandas", "pyarrow", "sqlalchemy", "requests", "alembic", "psycopg", "quickjs"}
print(sorted(heavy & (set(sys.modules) - before)))
"""


@pytest.fixture(scope="module")
def dag() -> DAG:
    return inbound_dags(ROOT / "include")["kwiksync_erp_inbound"]


def test_one_run_at_a_time_without_catching_up_in_the_systems_own_zone(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert "timezone='Europe/Berlin'" in repr(dag.timetable)
    assert dag.doc_md
    assert "kwiksync errors list" in dag.doc_md


def test_every_task_is_retried_three_times_by_the_policy(dag: DAG) -> None:
    for task in dag.tasks:
        assert task.retries == 3, task.task_id
        assert isinstance(task.retry_policy, KwikSyncRetryPolicy), task.task_id
        assert task.retry_delay == timedelta(minutes=1), task.task_id


@pytest.mark.parametrize(("attempt", "seconds"), [(1, 60), (2, 300), (3, 900)])
def test_what_may_pass_is_tried_again_after_1_5_and_15_minutes(attempt: int, seconds: int) -> None:
    for error in (SystemUnavailableError("down"), HubError("locked"), ValueError("a defect")):
        decision = KwikSyncRetryPolicy().evaluate(error, attempt, 3)
        assert decision.retry_delay == timedelta(seconds=seconds)


def test_the_fourth_failure_and_what_waiting_does_not_mend_are_final() -> None:
    final = RetryDecision.fail().action
    assert KwikSyncRetryPolicy().evaluate(SystemUnavailableError("down"), 4, 3).action == final
    assert KwikSyncRetryPolicy().evaluate(CustomerKeyError("revoked"), 1, 3).action == final


def test_a_task_that_was_cleared_has_its_three_retries_again() -> None:
    """Airflow counts tries on: four tries and a clear make the next one number 5 of at most 7."""
    decisions = [KwikSyncRetryPolicy().evaluate(SystemUnavailableError("down"), number, 7) for number in (5, 6, 7, 8)]
    assert [each.retry_delay for each in decisions] == [timedelta(seconds=s) for s in (60, 300, 900)] + [None]


def test_a_table_comes_after_those_that_it_refers_to(dag: DAG) -> None:
    def before(table: str) -> set[str]:
        return {task.split(".")[0] for task in dag.get_task(f"{table}.extract").upstream_task_ids}

    assert before("locations") == {"acquire"}
    assert before("projects") == {"locations"}
    assert before("tickets") == {"locations", "projects"}
    assert before("kw_corp_ticket_tasks") == {"tickets"}
    assert before("assets") == {"locations"}
    assert before("deliverables") == {"projects"}


def test_log_and_release_are_teardowns_so_that_a_failed_load_fails_the_run(dag: DAG) -> None:
    assert dag.get_task("acquire").is_setup
    assert dag.get_task("log").is_teardown
    assert dag.get_task("release").is_teardown
    assert dag.get_task("release").upstream_task_ids >= {"log"}


@pytest.mark.parametrize(
    "wrong", [{"mode": "everything"}, {"tables": ["invoices"]}, {"from": "yesterday"}, {"tables": "tickets"}]
)
def test_a_wrong_parameter_is_refused_before_anything_runs(dag: DAG, wrong: dict[str, Any]) -> None:
    params = copy.deepcopy(dag.params)
    with pytest.raises(ParamValidationError):
        params.update(wrong)


def test_a_faulty_file_breaks_its_own_dag_and_names_its_faults(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "include" / "systems", tmp_path / "systems")
    shutil.copytree(ROOT / "include" / "mappings", tmp_path / "mappings")
    (tmp_path / "systems" / "crm.yaml").write_text("system: crm\nkind: rest\nconection: crm\n")
    dags = inbound_dags(tmp_path)
    assert dags["kwiksync_erp_inbound"].task_ids[0] == "acquire"
    broken = dags["kwiksync_crm_inbound"]
    assert broken.task_ids == ["read_configuration"]
    assert "did you mean" in (broken.doc_md or "").lower()
    assert "crm.yaml:3" in (broken.doc_md or "")


def test_parsing_imports_nothing_heavy() -> None:
    command = [sys.executable, "-c", IMPORTS]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert ended.stdout.strip().splitlines()[-1] == "[]"
