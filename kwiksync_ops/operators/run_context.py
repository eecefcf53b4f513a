"""From Airflow's context of a task to a run of ours, and to the sync of one of its tables."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException
from airflow.sdk.log import mask_secret

if TYPE_CHECKING:
    from airflow.sdk import Context

    from kwiksync_ops.connectors.credentials import Credentials
    from kwiksync_ops.connectors.source import Source
    from kwiksync_ops.connectors.target import Target
    from kwiksync_ops.services.table_sync import Run, TableSync
    from kwiksync_ops.storage.hub import Hub
    from kwiksync_ops.storage.stage import Stage
    from kwiksync_ops.system_spec.spec import SystemSpec
    from kwiksync_ops.vocabulary import Direction, Mode


def run_id_of(context: Context) -> str:
    """Airflow's run ids are unique within a DAG, ours over all."""
    return f"{context['dag_run'].dag_id}/{context['dag_run'].run_id}"


@contextmanager
def opened_hub() -> Iterator[Hub]:
    from kwiksync_ops.settings import read_settings
    from kwiksync_ops.storage.audit import called_from_here
    from kwiksync_ops.storage.hub import open_hub

    settings = read_settings()
    hub = open_hub(settings.hub_url, settings.secret_keys)
    try:
        with called_from_here("task"):
            yield hub
    finally:
        hub.close()


def read_system(system_file: str) -> SystemSpec:
    """The system as its file says now."""
    from kwiksync_ops.system_spec.loader import load_system

    return load_system(Path(system_file), None)


def run_of(context: Context, system: SystemSpec, mode: Mode | None = None) -> Run:
    """The run as its parameters say; `mode` is that of a DAG that has no such parameter."""
    from kwiksync_ops.services.table_sync import Run
    from kwiksync_ops.vocabulary import Mode, Trigger

    dag_run, params = context["dag_run"], context["params"]
    return Run(
        run_id=run_id_of(context),
        system=system,
        trigger=Trigger.SCHEDULE if dag_run.run_type == "scheduled" else Trigger.UI,
        mode=mode or Mode(params.get("mode") or Mode.INCREMENTAL),
        who=dag_run.triggering_user_name or "airflow",
        since=_moment(params.get("from")),
        until=_moment(params.get("to")),
    )


def skip_unless_asked_for(context: Context, table: str) -> None:
    """Raises AirflowSkipException where the run names tables, and this is not among them."""
    wanted = context["params"].get("tables") or []
    if wanted and table not in wanted:
        raise AirflowSkipException(f"{table} was not asked for; this run syncs {', '.join(wanted)}.")


def table_sync_of(
    context: Context, hub: Hub, system: SystemSpec, table: str, direction: Direction, mode: Mode | None = None
) -> TableSync:
    """The table's sync in this run, which holds no token yet."""
    from kwiksync_ops.clock import SystemClock
    from kwiksync_ops.services.systems import find_table
    from kwiksync_ops.services.table_sync import TableSync

    return TableSync(
        hub, run_of(context, system, mode), find_table(system, table), SystemClock(), token=0, direction=direction
    )


def stage_of(sync: TableSync) -> Stage:
    from kwiksync_ops.settings import read_settings
    from kwiksync_ops.storage.stage import Stage

    return Stage(read_settings().stage_url, sync.run.run_id, sync.table.table)


def credentials_of(sync: TableSync) -> Credentials:
    """The system's connection from Airflow's store, and the Customer Key from the hub, masked in task logs like it."""
    from kwiksync_ops.operators.hooks import KwikSyncHook
    from kwiksync_ops.services.keys import customer_key
    from kwiksync_ops.settings import read_settings

    system = sync.run.system
    key = customer_key(sync.hub, read_settings().secret_keys, system.system)
    if key:
        mask_secret(key)
    return KwikSyncHook(system.connection_id).credentials(key)


@contextmanager
def opened_source(sync: TableSync, credentials: Credentials) -> Iterator[Source]:
    """The system, called at most so many times a minute; a wait keeps the lease."""
    from kwiksync_ops.connectors.registry import open_source
    from kwiksync_ops.operators.metrics import emit_wait
    from kwiksync_ops.services.sync import open_limited

    with closing(open_limited(open_source, sync, credentials, partial(emit_wait, sync.key))) as source:
        yield source


@contextmanager
def opened_target(sync: TableSync, credentials: Credentials) -> Iterator[Target]:
    """The system to write to, as `opened_source`."""
    from kwiksync_ops.connectors.registry import open_target
    from kwiksync_ops.operators.metrics import emit_wait
    from kwiksync_ops.services.sync import open_limited

    with closing(open_limited(open_target, sync, credentials, partial(emit_wait, sync.key))) as target:
        yield target


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
