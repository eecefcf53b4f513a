from __future__ import annotations

import subprocess
import sys
from datetime import time
from pathlib import Path

import pytest

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.system_spec.loader import BrokenSystem, load_system, load_systems, merge_options
from kwiksync_ops.system_spec.spec import CursorSpec, Limits, SyncWindow, SystemSpec

ROOT = Path(__file__).parents[3]

ERP = """\
system: erp
kind: rest
connection: kwiksync_erp
direction: inbound
description: The ERP.
schedule: "0 2 * * *"
timezone: Europe/Berlin
sync_window: {start: 22:00, end: 06:00}
limits: {calls_per_minute: 30, error_budget: 0.2}
rest:
  auth: bearer
  headers: {Accept-Language: en}
  pagination: {type: page_number, page_param: p}
tables:
  - table: tickets
    source: /api/v1/tickets
    key: ticket_id
    cursor: {field: updated_at, format: D/M/YYYY HH:mm, timezone: Europe/Lisbon}
    rest:
      headers: {X-Part: tickets}
      pagination: {type: keyset, after_param: changed_after}
  - table: locations
    source: /api/v1/locations
    key: location_id
    mapping: shared/places.json
"""


@pytest.fixture
def include(tmp_path: Path) -> Path:
    (tmp_path / "systems").mkdir()
    for name in ("erp/tickets.json", "shared/places.json"):
        path = tmp_path / "mappings" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return tmp_path


def load(include: Path, text: str, name: str = "erp.yaml") -> SystemSpec:
    path = include / "systems" / name
    path.write_text(text, encoding="utf-8")
    return load_system(path, include / "mappings")


def faults(include: Path, text: str, name: str = "erp.yaml") -> list[str]:
    """The faults without the file's folder, as `erp.yaml:3: key: problem`."""
    with pytest.raises(ConfigurationError) as caught:
        load(include, text, name)
    return [fault.replace(f"{include / 'systems'}/", "") for fault in caught.value.faults]


def changed(old: str, new: str) -> str:
    assert old in ERP
    return ERP.replace(old, new, 1)


def test_all_that_a_file_declares_is_read(include: Path) -> None:
    spec = load(include, ERP)
    assert (spec.system, spec.kind, spec.connection_id, spec.direction) == ("erp", "rest", "kwiksync_erp", "inbound")
    assert (spec.description, spec.schedule, spec.timezone) == ("The ERP.", "0 2 * * *", "Europe/Berlin")
    assert spec.sync_window == SyncWindow(time(22), time(6))
    assert spec.limits == Limits(calls_per_minute=30, error_budget=0.2)
    assert spec.path == include / "systems" / "erp.yaml"
    tickets = spec.table("tickets")
    assert tickets is not None
    assert (tickets.source, tickets.key, tickets.mapping) == ("/api/v1/tickets", "ticket_id", "erp/tickets.json")
    assert tickets.cursor == CursorSpec("updated_at", "D/M/YYYY HH:mm", "Europe/Lisbon")


def test_tables_stand_in_load_order(include: Path) -> None:
    assert [table.table for table in load(include, ERP).tables] == ["locations", "tickets"]


def test_options_of_a_table_win_over_those_of_the_system(include: Path) -> None:
    locations, tickets = load(include, ERP).tables
    assert locations.options["pagination"] == {"type": "page_number", "page_param": "p"}
    assert tickets.options == {
        "auth": "bearer",
        "headers": {"Accept-Language": "en", "X-Part": "tickets"},
        "pagination": {"type": "keyset", "after_param": "changed_after"},
    }


def test_pagination_of_the_same_type_is_merged() -> None:
    merged = merge_options(
        {"pagination": {"type": "offset", "size_param": "n"}}, {"pagination": {"type": "offset", "page_size": 9}}
    )
    assert merged == {"pagination": {"type": "offset", "size_param": "n", "page_size": 9}}


