"""Registers KWikSync with Airflow's api-server. Airflow imports every file here in each of its components."""

from airflow.plugins_manager import AirflowPlugin

from kwiksync_ops.api.airflow_access import AirflowGateway
from kwiksync_ops.api.app import create_app


class KwikSyncPlugin(AirflowPlugin):
    name = "kwiksync"
    fastapi_apps = [  # noqa: RUF012  # as Airflow's plugin manager reads it
        {"app": create_app(gateway=AirflowGateway()), "url_prefix": "/api/x_kwr_kwiksync", "name": "KWikSync"}
    ]
