"""What keeps KWikSync itself in order: old log rows archived, the audit trail anchored, missed syncs noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperator

from kwiksync_ops.operators.run_context import opened_hub

if TYPE_CHECKING:
    from airflow.sdk import Context

OWN = "kwiksync"
"""What the DAGs that sync no system stand under among the incidents."""


class KwikSyncCleanOperator(BaseOperator):
    """Archives and removes what is older than the settings `retention.*` say."""

    ui_color = "#334155"
    ui_fgcolor = "#ffffff"

    def execute(self, context: Context) -> dict[str, int]:
        from kwiksync_ops.clock import SystemClock
        from kwiksync_ops.services.alerts import run_was_sound
        from kwiksync_ops.services.retention import clean
        from kwiksync_ops.settings import read_settings

        clock = SystemClock()
        with opened_hub() as hub:
            done = list(clean(hub, read_settings(), who="maintenance", clock=clock))
            run_was_sound(hub, OWN, context["dag_run"].dag_id, clock)
        for each in done:
            self.log.info("%s: %d rows older than %d days archived and removed", each.name, each.rows, each.days)
        return {each.name: each.rows for each in done}


class KwikSyncAnchorOperator(BaseOperator):
    """Keeps the audit trail's last row elsewhere, once the whole trail and its earlier anchors were found sound."""

    ui_color = "#334155"
    ui_fgcolor = "#ffffff"

    def execute(self, context: Context) -> int:
        from kwiksync_ops.clock import SystemClock
        from kwiksync_ops.errors import HubError
        from kwiksync_ops.services.audit_trail import anchor_trail, verify_trail
        from kwiksync_ops.settings import read_settings

        settings = read_settings()
        with opened_hub() as hub:
            found = verify_trail(hub, settings)
            if found.fault:
                raise HubError(
                    f"The audit trail is not whole: {found.fault.problem}.",
                    remedy="Find out who wrote to the audit table; compare with a backup.",
                )
            made = anchor_trail(hub, settings, SystemClock())
        self.log.info("%d rows, unbroken, anchored", found.rows)
        return made.number if made else 0


class KwikSyncWatchOperator(BaseOperator):
    """Notices scheduled syncs that did not run, and sends alerts that could not be sent before."""

    ui_color = "#334155"
    ui_fgcolor = "#ffffff"

    def execute(self, context: Context) -> int:
        from kwiksync_ops.clock import SystemClock
        from kwiksync_ops.services import alerts
        from kwiksync_ops.settings import read_settings
        from kwiksync_ops.system_spec.loader import load_systems
        from kwiksync_ops.system_spec.spec import SystemSpec

        settings, clock = read_settings(), SystemClock()
        systems = [system for system in load_systems(settings.include) if isinstance(system, SystemSpec)]
        with opened_hub() as hub:
            alerts.watch(hub, systems, clock)
            sent = alerts.tell_all(hub, settings, clock)
            alerts.run_was_sound(hub, OWN, context["dag_run"].dag_id, clock)
        return sent
