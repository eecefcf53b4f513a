"""Data sets of a task for OpenLineage, whose provider asks for them; imported by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.openlineage.facet import (
    InputDataset,
    OutputDataset,
    OutputStatisticsOutputDatasetFacet,
)
from airflow.providers.openlineage.extractors import OperatorLineage

from kwiksync_ops.operators.run_context import opened_hub, read_system
from kwiksync_ops.services.lineage import read_lineage
from kwiksync_ops.services.systems import find_table
from kwiksync_ops.storage.sync_log import TableRun

if TYPE_CHECKING:
    from kwiksync_ops.operators.table_operator import KwikSyncTableOperator


def lineage_of(task: KwikSyncTableOperator, task_instance: Any) -> OperatorLineage[Any, Any]:
    """From the system to the hub, or the other way round, with how many rows the run has written there so far."""
    system = read_system(task.system_file)
    run_id = f"{task_instance.dag_id}/{task_instance.run_id}"
    run = TableRun(run_id, system.system, task.direction, task.table)
    with opened_hub() as hub:
        found = read_lineage(hub, run, task.base_url, system.kind, find_table(system, task.table).source)
    written = OutputStatisticsOutputDatasetFacet(rowCount=found.rows)
    return OperatorLineage(
        inputs=[InputDataset(found.source.namespace, found.source.name)],
        outputs=[OutputDataset(found.target.namespace, found.target.name, outputFacets={"outputStatistics": written})],
    )
