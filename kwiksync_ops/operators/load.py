"""Load: create or update, batch by batch, each batch one transaction of the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kwiksync_ops.operators.run_context import stage_of
from kwiksync_ops.operators.table_operator import KwikSyncTableOperator

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.services.table_sync import TableSync


class KwikSyncLoadOperator(KwikSyncTableOperator):
    """Commits the staged batches; a retry goes on after the last one that was committed."""

    ui_color = "#047857"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import inbound

        return asdict(inbound.load(sync, stage_of(sync)))

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What OpenLineage's provider asks, where it is installed."""
        from kwiksync_ops.operators.lineage import lineage_of

        return lineage_of(self, task_instance)
