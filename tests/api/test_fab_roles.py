"""KWikSync's own roles with Airflow's FAB auth manager: made by a command, and what each may."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_runs import AirflowHome

FAB = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
PEOPLE = {"ann": "x_kwr_kwiksync.admin", "ben": "x_kwr_kwiksync.user", "vic": "Viewer"}
ASK = """
import json
from fastapi.testclient import TestClient
from airflow.api_fastapi.app import create_app, get_auth_manager

ROOT = "/api/x_kwr_kwiksync"
answers = {}
with TestClient(create_app(apps="core")) as client:
    manager = get_auth_manager()
    for name in ("ann", "ben", "vic"):
        user = manager.security_manager.find_user(name)
        headers = {"Authorization": "Bearer " + manager.generate_jwt(user)}
        calls = [client.get(ROOT + "/status", headers=headers), client.get(ROOT + "/settings", headers=headers)]
        calls.append(client.post(ROOT + "/sync", headers=headers, json={"system": "erp", "tables": ["locations"]}))
        answers[name] = [call.status_code for call in calls]
print("RESULT " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Status codes of GET /status, GET /settings and POST /sync for each of the people."""
    airflow = AirflowHome(tmp_path_factory.mktemp("airflow"), auth_manager=FAB)
    root = Path(__file__).parents[2]
    environment = airflow.environment | {"AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins")}
    environment["KWIKSYNC_HUB_URL"] = f"sqlite:///{environment['AIRFLOW_HOME']}/hub.db"
    commands = [["kwiksync", "db", "upgrade"], ["kwiksync", "roles", "create"], ["airflow", "dags", "reserialize"]]
    for name, role in PEOPLE.items():
        person = [f"--{key}={name}@example.com" for key in ("email", "username", "firstname", "lastname")]
        person[1] = f"--username={name}"
        commands.append(["airflow", "users", "create", *person, f"--role={role}", "--password=pw"])
    for command in commands:
        program = str(Path(sys.executable).with_name(command[0]))
        done = subprocess.run([program, *command[1:]], env=environment, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    ended = subprocess.run([sys.executable, "-c", ASK], env=environment, check=False, capture_output=True, text=True)
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")] or [ended.stderr[-3_000:]]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


def test_each_role_may_what_the_access_table_says(answers: dict[str, Any]) -> None:
    assert answers == {"ann": [200, 200, 202], "ben": [200, 403, 202], "vic": [403, 403, 403]}
