"""Verify: hub and system are compared table by table, and repaired where that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kwiksync_ops.operators.run_context import opened_source
from kwiksync_ops.operators.table_operator import KwikSyncTableOperator
from kwiksync_ops.vocabulary import Mode, Repair

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.services.table_sync import TableSync


class KwikSyncVerifyOperator(KwikSyncTableOperator):
    """Compares a whole table. That hub and system do not agree is its answer, not its failure."""

    mode = Mode.VERIFY
    ui_color = "#0e7490"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services.reconcile import VerifyRequest, check_request, details, summary, verify_table

        params = context["params"]
        side = params.get("repair") or None
        request = VerifyRequest(
            repair=Repair(side) if side else None, repair_deletes=bool(params.get("repair_deletes"))
        )
        check_request(sync.run.system, [sync.table], request)
        with opened_source(sync, credentials) as source:
            found = verify_table(sync, source, request, lambda _table, _records: None)
        for example in found.after.examples:
            self.log.warning("%s: %s", self.table, example)
        level = self.log.info if found.after.agrees else self.log.warning
        level("%s: %s", self.table, summary(found))
        return dict(details(found.after))
