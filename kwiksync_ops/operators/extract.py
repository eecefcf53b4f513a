"""Extract: connect, read page by page, stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import SkipMixin

from kwiksync_ops.operators.run_context import opened_source, stage_of
from kwiksync_ops.operators.table_operator import KwikSyncTableOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.services.table_sync import TableSync


class KwikSyncExtractOperator(KwikSyncTableOperator, SkipMixin):
    """Stages a table's pages. Where nothing is new, the steps after it are skipped."""

    ui_color = "#1d4ed8"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import inbound

        with opened_source(sync, credentials) as source:
            extracted = inbound.extract(sync, source, stage_of(sync))
        self.log.info("Extracted %s", extracted)
        if not extracted.is_new:
            self.log.info("Nothing is new in %s; transform and load are skipped.", self.table)
            context["ti"].xcom_push("return_value", asdict(extracted))
            self.skip(context["ti"], self.get_direct_relatives(upstream=False))
        return asdict(extracted)
