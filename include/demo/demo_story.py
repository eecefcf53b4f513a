"""The demo's story, from the first process to the last."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import demo_truth
import demo_two_way
from demo_airflow import LOG, USER, Airflow, airflow_settings, process_environment, start_airflow
from demo_erp import SampleErp, start_erp
from demo_processes import Interrupts, Processes
from demo_screen import Screen
from demo_workspace import (
    FOLDER,
    ROOT,
    DemoError,
    Lock,
    Secrets,
    find_ports,
    make_folder,
    one_demo,
    shown,
    write_environment,
)
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import KwikSyncError
from kwiksync_ops.services import configuration
from kwiksync_ops.services.keys import set_customer_key
from kwiksync_ops.settings import Settings, read_settings
from kwiksync_ops.storage import error_log, schema, sync_log
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.vault import Vault, ensure_keys
from kwiksync_ops.vocabulary import Resolution

SYSTEM = "erp"
DAG_IDS = {direction: f"kwiksync_{SYSTEM}_{direction}" for direction in ("inbound", "outbound")}
DAG_ID = DAG_IDS["inbound"]
WHO = "make demo"
SYNC_S = 600
POLL_S = 0.5
CLOCK_MINUTES = 10
EXAMPLES = 3
STOPPED, FAILED, INTERRUPTED = 0, 1, 130
TASK_WORDS = {
    "up_for_retry": "tries again",
    "up_for_reschedule": "waits",
    "failed": "failed",
    "upstream_failed": "failed",
}


@dataclass(frozen=True)
class Synced:
    """A run that ended: its Sync Log rows, and how long it took from trigger to success."""

    rows: Sequence[Mapping[str, Any]]
    seconds: float

    def total(self, *counts: str) -> int:
        return sum(row[count] for row in self.rows for count in counts)


@dataclass(frozen=True)
class Demo:
    """What the story is told with, once all runs."""

    screen: Screen
    erp: SampleErp
    hub: Hub
    airflow: Airflow
    tables: tuple[str, ...]

    def sync(self, mode: str, *, direction: str = "inbound", tables: Sequence[str] = ()) -> Synced:
        """Trigger a DAG, for these tables or for all, and show how it goes.

        Raises:
            DemoError: it did not succeed, or not in time.
        """
        begun, dag_id = time.monotonic(), DAG_IDS[direction]
        run_id = self.airflow.trigger(dag_id, mode=mode, tables=list(tables))
        with self.screen.progress() as progress:
            while (state := self.airflow.run_state(dag_id, run_id)) not in ("success", "failed"):
                seconds = time.monotonic() - begun
                rows = {row["table_name"]: row for row in self._rows(dag_id, run_id)}
                words = self._words(dag_id, run_id, direction, tables)
                progress.show(words, rows, f"{mode}, {seconds:.0f} s")
                if seconds > SYNC_S:
                    raise DemoError(f"The sync did not end in {SYNC_S} s.", remedy="Look into the log.", log=LOG)
                time.sleep(POLL_S)
            words = self._words(dag_id, run_id, direction, tables)
            progress.show(words, {}, mode)
        synced = Synced(self._rows(dag_id, run_id), time.monotonic() - begun)
        self.screen.sync_log(synced.rows)
        if state != "success":
            reasons = "; ".join(row["message"] for row in synced.rows if row["message"])
            raise DemoError(f"The sync failed: {reasons or 'no table says why'}", remedy="See the log.", log=LOG)
        return synced

    def _rows(self, dag_id: str, run_id: str) -> Sequence[Mapping[str, Any]]:
        with self.hub.read() as connection:
            return [dict(row) for row in sync_log.read_run(connection, f"{dag_id}/{run_id}")]

    def _words(self, dag_id: str, run_id: str, direction: str, tables: Sequence[str]) -> dict[str, str]:
        """What each table does, from the states of its tasks."""
        tasks = self.airflow.task_states(dag_id, run_id)
        steps, shown_tables = STEPS[direction], tables or (self.tables if direction == "inbound" else PUSHED)
        return {table: _word({step: tasks.get(f"{table}.{step}", "none") for step in steps}) for table in shown_tables}


STEPS = {
    "inbound": ("extract", "transform", "load"),
    "outbound": ("detect", "extract", "transform", "push", "confirm"),
}
PUSHED = ("tickets",)


def _word(states: Mapping[str, str]) -> str:
    for step, state in states.items():
        if state in TASK_WORDS:
            return TASK_WORDS[state]
        if state in ("running", "queued"):
            return step
        if state == "skipped":
            return "nothing new"
        if state != "success":
            return "in line" if step == next(iter(states)) else step
    return "done"


def set_up(screen: Screen, processes: Processes, lock: Lock) -> tuple[Demo, str]:
    """Everything that the demo needs, started; and the password of Airflow's UI."""
    ports, secrets = find_ports(), Secrets()
    with screen.step("Sample ERP") as facts:
        make_folder()
        variables = {"KWIKSYNC_HOME": str(FOLDER), "KWIKSYNC_INCLUDE": str(ROOT / "include")}
        erp = start_erp(processes, secrets, process_environment(variables))
        lock.note(processes.leaders)
        facts.append(f"{erp.url}, its clock at {erp.now()}")
    variables |= airflow_settings(ports) | {"AIRFLOW_CONN_KWIKSYNC_ERP": erp.connection()}
    write_environment(variables)
    with screen.step("Airflow") as facts:
        airflow = start_airflow(processes, variables, ports, secrets.password)
        lock.note(processes.leaders)
        hub, applied = make_hub(read_settings(variables), secrets)
        for dag_id in DAG_IDS.values():
            airflow.wait_until_ready(dag_id)
            airflow.unpause(dag_id)
        facts.append(f"{airflow.url}, with the DAGs {' and '.join(DAG_IDS.values())}")
    with screen.step("Hub") as facts:
        facts.append(f"SQLite in {shown(FOLDER)}, {applied} mappings applied, the Customer Key encrypted")
    tables = load_system(ROOT / "include" / "systems" / f"{SYSTEM}.yaml", None).tables
    return Demo(screen, erp, hub, airflow, tuple(table.table for table in tables)), secrets.password


