"""Acquire and release: one sync at a time, over all systems and both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, BaseSensorOperator

from kwiksync_ops.operators.run_context import opened_hub, read_system, run_id_of

if TYPE_CHECKING:
    from airflow.sdk import Context

POKE_S = 10
WAIT_S = 24 * 3600


class KwikSyncAcquireOperator(BaseSensorOperator):
    """Waits for the sync window, if the run was scheduled, and for the lease; holds no worker while it waits."""

    ui_color = "#b45309"
    ui_fgcolor = "#ffffff"

    def __init__(self, *, system_file: str, **kwargs: Any) -> None:
        super().__init__(mode="reschedule", poke_interval=POKE_S, timeout=WAIT_S, **kwargs)
        self.system_file = system_file

    def poke(self, context: Context) -> bool:
        from kwiksync_ops.storage import lease, schema

        if context["dag_run"].run_type == "scheduled" and not self._is_in_window():
            return False
        run_id = run_id_of(context)
        with opened_hub() as hub:
            schema.require_current(hub)
            token = hub.write(lambda connection: lease.acquire(connection, run_id))
            if token is not None:
                self.log.info("The lease is ours, token %d.", token)
                return True
            with hub.read() as connection:
                held = lease.state(connection)
        self.log.info("Waiting: %s syncs. One sync runs at a time, over all systems.", held.run_id if held else "?")
        return False

    def _is_in_window(self) -> bool:
        from datetime import datetime
        from zoneinfo import ZoneInfo

        system = read_system(self.system_file)
        window, now = system.sync_window, datetime.now(ZoneInfo(system.timezone))
        if window is None or window.contains(now.time()):
            return True
        self.log.info("Waiting for the sync window, %s to %s %s.", window.start, window.end, system.timezone)
        return False


class KwikSyncReleaseOperator(BaseOperator):
    """Gives the lease back, whatever happened, and removes the staged pages of a run that succeeded."""

    ui_color = "#b45309"
    ui_fgcolor = "#ffffff"

    def execute(self, context: Context) -> None:
        from kwiksync_ops.settings import read_settings
        from kwiksync_ops.storage import lease, sync_log
        from kwiksync_ops.storage.stage import remove_run
        from kwiksync_ops.vocabulary import SyncStatus

        run_id = run_id_of(context)
        with opened_hub() as hub:
            hub.write(lambda connection: lease.release(connection, run_id))
            with hub.read() as connection:
                ends = {row["status"] for row in sync_log.read_run(connection, run_id)}
        if ends <= {SyncStatus.SUCCESS, SyncStatus.PARTIAL}:
            remove_run(read_settings().stage_url, run_id)
