"""Who calls: a user of Airflow, by its bearer token or its cookie, or the holder of a Customer Key that we issued."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

from fastapi import Request

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.connections import SystemConnection, find_connection
from kwiksync_ops.vocabulary import Role

Means = Literal["bearer", "cookie", "key"]


@dataclass(frozen=True)
class Caller:
    """`role` is None for somebody who is known and may nothing."""

    name: str
    role: Role | None
    means: Means

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG as Airflow has it; `state` in Airflow's words."""

    dag_id: str
    run_id: str
    state: str
    conf: dict[str, Any]
    queued: datetime | None = None


class Gateway(Protocol):
    """What the app asks of Airflow."""

    async def user(self, request: Request) -> Caller | None:
        """The user of Airflow that calls; None for nobody.

        Raises:
            RefusedError: credentials were sent that are not valid.
        """
        ...

    def may_trigger(self, request: Request, dag_id: str) -> bool:
        """Whether Airflow lets this user trigger the DAG; holders of keys are not asked about."""
        ...

    def active_runs(self, dag_id: str) -> list[DagRun]:
        """Running and queued runs, the oldest first."""
        ...

    def trigger(self, dag_id: str, conf: dict[str, Any], who: str) -> DagRun:
        """Start a run.

        Raises:
            ConfigurationError: Airflow has no such DAG, or it is paused for good.
        """
        ...

    def next_run(self, dag_id: str) -> datetime | None:
        """When the schedule starts the DAG next."""
        ...

    def connection(self, connection_id: str) -> SystemConnection:
        """Who we are to a system.

        Raises:
            ConfigurationError: Airflow has no such connection.
        """
        ...


class NoAirflow:
    """The app by itself, as its OpenAPI document is made: only Customer Keys are known, nothing can be triggered."""

    async def user(self, request: Request) -> Caller | None:
        return None

    def may_trigger(self, request: Request, dag_id: str) -> bool:
        return True

    def active_runs(self, dag_id: str) -> list[DagRun]:
        return []

    def trigger(self, dag_id: str, conf: dict[str, Any], who: str) -> DagRun:
        raise ConfigurationError(
            f"{dag_id} can't be triggered: this app does not run in Airflow's api-server.",
            remedy="Call it where the KWikSync plugin is loaded.",
        )

    def next_run(self, dag_id: str) -> datetime | None:
        return None

    def connection(self, connection_id: str) -> SystemConnection:
        return find_connection(connection_id)
