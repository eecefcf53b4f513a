"""`kwiksync_<system>_outbound` for each system that is written to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, Param, TaskGroup, TriggerRule

from kwiksync_ops.dag_factory.common import broken_dag, mode_param, sync_dag, systems_of, tables_param, when
from kwiksync_ops.operators.lease import KwikSyncAcquireOperator, KwikSyncReleaseOperator
from kwiksync_ops.operators.log import KwikSyncLogOperator
from kwiksync_ops.operators.outbound import (
    KwikSyncConfirmOperator,
    KwikSyncDetectOperator,
    KwikSyncFormatOperator,
    KwikSyncGatherOperator,
    KwikSyncPushOperator,
)
from kwiksync_ops.system_spec.loader import BrokenSystem
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import RECORD_TABLES, Direction, Mode


def outbound_dags(include: Path | None = None) -> dict[str, DAG]:
    """The outbound DAG of each declared system that is written to, by DAG id."""
    dags = [
        broken_dag(system, Direction.OUTBOUND) if isinstance(system, BrokenSystem) else _outbound_dag(system)
        for system in systems_of(include, Direction.OUTBOUND)
    ]
    return {dag.dag_id: dag for dag in dags}


def _outbound_dag(system: SystemSpec) -> DAG:
    tables = [table for table in system.tables if table.push]
    with sync_dag(
        system,
        Direction.OUTBOUND,
        description=f"Delivers what changed in the KWikSync tables to {system.system}",
        doc_md=_doc(system, tables),
        params=_params(tables),
    ) as dag:
        acquire = KwikSyncAcquireOperator(task_id="acquire", system_file=str(system.path))
        confirms = _table_groups(system, tables, acquire)
        log = KwikSyncLogOperator(task_id="log").as_teardown(setups=acquire)
        release = KwikSyncReleaseOperator(task_id="release").as_teardown(setups=acquire)
        (list(confirms.values()) or [acquire]) >> log >> release
    return dag


def _table_groups(system: SystemSpec, tables: list[TableSpec], acquire: BaseOperator) -> dict[str, BaseOperator]:
    """A group a table, after those that it refers to: a reference goes out by the id that the system gave."""
    confirms: dict[str, BaseOperator] = {}
    for table in tables:
        references = RECORD_TABLES[table.table].references
        before = [confirms[name] for name in RECORD_TABLES if name in references & confirms.keys()]
        step: dict[str, Any] = {"system_file": str(system.path), "table": table.table}
        with TaskGroup(table.table, tooltip=f"{table.table} to {table.source}"):
            detect = KwikSyncDetectOperator(
                task_id="detect",
                trigger_rule=TriggerRule.NONE_FAILED if before else TriggerRule.ALL_SUCCESS,
                **step,
            )
            confirm = KwikSyncConfirmOperator(task_id="confirm", **step)
            (
                detect
                >> KwikSyncGatherOperator(task_id="extract", **step)
                >> KwikSyncFormatOperator(task_id="transform", **step)
                >> KwikSyncPushOperator(task_id="push", **step)
                >> confirm
            )
        (before or [acquire]) >> detect
        confirms[table.table] = confirm
    return confirms


def _params(tables: list[TableSpec]) -> dict[str, Param]:
    return {
        "tables": tables_param([table.table for table in tables]),
        "mode": mode_param(
            {
                Mode.INCREMENTAL: "what changed since the last confirmed push",
                Mode.FULL: "look at every record, send what the system has not",
                Mode.PREVIEW: "one page a table, nothing is sent",
            },
            "What the system has already is not sent, in no mode.",
        ),
    }


def _doc(system: SystemSpec, tables: list[TableSpec]) -> str:
    rows = "\n".join(
        f"| {table.table} | `{table.source}` | {table.conflict.policy} | {'yes' if table.deletes.mirror else 'no'} |"
        for table in tables
    )
    return f"""### {system.system}: outbound
{system.description.strip()}

Delivers what changed in the KWikSync tables to **{system.system}** ({system.kind}): **detect** finds what changed since
the last confirmed push, **extract** gathers these records, **transform** formats them into the outbox, **push** sends
them, **confirm** verifies the delivery; only then the watermark moves. What came from {system.system} itself, and what
it has already, is not sent. A table without changes skips its last four steps.

| table | sent to | conflicts | deletions sent |
|---|---|---|---|
{rows}

{when(system)}

**By hand**: Trigger, choose tables and a mode. *Preview* sends nothing.

**When it fails**: a task is tried again after 1, 5 and 15 minutes and goes on with what waits in the outbox, under the
same idempotency keys. A delivery whose outcome can't be known is never repeated blindly: it is ERR_013 in the Error
Log, for you to decide (`kwiksync outbox list`). A record that {system.system} refuses holds up no other.
Conflicts: `kwiksync conflicts list`.

**Limits**: {system.limits.calls_per_minute} API calls in any 60 seconds.
"""
