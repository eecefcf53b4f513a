"""The files of a new system: all of them, or none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.connectors.discovery import ObjectInfo
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.proposals.profile import profile_records
from kwiksync_ops.services.declared_mappings import read_declared_mappings
from kwiksync_ops.services.discovery import Inspected
from kwiksync_ops.services.proposals import choose_tables, propose
from kwiksync_ops.services.system_files import (
    SystemDraft,
    draft_files,
    files_in_the_way,
    refuse_bad_settings,
    write_system,
)
from kwiksync_ops.system_spec.loader import load_system

OPTIONS: dict[str, Any] = {"records_path": "data", "pagination": {"type": "offset"}}


def draft(**changes: Any) -> SystemDraft:
    records = [{"id": f"A{at}", "name": "a", "city": "*Oslo", "updated_at": "2026-01-02T00:00:00Z"} for at in range(3)]
    tickets = [{"id": f"T{at}", "number": f"N{at}", "summary": "1e3", "site_id": "A1"} for at in range(3)]
    objects = [
        Inspected(ObjectInfo(f"/api/{name}"), rows, profile_records(rows), OPTIONS, is_complete=True)
        for name, rows in (("sites", records), ("tickets", tickets))
    ]
    return replace(SystemDraft("crm", "rest", "kwiksync_crm", propose(objects, choose_tables(objects))), **changes)


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_what_is_written_is_read_back_without_a_fault(tmp_path: Path) -> None:
    paths = write_system(
        tmp_path, draft(description="A CRM: *all* of it", schedule="0 2 * * *", timezone="Europe/Berlin")
    )
    assert [str(path.relative_to(tmp_path)) for path in paths] == [
        "mappings/crm/locations.json",
        "mappings/crm/tickets.json",
        "systems/crm.yaml",
    ]
    assert set(tree(tmp_path)) == {str(path.relative_to(tmp_path)) for path in paths}
    declared = read_declared_mappings(tmp_path, [])
    assert not declared.broken
    assert not [found for found in declared.mappings.values() if isinstance(found, tuple)]
    spec = load_system(paths[-1], tmp_path / "mappings")
    assert (spec.schedule, spec.timezone, spec.description) == ("0 2 * * *", "Europe/Berlin", "A CRM: *all* of it")
    assert [(table.table, table.source, table.key) for table in spec.tables] == [
        ("locations", "/api/sites", "id"),
        ("tickets", "/api/tickets", "id"),
    ]
    assert spec.tables[0].cursor is not None
    assert spec.tables[1].cursor is None


def test_options_that_all_tables_need_stand_once_and_others_at_their_table() -> None:
    plain = draft()
    first, second = plain.tables
    own = {**OPTIONS, "pagination": {"type": "keyset"}}
    mixed = replace(plain, tables=[first, replace(second, inspected=replace(second.inspected, options=own))])
    (text,) = (text for path, text in draft_files(mixed).items() if path.suffix == ".yaml")
    assert text.count("records_path: data") == 1
    assert text.count("pagination") == 2
    assert "rest:\n      pagination: {type: keyset}" in text


def test_nothing_is_overwritten_unless_it_was_said(tmp_path: Path) -> None:
    mine = tmp_path / "mappings" / "crm" / "tickets.json"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert files_in_the_way(tmp_path, "crm", ["tickets", "assets"]) == [mine]
    with pytest.raises(ConfigurationError, match=r"kept as they are[\s\S]*tickets.json"):
        write_system(tmp_path, draft())
    assert tree(tmp_path) == {"mappings/crm/tickets.json": "mine"}
    write_system(tmp_path, draft(), replaces=True)
    assert mine.read_text() != "mine"


def test_a_system_of_the_other_ending_is_replaced_and_not_doubled(tmp_path: Path) -> None:
    old = tmp_path / "systems" / "crm.yml"
    old.parent.mkdir(parents=True)
    old.write_text("old")
    with pytest.raises(ConfigurationError, match=r"crm\.yml"):
        write_system(tmp_path, draft())
    write_system(tmp_path, draft(), replaces=True)
    assert not old.exists()
    assert (tmp_path / "systems" / "crm.yaml").exists()


def test_a_draft_with_a_fault_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="was not written") as caught:
        write_system(tmp_path, draft(schedule="at noon", options={"recordspath": "x"}))
    assert any("'at noon' is not a cron expression" in fault for fault in caught.value.faults)
    assert not any(str(tmp_path) in fault for fault in caught.value.faults)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"schedule": "at noon"}, "'at noon' is not a cron expression"),
        ({"options": {"recordspath": "x"}}, "Did you mean 'records_path'"),
        ({"options": {"time_format": "QQ"}}, "time_format"),
        ({"options": {"token": "abc-def-123"}}, "looks like a secret"),
        ({"timezone": "Berlin"}, "not an IANA time zone"),
    ],
)
def test_bad_settings_are_told_before_there_are_tables(changes: dict[str, Any], fault: str) -> None:
    refuse_bad_settings(draft(tables=()))
    with pytest.raises(ConfigurationError) as caught:
        refuse_bad_settings(draft(tables=(), **changes))
    assert any(fault in told for told in caught.value.faults), caught.value.faults
    assert not any("/tmp" in told for told in caught.value.faults)


@pytest.mark.parametrize("stopped_at", [0, 1, 2])
def test_a_stop_in_the_middle_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped_at: int
) -> None:
    write_system(tmp_path, draft(description="before"))
    before = tree(tmp_path)
    moved = 0
    original = Path.replace

    def stop(path: Path, target: Path) -> Path:
        nonlocal moved
        is_new = any(part.startswith(".kwiksync-") for part in path.parts)
        if is_new and "before" not in (*path.parts, *target.parts):
            if moved == stopped_at:
                raise KeyboardInterrupt
            moved += 1
        return original(path, target)

    monkeypatch.setattr(Path, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        write_system(tmp_path, draft(description="after"), replaces=True)
    assert tree(tmp_path) == before
    empty = tmp_path / "other"
    moved = 0
    with pytest.raises(KeyboardInterrupt):
        write_system(empty, draft())
    assert list(empty.iterdir()) == []


def test_a_folder_that_can_not_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "systems").write_text("a file where a folder belongs")
    with pytest.raises(ConfigurationError, match="can't be written") as caught:
        write_system(tmp_path, draft())
    assert "KWIKSYNC_INCLUDE" in caught.value.remedy
    assert tree(tmp_path) == {"systems": "a file where a folder belongs"}
