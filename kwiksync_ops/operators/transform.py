"""Transform: map fields, validate, reject the faulty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kwiksync_ops.operators.run_context import stage_of
from kwiksync_ops.operators.table_operator import KwikSyncTableOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.services.table_sync import TableSync


class KwikSyncTransformOperator(KwikSyncTableOperator):
    """Maps and validates the staged pages, by the mapping version that the run started with."""

    ui_color = "#7c3aed"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import inbound

        return asdict(inbound.transform(sync, stage_of(sync)))
