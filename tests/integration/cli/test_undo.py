"""`kwiksync undo` and `records --deleted`, as a person types them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kwiksync_ops.storage import sync_log
from tests.integration.cli.conftest import Cli


@pytest.fixture
def run_id(cli: Cli, synced_home: Path) -> str:
    shutil.copytree(synced_home, cli.home, dirs_exist_ok=True)
    hub = cli.open_hub()
    with hub.read() as connection:
        (row,) = sync_log.latest(connection, limit=1)
    hub.close()
    return str(row["run_id"])


def test_a_dry_run_shows_and_changes_nothing(cli: Cli, run_id: str) -> None:
    before = cli.ok("records", "locations", "--json").json["total"]
    plan = cli.ok("undo", run_id, "--dry-run", "--json").json
    assert plan["tables"] == [{"table": "locations", "created": before, "updated": 0, "deleted": 0}]
    assert plan["done"] == []
    assert cli.ok("records", "locations", "--json").json["total"] == before


def test_an_undone_run_leaves_deleted_records_that_are_shown_when_asked_for(cli: Cli, run_id: str) -> None:
    before = cli.ok("records", "locations", "--json").json["total"]
    assert "put back" in cli.ok("undo", run_id, "--yes").out
    assert cli.ok("records", "locations", "--json").json["total"] == 0
    assert cli.ok("records", "locations", "--deleted", "--json").json["total"] == before
    again = cli("undo", run_id, "--yes")
    assert again.code == 1
    assert "was undone already" in again.error


def test_an_unknown_run_is_told(cli: Cli, run_id: str) -> None:
    answer = cli("undo", "none", "--yes")
    assert answer.code == 1
    assert "There is no run" in answer.error