def test_what_is_not_said_has_the_products_defaults(include: Path) -> None:
    text = "system: erp\nkind: rest\nconnection: c\ndirection: both\ntables: [{table: tickets, source: /t, key: id}]\n"
    spec = load(include, text)
    assert (spec.schedule, spec.timezone, spec.sync_window, spec.limits) == (None, "UTC", None, Limits())
    assert spec.tables[0].cursor is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "system: erp",
            "system: crm",
            "erp.yaml:1: system: 'crm' is not the file's name. Write 'erp', or rename the file.",
        ),
        (
            "kind: rest",
            "kind: ftp",
            "erp.yaml:2: kind: 'ftp' is unknown; expected one of files, odata, rest, servicenow, sql.",
        ),
        (
            "connection: kwiksync_erp",
            "connection: my erp",
            "erp.yaml:3: connection: 'my erp' is not valid; expected an Airflow connection id, such as 'kwiksync_erp'.",
        ),
        (
            "direction: inbound",
            "direction: inbuond",
            (
                "erp.yaml:4: direction: 'inbuond' is unknown; expected one of inbound, outbound, both. "
                "Did you mean 'inbound'?"
            ),
        ),
        (
            'schedule: "0 2 * * *"',
            'schedule: "0 25 * * *"',
            (
                "erp.yaml:6: schedule: '0 25 * * *' is not a cron expression, such as '0 2 * * *'. "
                "[0 25 * * *] is not acceptable, out of range."
            ),
        ),
        (
            'schedule: "0 2 * * *"',
            'schedule: "0 2 * * * *"',
            (
                "erp.yaml:6: schedule: '0 2 * * * *' is not a cron expression, such as '0 2 * * *'. "
                "It needs five fields: minute, hour, day, month, weekday."
            ),
        ),
        (
            "timezone: Europe/Berlin",
            "timezone: Europe/Berlim",
            (
                "erp.yaml:7: timezone: 'Europe/Berlim' is not an IANA time zone, such as 'Europe/Berlin'. "
                "Did you mean 'Europe/Berlin'?"
            ),
        ),
        (
            "timezone: Europe/Berlin",
            "timezone: Lisbon",
            (
                "erp.yaml:7: timezone: 'Lisbon' is not an IANA time zone, such as 'Europe/Berlin'. "
                "Did you mean 'Europe/Lisbon'?"
            ),
        ),
        (
            "start: 22:00",
            "start: 24:00",
            (
                "erp.yaml:8: sync_window.start: '24:00' is not valid; "
                "expected a time of day, 00:00 to 23:59, such as '22:00'."
            ),
        ),
        (
            "start: 22:00",
            "start: 06:00",
            (
                "erp.yaml:8: sync_window: ends when it starts, so that no sync could ever run. "
                "Remove it for a sync at any time."
            ),
        ),
        (
            "error_budget: 0.2",
            "error_budget: 20",
            "erp.yaml:9: limits.error_budget: 20 is not valid; expected 1 or less.",
        ),
        (
            "calls_per_minute: 30",
            "calls_per_minute: thirty",
            "erp.yaml:9: limits.calls_per_minute: expected a whole number, found 'thirty'.",
        ),
        (
            "calls_per_minute: 30",
            "call_per_minute: 30",
            "erp.yaml:9: limits.call_per_minute: is an unknown key. Did you mean 'calls_per_minute'?",
        ),
        (
            "type: page_number",
            "type: pagenumber",
            (
                "erp.yaml:13: rest.pagination.type: 'pagenumber' is unknown; expected one of none, page_number, "
                "offset, cursor, next_link, link_header, keyset, key. Did you mean 'page_number'?"
            ),
        ),
        (
            "table: tickets",
            "table: ticket",
            (
                "erp.yaml:15: tables[0].table: 'ticket' is unknown; expected one of locations, projects, tickets, "
                "kw_corp_ticket_tasks, assets, deliverables. Did you mean 'tickets'?"
            ),
        ),
        (
            "    key: ticket_id\n",
            "",
            (
                "erp.yaml:15: tables[0].key: is missing. "
                "Field that identifies a record at the system. Dots lead into nested objects."
            ),
        ),
        (
            "D/M/YYYY HH:mm",
            "unix",
            (
                "erp.yaml:18: tables[0].cursor.format: 'unix' is not valid; "
                "expected iso, epoch, epoch_ms or a date format, such as 'YYYY-MM-DD HH:mm:ss'."
            ),
        ),
        (
            "Europe/Lisbon",
            "Mars/Olympus",
            "erp.yaml:18: tables[0].cursor.timezone: 'Mars/Olympus' is not an IANA time zone, such as 'Europe/Berlin'.",
        ),
        (
            "table: locations",
            "table: tickets",
            "erp.yaml:22: tables[1].table: 'tickets' is declared twice, first in line 15. Remove one.",
        ),
        (
            "mapping: shared/places.json",
            "mapping: ../places.json",
            (
                "erp.yaml:25: tables[1].mapping: '../places.json' is not valid; "
                "expected a .json file below include/mappings, such as 'erp/tickets.json'."
            ),
        ),
        (
            "connection: kwiksync_erp",
            "connection:",
            "erp.yaml:3: connection: expected an Airflow connection id, such as 'kwiksync_erp', found nothing (null).",
        ),
        ("kind: rest", "kind: rest\nkind: rest", "erp.yaml:3: kind: stands twice, first in line 2. Remove one."),
    ],
)
def test_a_fault_names_line_key_and_remedy(include: Path, old: str, new: str, expected: str) -> None:
    assert faults(include, changed(old, new)) == [expected]


def test_a_missing_mapping_file_is_named_with_the_nearest_one(include: Path) -> None:
    (include / "mappings/erp/tickets.json").rename(include / "mappings/erp/ticket.json")
    path = include / "mappings/erp/tickets.json"
    expected = f"erp.yaml:15: tables[0].mapping: there is no mapping file {path}. Did you mean 'erp/ticket.json'?"
    assert faults(include, ERP) == [expected]


