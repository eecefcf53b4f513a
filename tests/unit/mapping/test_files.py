from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from kwiksync_ops.declared.schema import read_schema
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.documents import is_same
from kwiksync_ops.mapping.files import MAPPING_SCHEMA, mapping_text, read_mapping, write_mapping
from kwiksync_ops.mapping.rules import FieldRule, TableMapping, Validation
from kwiksync_ops.vocabulary import RECORD_TABLES, TransformType

TICKETS: dict[str, Any] = {
    "source_table": "tickets",
    "target_table": "tickets",
    "null_values": ["", "?"],
    "fields": [
        {"source_field": "ticket_id", "target_field": "external_id", "transform": "direct", "null_values": []},
        {
            "source_field": "priority",
            "target_field": "priority",
            "transform": "value_map",
            "config": {"mappings": {"HIGH": "1", "LOW": "3"}, "default": "2"},
            "default": "2",
        },
        {
            "source_field": "opened",
            "target_field": "opened_at",
            "transform": "date_format",
            "config": {"source_format": "MM/DD/YYYY", "target_format": "YYYY-MM-DD"},
        },
        {
            "source_field": "project_id",
            "target_field": "project",
            "transform": "lookup",
            "config": {
                "lookup_table": "x_kwr_kwiksync_projects",
                "match_field": "external_id",
                "return_field": "sys_id",
            },
            "validation": {"reference": "projects"},
        },
        {
            "source_field": "summary",
            "target_field": "short_description",
            "transform": "script",
            "config": {"script": "(function(value, record) { return value; })(value, record)"},
            "validation": {"required": True, "pattern": "[^\\n]+", "min_length": 1, "max_length": 160},
            "active": False,
        },
        {
            "source_field": "given_name",
            "target_field": "assigned_to",
            "transform": "concatenate",
            "config": {"fields": ["given_name", "family_name"], "separator": " "},
        },
    ],
}

TABLES = ", ".join(RECORD_TABLES)
TICKET_HINT = "Did you mean 'tickets'?"


def document(field: int | None = None, **changes: Any) -> dict[str, Any]:
    """The ticket mapping with changes, at the top or in one field; None takes a key away."""
    changed = deepcopy(TICKETS)
    target = changed if field is None else changed["fields"][field]
    for name, value in changes.items():
        if value is None:
            del target[name]
        else:
            target[name] = value
    return changed


def read(folder: Path, value: Any) -> TableMapping:
    path = folder / "tickets.json"
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")
    return read_mapping(path, "erp")


def faults(folder: Path, value: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, value)
    return [fault.removeprefix(f"{folder}/tickets.json:").partition(": ")[2] for fault in caught.value.faults]


def test_all_that_a_file_declares_is_read(tmp_path: Path) -> None:
    mapping = read(tmp_path, TICKETS)
    assert (mapping.system, mapping.source_table, mapping.target_table, mapping.version) == (
        "erp",
        "tickets",
        "tickets",
        0,
    )
    assert mapping.rules[0] == FieldRule("ticket_id", "external_id", TransformType.DIRECT)
    assert mapping.rules[1] == FieldRule(
        "priority",
        "priority",
        TransformType.VALUE_MAP,
        {"mappings": {"HIGH": "1", "LOW": "3"}, "default": "2"},
        null_values=("", "?"),
        default="2",
        order=1,
    )
    assert mapping.rules[4].validation == Validation(required=True, pattern="[^\\n]+", min_length=1, max_length=160)
    assert [rule.active for rule in mapping.rules] == [True, True, True, True, False, True]


def test_rules_stand_in_their_declared_order(tmp_path: Path) -> None:
    mapping = read(tmp_path, document(5, order=0))
    assert [rule.target_field for rule in mapping.rules][:2] == ["external_id", "assigned_to"]
    assert [rule.order for rule in mapping.rules] == [0, 1, 2, 3, 4, 5]


