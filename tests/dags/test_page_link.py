"""The button on a task that opens the page of its sync, below whatever prefix Airflow is served under."""

from __future__ import annotations

import pytest
from airflow.sdk.types import TaskInstanceKey

from kwiksync_ops.dag_factory.inbound import inbound_dags
from kwiksync_ops.operators.page_link import SyncPageLink

KEY = TaskInstanceKey("kwiksync_erp_inbound", "tickets.load", "manual__2026-01-15T02:00:00+00:00", 1, -1)


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("https://airflow.example.com", "https://airflow.example.com/plugin/kwiksync/api/"),
        ("https://example.com/team/", "https://example.com/team/plugin/kwiksync/team/api/"),
    ],
)
def test_a_task_leads_to_its_run(monkeypatch: pytest.MonkeyPatch, base: str, link: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    load = inbound_dags()["kwiksync_erp_inbound"].get_task("tickets.load")
    (button,) = load.operator_extra_links
    assert button.get_link(load, ti_key=KEY) == (
        f"{link}x_kwr_kwiksync/pages/sync-log/kwiksync_erp_inbound/manual__2026-01-15T02%3A00%3A00%2B00%3A00"
    )
    assert button.name == SyncPageLink.name == "KWikSync"