def make_hub(settings: Settings, secrets: Secrets) -> tuple[Hub, int]:
    """What `kwiksync db upgrade`, `kwiksync keys set erp` and `kwiksync apply` do."""
    ensure_keys(settings)
    keys = read_settings({"KWIKSYNC_HOME": str(settings.home)}).secret_keys
    hub = open_hub(settings.hub_url, keys)
    schema.upgrade(hub)
    set_customer_key(hub, Vault(keys), SYSTEM, secrets.customer_key, who=WHO, clock=SystemClock())
    return hub, len(configuration.apply(hub, settings.include, who=WHO, clock=SystemClock()))


def tell(demo: Demo) -> bool:
    """The story: everything, only what changed, what was rejected, the proof. Whether hub and ERP are equal."""
    screen = demo.screen
    screen.title("1  Everything: the DAG is triggered in mode full")
    full = demo.sync("full")
    screen.title("2  Only what changed: the DAG is triggered in mode incremental")
    moved = demo.erp.move_clock(CLOCK_MINUTES)
    changes = " and ".join(f"{count} {table}" for table, count in moved.items() if count)
    screen.line(f"  The ERP's clock moves on by {CLOCK_MINUTES} minutes, in which {changes} change.")
    changed = demo.sync("incremental")
    written = [synced.total("created", "updated") for synced in (full, changed)]
    calls = [synced.total("api_calls") for synced in (full, changed)]
    screen.line(f"  {calls[1]} API calls instead of {calls[0]}, {written[1]:,} rows written instead of {written[0]:,}.")
    screen.line(f"  The ERP counted {demo.erp.calls()['busiest_60_s']} calls in its busiest minute; 60 are allowed.")
    demo_two_way.tell(demo)
    _tell_rejects(demo)
    screen.title("6  The proof: the hub equals what the ERP says")
    compared = demo_truth.compare(demo.erp, demo.hub)
    screen.proof(compared)
    return not any(table.differences for table in compared)