def test_what_is_written_reads_as_the_same_mapping(tmp_path: Path) -> None:
    mapping = read(tmp_path, TICKETS)
    path = tmp_path / "out" / "tickets.json"
    assert write_mapping(path, mapping)
    assert read_mapping(path, "erp") == mapping
    assert path.read_text(encoding="utf-8") == mapping_text(read_mapping(path, "erp"))


def test_writing_leaves_a_file_alone_that_says_the_same(tmp_path: Path) -> None:
    mapping = read(tmp_path, TICKETS)
    path = tmp_path / "tickets.json"
    before = path.read_bytes()
    assert not write_mapping(path, replace(mapping, version=7))
    assert path.read_bytes() == before


def test_writing_a_change_keeps_the_schema_that_the_file_names(tmp_path: Path) -> None:
    mapping = read(tmp_path, {"$schema": "../mapping.schema.json", **TICKETS})
    changed = replace(mapping, rules=mapping.rules[:2])
    assert write_mapping(tmp_path / "tickets.json", changed)
    assert json.loads((tmp_path / "tickets.json").read_text())["$schema"] == "../mapping.schema.json"


def test_a_faulty_file_is_written_over(tmp_path: Path) -> None:
    mapping = read(tmp_path, TICKETS)
    path = tmp_path / "tickets.json"
    path.write_text("{")
    assert write_mapping(path, mapping)
    assert read_mapping(path, "erp") == mapping


@pytest.mark.parametrize(("one", "other"), [(1, True), (0, False), (1, "1"), (None, "")])
def test_values_that_python_holds_equal_are_not_the_same(tmp_path: Path, one: Any, other: Any) -> None:
    mapping = read(tmp_path, TICKETS)
    with_one, with_other = (
        replace(mapping, rules=(replace(mapping.rules[0], default=value), *mapping.rules[1:])) for value in (one, other)
    )
    assert not is_same(with_one, with_other)


def test_the_order_of_keys_in_a_config_does_not_matter(tmp_path: Path) -> None:
    swapped = {"default": "2", "mappings": {"LOW": "3", "HIGH": "1"}}
    assert is_same(read(tmp_path, TICKETS), read(tmp_path, document(1, config=swapped)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            document(2, target_field="opened_on"),
            "fields[2].target_field: tickets has no field 'opened_on'. Did you mean 'opened_at'?",
        ),
        (
            document(2, target_field="sys_created_on"),
            "fields[2].target_field: sys_created_on is kept by the hub itself. Remove the rule.",
        ),
        (
            document(2, target_field="location"),
            "fields[2].transform: a date_format can't fill location, a column of type reference.",
        ),
        (
            document(0, active=False),
            (
                "fields: no active rule fills external_id, by which a record is found again; "
                "map the key of the source to it."
            ),
        ),
        (
            document(1, transform="valuemap"),
            (
                "fields[1].transform: 'valuemap' is unknown; expected one of direct, value_map, date_format, "
                "concatenate, lookup, script. Did you mean 'value_map'?"
            ),
        ),
        (document(2, config=None), "fields[2].config: is missing."),
        (document(2, source_field=None), "fields[2].source_field: is missing."),
        (
            document(2, config={"source_format": "YYYY-QQ"}),
            (
                "fields[2].config.source_format: 'QQ' in 'YYYY-QQ' is no token of a date notation; "
                "text stands in brackets, [QQ]."
            ),
        ),
        (
            document(3, config={"lookup_table": "project", "match_field": "external_id", "return_field": "sys_id"}),
            (
                "fields[3].config.lookup_table: 'project' is not valid; "
                "expected a record table, with or without its prefix, such as 'x_kwr_kwiksync_locations'."
            ),
        ),
        (
            document(3, config={"lookup_table": "projects", "match_field": "numbr", "return_field": "sys_id"}),
            "fields[3].config.match_field: projects has no field 'numbr'. Did you mean 'number'?",
        ),
        (
            document(5, validation={"minimum": "10", "maximum": 9}),
            "fields[5].validation.minimum: 10 is above the maximum 9.",
        ),
        (
            document(5, validation={"require": True}),
            "fields[5].validation.require: is an unknown key. Did you mean 'required'?",
        ),
        (document(fields=[]), "fields: is empty; expected at least one entry."),
        (document(fields="all"), "fields: expected a list, found 'all'."),
        (
            document(target_table="ticket"),
            f"target_table: 'ticket' is unknown; expected one of {TABLES}. {TICKET_HINT}",
        ),
        (document(0, config={"mappings": {}}), "fields[0].config.mappings: is an unknown key. Nothing may stand here."),
        (document(null_values=[None]), "null_values[0]: expected text, a number, true or false, found nothing (null)."),
    ],
)
def test_a_fault_names_key_and_remedy(tmp_path: Path, value: Any, expected: str) -> None:
    assert faults(tmp_path, value) == [expected]


