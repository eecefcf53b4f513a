"""Log: the run's Sync Log rows, closed and told, whatever happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from kwiksync_ops.operators.run_context import opened_hub, run_id_of

if TYPE_CHECKING:
    from airflow.sdk import Context

_COUNTS = ("processed", "created", "updated", "unchanged", "failed", "api_calls")


class KwikSyncLogOperator(BaseOperator):
    """Closes what a killed task left open; the rows' counts go to the task log and to XCom. Alerts where it is bad."""

    ui_color = "#334155"
    ui_fgcolor = "#ffffff"

    def execute(self, context: Context) -> Mapping[str, Mapping[str, Any]]:
        from kwiksync_ops.clock import SystemClock
        from kwiksync_ops.operators.metrics import emit
        from kwiksync_ops.services import alerts
        from kwiksync_ops.services.errors import count_codes
        from kwiksync_ops.services.outcome import close_run
        from kwiksync_ops.settings import read_settings

        clock = SystemClock()
        with opened_hub() as hub:
            rows = close_run(hub, run_id_of(context), clock)
            alerts.judge_run(hub, run_id_of(context), clock)
            codes = count_codes(hub, run_id_of(context))
            alerts.tell_all(hub, read_settings(), clock)
        emit(rows, codes, clock.now())
        for row in rows:
            counts = " ".join(f"{name}={row[name]}" for name in _COUNTS)
            self.log.info("%s %s: %s %s", row["table_name"], row["status"], counts, row["message"] or "")
        return {row["table_name"]: {"status": row["status"], **{name: row[name] for name in _COUNTS}} for row in rows}
