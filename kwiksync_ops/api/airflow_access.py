"""What the REST app asks of Airflow: its users and their roles, its runs, its schedule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import resolve_user_from_token
from airflow.models import Connection as AirflowConnection
from airflow.models import DagModel
from airflow.models import DagRun as AirflowDagRun
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType
from fastapi import HTTPException, Request

from kwiksync_ops.api.callers import Caller, DagRun
from kwiksync_ops.api.problems import RefusedError
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.connections import SystemConnection
from kwiksync_ops.vocabulary import Role

ROLES: Mapping[str, Role] = {
    "admin": Role.ADMIN,
    Role.ADMIN.value: Role.ADMIN,
    "op": Role.USER,
    "user": Role.USER,
    Role.USER.value: Role.USER,
}
"""Airflow's roles, in small letters, and ours where an auth manager has custom ones. Every other may nothing."""

_ACTIVE = (DagRunState.RUNNING, DagRunState.QUEUED)


class AirflowGateway:
    """See `Gateway`."""

    async def user(self, request: Request) -> Caller | None:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        token = bearer or request.cookies.get(COOKIE_NAME_JWT_TOKEN)
        if not token:
            return None
        try:
            user = await resolve_user_from_token(token)
        except HTTPException as exc:
            raise RefusedError(
                "The token is not valid, or not any more.", status=HTTPStatus.UNAUTHORIZED, remedy="Log in again."
            ) from exc
        request.state.airflow_user = user
        return Caller(user.get_name(), role_of(user), "bearer" if bearer else "cookie")

    def may_trigger(self, request: Request, dag_id: str) -> bool:
        """Whoever has one of our own roles may; of the others Airflow knows."""
        user = request.state.airflow_user
        if any(name in set(Role) for name in _role_names(user)):
            return True
        return get_auth_manager().is_authorized_dag(
            method="POST", access_entity=DagAccessEntity.RUN, details=DagDetails(id=dag_id), user=user
        )

    def active_runs(self, dag_id: str) -> list[DagRun]:
        with create_session() as session:
            found = [
                run for state in _ACTIVE for run in AirflowDagRun.find(dag_id=dag_id, state=state, session=session)
            ]
            return [_run(run) for run in sorted(found, key=lambda run: run.id)]

    def trigger(self, dag_id: str, conf: dict[str, Any], who: str) -> DagRun:
        try:
            with create_session() as session:
                run = trigger_dag(
                    dag_id=dag_id,
                    triggered_by=DagRunTriggeredByType.REST_API,
                    triggering_user_name=who,
                    conf=conf,
                    session=session,
                )
                if run is None:
                    raise ConfigurationError(f"Airflow did not start {dag_id}.", remedy="See the api-server's log.")
                return _run(run)
        except (AirflowException, ValueError) as exc:
            raise ConfigurationError(
                f"Airflow did not start {dag_id}: {exc}",
                remedy="See in Airflow's UI whether the DAG is there and can be imported.",
            ) from exc

    def next_run(self, dag_id: str) -> datetime | None:
        with create_session() as session:
            dag = session.get(DagModel, dag_id)
            return dag.next_dagrun_create_after if dag and not dag.is_paused else None

    def connection(self, connection_id: str) -> SystemConnection:
        try:
            found = AirflowConnection.get_connection_from_secrets(connection_id)  # noqa: AIR311  # the SDK's is for tasks
        except AirflowNotFoundException as exc:
            raise ConfigurationError(
                f"Airflow has no connection {connection_id!r}.",
                remedy="Add it under Admin, Connections, with a type that begins with KWikSync.",
            ) from exc
        return SystemConnection(
            found.host or "", found.login, found.password, found.extra_dejson, "Airflow's connections"
        )


def role_of(user: Any) -> Role | None:
    """The highest of KWikSync's roles that a user has, whichever auth manager knows it."""
    found = {ROLES.get(name.lower()) for name in _role_names(user)}
    return next((role for role in (Role.ADMIN, Role.USER) if role in found), None)


def _role_names(user: Any) -> list[str]:
    """One with the simple auth manager, several with FAB."""
    one = getattr(user, "role", None)
    return [str(one)] if one else [str(role.name) for role in getattr(user, "roles", ())]


def _run(run: AirflowDagRun) -> DagRun:
    return DagRun(run.dag_id, run.run_id, str(run.state), dict(run.conf or {}), run.queued_at)
