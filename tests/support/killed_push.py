"""Tries of an outbound sync in processes of their own, which a test ends with kill -9."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.system_spec.loader import load_system
from tests.support.killed_sync import SyncProcesses, serve
from tests.support.lean_system import AUDIT_KEYS
from tests.support.two_way_system import TwoWay, TwoWayApi


@dataclass(frozen=True)
class Push:
    """One try of an outbound run."""

    hub_url: str
    include: str
    base_url: str
    ca_file: str
    stage_url: str
    run_id: str
    staged: bool


def push_processes() -> SyncProcesses:
    return SyncProcesses("tests.support.killed_push")


def _push(message: dict[str, Any]) -> None:
    wanted = Push(**message)
    include = Path(wanted.include)
    spec = load_system(include / "systems" / "crm.yaml", include / "mappings")
    credentials = Credentials(wanted.base_url, ca_file=wanted.ca_file)
    hub = open_hub(wanted.hub_url, audit_keys=AUDIT_KEYS)
    TwoWay(hub, TwoWayApi(), spec, credentials, wanted.stage_url, wanted.staged).push(run_id=wanted.run_id)


if __name__ == "__main__":
    serve(_push)
