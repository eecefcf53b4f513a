"""Airflow for the demo: its settings, its start, and what is asked of it over its REST API."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from demo_processes import Processes
from demo_workspace import FOLDER, HOST, ROOT, DemoError, Ports, write_secret

HOME = FOLDER / "airflow"
LOG = FOLDER / "airflow.log"
USER = "admin"
TRIES = 5
START_S = 180
DAG_S = 120
POLL_S = 0.5


def airflow_settings(ports: Ports) -> dict[str, str]:
    """Airflow's settings as environment variables; whatever else is set for an Airflow on this machine is not read."""
    url = f"http://{HOST}:{ports.airflow}"
    return {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(ports.airflow),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(HOME / "passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(ports.triggerer_logs),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(ports.worker_logs),
        # Or a demo at the hour of the schedule finds its work done by a scheduled run.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }


def process_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, without what is meant for another Airflow or KWikSync, and with these variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "KWIKSYNC"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
    return inherited | {"PATH": path, "PYTHONUNBUFFERED": "1"} | dict(variables)


def start_airflow(processes: Processes, environ: Mapping[str, str], ports: Ports, password: str) -> Airflow:
    """`airflow standalone`, which is not ready yet."""
    HOME.mkdir(parents=True, mode=0o700)
    write_secret(HOME / "passwords.json", json.dumps({USER: password}))
    keys = {
        "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
    }
    command = [str(Path(sys.executable).with_name("airflow")), "standalone"]
    process = processes.start(command, process_environment({**environ, **keys}), LOG)
    return Airflow(f"http://{HOST}:{ports.airflow}", password, process)


@dataclass
class Airflow:
    """A running Airflow and its REST API."""

    url: str
    password: str
    process: subprocess.Popen[str]
    _session: requests.Session = field(default_factory=requests.Session)

    def wait_until_ready(self, dag_id: str) -> None:
        """All components are healthy, and the DAG is parsed.

        Raises:
            DemoError: Airflow ended, or did not get so far in time.
        """
        self._session.trust_env = False
        self._wait(START_S, self._is_healthy, "Airflow did not become healthy")
        answer = self._session.post(
            f"{self.url}/auth/token", json={"username": USER, "password": self.password}, timeout=30
        )
        self._session.headers["Authorization"] = f"Bearer {_json(answer)['access_token']}"
        self._wait(DAG_S, lambda: self._has_dag(dag_id), f"Airflow did not find the DAG {dag_id}")

    def unpause(self, dag_id: str) -> None:
        self._call("PATCH", f"/dags/{dag_id}", json={"is_paused": False})

    def trigger(self, dag_id: str, **params: Any) -> str:
        """Start a run; its id."""
        answer = self._call("POST", f"/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": params})
        return str(answer["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        return str(self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of every task of a run that has one, by task id."""
        answer = self._call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task["state"] or "none" for task in answer["task_instances"]}

    def import_errors(self) -> str:
        errors = self._call("GET", "/importErrors")["import_errors"]
        return "\n".join(f"{error['filename']}: {error['stack_trace'].strip()}" for error in errors)

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        """A question is asked again where a busy machine does not answer it in time."""
        for left in reversed(range(TRIES if method == "GET" else 1)):
            try:
                return _json(self._session.request(method, f"{self.url}/api/v2{path}", timeout=30, **options))
            except requests.Timeout as exc:
                if not left:
                    raise DemoError("Airflow did not answer in time.", remedy="Look into its log.", log=LOG) from exc
            except requests.ConnectionError as exc:
                raise DemoError("Airflow does not answer any more.", remedy="Look into its log.", log=LOG) from exc
        raise AssertionError("unreachable")  # pragma: no cover

    def _is_healthy(self) -> bool:
        try:
            answer = self._session.get(f"{self.url}/api/v2/monitor/health", timeout=10)
        except requests.ConnectionError:
            return False
        parts = answer.json() if answer.ok else {}
        return bool(parts) and all(
            parts[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor")
        )

    def _has_dag(self, dag_id: str) -> bool:
        answer = self._session.get(f"{self.url}/api/v2/dags/{dag_id}", timeout=30)
        if answer.status_code != requests.codes.not_found:
            return bool(_json(answer))
        if errors := self.import_errors():
            raise DemoError(f"Airflow can't import the DAG file:\n{errors}", remedy="Correct it and start again.")
        return False

    def _wait(self, seconds: float, is_so: Any, complaint: str) -> None:
        deadline = time.monotonic() + seconds
        while not is_so():
            if self.process.poll() is not None:
                raise DemoError(
                    f"Airflow ended by itself, with {self.process.returncode}.", remedy="See its log.", log=LOG
                )
            if time.monotonic() > deadline:
                raise DemoError(f"{complaint} within {seconds:.0f} s.", remedy="Look into its log.", log=LOG)
            time.sleep(POLL_S)


def _json(answer: requests.Response) -> dict[str, Any]:
    if not answer.ok:
        request = f"{answer.request.method} {answer.request.path_url}"
        raise DemoError(
            f"Airflow answered {request} with {answer.status_code}: {answer.text[:300]}",
            remedy="Look into its log.",
            log=LOG,
        )
    document: dict[str, Any] = answer.json()
    return document
