"""Tries of what follows a sync (deletions, a repair, an undo) in processes of their own, ended with kill -9."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.services import deletes, undo
from kwiksync_ops.services.reconcile import VerifyRequest, verify_table
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.system_spec.spec import DeletesSpec
from kwiksync_ops.vocabulary import Mode, Repair
from tests.support.killed_sync import SyncProcesses, serve
from tests.support.lean_system import AUDIT_KEYS, LeanApi, LeanSystem, lean_spec

STYLE = "keyset"


@dataclass(frozen=True)
class Service:
    """One try of a service on the run `run_id`; for an undo, that is the run to undo."""

    name: str
    hub_url: str
    include: str
    base_url: str
    ca_file: str
    stage_url: str
    run_id: str


def service_processes() -> SyncProcesses:
    return SyncProcesses("tests.support.killed_service")


def _sync_with_deletes(system: LeanSystem, run_id: str) -> None:
    table = replace(system.spec.tables[0], deletes=DeletesSpec("compare", guard=1.0))
    system.spec = replace(system.spec, tables=(table,))
    sync = system.open_run(run_id, Mode.FULL)
    with closing(system.open_source()) as source:
        system.run(sync, source)
        deletes.bring_in(sync, source)
    system.hub.write(lambda connection: lease.release(connection, run_id))


def _repair(system: LeanSystem, run_id: str) -> None:
    sync = system.open_run(run_id, Mode.VERIFY)
    request = VerifyRequest(repair=Repair.HUB, repair_deletes=True)
    with closing(system.open_source()) as source:
        verify_table(sync, source, request, lambda table, records: None)
    system.hub.write(lambda connection: lease.release(connection, run_id))


def _undo(system: LeanSystem, run_id: str) -> None:
    plan = undo.plan_undo(system.hub, run_id, who="tester", clock=system.clock)
    undo.undo_run(system.hub, plan, who="tester", clock=system.clock)


SERVICES: dict[str, Callable[[LeanSystem, str], None]] = {
    "deletes": _sync_with_deletes,
    "repair": _repair,
    "undo": _undo,
}


def _serve(message: dict[str, Any]) -> None:
    wanted = Service(**message)
    hub = open_hub(wanted.hub_url, audit_keys=AUDIT_KEYS)
    spec = lean_spec(Path(wanted.include), STYLE)
    credentials = Credentials(wanted.base_url, ca_file=wanted.ca_file)
    system = LeanSystem(hub, LeanApi(STYLE), spec, credentials, wanted.stage_url)
    SERVICES[wanted.name](system, wanted.run_id)


if __name__ == "__main__":
    serve(_serve)
