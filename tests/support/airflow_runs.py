"""Runs of the real DAGs in a real Airflow of their own, one process a run, with a hub of their own."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import configuration, keys
from kwiksync_ops.storage import schema
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.vault import Vault
from tests.support.sample_erp import CUSTOMER_KEY, TOKEN, SampleErp

ROOT = Path(__file__).parents[2]
MARK = "RESULT "
RUN = """
import json, sys
from importlib import import_module
direction = sys.argv[1].rpartition("_")[2]
dag = getattr(import_module(f"kwiksync_{direction}"), sys.argv[1])
run = dag.test(run_conf=json.loads(sys.argv[2]))
states = {task.task_id: [str(task.state), task.try_number] for task in run.get_task_instances()}
print("RESULT " + json.dumps({"state": str(run.state), "run_id": run.run_id, "tasks": states}), flush=True)
"""


@dataclass(frozen=True)
class DagRun:
    """How a run ended: its state, and state and number of tries of each task."""

    state: str
    run_id: str
    tasks: Mapping[str, tuple[str, int]]
    output: str

    def task(self, task_id: str) -> str:
        return self.tasks[task_id][0]


class AirflowHome:
    """An Airflow with its own database, and the environment of its tasks."""

    def __init__(self, home: Path, include: Path = ROOT / "include", *, auth_manager: str = "") -> None:
        self.secret_key = Fernet.generate_key().decode()
        self.include = include
        self.environment: dict[str, str] = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "KWIKSYNC_HOME": str(home / "kwiksync"),
            "KWIKSYNC_INCLUDE": str(include),
            "KWIKSYNC_SECRET_KEYS": self.secret_key,
            "PYTHONPATH": str(ROOT / "dags"),
        }
        if auth_manager:
            self.environment["AIRFLOW__CORE__AUTH_MANAGER"] = auth_manager
        subprocess.run([_executable("airflow"), "db", "migrate"], env=self.environment, check=True, capture_output=True)

    def new_hub(self, url: str, erp: SampleErp) -> Hub:
        """A hub with the mappings applied, and the ERP's connection and Customer Key; runs use it from now on."""
        self._ca_file = erp.ca_file
        self.set_connection(erp.url)
        self.environment["KWIKSYNC_HUB_URL"] = url
        hub = open_hub(url, (self.secret_key,))
        schema.upgrade(hub)
        configuration.apply(hub, self.include, who="tester", clock=SystemClock())
        self.set_customer_key(hub, CUSTOMER_KEY)
        return hub

    def task_states(self, task_id: str) -> list[str | None]:
        """The states of a task in all its runs so far, as the scheduler's database has them."""
        with sqlite3.connect(Path(self.environment["AIRFLOW_HOME"]) / "airflow.db", timeout=30) as database:
            rows = database.execute("select state from task_instance where task_id = ?", (task_id,)).fetchall()
        database.close()
        return [state for (state,) in rows]

    def set_connection(self, host: str) -> None:
        connection = {"conn_type": "kwiksync", "host": host, "password": TOKEN, "extra": {"ca_file": self._ca_file}}
        self.environment["AIRFLOW_CONN_KWIKSYNC_ERP"] = json.dumps(connection)

    def set_customer_key(self, hub: Hub, secret: str) -> None:
        keys.set_customer_key(hub, Vault((self.secret_key,)), "erp", secret, who="tester", clock=SystemClock())

    def run(self, dag_id: str = "kwiksync_erp_inbound", **conf: Any) -> DagRun:
        """Run a DAG to its end, as `airflow dags test` does."""
        return self.result(self.start(dag_id, **conf))

    def start(self, dag_id: str = "kwiksync_erp_inbound", **conf: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", RUN, dag_id, json.dumps(conf)]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def result(self, process: subprocess.Popen[str]) -> DagRun:
        output, _ = process.communicate()
        found = [line for line in output.splitlines() if line.startswith(MARK)]
        assert found, output[-4_000:]
        return DagRun(**json.loads(found[-1].removeprefix(MARK)), output=output)


def _executable(name: str) -> str:
    return str(Path(sys.executable).parent / name)
