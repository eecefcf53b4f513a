"""Registers KWikSync with Airflow's api-server. Airflow imports every file here in each of its components."""

from airflow.plugins_manager import AirflowPlugin

from kwiksync_ops.api.airflow_access import AirflowGateway
from kwiksync_ops.api.app import create_app

API = "/api/x_kwr_kwiksync"
PAGES = API.removeprefix("/") + "/pages"  # relative: below whatever prefix Airflow is served under


class KwikSyncPlugin(AirflowPlugin):
    name = "kwiksync"
    fastapi_apps = [  # noqa: RUF012  # as Airflow's plugin manager reads it
        {"app": create_app(gateway=AirflowGateway()), "url_prefix": API, "name": "KWikSync"}
    ]
    external_views = [  # noqa: RUF012  # the same
        {
            "name": "KWikSync",
            "href": f"{PAGES}/",
            "url_route": "kwiksync",
            "category": "KWikSync",
            "nav_top_level": True,
            "icon": f"{PAGES}/static/kwiksync.svg",
        },
        {
            "name": "KWikSync",
            "href": f"{PAGES}/airflow/{{DAG_ID}}",
            "url_route": "kwiksync_dag",
            "destination": "dag",
            "icon": f"{PAGES}/static/kwiksync.svg",
        },
        {
            "name": "KWikSync",
            "href": f"{PAGES}/airflow/{{DAG_ID}}/{{RUN_ID}}",
            "url_route": "kwiksync_run",
            "destination": "dag_run",
            "icon": f"{PAGES}/static/kwiksync.svg",
        },
        {
            "name": "KWikSync",
            "href": f"{PAGES}/airflow/{{DAG_ID}}/{{RUN_ID}}?task={{TASK_ID}}",
            "url_route": "kwiksync_task",
            "destination": "task_instance",
            "icon": f"{PAGES}/static/kwiksync.svg",
        },
    ]
