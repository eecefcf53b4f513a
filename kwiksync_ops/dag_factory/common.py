"""What the DAGs of both directions have in common."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator, Context, CronTriggerTimetable, Param

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.operators.notifier import KwikSyncNotifier
from kwiksync_ops.operators.retry_policy import KwikSyncRetryPolicy
from kwiksync_ops.settings import read_settings
from kwiksync_ops.system_spec.loader import BrokenSystem, load_systems
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Direction, Mode


def systems_of(include: Path | None, direction: Direction) -> list[SystemSpec | BrokenSystem]:
    """The declared systems of a direction, and those whose file does not say, since it is faulty."""
    systems = load_systems(include or read_settings().include)
    return [system for system in systems if isinstance(system, BrokenSystem) or system.direction in (direction, "both")]


def sync_dag(system: SystemSpec, direction: Direction | Mode, **settings: Any) -> DAG:
    """An empty DAG of a system's direction: its schedule, its retries, one run at a time."""
    return DAG(
        dag_id=f"kwiksync_{system.system}_{direction}",
        schedule=CronTriggerTimetable(system.schedule, timezone=system.timezone) if system.schedule else None,
        catchup=False,
        max_active_runs=1,
        max_active_tasks=1,
        default_args=retries(),
        tags=["kwiksync", str(direction), system.kind],
        on_failure_callback=KwikSyncNotifier(system.system),
        **settings,
    )


def retries() -> dict[str, Any]:
    """The policy says when; `retry_delay` counts after a hard kill, when no policy is asked."""
    delays_s = read_settings().retry_delays_s
    return {
        "owner": "kwiksync",
        "retries": len(delays_s),
        "retry_policy": KwikSyncRetryPolicy(),
        "retry_delay": timedelta(seconds=delays_s[0]),
    }


def tables_param(names: list[str]) -> Param:
    return Param(
        [],
        type=["null", "array"],  # without null the form demands a choice
        title="Tables",
        description="Which tables to sync. None chosen: all of them.",
        items={"type": "string", "enum": names},
        examples=names,
        uniqueItems=True,
    )


def mode_param(modes: Mapping[Mode, str], description: str) -> Param:
    """`modes` are those to choose from, the default first, with what each one means."""
    return Param(
        next(iter(modes)).value,
        type="string",
        title="Mode",
        enum=[mode.value for mode in modes],
        values_display={mode.value: f"{mode.value.capitalize()}: {meaning}" for mode, meaning in modes.items()},
        description=description,
    )


def when(system: SystemSpec) -> str:
    """The paragraph of a DAG's documentation that says when it runs."""
    window = f"{system.sync_window.start:%H:%M} to {system.sync_window.end:%H:%M}" if system.sync_window else "any time"
    return f"""**When**: `{system.schedule or "by hand"}` ({system.timezone}).
A scheduled run starts in the sync window: {window}.
One sync runs at a time, over all systems: `acquire` waits for the others, *up for reschedule*."""


def broken_dag(system: BrokenSystem, direction: Direction | Mode) -> DAG:
    """Shows what is wrong with a system's file, and fails when it is run."""
    with DAG(
        dag_id=f"kwiksync_{system.system}_{direction}",
        description=f"{system.path.name} is faulty: see the documentation of this DAG",
        doc_md=f"### {system.path.name} is faulty\n\n```\n{system.error}\n```\n",
        schedule=None,
        tags=["kwiksync", str(direction), "faulty"],
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
