"""What the operators of a table have in common: the run, the lease, and the door at which every error is told."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException
from structlog.contextvars import bound_contextvars

from kwiksync_ops.operators.page_link import SyncPageLink
from kwiksync_ops.operators.run_context import (
    credentials_of,
    opened_hub,
    read_system,
    run_id_of,
    skip_unless_asked_for,
    table_sync_of,
)
from kwiksync_ops.retry import attempt_of
from kwiksync_ops.settings import read_settings
from kwiksync_ops.vocabulary import Direction, Mode

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.services.table_sync import TableSync


class KwikSyncTableOperator(BaseOperator):
    """One step of the sync of one table.

    Args:
        system_file: path of the system's YAML file.
        table: short name of the record table.
    """

    template_fields = ()
    direction = Direction.INBOUND
    mode: Mode | None = None
    ui_fgcolor = "#ffffff"
    operator_extra_links = (SyncPageLink(),)
    base_url = ""
    """Where the system is; known once the task has run."""

    def __init__(self, *, system_file: str, table: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.system_file = system_file
        self.table = table

    def execute(self, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services.identity import Identity
        from kwiksync_ops.services.table_sync import take_lease

        skip_unless_asked_for(context, self.table)
        system = read_system(self.system_file)
        named = {"run": run_id_of(context), "system": system.system, "table": self.table}
        with bound_contextvars(**named), opened_hub() as hub:
            sync = table_sync_of(context, hub, system, self.table, self.direction, self.mode)
            try:
                identity = Identity(partial(credentials_of, sync))
                self.base_url = identity.credentials.base_url
                sync = replace(sync, redactor=identity.redactor)
                sync = replace(sync, token=take_lease(hub, sync.run.run_id))
                return identity.use(partial(self.work, sync, context=context))
            except AirflowException:
                raise
            except Exception as exc:
                self._tell(sync, exc, context)
                raise

    @abstractmethod
    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        """The step; what it returns goes through XCom: counts and references only."""

    def _tell(self, sync: TableSync, error: Exception, context: Context) -> None:
        from kwiksync_ops.services.outcome import record_failure

        delays_s = read_settings().retry_delays_s
        attempt = attempt_of(context["ti"].try_number, context["ti"].max_tries, delays_s)
        self.log.error("Attempt %d failed: %s", attempt, sync.redactor.text(str(error)))
        try:
            record_failure(sync, error, attempt, delays_s)
        except Exception:  # the hub is away: the failure itself must still reach Airflow
            self.log.exception("The failure could not be written to the hub")
