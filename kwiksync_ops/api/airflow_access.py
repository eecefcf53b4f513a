"""Who may ask: Airflow's own users and permissions, by bearer token or by the cookie of its UI."""

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import HTTPException

from kwiksync_ops.settings import read_settings
from kwiksync_ops.system_spec.loader import load_systems


def require_syncing_user(user: GetUserDep) -> None:
    """Those who may trigger a sync may see how syncs do; 401 for nobody, 403 for everybody else."""
    for system in load_systems(read_settings().include, with_mappings=False):
        details = DagDetails(id=f"kwiksync_{system.system}_inbound")
        if get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user
        ):
            return
    raise HTTPException(403, "You may not trigger a sync of any system, so you may not see how they do.")
