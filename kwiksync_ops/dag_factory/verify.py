"""`kwiksync_<system>_verify` for each system that is read from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from airflow.sdk import DAG, BaseOperator, Param

from kwiksync_ops.dag_factory.common import broken_dag, sync_dag, systems_of, tables_param
from kwiksync_ops.operators.lease import KwikSyncAcquireOperator, KwikSyncReleaseOperator
from kwiksync_ops.operators.log import KwikSyncLogOperator
from kwiksync_ops.operators.verify import KwikSyncVerifyOperator
from kwiksync_ops.system_spec.loader import BrokenSystem
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Direction, Mode, Repair


def verify_dags(include: Path | None = None) -> dict[str, DAG]:
    """The verification of each declared system that is read from, by DAG id."""
    dags = [
        broken_dag(system, Mode.VERIFY) if isinstance(system, BrokenSystem) else _verify_dag(system)
        for system in systems_of(include, Direction.INBOUND)
    ]
    return {dag.dag_id: dag for dag in dags}


def _verify_dag(system: SystemSpec) -> DAG:
    with sync_dag(
        replace(system, schedule=None),
        Mode.VERIFY,
        description=f"Compares the KWikSync tables with {system.system}, and repairs them when asked to",
        doc_md=_doc(system),
        params=_params(system),
    ) as dag:
        acquire = KwikSyncAcquireOperator(task_id="acquire", system_file=str(system.path))
        tables = _tables(system, acquire)
        log = KwikSyncLogOperator(task_id="log").as_teardown(setups=acquire)
        release = KwikSyncReleaseOperator(task_id="release").as_teardown(setups=acquire)
        tables >> log >> release
    return dag


def _tables(system: SystemSpec, acquire: BaseOperator) -> list[BaseOperator]:
    """A task a table, one at a time. Each is a leaf, so that one that fails fails the run and keeps no other from its
    work; by their weights a table comes after those that it refers to, which a repair of the hub needs.
    """
    tasks: list[BaseOperator] = [
        KwikSyncVerifyOperator(
            task_id=f"verify_{table.table}",
            system_file=str(system.path),
            table=table.table,
            priority_weight=len(system.tables) - place,
            weight_rule="absolute",
        )
        for place, table in enumerate(system.tables)
    ]
    acquire >> tasks
    return tasks


def _params(system: SystemSpec) -> dict[str, Param]:
    return {
        "tables": tables_param([table.table for table in system.tables]),
        "repair": Param(
            "",
            type="string",
            title="Repair",
            enum=["", Repair.HUB.value, Repair.SYSTEM.value],
            values_display={
                "": "Nothing: compare only",
                "hub": "The hub: load what it lacks or has otherwise",
                "system": "The system: the next outbound sync sends what it has otherwise",
            },
            description="After a repair the tables are compared again.",
        ),
        "repair_deletes": Param(
            False,
            type="boolean",
            title="Repair deletions",
            description="With a repair of the hub: also delete there what the system has no more.",
        ),
    }


def _doc(system: SystemSpec) -> str:
    rows = "\n".join(f"| {table.table} | `{table.source}` | `{table.key}` |" for table in system.tables)
    return f"""### {system.system}: verify
{system.description.strip()}

Reads every table of **{system.system}** ({system.kind}) to its end, maps it, and compares it with the KWikSync tables
by key and by content. Nothing is written unless a repair is asked for.

| table | source | key |
|---|---|---|
{rows}

**What it tells**, in the Sync Log, the audit trail and the task's log: how many records are equal, *missing* in the
hub, *extra* there, *different* (in which fields), *rejected* since they can't be mapped, *newer* at the system than the
last sync, *edited* in the hub and not sent yet; and a digest of each side. The digests are equal only where hub and
system agree on every record that can be mapped.

**When**: by hand. One run at a time, over all systems: `acquire` waits for the others, *up for reschedule*.

**Repair**: *hub* loads what is missing or different; with *Repair deletions* it also deletes what is extra. *System*
has the next outbound sync send what is different or extra there. The tables are then compared again.

**When it fails**: a task is tried again after 1, 5 and 15 minutes, from the start: an unfinished read proves nothing
(ERR_011). That the sides do not agree is no failure: the row of the Sync Log is *partial*, and its message says it.

**Limits**: {system.limits.calls_per_minute} API calls in any 60 seconds. A table is read once, twice where differences
can't be told from changes that happen meanwhile, and twice more for a repair.
"""
