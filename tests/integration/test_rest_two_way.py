"""Examples of systems that are no plain REST, synced whole: into the hub, out of it, and no echo between."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.services import configuration
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORDS
from kwiksync_ops.system_spec.loader import load_system
from tests.conftest import StartServer
from tests.support.directus_double import Directus
from tests.support.example_system import INCLUDE
from tests.support.github_double import GitHub
from tests.support.inbound import hub_records
from tests.support.two_way_system import TwoWay

TOKEN = "example-token-value-1"


def two_way(hub: Hub, name: str, url: str, ca_file: str, folder: Path) -> TwoWay:
    """The example, copied to where systems are looked for, with its mappings applied to the hub."""
    include = folder / "include"
    (include / "systems").mkdir(parents=True)
    shutil.copy(INCLUDE / "systems" / "examples" / f"{name}.yaml", include / "systems")
    shutil.copytree(INCLUDE / "mappings" / "examples" / name, include / "mappings" / "examples" / name)
    configuration.apply(hub, include, who="tester", clock=SystemClock())
    spec = load_system(include / "systems" / f"{name}.yaml", include / "mappings")
    credentials = Credentials(url, token=TOKEN, ca_file=ca_file, allow_hosts=("127.0.0.1",))
    nobody: Any = None
    return TwoWay(hub, nobody, spec, credentials, f"file://{folder}/stage")


def add_ticket(hub: Hub, sys_id: str, **values: Any) -> None:
    """A person creates a record in the hub."""
    now = datetime.now(UTC)
    row = {
        "sys_id": sys_id,
        "external_id": sys_id,
        "source_system": "kwiksync",
        "sys_created_on": now,
        "sys_updated_on": now,
        "sys_mod_count": 0,
        "active": True,
        **values,
    }
    hub.write(lambda connection: connection.execute(RECORDS["tickets"].insert(), [row]))


def made(counts: Counts) -> tuple[int, int, int]:
    return counts.created, counts.updated, counts.failed


@pytest.mark.parametrize("name", ["github_graphql", "directus"])
def test_records_go_both_ways_once(
    hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path, name: str
) -> None:
    server = https_server()
    github, directus = GitHub(TOKEN), Directus(TOKEN)
    github.serve(server)
    directus.serve(server)
    for number in range(1, 6):
        github.add(number)
        directus.add(title=f"Issue {number}", changed_at=f"2026-01-15T12:00:{number:02d}.000Z")
    system = two_way(hub, name, server.url(), ca_file, tmp_path)

    def titles() -> list[str]:
        records: list[dict[str, Any]] = (
            [*github.issues.values()] if name == "github_graphql" else [*directus.items.values()]
        )
        return [record["title"] for record in records]

    assert made(system.pull()) == (5, 0, 0)
    add_ticket(hub, "a" * 32, short_description="From the hub", state="1")
    assert made(system.push()) == (1, 0, 0)
    assert titles() == [*(f"Issue {number}" for number in range(1, 6)), "From the hub"]
    system.pull()  # brings what the system adds to a new record, such as its number
    assert made(system.push()) == (0, 0, 0)
    assert made(system.pull()) == (0, 0, 0)
    assert len(hub_records(hub, "tickets")) == len(titles()) == 6