def test_all_faults_of_a_file_come_at_once_in_the_order_of_lines(include: Path) -> None:
    text = changed("kind: rest", "kind: ftp").replace("timezone: Europe/Berlin", "timezone: Nowhere/Land")
    text = text.replace("    source: /api/v1/tickets\n", "").replace("key: location_id", "keys: location_id")
    found = faults(include, text)
    assert [fault.split(": ")[:2] for fault in found] == [
        ["erp.yaml:2", "kind"],
        ["erp.yaml:7", "timezone"],
        ["erp.yaml:15", "tables[0].source"],
        ["erp.yaml:21", "tables[1].key"],
        ["erp.yaml:23", "tables[1].keys"],
    ]


@pytest.mark.parametrize(
    "line",
    [
        "password: hunter2canary",
        "rest: {headers: {Authorization: hunter2canary}}",
        "rest: {headers: {X-Api-Key: hunter2canary}}",
        "rest: {params: {api_key: hunter2canary}}",
        "rest: {headers: {X-Note: Bearer hunter2canaryhunter2canary}}",
        "connection: https://me:hunter2canary@erp.example",
        "rest: {auth: {token: hunter2canary}}",
    ],
)
def test_a_secret_is_refused_and_not_shown(include: Path, line: str) -> None:
    name, _, _ = line.partition(":")
    text = "\n".join(part for part in ERP.split("\n") if not part.startswith(f"{name}: "))
    with pytest.raises(ConfigurationError) as caught:
        load(include, f"{text.split('rest:')[0]}{line}\ntables: {text.split('tables:')[1]}")
    assert any("looks like a secret" in fault for fault in caught.value.faults)
    assert "hunter2canary" not in str(caught.value)


def test_ways_to_authenticate_and_header_names_are_no_secrets(include: Path) -> None:
    spec = load(
        include, changed("auth: bearer", "auth: api_key\n  api_key_header: X-Token\n  customer_key_header: X-Key")
    )
    assert spec.options["api_key_header"] == "X-Token"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("system: erp\n  kind: [\n", "erp.yaml:2:7: is not YAML: "),
        ("system: erp\n\tkind: rest\n", "erp.yaml:2:1: is not YAML: "),
        ("system: !!python/object:os.system erp\n", "erp.yaml:1:9: is not YAML: could not determine a constructor"),
        ("a: &a [1]\nb: *a\n", "erp.yaml:2: the alias *a is not supported. Write the value out."),
        ("a: " + "[" * 20_000, "erp.yaml"),
        ("- erp\n", "erp.yaml:1: expected a mapping of keys, found a list."),
        ("", "erp.yaml: expected a mapping of keys, found nothing (null)."),
        ("system: erp\n---\nsystem: crm\n", "erp.yaml:2:1: is not YAML: but found another document."),
    ],
)
def test_a_file_that_is_no_system_is_one_fault(include: Path, text: str, start: str) -> None:
    (found,) = faults(include, text)
    assert found.startswith(start)


def test_bytes_that_are_not_utf8_are_named_by_line(include: Path) -> None:
    path = include / "systems/erp.yaml"
    path.write_bytes(b"system: erp\ndescription: M\xfcller\n")
    with pytest.raises(ConfigurationError, match=r"erp\.yaml:2: byte 0xfc is not UTF-8"):
        load_system(path, include / "mappings")


def test_a_file_that_is_away_is_named(include: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load_system(include / "systems/erp.yaml", include / "mappings")


def test_a_broken_file_breaks_its_own_system_only(include: Path) -> None:
    (include / "systems/erp.yaml").write_text(ERP)
    (include / "systems/crm.yaml").write_text("system: crm\n")
    broken, erp = load_systems(include)
    assert isinstance(broken, BrokenSystem)
    assert (broken.system, len(broken.error.faults)) == ("crm", 4)
    assert isinstance(erp, SystemSpec)
    assert erp.system == "erp"


def test_two_files_of_one_system_are_both_broken(include: Path) -> None:
    for name in ("erp.yaml", "erp.yml"):
        (include / "systems" / name).write_text(ERP)
    found = load_systems(include)
    assert [type(system) for system in found] == [BrokenSystem, BrokenSystem]


def test_no_systems_folder_says_which_setting_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="KWIKSYNC_INCLUDE"):
        load_systems(tmp_path)


def test_loading_needs_neither_database_nor_data_frames(include: Path) -> None:
    (include / "systems/erp.yaml").write_text(ERP)
    program = (
        "import sys, pathlib; from kwiksync_ops.system_spec.loader import load_systems;"
        "print([type(s).__name__ for s in load_systems(pathlib.Path(sys.argv[1]))],"
        "sorted({'pandas', 'numpy', 'sqlalchemy', 'pyarrow', 'requests', 'quickjs'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(include)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "['SystemSpec'] []\n"
