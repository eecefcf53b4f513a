"""POST /sync: one run, however often and however many at once ask for it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from kwiksync_ops.api.callers import DagRun
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.kept_answers import IN_FLIGHT_FOR
from kwiksync_ops.storage.models import KEPT_ANSWER
from tests.support.api_server import AirflowDouble, ApiServer

TICKETS = {"system": "erp", "tables": ["tickets"]}


def post(server: ApiServer, body: dict[str, Any], key: str | None = None, who: str = "user") -> requests.Response:
    return server.call("POST", "/sync", who=who, json=body, headers={"Idempotency-Key": key} if key else {})


def test_a_sync_is_started_and_found_again(server: ApiServer) -> None:
    answer = post(server, TICKETS)
    assert (answer.status_code, answer.json()["created"]) == (202, True)
    run = answer.json()["run"]
    assert (run["dag_id"], run["conf"]) == ("kwiksync_erp_inbound", {"tables": ["tickets"], "mode": "incremental"})
    found = server.call("GET", f"/{answer.headers['Location']}", who="user")
    assert found.json() == {"run_id": run["run_id"], "state": "queued", "tables": []}


def test_fifty_at_once_start_one_run(server: ApiServer, airflow: AirflowDouble) -> None:
    gate = threading.Barrier(50)

    def ask(_number: int) -> requests.Response:
        gate.wait()
        return post(server, TICKETS)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(ask, range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert sum(answer.json()["created"] for answer in answers) == 1
    assert len({answer.json()["run"]["run_id"] for answer in answers}) == len(airflow.runs) == 1


def test_another_sync_is_another_run(server: ApiServer, airflow: AirflowDouble) -> None:
    post(server, TICKETS)
    assert post(server, {"system": "erp"}).json()["created"]
    assert post(server, {"system": "erp", "direction": "outbound"}).json()["run"]["dag_id"] == "kwiksync_erp_outbound"
    assert len(airflow.runs) == 3


@pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)
def test_a_run_from_airflow_s_form_is_the_same_sync_and_a_strange_one_is_another(
    server: ApiServer, airflow: AirflowDouble
) -> None:
    strange = {"tables": 5, "from": "yesterday", "to": 7}
    form = {"tables": ["tickets"], "mode": "incremental", "from": None, "to": None, "allow_deletes": False}
    airflow.runs += [
        DagRun("kwiksync_erp_inbound", f"manual__{n}", "queued", conf) for n, conf in enumerate((strange, form), 7)
    ]
    answer = post(server, TICKETS).json()
    assert (answer["created"], answer["run"]["run_id"]) == (False, "kwiksync_erp_inbound/manual__8")


def test_the_same_key_has_the_same_answer_even_when_the_run_is_over(server: ApiServer, airflow: AirflowDouble) -> None:
    first = post(server, TICKETS, key="k-1")
    airflow.runs.clear()
    again = post(server, TICKETS, key="k-1")
    assert (again.status_code, again.json(), again.headers["Location"]) == (
        first.status_code,
        first.json(),
        first.headers["Location"],
    )
    assert again.headers["Idempotent-Replayed"] == "true"
    assert airflow.runs == []


def test_the_same_key_with_another_body_is_refused(server: ApiServer) -> None:
    post(server, TICKETS, key="k-1")
    refused = post(server, {"system": "erp"}, key="k-1")
    assert refused.status_code == 422
    assert "another call" in refused.json()["message"]


def test_the_same_key_many_times_at_once_starts_one_run(server: ApiServer, airflow: AirflowDouble) -> None:
    gate = threading.Barrier(12)

    def ask(_number: int) -> requests.Response:
        gate.wait()
        return post(server, TICKETS, key="k-1")

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(12)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {answer.json()["created"] for answer in answers if answer.status_code == 202} == {True}
    assert len(airflow.runs) == 1


def test_the_same_key_after_a_call_that_never_ended_is_a_conflict_for_a_while(server: ApiServer, hub: Hub) -> None:
    post(server, TICKETS, key="k-1")
    hub.write(lambda connection: connection.execute(KEPT_ANSWER.update().values(answer=None)))
    assert post(server, TICKETS, key="k-1").status_code == 409
    long_ago = datetime.now(UTC) - IN_FLIGHT_FOR - timedelta(seconds=1)
    hub.write(lambda connection: connection.execute(KEPT_ANSWER.update().values(sys_created_on=long_ago)))
    assert post(server, TICKETS, key="k-1").status_code == 202


def test_a_key_belongs_to_its_caller(server: ApiServer, airflow: AirflowDouble) -> None:
    post(server, TICKETS, key="k-1")
    airflow.runs.clear()
    assert "Idempotent-Replayed" not in post(server, TICKETS, key="k-1", who="admin").headers


def test_a_refused_call_does_not_use_up_its_key(server: ApiServer) -> None:
    assert post(server, {"system": "erp", "tables": ["tikets"]}, key="k-1").status_code == 400
    assert post(server, TICKETS, key="k-2").status_code == 202


FAULTY: list[tuple[dict[str, Any], int, str]] = [
    ({}, 422, "system"),
    ({"system": "epr"}, 400, "Did you mean"),
    ({"system": "erp", "tables": ["tikets"]}, 400, "tikets"),
    ({"system": "erp", "direction": "sideways"}, 422, "direction"),
    ({"system": "erp", "mode": "all"}, 422, "mode"),
    ({"system": "erp", "from": "yesterday"}, 422, "from"),
    ({"system": "erp", "form": "2026-01-01T00:00:00Z"}, 422, "form"),
]


def test_a_faulty_call_is_told_what_is_wrong(server: ApiServer, subtests: pytest.Subtests) -> None:
    for body, status, says in FAULTY:
        with subtests.test(repr(body)):
            answer = post(server, body)
            problem = answer.json()
            assert answer.status_code == status
            assert says in problem["message"]
            assert problem.keys() == {"code", "message", "detail", "request_id"}
            assert problem["request_id"] == answer.headers["X-Request-Id"]


def test_an_unknown_system_is_told_with_the_known_ones_and_without_the_server_s_folder(server: ApiServer) -> None:
    told = post(server, {"system": "epr"}).text
    assert all(word in told for word in ("'epr'", "Did you mean 'erp'", "There are: erp"))
    assert "/systems" not in told


def test_who_may_not_trigger_the_dag_in_airflow_may_not_here(server: ApiServer, airflow: AirflowDouble) -> None:
    airflow.refuses = frozenset({"kwiksync_erp_inbound"})
    assert post(server, TICKETS).status_code == 403
    assert airflow.runs == []
