"""Detect, extract, transform, push, confirm: the way from the hub to a system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow.sdk import SkipMixin

from kwiksync_ops.operators.run_context import opened_target, stage_of
from kwiksync_ops.operators.table_operator import KwikSyncTableOperator
from kwiksync_ops.vocabulary import Direction

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage
    from airflow.sdk import Context

    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.services.table_sync import TableSync


class KwikSyncOutboundOperator(KwikSyncTableOperator):
    """A step of a table's way out."""

    direction = Direction.OUTBOUND


class KwikSyncDetectOperator(KwikSyncOutboundOperator, SkipMixin):
    """Finds what changed in the hub since the confirmed watermark. Where nothing did, the next steps are skipped."""

    ui_color = "#1d4ed8"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import outbound

        detected = outbound.detect(sync)
        self.log.info("Detected %s", detected)
        if not detected.changed and not detected.waiting:
            self.log.info("Nothing is to be sent of %s.", self.table)
            context["ti"].xcom_push("return_value", asdict(detected))
            self.skip(context["ti"], self.get_direct_relatives(upstream=False))
        return asdict(detected)


class KwikSyncGatherOperator(KwikSyncOutboundOperator):
    """Stages the changed records, as they stand now."""

    ui_color = "#1d4ed8"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import outbound

        return {"records": outbound.extract(sync, stage_of(sync))}


class KwikSyncFormatOperator(KwikSyncOutboundOperator):
    """Formats the staged records for the system, into the outbox."""

    ui_color = "#6d28d9"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import outbound

        with opened_target(sync, credentials) as target:
            return asdict(outbound.transform(sync, stage_of(sync), target))


class KwikSyncPushOperator(KwikSyncOutboundOperator):
    """Sends what is in the outbox; a retry goes on with what waits there, under the same idempotency keys."""

    ui_color = "#047857"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import outbound

        with opened_target(sync, credentials) as target:
            return {"to_confirm": outbound.push(sync, target)}

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any]:
        """What OpenLineage's provider asks, where it is installed."""
        from kwiksync_ops.operators.lineage import lineage_of

        return lineage_of(self, task_instance)


class KwikSyncConfirmOperator(KwikSyncOutboundOperator):
    """Verifies the deliveries; only then the watermark moves."""

    ui_color = "#047857"

    def work(self, sync: TableSync, credentials: Credentials, context: Context) -> Mapping[str, Any]:
        from kwiksync_ops.services import outbound

        with opened_target(sync, credentials) as target:
            return asdict(outbound.confirm(sync, stage_of(sync), target))
