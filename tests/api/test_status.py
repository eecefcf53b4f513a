"""GET /status, through the plugin in a real api-server application of Airflow, with its own users and tokens."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_runs import AirflowHome

ASK = """
import json, os
from fastapi.testclient import TestClient
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

answers = {}
with TestClient(create_app(apps="core")) as client:
    for role in ("NOBODY", "VIEWER", "USER", "OP", "ADMIN", "FORGED"):
        headers = {}
        if role == "FORGED":
            headers = {"Authorization": "Bearer " + "x" * 40}
        elif role != "NOBODY":
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role, role=role))
            headers = {"Authorization": f"Bearer {token}"}
        answer = client.get("/api/x_kwr_kwiksync/status", headers=headers)
        answers[role] = [answer.status_code, answer.text]
print("RESULT " + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Status and body of what each kind of caller was answered."""
    airflow = AirflowHome(tmp_path_factory.mktemp("airflow"))
    root = Path(__file__).parents[2]
    environment = airflow.environment | {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(root / "plugins"),
        "KWIKSYNC_HUB_URL": f"sqlite:///{airflow.environment['AIRFLOW_HOME']}/hub.db",
    }
    kwiksync = str(Path(sys.executable).parent / "kwiksync")
    subprocess.run([kwiksync, "db", "upgrade"], env=environment, check=True, capture_output=True)
    ended = subprocess.run([sys.executable, "-c", ASK], env=environment, check=False, capture_output=True, text=True)
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")] or [ended.stderr[-3_000:]]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


def test_only_those_who_may_sync_see_the_status(answers: dict[str, Any]) -> None:
    assert {caller: answer[0] for caller, answer in answers.items()} == {
        "NOBODY": 401,
        "FORGED": 403,
        "VIEWER": 403,
        "USER": 200,
        "OP": 200,
        "ADMIN": 200,
    }


def test_the_status_tells_of_every_table(answers: dict[str, Any]) -> None:
    status = json.loads(answers["ADMIN"][1])
    assert status["syncing"] is False
    assert [table["table"] for table in status["tables"]][:2] == ["locations", "projects"]
    assert {table["records"] for table in status["tables"]} == {0}
