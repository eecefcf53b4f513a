"""The maintaining DAGs, run in a real Airflow."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.dag_factory import inbound_dags, maintenance_dags, outbound_dags, verify_dags
from kwiksync_ops.operators.maintenance import OWN
from kwiksync_ops.operators.notifier import KwikSyncNotifier
from kwiksync_ops.services import alerts
from kwiksync_ops.services.audit_trail import search_trail
from kwiksync_ops.storage.audit import AuditFilter
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.storage.models import SYNC_LOG
from kwiksync_ops.storage.schema import upgrade
from tests.support.airflow_runs import AirflowHome

RUN = """
import json
import kwiksync_maintenance as dags
told = {}
for name in ("kwiksync_maintenance", "kwiksync_watch"):
    run = getattr(dags, name).test()
    told[name] = {task.task_id: str(task.state) for task in run.get_task_instances()}
print("RESULT " + json.dumps(told), flush=True)
"""


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> AirflowHome:
    return AirflowHome(tmp_path_factory.mktemp("airflow"))


def run(airflow: AirflowHome) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.executable, "-c", RUN], env=airflow.environment, check=False, capture_output=True, text=True
    )
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")] or [ended.stderr[-3_000:]]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


def put_old_run(hub: Hub) -> None:
    began = datetime(2020, 1, 1, tzinfo=UTC)
    row = {"sys_id": "0" * 32, "run_id": "old", "system": "erp", "direction": "inbound", "table_name": "tickets"}
    row |= {"trigger": "schedule", "mode": "full", "status": "success", "who": "airflow"}
    hub.write(lambda connection: connection.execute(SYNC_LOG.insert().values(**row, started=began, ended=began)))


def test_they_run_and_keep_an_anchor(airflow: AirflowHome) -> None:
    home = Path(airflow.environment["KWIKSYNC_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    hub = open_hub(f"sqlite:///{home}/hub.db", (airflow.secret_key,))
    upgrade(hub)
    put_old_run(hub)
    for dag_id in ("kwiksync_maintenance", "kwiksync_watch"):
        alerts.run_failed(hub, OWN, dag_id, f"{dag_id}/earlier", SystemClock())
    assert run(airflow) == {
        "kwiksync_maintenance": {"anchor": "success", "clean": "success"},
        "kwiksync_watch": {"watch": "success"},
    }
    assert all(incident.closed for incident in alerts.list_incidents(hub, 9))
    (cleaned,) = search_trail(hub, AuditFilter(action="sync_log.clean"), limit=9)
    assert cleaned["details"]["from"] == f"task on {socket.gethostname()}"
    hub.close()


def test_every_dag_alerts_when_a_run_fails() -> None:
    dags = {**inbound_dags(), **outbound_dags(), **verify_dags(), **maintenance_dags()}
    assert len(dags) >= 5
    for dag in dags.values():
        assert isinstance(dag.on_failure_callback, KwikSyncNotifier)
