"""The outbound DAG: its steps in their order, its retries, its form, and whose DAG it is."""

from __future__ import annotations

import copy
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, TriggerRule
from airflow.sdk.exceptions import ParamValidationError

from kwiksync_ops.dag_factory import inbound_dags, outbound_dags
from kwiksync_ops.operators.retry_policy import KwikSyncRetryPolicy
from tests.support.two_way_system import write_two_way

INCLUDE = Path(__file__).parents[2] / "include"
STEPS = ["detect", "extract", "transform", "push", "confirm"]


@pytest.fixture(scope="module")
def dag() -> DAG:
    return outbound_dags(INCLUDE)["kwiksync_erp_outbound"]


def test_a_table_goes_through_its_five_steps_between_acquire_and_release(dag: DAG) -> None:
    assert dag.get_task("tickets.detect").upstream_task_ids == {"acquire"}
    for step, following in pairwise(STEPS):
        assert f"tickets.{following}" in dag.get_task(f"tickets.{step}").downstream_task_ids
    assert dag.get_task("log").upstream_task_ids >= {"tickets.confirm"}
    assert dag.get_task("release").upstream_task_ids >= {"log"}
    assert dag.get_task("acquire").is_setup
    assert dag.get_task("release").is_teardown


def test_one_run_at_a_time_with_the_retries_of_the_product(dag: DAG) -> None:
    assert dag.max_active_runs == 1
    for task in dag.tasks:
        assert (task.retries, task.retry_delay) == (3, timedelta(minutes=1))
        assert isinstance(task.retry_policy, KwikSyncRetryPolicy)
    assert "kwiksync outbox list" in (dag.doc_md or "")


@pytest.mark.parametrize("wrong", [{"mode": "verify"}, {"tables": ["locations"]}, {"tables": "tickets"}])
def test_a_wrong_parameter_is_refused_before_anything_runs(dag: DAG, wrong: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        copy.deepcopy(dag.params).update(wrong)


FILES = '"mapping": "crm/assets.json", "outbound_mapping": "crm/assets.outbound.json", '
LOCATIONS = (
    f'{{"table": "locations", "source": "/l", "key": "id", {FILES}'
    '"rest": {"push": {"create": {"method": "POST", "path": "/l"}}}}, '
)


def test_a_table_comes_after_those_that_it_refers_to_and_a_skipped_one_skips_no_other(tmp_path: Path) -> None:
    write_two_way(tmp_path, "bulk")
    path = tmp_path / "systems" / "crm.yaml"
    tickets = path.read_text().replace('"table": "assets",', f'"table": "tickets", {FILES}')
    path.write_text(tickets.replace('"tables": [', '"tables": [' + LOCATIONS))
    both = outbound_dags(tmp_path)["kwiksync_crm_outbound"]
    detect = both.get_task("tickets.detect")
    assert detect.upstream_task_ids == {"locations.confirm"}
    assert detect.trigger_rule == TriggerRule.NONE_FAILED


def test_a_system_that_is_only_read_from_has_no_outbound_dag_and_the_other_way_round(tmp_path: Path) -> None:
    write_two_way(tmp_path, "bulk")
    path = tmp_path / "systems" / "crm.yaml"
    both = path.read_text()
    path.write_text(both.replace('"both"', '"inbound"'))
    assert outbound_dags(tmp_path) == {}
    path.write_text(both.replace('"both"', '"outbound"'))
    assert inbound_dags(tmp_path) == {}
    assert list(outbound_dags(tmp_path)) == ["kwiksync_crm_outbound"]


def test_a_faulty_file_breaks_its_own_dag_only(tmp_path: Path) -> None:
    (tmp_path / "systems").mkdir()
    (tmp_path / "systems" / "crm.yaml").write_text("system: crm\nkind: rest\nconection: crm\n")
    assert outbound_dags(tmp_path)["kwiksync_crm_outbound"].task_ids == ["read_configuration"]
