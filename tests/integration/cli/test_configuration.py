"""`plan`, `apply`, `export` and `rollback`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli.conftest import Cli, assert_fits


def change_tickets(cli: Cli, priority: str) -> Path:
    path = cli.include / "mappings" / "erp" / "tickets.json"
    document: dict[str, Any] = json.loads(path.read_text())
    (rule,) = [rule for rule in document["fields"] if rule["target_field"] == "priority"]
    rule["config"]["mappings"]["9 - Brand new"] = priority
    document["fields"] = [rule for rule in document["fields"] if rule["target_field"] != "category"]
    path.write_text(json.dumps(document, indent=2))
    return path


def test_a_plan_shows_what_is_new_and_check_makes_it_an_exit_code(cli: Cli) -> None:
    cli.ok("db", "upgrade")
    shown = cli.ok("plan")
    assert "7 mappings to apply" in shown.out
    assert_fits(shown.out)
    assert cli("plan", "--check").code == 3
    assert {table["action"] for table in cli.ok("plan", "--json").json["tables"]} == {"new"}
    cli.ok("apply")
    assert cli("plan", "--check").code == 0
    assert cli.ok("plan", "--json").json["pending"] == 0


def test_a_plan_shows_a_change_value_by_value(applied: Cli) -> None:
    change_tickets(applied, "5")
    shown = applied.ok("plan").out
    assert 'config.mappings.9 - Brand new: — → "5"' in shown
    assert "- category" in shown
    (changed,) = [table for table in applied.ok("plan", "--json").json["tables"] if table["action"] == "changed"]
    assert [(change["target_field"], change["action"]) for change in changed["changes"]] == [
        ("priority", "changed"),
        ("category", "removed"),
    ]


def test_apply_twice_changes_nothing_the_second_time(applied: Cli) -> None:
    change_tickets(applied, "5")
    (first,) = applied.ok("apply", "--json").json["applied"]
    assert (first["table"], first["version"], first["previous"]) == ("tickets", 2, 1)
    assert applied.ok("apply", "--json").json == {"applied": []}
    assert "Nothing to apply" in applied.ok("apply").out


def test_a_rollback_is_written_to_the_files_by_export(applied: Cli) -> None:
    path = change_tickets(applied, "5")
    applied.ok("apply")
    back = applied.ok("rollback", "erp", "tickets", "1", "--json").json["rolled_back"]
    assert (back["version"], back["previous"]) == (3, 2)
    assert applied.ok("rollback", "erp", "tickets", "1", "--json").json == {"rolled_back": None}
    assert "Brand new" in path.read_text()
    written = [file for file in applied.ok("export", "--json").json["files"] if file["written"]]
    assert [file["table"] for file in written] == ["tickets"]
    assert "Brand new" not in path.read_text()
    assert_fits(applied.ok("export").out)


def test_a_version_that_is_not_there_is_refused(applied: Cli) -> None:
    answer = applied("rollback", "erp", "tickets", "7")
    assert answer.code == 1
    assert "There are: 1." in answer.error


@pytest.mark.parametrize("command", ["plan", "apply"])
def test_every_fault_of_the_files_is_told_at_once(applied: Cli, command: str) -> None:
    path = applied.include / "mappings" / "erp" / "assets.json"
    path.write_text(path.read_text().replace('"quantity"', '"quantty"').replace('"direct"', '"dirct"', 1))
    answer = applied(command)
    assert answer.code == 1
    assert "quantty" in answer.error
    assert "dirct" in answer.error
    assert_fits(answer.err)
    error = applied(command, "--json").out
    assert "assets.json" in error


def test_a_broken_file_does_not_stand_in_the_way_of_another_system(applied: Cli) -> None:
    (applied.include / "systems" / "crm.yaml").write_text("system: crm\nkind: [\n")
    assert applied("plan", "crm").code == 1
    assert applied("plan", "erp").code == 0


def test_a_system_that_is_not_declared_names_the_near_one(applied: Cli) -> None:
    answer = applied("plan", "epr")
    assert answer.code == 1
    assert "Did you mean 'erp'?" in answer.error


def test_the_way_out_has_versions_of_its_own_beside_the_way_in(applied: Cli) -> None:
    path = applied.include / "mappings" / "erp" / "tickets.outbound.json"
    path.write_text(path.read_text().replace('"default": "New"', '"default": "Active"'))
    planned = applied("plan", "erp")
    assert "outbound" in planned.out
    assert "erp tickets (outbound)" in planned.out
    assert_fits(planned.out)
    (done,) = applied.ok("apply", "--json").json["applied"]
    assert (done["direction"], done["table"], done["version"]) == ("outbound", "tickets", 2)
    back = applied.ok("rollback", "erp", "tickets", "1", "--outbound", "--json").json["rolled_back"]
    assert (back["direction"], back["version"], back["previous"]) == ("outbound", 3, 2)
    assert applied.ok("rollback", "erp", "tickets", "1", "--json").json == {"rolled_back": None}
    applied.ok("export")
    assert '"default": "New"' in path.read_text()
