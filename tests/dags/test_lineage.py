"""Data sets of real runs, as OpenLineage's own provider writes them; and nothing of it where it is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services.edit import create_record
from kwiksync_ops.storage.hub import Hub
from tests.support.airflow_runs import ROOT, AirflowHome
from tests.support.sample_erp import SampleErp

COMPLETE = "COMPLETE"


@pytest.fixture
def airflow(tmp_path: Path) -> AirflowHome:
    home = AirflowHome(tmp_path)
    transport = {"type": "file", "log_file_path": str(tmp_path / "events.jsonl"), "append": True}
    home.environment["AIRFLOW__OPENLINEAGE__TRANSPORT"] = json.dumps(transport)
    return home


def data_sets(home: Path, task: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What went into the last run of a task, and what came out."""
    events = [json.loads(line) for line in (home / "events.jsonl").read_text().splitlines()]
    (*_, last) = [e for e in events if e["job"]["name"].endswith(f".{task}") and e["eventType"] == COMPLETE]
    return last["inputs"], last["outputs"]


def test_a_load_and_a_push_tell_from_where_to_where_and_how_many_rows(
    airflow: AirflowHome, airflow_hub: Hub, erp: SampleErp, tmp_path: Path
) -> None:
    assert airflow.run(tables=["locations"]).state == "success"
    theirs = {"namespace": erp.url.removesuffix("/"), "name": "api/v1/locations"}
    ours = {"namespace": f"sqlite:{tmp_path}/hub.db", "name": "x_kwr_kwiksync_locations"}
    (source,), (target,) = data_sets(tmp_path, "locations.load")
    assert {name: source[name] for name in theirs} == theirs
    assert {name: target[name] for name in ours} == ours
    assert target["outputFacets"]["outputStatistics"]["rowCount"] == 1490

    for number in range(3):
        values = {"number": f"N-{number}", "short_description": "A pump leaks", "state": "1", "priority": "2"}
        values |= {"opened_at": "2016-03-24T08:00:00Z"}
        create_record(airflow_hub, "tickets", values, who="ann", clock=SystemClock())
    assert airflow.run("kwiksync_erp_outbound").state == "success"
    (source,), (target,) = data_sets(tmp_path, "tickets.push")
    assert (source["namespace"], source["name"]) == (ours["namespace"], "x_kwr_kwiksync_tickets")
    assert (target["namespace"], target["name"]) == (theirs["namespace"], "api/v1/tickets")
    assert target["outputFacets"]["outputStatistics"]["rowCount"] == 3


PARSE = """
import sys
if sys.argv[1] == "absent":
    sys.modules["openlineage"] = sys.modules["airflow.providers.openlineage.extractors"] = None
import kwiksync_inbound, kwiksync_outbound
assert kwiksync_inbound.kwiksync_erp_inbound.get_task("locations.load").get_openlineage_facets_on_complete
assert not [name for name in sys.modules if name.startswith("openlineage.")]
"""


@pytest.mark.parametrize("provider", ["absent", "present"])
def test_the_dags_are_parsed_without_it(airflow: AirflowHome, provider: str) -> None:
    environment = {**airflow.environment, "PYTHONPATH": str(ROOT / "dags")}
    del environment["AIRFLOW__OPENLINEAGE__TRANSPORT"]
    subprocess.run([sys.executable, "-c", PARSE, provider], env=environment, check=True)
