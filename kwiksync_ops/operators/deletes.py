"""Delete: what was deleted at the system, in the hub too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from kwiksync_ops.operators.run_context import opened_source
from kwiksync_ops.operators.table_operator import KwikSyncTableOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.services.table_sync import TableSync


class KwikSyncDeletesOperator(KwikSyncTableOperator):
    """Looks for deletions after the load, also where nothing new was extracted."""

    ui_color = "#047857"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import deletes

        allowed = bool(context["params"].get("allow_deletes"))
        sync = replace(sync, run=replace(sync.run, allow_deletes=allowed))
        with opened_source(sync, credentials) as source:
            return asdict(deletes.bring_in(sync, source))
