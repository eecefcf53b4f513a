"""The app through the plugin in a real api-server application of Airflow, with its own users, tokens and DAGs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.airflow_runs import AirflowHome

ASK = """
import json
from fastapi.testclient import TestClient
from airflow.api_fastapi.app import create_app, get_auth_manager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

ROOT = "/api/x_kwr_kwiksync"

def headers(role):
    if role == "NOBODY":
        return {}
    if role == "FORGED":
        return {"Authorization": "Bearer " + "x" * 40}
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=role, role=role))
    return {"Authorization": f"Bearer {token}"}

def told(answer):
    return [answer.status_code, answer.json()]

with TestClient(create_app(apps="core")) as client:
    roles = ("NOBODY", "VIEWER", "USER", "OP", "ADMIN", "FORGED")
    answers = {role: told(client.get(ROOT + "/status", headers=headers(role))) for role in roles}
    body = {"system": "erp", "tables": ["locations"]}
    for name in ("first", "again"):
        answers[name] = told(client.post(ROOT + "/sync", headers=headers("USER"), json=body))
    answers["viewer's"] = told(client.post(ROOT + "/sync", headers=headers("VIEWER"), json=body))
    answers["after"] = told(client.get(ROOT + "/status", headers=headers("USER")))
    cookies = {"_token": headers("ADMIN")["Authorization"].removeprefix("Bearer ")}
    client.cookies.update(cookies)
    answers["cookie"] = told(client.get(ROOT + "/settings"))
    answers["cookie alone"] = told(client.post(ROOT + "/sync", json=body))
    queued = "sync-log/" + answers["first"][1]["run"]["run_id"]
    pages = ["", "connections", "settings", "airflow/kwiksync_erp_inbound", queued]
    found = [client.get(f"{ROOT}/pages/{path}") for path in pages]
    answers["pages"] = {path: [page.status_code, page.text] for path, page in zip(pages, found)}
    answers["test"] = told(client.post(ROOT + "/systems/erp/test", headers=headers("ADMIN")))
    plugins = client.get("/api/v2/plugins", headers=headers("ADMIN")).json()["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "kwiksync"]
    answers["views"] = {view["destination"]: view["href"] for view in ours["external_views"]}
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
    commands = Path(sys.executable).parent
    for command in (["kwiksync", "db", "upgrade"], ["airflow", "dags", "reserialize"]):
        subprocess.run([str(commands / command[0]), *command[1:]], env=environment, check=True, capture_output=True)
    ended = subprocess.run([sys.executable, "-c", ASK], env=environment, check=False, capture_output=True, text=True)
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")] or [ended.stderr[-3_000:]]
    found: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return found


def test_only_those_who_may_sync_see_the_status(answers: dict[str, Any]) -> None:
    assert {who: answers[who][0] for who in ("NOBODY", "FORGED", "VIEWER", "USER", "OP", "ADMIN")} == {
        "NOBODY": 401,
        "FORGED": 401,
        "VIEWER": 403,
        "USER": 200,
        "OP": 200,
        "ADMIN": 200,
    }


def test_the_status_tells_of_every_table(answers: dict[str, Any]) -> None:
    status = answers["ADMIN"][1]
    assert status["syncing"] is False
    assert [table["table"] for table in status["tables"]][:2] == ["locations", "projects"]
    assert {table["records"] for table in status["tables"]} == {0}
    assert all(dag["next"] is None or "T" in dag["next"] for dag in status["dags"])


def test_a_sync_is_started_in_airflow_once(answers: dict[str, Any]) -> None:
    (first_status, first), (again_status, again) = answers["first"], answers["again"]
    assert (first_status, first["created"]) == (202, True)
    assert (again_status, again["created"], again["run"]) == (202, False, first["run"])
    assert first["run"]["state"] == "queued"
    (dag,) = [dag for dag in answers["after"][1]["dags"] if dag["dag_id"] == "kwiksync_erp_inbound"]
    assert dag["active"] == [{"run_id": first["run"]["run_id"], "state": "queued"}]
    assert answers["viewer's"][0] == 403


def test_the_pages_are_in_airflow_s_navigation_and_beside_its_dags_runs_and_tasks(answers: dict[str, Any]) -> None:
    """An address that answers 200 may be Airflow's own page: what counts is what it says."""
    assert answers["views"] == {
        "nav": "api/x_kwr_kwiksync/pages/",
        "dag": "api/x_kwr_kwiksync/pages/airflow/{DAG_ID}",
        "dag_run": "api/x_kwr_kwiksync/pages/airflow/{DAG_ID}/{RUN_ID}",
        "task_instance": "api/x_kwr_kwiksync/pages/airflow/{DAG_ID}/{RUN_ID}?task={TASK_ID}",
    }
    pages = answers["pages"]
    assert {status for status, _ in pages.values()} == {200}
    says = ["Recent activity", "queued run", "Customer Key", "Nothing was synced yet", "has not begun to sync yet"]
    for (path, (_, text)), says_so in zip(pages.items(), says, strict=True):
        assert says_so in text, path


def test_a_connection_of_airflow_s_is_asked_for_in_this_process(answers: dict[str, Any]) -> None:
    status, told = answers["test"]
    assert (status, told["code"]) == (400, "ERR_014")
    assert "Airflow has no connection 'kwiksync_erp'" in told["message"]


def test_the_ui_s_cookie_reads_and_does_not_change(answers: dict[str, Any]) -> None:
    assert (answers["cookie"][0], answers["cookie alone"][0]) == (200, 403)
