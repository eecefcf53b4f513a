"""DAGs from system files: `kwiksync_<system>_inbound` for each. No database, network or heavy import at parse time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, Context, CronTriggerTimetable, Param, TaskGroup, TriggerRule

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.operators.extract import KwikSyncExtractOperator
from kwiksync_ops.operators.lease import KwikSyncAcquireOperator, KwikSyncReleaseOperator
from kwiksync_ops.operators.load import KwikSyncLoadOperator
from kwiksync_ops.operators.log import KwikSyncLogOperator
from kwiksync_ops.operators.retry_policy import KwikSyncRetryPolicy
from kwiksync_ops.operators.transform import KwikSyncTransformOperator
from kwiksync_ops.settings import read_settings
from kwiksync_ops.system_spec.loader import BrokenSystem, load_systems
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import RECORD_TABLES, Direction, Mode


def inbound_dags(include: Path | None = None) -> dict[str, DAG]:
    """The inbound DAG of each declared system, by DAG id. A faulty file breaks its own system's DAG only."""
    systems = load_systems(include or read_settings().include)
    dags = [
        _broken_dag(system) if isinstance(system, BrokenSystem) else _inbound_dag(system)
        for system in systems
        if isinstance(system, BrokenSystem) or system.direction != Direction.OUTBOUND
    ]
    return {dag.dag_id: dag for dag in dags}


def _inbound_dag(system: SystemSpec) -> DAG:
    with DAG(
        dag_id=f"kwiksync_{system.system}_inbound",
        description=f"Brings what changed in {system.system} into the KWikSync tables",
        doc_md=_doc(system),
        schedule=CronTriggerTimetable(system.schedule, timezone=system.timezone) if system.schedule else None,
        catchup=False,
        max_active_runs=1,
        max_active_tasks=1,
        default_args=_retries(),
        params=_params(system),
        tags=["kwiksync", "inbound", system.kind],
    ) as dag:
        acquire = KwikSyncAcquireOperator(task_id="acquire", system_file=str(system.path))
        loads = _table_groups(system, acquire)
        log = KwikSyncLogOperator(task_id="log").as_teardown(setups=acquire)
        release = KwikSyncReleaseOperator(task_id="release").as_teardown(setups=acquire)
        list(loads.values()) >> log >> release
    return dag


def _retries() -> dict[str, Any]:
    """The policy says when; `retry_delay` counts after a hard kill, when no policy is asked."""
    delays_s = read_settings().retry_delays_s
    return {
        "owner": "kwiksync",
        "retries": len(delays_s),
        "retry_policy": KwikSyncRetryPolicy(),
        "retry_delay": timedelta(seconds=delays_s[0]),
    }


def _table_groups(system: SystemSpec, acquire: BaseOperator) -> dict[str, BaseOperator]:
    """A group a table; it comes after the groups of the tables that it refers to. The load of each, by table.

    A table that was skipped must not skip those after it; the tasks right after a setup task can't be told so.
    """
    loads: dict[str, BaseOperator] = {}
    for table in system.tables:
        before = [loads[name] for name in RECORD_TABLES if name in RECORD_TABLES[table.table].references & loads.keys()]
        step: dict[str, Any] = {"system_file": str(system.path), "table": table.table}
        with TaskGroup(table.table, tooltip=f"{table.source} to {table.table}"):
            extract = KwikSyncExtractOperator(
                task_id="extract",
                trigger_rule=TriggerRule.NONE_FAILED if before else TriggerRule.ALL_SUCCESS,
                **step,
            )
            transform = KwikSyncTransformOperator(task_id="transform", **step)
            load = KwikSyncLoadOperator(task_id="load", **step)
            extract >> transform >> load
        (before or [acquire]) >> extract
        loads[table.table] = load
    return loads


def _params(system: SystemSpec) -> dict[str, Param]:
    names = [table.table for table in system.tables]
    return {
        "tables": Param(
            [],
            type="array",
            title="Tables",
            description="Which tables to sync. None chosen: all of them.",
            items={"type": "string", "enum": names},
            examples=names,
            uniqueItems=True,
        ),
        "mode": Param(
            Mode.INCREMENTAL.value,
            type="string",
            title="Mode",
            enum=[mode.value for mode in (Mode.INCREMENTAL, Mode.FULL, Mode.PREVIEW)],
            values_display={
                "incremental": "Incremental: what changed since the last sync",
                "full": "Full: read everything, write what differs",
                "preview": "Preview: one page a table, nothing is written",
            },
            description="A first incremental sync reads everything too.",
        ),
        "from": _moment_param("From", "Read what changed from this moment on, instead of from the watermark."),
        "to": _moment_param("To", "Read nothing that changed later. A window does not move the watermark."),
    }


def _moment_param(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], format="date-time", title=title, description=description)


def _broken_dag(system: BrokenSystem) -> DAG:
    """Shows what is wrong with a system's file, and fails when it is run."""
    with DAG(
        dag_id=f"kwiksync_{system.system}_inbound",
        description=f"{system.path.name} is faulty: see the documentation of this DAG",
        doc_md=f"### {system.path.name} is faulty\n\n```\n{system.error}\n```\n",
        schedule=None,
        tags=["kwiksync", "inbound", "faulty"],
    ) as dag:
        _FaultyConfigurationOperator(task_id="read_configuration", system_file=str(system.path))
    return dag


class _FaultyConfigurationOperator(BaseOperator):
    def __init__(self, *, system_file: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.system_file = system_file

    def execute(self, context: Context) -> None:
        from kwiksync_ops.operators.run_context import read_system

        read_system(self.system_file)
        raise ConfigurationError(f"{self.system_file} was mended.", remedy="Wait until the DAG is parsed again.")


def _doc(system: SystemSpec) -> str:
    rows = "\n".join(
        f"| {table.table} | `{table.source}` | `{table.key}` | {table.cursor.field if table.cursor else 'none'} |"
        for table in system.tables
    )
    window = f"{system.sync_window.start:%H:%M} to {system.sync_window.end:%H:%M}" if system.sync_window else "any time"
    return f"""### {system.system}: inbound
{system.description.strip()}

Brings what changed in **{system.system}** ({system.kind}) into the KWikSync tables: **extract** reads it page by page
and stages the pages, **transform** maps and validates, **load** creates and updates, a batch of at most
{system.limits.batch_records:,} records a transaction. A table whose source has nothing new skips its last two steps.

| table | source | key | change time |
|---|---|---|---|
{rows}

**When**: `{system.schedule or "by hand"}` ({system.timezone}). A scheduled run starts in the sync window: {window}.
One sync runs at a time, over all systems: `acquire` waits for the others, *up for reschedule*.

**By hand**: Trigger, choose tables and a mode. *Preview* writes nothing. *From* and *to* read a window again.

**When it fails**: a task is tried again after 1, 5 and 15 minutes and goes on after the last committed batch. What
waiting can't mend (a wrong key, a faulty mapping) fails at once. Clear the task when the cause is gone. Records that
were put aside: `kwiksync errors list --system {system.system}`, then `kwiksync errors replay`.

**Limits**: {system.limits.calls_per_minute} API calls in any 60 seconds; at most {system.limits.error_budget:.0%} of a
table's records may be rejected.
"""
