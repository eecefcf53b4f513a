"""Systems and undo over REST: a connection tested, a Customer Key set and never told, a run undone once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kwiksync_ops.api.context import Context
from kwiksync_ops.services.connections import SystemConnection
from kwiksync_ops.services.keys import customer_key
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT
from kwiksync_ops.vocabulary import Mode
from tests.support.api_server import AirflowDouble, ApiServer
from tests.support.inbound import Inbound, erp_credentials
from tests.support.sample_erp import CUSTOMER_KEY, TOKEN, SampleErp, running_sample_erp

RUN = "kwiksync_erp_inbound/manual__1"
sqlite = pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)


@pytest.fixture(scope="module")
def erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as started:
        yield started


@sqlite
def test_a_connection_is_tested_by_one_call_of_the_system(
    server: ApiServer, airflow: AirflowDouble, erp: SampleErp
) -> None:
    extra = {"ca_file": erp.ca_file}
    airflow.connections["kwiksync_erp"] = SystemConnection(erp.url, password="wrong", extra=extra)
    server.call("PUT", "/systems/erp/customer-key", who="admin", json={"key": CUSTOMER_KEY})
    refused = server.call("POST", "/systems/erp/test", who="admin").json()
    assert (refused["ok"], refused["message"][:7]) == (False, "ERR_003")
    airflow.connections["kwiksync_erp"] = SystemConnection(erp.url, password=TOKEN, extra=extra)
    answered = server.call("POST", "/systems/erp/test", who="admin")
    assert answered.json()["ok"] is True
    assert TOKEN not in answered.text


def test_a_customer_key_is_kept_and_never_told(server: ApiServer, hub: Hub, context: Context) -> None:
    answers = [
        server.call("PUT", "/systems/erp/customer-key", who="admin", json={"key": key}) for key in ("k-1", "k-2")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert customer_key(hub, context.settings.secret_keys, "erp") == "k-2"
    with hub.read() as connection:
        told = [str(dict(row)) for row in connection.execute(AUDIT.select()).mappings()]
    assert not any("k-2" in text for text in (answers[1].text, *told))
    assert server.call("PUT", "/systems/epr/customer-key", who="admin", json={"key": "k"}).status_code == 404
    assert server.call("PUT", "/systems/erp/customer-key", who="admin", json={"key": "käse"}).status_code == 422


@sqlite
def test_a_run_is_undone_as_planned_and_not_twice(server: ApiServer, hub: Hub, erp: SampleErp, tmp_path: Path) -> None:
    inbound = Inbound(hub, erp_credentials(erp), f"file://{tmp_path}/stage")
    inbound.sync(Mode.FULL, RUN, "locations")
    plan = server.call("GET", f"/undo/{RUN}", who="admin").json()
    (table,) = plan["tables"]
    assert (table["table"], table["created"], table["changed_since"]) == ("locations", 1490, 0)
    done = server.call("POST", f"/undo/{RUN}", who="admin", json={"skip_conflicts": False})
    assert done.json()["tables"] == [{"table": "locations", "restored": 0, "buried": 1490, "kept": 0}]
    again = server.call("POST", f"/undo/{RUN}", who="admin", json={"skip_conflicts": False})
    assert again.status_code == 400
    assert "undone already" in again.json()["message"]
