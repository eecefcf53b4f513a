"""Alerts for runs that Airflow saw fail, whether or not their own tasks could say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from kwiksync_ops.operators.run_context import opened_hub, run_id_of

if TYPE_CHECKING:
    from airflow.sdk import Context


class KwikSyncNotifier(BaseNotifier):
    """For `on_failure_callback` of a DAG: Airflow calls it once, after the last retry. An incident is told once."""

    def __init__(self, system: str) -> None:
        super().__init__()
        self.system = system

    def render_template_fields(self, context: Context, jinja_env: Any = None) -> None:
        """There are none; and not every DAG that calls can render."""

    def notify(self, context: Context) -> None:
        from kwiksync_ops.clock import SystemClock
        from kwiksync_ops.services import alerts
        from kwiksync_ops.settings import read_settings

        clock = SystemClock()
        with opened_hub() as hub:
            alerts.run_failed(hub, self.system, context["dag_run"].dag_id, run_id_of(context), clock)
            alerts.tell_all(hub, read_settings(), clock)