def _tell_rejects(demo: Demo) -> None:
    with demo.hub.read() as connection:
        rows = [dict(row) for row in error_log.search(connection, resolution=Resolution.OPEN)]
    shown_rows = list({row["code"]: row for row in rows}.values())[:EXAMPLES]
    demo.screen.title(f"5  Rejected, each with its reason: {len(rows)} faulty records, {len(shown_rows)} of them here")
    demo.screen.rejects(shown_rows)
    demo.screen.line("  All of them: kwiksync errors list. One of them whole: kwiksync errors show ID.", "dim")


def stay(demo: Demo, password: str) -> None:
    """Leave all running until it is interrupted."""
    screen = demo.screen
    screen.title("Yours to look at")
    screen.pairs(
        [
            ("KWikSync", f"{demo.airflow.url}/plugin/kwiksync"),
            ("in Airflow", f"{demo.airflow.url}/dags/{DAG_ID}"),
            ("log in as", f"{USER}, password {password}"),
            ("in another shell", f"source {shown(FOLDER / 'env')}"),
            ("then", "kwiksync status"),
            ("", "kwiksync errors list"),
            ("", "kwiksync records tickets --limit 5"),
            ("logs", f"{shown(LOG)}, {shown(FOLDER / 'erp.log')}"),
            ("stop", "Ctrl-C"),
        ]
    )
    while demo.airflow.process.poll() is None:
        time.sleep(POLL_S)
    raise DemoError("Airflow ended by itself.", remedy="See its log.", log=LOG)


def play(screen: Screen, processes: Processes, lock: Lock) -> int:
    demo, password = set_up(screen, processes, lock)
    with closing(demo.hub):
        is_equal = tell(demo)
        if not is_equal:
            raise DemoError("The hub and the ERP differ.", remedy="Look at the differences above.", log=LOG)
        if os.environ.get("DEMO_ONCE", "0") in ("", "0"):
            try:
                stay(demo, password)
            except KeyboardInterrupt:
                screen.line()
    return STOPPED


def guarded(screen: Screen, processes: Processes, lock: Lock) -> int:
    """Play, and tell how it ended."""
    try:
        return play(screen, processes, lock)
    except KeyboardInterrupt:
        screen.line("\nStopped by you.", "yellow")
        return INTERRUPTED
    except DemoError as exc:
        screen.error(exc)
    except KwikSyncError as exc:
        screen.error(DemoError(f"{exc.code}: {exc.message}", remedy=exc.remedy or "Look into the log.", log=LOG))
    return FAILED


def clear_up(screen: Screen, processes: Processes, lock: Lock) -> bool:
    """End what was started; whether nothing is left."""
    if not processes.leaders:
        return True
    with screen.step("Stopped") as facts:
        left = processes.end()
        facts.append("no process is left" if not left else "")
    if left:
        screen.error(DemoError(f"Still running: {', '.join(left)}", remedy="End them by kill -9 and their numbers."))
        return False
    lock.clear()
    return True


def run() -> int:
    """Play the demo; its exit code."""
    screen, interrupts = Screen(), Interrupts()
    interrupts.listen()
    processes = Processes(interrupts)
    try:
        with one_demo() as lock:
            return _play_and_clear_up(screen, interrupts, processes, lock)
    except DemoError as exc:
        screen.error(exc)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def _play_and_clear_up(screen: Screen, interrupts: Interrupts, processes: Processes, lock: Lock) -> int:
    code, is_clear = FAILED, False
    try:
        try:
            screen.line("KWikSync: an ERP's records through Airflow into the hub", "bold")
            code = guarded(screen, processes, lock)
        finally:
            interrupts.ignore()
    finally:  # even where an interrupt came right before it was ignored
        is_clear = clear_up(screen, processes, lock)
    return code if is_clear else FAILED
