"""The DAGs that keep KWikSync itself in order."""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG

from kwiksync_ops.dag_factory.common import retries
from kwiksync_ops.operators.maintenance import (
    OWN,
    KwikSyncAnchorOperator,
    KwikSyncCleanOperator,
    KwikSyncWatchOperator,
)
from kwiksync_ops.operators.notifier import KwikSyncNotifier

_MAINTENANCE = """### Maintenance
Every night: the audit trail is proven whole and its last row kept elsewhere, then rows of the logs, of the history and
of the outbox that are older than the settings `retention.*` say are archived and removed. What is still to be replayed,
sent or decided stays. By hand: `kwiksync audit verify`, `kwiksync clean`.
"""
_WATCH = """### Watch
Every ten minutes: a scheduled sync that did not begin when it was due is an incident, and alerts that could not be sent
are sent again. By hand: `kwiksync alerts watch`, which can also stand in a crontab outside of Airflow.
"""


def maintenance_dags() -> dict[str, DAG]:
    """By DAG id."""
    with DAG("kwiksync_maintenance", schedule="30 3 * * *", doc_md=_MAINTENANCE, **_common()) as maintenance:
        KwikSyncAnchorOperator(task_id="anchor") >> KwikSyncCleanOperator(task_id="clean")
    with DAG("kwiksync_watch", schedule="*/10 * * * *", doc_md=_WATCH, **_common()) as watch:
        KwikSyncWatchOperator(task_id="watch")
    return {dag.dag_id: dag for dag in (maintenance, watch)}


def _common() -> dict[str, Any]:
    return {
        "catchup": False,
        "max_active_runs": 1,
        "default_args": retries(),
        "tags": ["kwiksync", "maintenance"],
        "on_failure_callback": KwikSyncNotifier(OWN),
    }
