"""DAGs from system files: `kwiksync_<system>_inbound` for each. No database, network or heavy import at parse time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, Param, TaskGroup, TriggerRule

from kwiksync_ops.dag_factory.common import broken_dag, mode_param, sync_dag, systems_of, tables_param, when
from kwiksync_ops.operators.deletes import KwikSyncDeletesOperator
from kwiksync_ops.operators.extract import KwikSyncExtractOperator
from kwiksync_ops.operators.lease import KwikSyncAcquireOperator, KwikSyncReleaseOperator
from kwiksync_ops.operators.load import KwikSyncLoadOperator
from kwiksync_ops.operators.log import KwikSyncLogOperator
from kwiksync_ops.operators.transform import KwikSyncTransformOperator
from kwiksync_ops.system_spec.loader import BrokenSystem
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import RECORD_TABLES, Direction, Mode


def inbound_dags(include: Path | None = None) -> dict[str, DAG]:
    """The inbound DAG of each declared system, by DAG id. A faulty file breaks its own system's DAG only."""
    dags = [
        broken_dag(system, Direction.INBOUND) if isinstance(system, BrokenSystem) else _inbound_dag(system)
        for system in systems_of(include, Direction.INBOUND)
    ]
    return {dag.dag_id: dag for dag in dags}


def _inbound_dag(system: SystemSpec) -> DAG:
    with sync_dag(
        system,
        Direction.INBOUND,
        description=f"Brings what changed in {system.system} into the KWikSync tables",
        doc_md=_doc(system),
        params=_params(system),
    ) as dag:
        acquire = KwikSyncAcquireOperator(task_id="acquire", system_file=str(system.path))
        loads = _table_groups(system, acquire)
        log = KwikSyncLogOperator(task_id="log").as_teardown(setups=acquire)
        release = KwikSyncReleaseOperator(task_id="release").as_teardown(setups=acquire)
        list(loads.values()) >> log >> release
    return dag


def _table_groups(system: SystemSpec, acquire: BaseOperator) -> dict[str, BaseOperator]:
    """A group a table; it comes after the groups of the tables that it refers to. The last task of each, by table.

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
            last: BaseOperator = load
            if table.deletes.mode != "ignore":
                last = KwikSyncDeletesOperator(task_id="deletes", trigger_rule=TriggerRule.NONE_FAILED, **step)
                load >> last
        (before or [acquire]) >> extract
        loads[table.table] = last
    return loads


def _params(system: SystemSpec) -> dict[str, Param]:
    names = [table.table for table in system.tables]
    return {
        "tables": tables_param(names),
        "mode": mode_param(
            {
                Mode.INCREMENTAL: "what changed since the last sync",
                Mode.FULL: "read everything, write what differs",
                Mode.PREVIEW: "one page a table, nothing is written",
            },
            "A first incremental sync reads everything too.",
        ),
        "from": _moment_param("From", "Read what changed from this moment on, instead of from the watermark."),
        "to": _moment_param("To", "Read nothing that changed later. A window does not move the watermark."),
        "allow_deletes": Param(
            False,
            type="boolean",
            title="Allow deletes",
            description="Delete in the hub what is gone at the system, also where it is more than a table's guard.",
        ),
    }


def _moment_param(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], format="date-time", title=title, description=description)


def _doc(system: SystemSpec) -> str:
    rows = "\n".join(
        f"| {table.table} | `{table.source}` | `{table.key}` | {table.cursor.field if table.cursor else 'none'} |"
        for table in system.tables
    )
    return f"""### {system.system}: inbound
{system.description.strip()}

Brings what changed in **{system.system}** ({system.kind}) into the KWikSync tables: **extract** reads it page by page
and stages the pages, **transform** maps and validates, **load** creates and updates, a batch of at most
{system.limits.batch_records:,} records a transaction. A table whose source has nothing new skips its last two steps.

| table | source | key | change time |
|---|---|---|---|
{rows}

{when(system)}

**By hand**: Trigger, choose tables and a mode. *Preview* writes nothing. *From* and *to* read a window again.

**When it fails**: a task is tried again after 1, 5 and 15 minutes and goes on after the last committed batch. What
waiting can't mend (a wrong key, a faulty mapping) fails at once. Clear the task when the cause is gone. Records that
were rejected: `kwiksync errors list --system {system.system}`, then `kwiksync errors replay`.

**Limits**: {system.limits.calls_per_minute} API calls in any 60 seconds; at most {system.limits.error_budget:.0%} of a
table's records may be rejected.
"""
