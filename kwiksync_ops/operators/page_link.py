"""The button on a task in Airflow's UI that opens the page of its sync."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

PAGES = "api/x_kwr_kwiksync/pages"


class SyncPageLink(BaseOperatorLink):
    """Airflow stores it with the task's end. It leads to our page in Airflow's frame."""

    name = "KWikSync"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        base = conf.get("api", "base_url", fallback="/").rstrip("/")
        run = quote(f"{ti_key.dag_id}/{ti_key.run_id}")
        return f"{base}/plugin/kwiksync{urlsplit(base).path}/{PAGES}/sync-log/{run}"
