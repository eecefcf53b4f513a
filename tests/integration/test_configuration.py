"""Configuration from files to the hub and back, on every database that the hub may live in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.documents import is_same
from kwiksync_ops.mapping.files import read_mapping
from kwiksync_ops.services.configuration import applied_mapping, apply, export, plan, roll_back
from kwiksync_ops.services.configuration_plan import PlanAction
from kwiksync_ops.storage import audit, configuration, mappings
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.mappings import MappingKey
from kwiksync_ops.storage.models import AUDIT, CONFIGURATION, FIELD_MAPPING
from kwiksync_ops.testing import ManualClock

WHO = "ada"
TICKETS = MappingKey("erp", "inbound", "tickets")
LOCATIONS = MappingKey("erp", "inbound", "locations")
SYSTEM = """\
system: {system}
kind: rest
connection: kwiksync_{system}
direction: inbound
tables:
  - {{table: tickets, source: /tickets, key: ticket_id}}
  - {{table: locations, source: /locations, key: location_id, mapping: places.json}}
"""
FIELDS: list[dict[str, Any]] = [
    {"source_field": "ticket_id", "target_field": "external_id", "transform": "direct"},
    {
        "source_field": "status",
        "target_field": "state",
        "transform": "value_map",
        "config": {"mappings": {"OPEN": "1", "Gelöst ✓": "6", "\x00": "7"}, "default": "1"},
        "validation": {"required": True, "max_length": 2},
        "null_values": ["?", 0, False],
        "default": "1",
    },
    {"source_field": "place", "target_field": "location", "transform": "direct", "active": False},
]

Edit = Callable[[list[dict[str, Any]]], Any]


@pytest.fixture
def include(tmp_path: Path) -> Path:
    (tmp_path / "systems").mkdir()
    (tmp_path / "mappings").mkdir()
    add_system(tmp_path, "erp")
    write(tmp_path / "mappings/places.json", "locations", FIELDS[:1])
    return tmp_path


def add_system(include: Path, system: str) -> None:
    (include / f"systems/{system}.yaml").write_text(SYSTEM.format(system=system), encoding="utf-8")
    write(include / f"mappings/{system}/tickets.json", "tickets", FIELDS)


def write(path: Path, table: str, fields: list[dict[str, Any]]) -> None:
    path.parent.mkdir(exist_ok=True)
    document = {"source_table": table, "target_table": table, "fields": fields}
    path.write_text(json.dumps(document, indent=3), encoding="utf-8")


def edit_tickets(include: Path, edit: Edit) -> None:
    path = include / "mappings/erp/tickets.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    edit(document["fields"])
    path.write_text(json.dumps(document), encoding="utf-8")


def apply_all(hub: Hub, include: Path, **options: Any) -> list[tuple[MappingKey, int]]:
    applied = apply(hub, include, who=WHO, clock=ManualClock(), **options)
    return [(table.key, table.version) for table in applied]


def rows(hub: Hub, table: sa.Table) -> list[Any]:
    with hub.read() as connection:
        return list(connection.execute(sa.select(table)).all())


def count(hub: Hub) -> tuple[int, ...]:
    return tuple(len(rows(hub, table)) for table in (FIELD_MAPPING, CONFIGURATION, AUDIT))


def test_a_plan_before_the_first_apply_is_all_new_and_writes_nothing(hub: Hub, include: Path) -> None:
    planned = plan(hub, include)
    assert [(table.key, table.action, table.version) for table in planned.tables] == [
        (LOCATIONS, PlanAction.NEW, None),
        (TICKETS, PlanAction.NEW, None),
    ]
    assert [change.target_field for change in planned.tables[1].changes] == ["external_id", "state", "location"]
    assert planned.faults == ()
    assert count(hub) == (0, 0, 0)


def test_what_is_applied_is_what_the_file_says(hub: Hub, include: Path) -> None:
    assert apply_all(hub, include) == [(LOCATIONS, 1), (TICKETS, 1)]
    with hub.read() as connection:
        applied = applied_mapping(connection, "erp", "x_kwr_kwiksync_tickets")
    declared = read_mapping(include / "mappings/erp/tickets.json", "erp")
    assert applied.version == 1
    assert is_same(applied, declared)
    assert (applied.rules, applied.source_table) == (declared.rules, declared.source_table)


def test_applying_twice_changes_nothing(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    before = count(hub)
    assert apply_all(hub, include) == []
    assert count(hub) == before
    assert {table.action for table in plan(hub, include).tables} == {PlanAction.UNCHANGED}


def test_a_new_version_is_written_only_where_something_changed(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    edit_tickets(include, lambda fields: fields[1]["config"]["mappings"].update(OPEN="2"))
    (changed,) = plan(hub, include).pending
    assert (changed.key, changed.action, changed.version) == (TICKETS, PlanAction.CHANGED, 1)
    assert [str(value) for value in changed.changes[0].values] == ['config.mappings.OPEN: "1" → "2"']
    assert apply_all(hub, include) == [(TICKETS, 2)]
    with hub.read() as connection:
        assert applied_mapping(connection, "erp", "tickets").rules[1].config["mappings"]["OPEN"] == "2"
        first = applied_mapping(connection, "erp", "tickets", version=1)
    assert first.rules[1].config["mappings"]["OPEN"] == "1"


def test_each_version_leaves_an_audit_row_with_old_and_new_values(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    edit_tickets(include, lambda fields: fields[1]["config"]["mappings"].update(OPEN="2"))
    apply_all(hub, include)
    *_, last = sorted(rows(hub, AUDIT), key=lambda row: row.number)
    assert (last.who, last.action, last.object) == (WHO, "mapping.apply", "erp.inbound.tickets")
    details = json.loads(last.details)
    assert (details["previous"], details["version"]) == (1, 2)
    assert details["changes"] == [
        {
            "target_field": "state",
            "action": "changed",
            "values": [{"name": "config.mappings.OPEN", "old": "1", "new": "2"}],
        }
    ]
    with hub.read() as connection:
        assert audit.verify(connection, hub.audit_keys) is None


def test_a_fault_in_one_table_applies_nothing(hub: Hub, include: Path) -> None:
    edit_tickets(include, lambda fields: fields[1].update(target_field="stat"))
    planned = plan(hub, include)
    assert [table.action for table in planned.tables] == [PlanAction.NEW, PlanAction.FAULTY]
    with pytest.raises(ConfigurationError, match=r"tickets has no field 'stat'\. Did you mean 'state'\?"):
        apply_all(hub, include)
    assert count(hub) == (0, 0, 0)


def test_faults_of_all_files_come_at_once(hub: Hub, include: Path) -> None:
    edit_tickets(include, lambda fields: fields[1].update(target_field="stat"))
    (include / "systems/crm.yaml").write_text("system: crm\n")
    with pytest.raises(ConfigurationError, match="Nothing was applied") as caught:
        apply_all(hub, include)
    assert len(caught.value.faults) == 5


def test_a_sound_system_can_be_applied_by_name(hub: Hub, include: Path) -> None:
    (include / "systems/crm.yaml").write_text("system: crm\n")
    assert apply_all(hub, include, systems=["erp"]) == [(LOCATIONS, 1), (TICKETS, 1)]


def test_an_unknown_system_is_named_with_the_nearest(hub: Hub, include: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"declares 'epr'\. Did you mean 'erp'\?"):
        plan(hub, include, ["epr"])


def test_a_mapping_for_another_table_is_a_fault(hub: Hub, include: Path) -> None:
    write(include / "mappings/places.json", "projects", FIELDS[:1])
    (fault,) = plan(hub, include).faults
    assert fault.startswith(f"{include}/mappings/places.json: target_table: is for projects, and ")


def test_options_and_cursors_that_a_schema_passes_are_checked_too(hub: Hub, include: Path) -> None:
    path = include / "systems/erp.yaml"
    text = path.read_text().replace("key: ticket_id", "key: ticket_id, cursor: {field: at, format: YYYY-MM-DDQ}")
    path.write_text(text.replace("tables:", "rest: {timezone: Nowhere/Land}\ntables:"))
    faults = plan(hub, include).faults
    assert len(faults) == 2
    assert "Nowhere/Land" in str(faults)
    assert "tickets: cursor.format: 'Q'" in str(faults)


def test_a_mapping_that_no_file_declares_any_more_is_shown_and_kept(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    text = (include / "systems/erp.yaml").read_text()
    (include / "systems/erp.yaml").write_text(text[: text.index("  - {table: locations")])
    planned = plan(hub, include)
    assert [(table.key, table.action) for table in planned.tables] == [
        (TICKETS, PlanAction.UNCHANGED),
        (LOCATIONS, PlanAction.UNDECLARED),
    ]
    assert apply_all(hub, include) == []
    with hub.read() as connection:
        assert applied_mapping(connection, "erp", "locations").version == 1


def test_a_roll_back_is_a_new_version_that_says_what_the_older_one_said(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    edit_tickets(include, lambda fields: fields.pop())
    apply_all(hub, include)
    rolled = roll_back(hub, TICKETS, 1, who=WHO, clock=ManualClock())
    assert rolled is not None
    assert (rolled.version, rolled.previous) == (3, 2)
    assert [(change.target_field, change.action) for change in rolled.changes] == [("location", "added")]
    with hub.read() as connection:
        versions = mappings.list_versions(connection, TICKETS)
        assert len(applied_mapping(connection, "erp", "tickets").rules) == 3
    assert [(entry.version, entry.rules, entry.is_active) for entry in versions] == [
        (3, 3, True),
        (2, 2, False),
        (1, 3, False),
    ]
    audited = rows(hub, AUDIT)[-1]
    assert audited.action == "mapping.roll_back"
    assert '"to": 1' in audited.details
    assert roll_back(hub, TICKETS, 1, who=WHO, clock=ManualClock()) is None


def test_a_version_after_a_roll_back_takes_the_next_number(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    edit_tickets(include, lambda fields: fields.pop())
    apply_all(hub, include)
    roll_back(hub, TICKETS, 1, who=WHO, clock=ManualClock())
    assert plan(hub, include).pending[0].version == 3
    assert apply_all(hub, include) == [(TICKETS, 4)]


def test_a_version_that_is_not_there_is_refused_with_those_that_are(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    with pytest.raises(ConfigurationError, match=r"no version 9 of the inbound mapping of tickets of erp.*are: 1\."):
        roll_back(hub, TICKETS, 9, who=WHO, clock=ManualClock())


def test_a_sync_before_the_first_apply_is_told_what_to_do(hub: Hub) -> None:
    with hub.read() as connection, pytest.raises(ConfigurationError, match="Run kwiksync apply"):
        applied_mapping(connection, "erp", "tickets")


def test_export_after_apply_touches_no_file(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    before = {path: path.read_bytes() for path in include.rglob("*.json")}
    assert [exported.is_written for exported in export(hub, include)] == [False, False]
    assert {path: path.read_bytes() for path in include.rglob("*.json")} == before


def test_export_writes_what_was_applied_over_what_is_lost_or_changed(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    edit_tickets(include, lambda fields: fields.pop())
    (include / "mappings/places.json").unlink()
    assert [(exported.key, exported.is_written) for exported in export(hub, include)] == [
        (LOCATIONS, True),
        (TICKETS, True),
    ]
    assert {table.action for table in plan(hub, include).tables} == {PlanAction.UNCHANGED}


def test_exported_files_are_the_same_to_the_byte_each_time(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    texts = []
    for _ in range(2):
        shutil.rmtree(include / "mappings")
        texts.append({exported.path: exported.path.read_bytes() for exported in export(hub, include)})
    assert texts[0] == texts[1]
    assert apply_all(hub, include) == []


def test_export_refuses_to_write_two_different_mappings_into_one_file(hub: Hub, include: Path) -> None:
    apply_all(hub, include)
    add_system(include, "crm")
    write(include / "mappings/places.json", "locations", [*FIELDS[:1], {**FIELDS[0], "target_field": "name"}])
    apply_all(hub, include, systems=["crm"])
    with pytest.raises(ConfigurationError, match=r"places\.json is the mapping file of crm and of erp"):
        export(hub, include)


def test_applies_at_the_same_time_make_one_version(hub: Hub, include: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        results = list(threads.map(lambda _: apply_all(hub, include), range(4)))
    assert sorted(map(len, results)) == [0, 0, 0, 2]
    with hub.read() as connection:
        assert len(mappings.list_versions(connection, TICKETS)) == 1


def test_system_and_table_names_do_not_mix_up_mappings(hub: Hub, include: Path) -> None:
    add_system(include, "erp_2")
    apply_all(hub, include)
    with hub.read() as connection:
        active = mappings.list_active(connection)
    assert {str(key): version for key, version in active.items()} == {
        "erp.inbound.locations": 1,
        "erp.inbound.tickets": 1,
        "erp_2.inbound.locations": 1,
        "erp_2.inbound.tickets": 1,
    }


@pytest.mark.parametrize("value", [True, 7, Decimal("0.20"), "7", "", {"a": [1, None]}, ["x"]], ids=repr)
def test_a_setting_keeps_its_value_and_type(hub: Hub, value: Any) -> None:
    now = ManualClock().now()
    assert hub.write(lambda connection: configuration.write_setting(connection, "limit", value, who=WHO, now=now))
    with hub.read() as connection:
        setting = configuration.read_setting(connection, "limit")
    assert setting is not None
    assert (setting.value, type(setting.value)) == (value, type(value))
    assert (setting.updated_on, setting.updated_by, setting.mod_count) == (now, WHO, 0)


def test_a_setting_that_does_not_change_is_not_written(hub: Hub) -> None:
    def set_to(value: Any) -> bool:
        now = ManualClock().now()
        return hub.write(
            lambda connection: configuration.write_setting(
                connection, "sync.window", value, who=WHO, now=now, description="When"
            )
        )

    assert [set_to(1), set_to(1), set_to("1"), set_to("1")] == [True, False, True, False]
    with hub.read() as connection:
        (setting,) = configuration.list_settings(connection, "sync.")
        assert configuration.list_settings(connection, "sync_") == []
    assert (setting.value, setting.mod_count, setting.description) == ("1", 1, "When")


WAY_OUT: list[dict[str, Any]] = [
    {"source_field": "number", "target_field": "no", "transform": "direct", "config": {"omit_null": True}}
]


@pytest.fixture
def both_ways(include: Path) -> Path:
    """The tickets of the system are written to as well, its locations are not."""
    path = include / "systems/erp.yaml"
    text = path.read_text(encoding="utf-8").replace("direction: inbound", "direction: both")
    push = "rest: {push: {create: {method: POST, path: /tickets}}}"
    path.write_text(text.replace("key: ticket_id}", f"key: ticket_id, {push}}}"), encoding="utf-8")
    write(include / "mappings/erp/tickets.outbound.json", "tickets", WAY_OUT)
    return include


OUTBOUND = MappingKey("erp", "outbound", "tickets")


def test_a_table_that_is_written_to_has_a_mapping_of_the_way_out(hub: Hub, both_ways: Path) -> None:
    assert apply_all(hub, both_ways) == [(LOCATIONS, 1), (TICKETS, 1), (OUTBOUND, 1)]
    with hub.read() as connection:
        applied = applied_mapping(connection, "erp", "tickets", "outbound")
        inbound = applied_mapping(connection, "erp", "tickets")
    assert is_same(applied, read_mapping(both_ways / "mappings/erp/tickets.outbound.json", "erp", "outbound"))
    assert (applied.direction, applied.table, applied.version) == ("outbound", "tickets", 1)
    assert applied.rules[0].config == {"omit_null": True}
    assert [rule.target_field for rule in inbound.rules] == ["external_id", "state", "location"]


def test_both_ways_change_and_roll_back_each_by_itself(hub: Hub, both_ways: Path) -> None:
    apply_all(hub, both_ways)
    write(both_ways / "mappings/erp/tickets.outbound.json", "tickets", [{**WAY_OUT[0], "target_field": "number"}])
    assert apply_all(hub, both_ways) == [(OUTBOUND, 2)]
    rolled = roll_back(hub, OUTBOUND, 1, who=WHO, clock=ManualClock())
    assert rolled
    assert (rolled.version, rolled.previous) == (3, 2)
    export(hub, both_ways)
    document = json.loads((both_ways / "mappings/erp/tickets.outbound.json").read_text(encoding="utf-8"))
    assert [field["target_field"] for field in document["fields"]] == ["no"]
    assert plan(hub, both_ways).pending == ()


def test_faults_of_both_ways_come_at_once_with_their_lines(hub: Hub, both_ways: Path) -> None:
    edit_tickets(both_ways, lambda fields: fields[0].update(target_field="externalid"))
    path = both_ways / "mappings/erp/tickets.outbound.json"
    wrong = [{**WAY_OUT[0], "source_field": "nummer"}, {**WAY_OUT[0], "target_field": "no.part"}]
    path.write_text(json.dumps({"source_table": "tickets", "target_table": "t", "fields": wrong}, indent=1))
    faults = plan(hub, both_ways).faults
    assert any("tickets.json" in fault and "externalid" in fault for fault in faults)
    outbound = [fault for fault in faults if f"{path}:" in fault]
    assert len(outbound) == 2
    assert "Did you mean 'number'?" in outbound[0]
    assert "one is within the other" in outbound[1]
    with pytest.raises(ConfigurationError, match="Nothing was applied"):
        apply_all(hub, both_ways)


def test_a_missing_mapping_of_the_way_out_is_named_with_its_file(hub: Hub, both_ways: Path) -> None:
    (both_ways / "mappings/erp/tickets.outbound.json").unlink()
    (fault,) = plan(hub, both_ways).faults
    assert "tickets.outbound.json" in fault
