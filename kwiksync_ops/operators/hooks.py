"""KWikSync's connection types in Airflow: who we are to a system. One a kind of connector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from kwiksync_ops.errors import ConfigurationError, CustomerKeyError, KwikSyncError

if TYPE_CHECKING:
    from kwiksync_ops.connectors.credentials import Credentials


class KwikSyncHook(BaseHook):
    """Reads a connection by its fields' names; the Customer Key is not in it, it lies encrypted in the hub."""

    conn_name_attr = "connection_id"
    default_conn_name = "kwiksync_default"
    conn_type = "kwiksync"
    hook_name = "KWikSync REST system"
    kind = "rest"

    def __init__(self, connection_id: str = default_conn_name) -> None:
        super().__init__()
        self.connection_id = connection_id

    def credentials(self, customer_key: str | None = None) -> Credentials:
        """Raises ConfigurationError where the connection is not complete."""
        from kwiksync_ops.services.connections import credentials_of

        try:
            found = self.get_connection(self.connection_id)
        except AirflowNotFoundException as exc:
            raise ConfigurationError(
                f"Airflow has no connection {self.connection_id!r}.",
                remedy=f"Add it under Admin, Connections, with the type {self.hook_name}, or in the secrets backend.",
            ) from exc
        return credentials_of(found.host, found.login, found.password, found.extra_dejson, customer_key)

    def test_connection(self) -> tuple[bool, str]:
        """What the button Test in Airflow's connection form does: one call of the system, without a Customer Key."""
        from kwiksync_ops.clock import SystemClock
        from kwiksync_ops.connectors.registry import open_source
        from kwiksync_ops.rate_limit import Unlimited

        try:
            source = open_source(self.kind, self.credentials(), {}, Unlimited(), SystemClock())
            try:
                return True, source.check()
            finally:
                source.close()
        except CustomerKeyError as exc:
            return True, f"The system was reached and asks for the Customer Key, which the hub holds: {exc.message}"
        except KwikSyncError as exc:
            return False, str(exc)


class ServiceNowHook(KwikSyncHook):
    conn_type = "kwiksync_servicenow"
    hook_name = "KWikSync ServiceNow instance"
    kind = "servicenow"


class ODataHook(KwikSyncHook):
    conn_type = "kwiksync_odata"
    hook_name = "KWikSync OData service"
    kind = "odata"


class SqlHook(KwikSyncHook):
    conn_type = "kwiksync_sql"
    hook_name = "KWikSync SQL database"
    kind = "sql"


class FilesHook(KwikSyncHook):
    conn_type = "kwiksync_files"
    hook_name = "KWikSync files"
    kind = "files"