@pytest.mark.parametrize("is_active", [True, False])
def test_a_target_that_is_filled_twice_is_one_fault(tmp_path: Path, is_active: bool) -> None:
    twice = document(4, target_field="priority", active=is_active)
    (fault,) = faults(tmp_path, twice)
    assert fault == (
        "fields[4].target_field: priority is filled twice, first in line 17. Remove one; an inactive one counts too."
    )


def test_faults_of_the_schema_and_of_the_compiler_come_together(tmp_path: Path) -> None:
    value = document(1, config={"mapping": {"A": "1"}})
    value["fields"][2]["target_field"] = "opened_on"
    value["fields"][5]["validation"] = {"pattern": "["}
    assert [fault.split(": ")[0] for fault in faults(tmp_path, value)] == [
        "fields[1].config.mappings",
        "fields[1].config.mapping",
        "fields[2].target_field",
        "fields[5].validation.pattern",
    ]


def test_a_rule_out_of_order_is_placed_where_it_stands(tmp_path: Path) -> None:
    value = document(5, order=0, target_field="assignd_to")
    assert faults(tmp_path, value) == [
        "fields[5].target_field: tickets has no field 'assignd_to'. Did you mean 'assigned_to'?"
    ]


def test_an_inactive_rule_may_be_unfinished(tmp_path: Path) -> None:
    assert not read(tmp_path, document(4, target_field="subject")).rules[4].active


def test_a_fault_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, document(2, target_field="opened_on"))
    lines = (tmp_path / "tickets.json").read_text().splitlines()
    line = 1 + next(index for index, text in enumerate(lines) if "opened_on" in text)
    assert caught.value.faults[0].startswith(f"{tmp_path}/tickets.json:{line}: fields[2].target_field: ")


def test_a_secret_in_a_script_is_refused_and_not_shown(tmp_path: Path) -> None:
    script = "fetch('https://me:hunter2canary@erp.example')"
    found = faults(tmp_path, document(4, config={"script": script, "hunter2canaryless": 1}))
    assert len(found) == 2
    assert "looks like a secret" in str(found)
    assert "me:hunter2canary" not in str(found)


def test_a_value_may_be_called_like_a_secret(tmp_path: Path) -> None:
    config = {"mappings": {"token": "1", "password": "2"}}
    assert read(tmp_path, document(1, config=config)).rules[1].config == config


def test_the_schema_knows_the_vocabulary() -> None:
    schema = read_schema(MAPPING_SCHEMA)
    Draft202012Validator.check_schema(schema)
    definitions = schema["$defs"]
    assert definitions["table"]["enum"] == list(RECORD_TABLES)
    assert definitions["field"]["properties"]["transform"]["enum"] == list(TransformType)
    assert set(definitions["validation"]["properties"]) == set(vars(Validation()))
    assert all(f"{table}" in definitions["prefixed_table"]["pattern"] for table in RECORD_TABLES)
