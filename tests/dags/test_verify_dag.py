"""The verifying DAG: its shape, its form, and that it is not scheduled."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import ParamValidationError

from kwiksync_ops.dag_factory import inbound_dags, verify_dags
from kwiksync_ops.operators.retry_policy import KwikSyncRetryPolicy

INCLUDE = Path(__file__).parents[2] / "include"


@pytest.fixture(scope="module")
def dag() -> DAG:
    return verify_dags(INCLUDE)["kwiksync_erp_verify"]


def test_it_runs_by_hand_one_at_a_time_with_the_retries_of_a_sync(dag: DAG) -> None:
    assert dag.schedule is None
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert (task.retries, task.retry_delay) == (3, timedelta(minutes=1))
        assert isinstance(task.retry_policy, KwikSyncRetryPolicy)
    assert "Repair" in (dag.doc_md or "")


def test_every_table_is_a_leaf_so_that_one_that_fails_fails_the_run(dag: DAG) -> None:
    tables = [task for task in dag.tasks if task.task_id.startswith("verify_")]
    assert len(tables) == 6
    for task in tables:
        assert task.upstream_task_ids == {"acquire"}
        assert all(dag.get_task(name).is_teardown for name in task.downstream_task_ids)
    weights = [task.priority_weight for task in tables]
    assert weights == sorted(weights, reverse=True), "a table comes after those that it refers to"


@pytest.mark.parametrize("wrong", [{"repair": "both"}, {"tables": ["invoices"]}, {"repair_deletes": "maybe"}])
def test_a_wrong_parameter_is_refused_before_anything_runs(dag: DAG, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        copy.deepcopy(dag.params).update(wrong)


def test_a_sync_does_not_offer_to_verify() -> None:
    params = inbound_dags(INCLUDE)["kwiksync_erp_inbound"].params
    with pytest.raises(ParamValidationError):
        copy.deepcopy(params).update({"mode": "verify"})


def test_a_faulty_file_breaks_its_own_dag_only(tmp_path: Path) -> None:
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "crm.yaml").write_text("system: crm\nkind: rest\nconection: crm\n")
    assert verify_dags(tmp_path)["kwiksync_crm_verify"].task_ids == ["read_configuration"]
