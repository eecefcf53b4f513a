"""The OpenAPI document as generated clients need it, and failures of ours as callers see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kwiksync_ops.api.app import create_app
from kwiksync_ops.api.context import Context
from tests.support.api_server import AirflowDouble, ApiServer


def test_each_operation_has_a_name_of_its_own_and_says_who_may_call() -> None:
    document = create_app().openapi()
    assert {scheme["type"] for scheme in document["components"]["securitySchemes"].values()} == {"http", "apiKey"}
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = {operation["operationId"] for operation in operations}
    assert len(names) == len(operations)
    assert {"start_sync", "read_record", "rotate_key"} <= names
    for operation in operations:
        assert operation["security"] == [{"AirflowToken": []}, {"CustomerKey": []}]


@pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)
def test_a_failure_of_ours_tells_its_request_id_alone_and_is_not_stored_on_the_way(
    server: ApiServer, airflow: AirflowDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_dag_id: str) -> None:
        raise RuntimeError("canary")

    monkeypatch.setattr(airflow, "active_runs", broken)
    answer = server.call("GET", "/status", who="user")
    assert (answer.status_code, answer.json()["code"]) == (500, "ERR_099")
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert "canary" not in answer.text


@pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)
def test_a_hub_that_is_away_is_told_without_where_it_is(server: ApiServer, context: Context) -> None:
    context.close()
    context.given = replace(context.settings, hub_url=f"sqlite:///{context.settings.home}/canary.db")
    answer = server.call("GET", "/status", headers={"X-Customer-Key": f"kwk_{'0' * 32}_{'A' * 43}"})
    assert (answer.status_code, answer.json()["code"]) == (503, "ERR_012")
    assert "canary" not in answer.text
