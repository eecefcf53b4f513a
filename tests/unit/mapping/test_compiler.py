from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.compiler import compile_mapping, mapping_faults, validate_mapping
from kwiksync_ops.mapping.rules import FieldRule, Validation
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import KEY_RULE, mapping_of

LOOKUP = {"lookup_table": "locations", "match_field": "external_id", "return_field": "sys_id"}


def fault_of(rule: FieldRule, *, table: str = "tickets") -> str:
    """The one fault of a mapping of the key and this rule."""
    (fault,) = validate_mapping(mapping_of(KEY_RULE, rule, table=table))
    return fault


def rule(target: str, transform: str = "direct", source: str = "field", **options: Any) -> FieldRule:
    return FieldRule(source, target, TransformType(transform), **options)


def test_a_sound_mapping_has_no_fault() -> None:
    mapping = mapping_of(
        KEY_RULE,
        rule("number", validation=Validation(required=True, pattern="INC.*", min_length=3, max_length=20)),
        rule("state", "value_map", config={"mappings": {"OPEN": 1, "X": None}, "default": "9"}),
        rule("opened_at", "date_format", config={"source_format": "D/M/YYYY", "timezone": "Europe/Berlin"}),
        rule("assigned_to", "concatenate", "", config={"fields": ["a", "b"], "separator": " ", "on_null": "null"}),
        rule("location", "lookup", config={**LOOKUP, "lookup_table": "x_kwr_kwiksync_locations"}),
        rule("category", "script", "", config={"script": "'x'", "time_limit_ms": 100, "memory_limit_mb": 16}),
        rule("due_date", validation=Validation(minimum="2020-01-01", maximum="2030-01-01")),
        rule("active", default=True, null_values=("?", 0, False, None)),
    )
    assert validate_mapping(mapping) == ()
    assert compile_mapping(mapping, key_field="id").columns[0] == "external_id"


@pytest.mark.parametrize(
    ("faulty", "fault"),
    [
        (rule("prioritty"), "target_field: tickets has no field 'prioritty'. Did you mean 'priority'?"),
        (rule("zzz"), "target_field: tickets has no field 'zzz'. Known are number, short_description, description, "),
        (rule("sys_id"), "target_field: sys_id is kept by the hub itself. Remove the rule."),
        (rule("external_id"), "target_field: external_id is filled by rule 1 already."),
        (rule("number", source=" "), "source_field: is empty."),
        (rule("number", config={"a": 1}), "config.a: is an unknown key. This transform takes no config."),
        (rule("number", null_values=([],)), "null_values: takes text, numbers, true and false, found a list."),
        (rule("opened_at", default="soon"), "default: is not an ISO date and time; "),
        (rule("state", "value_map"), "config.mappings: must be an object"),
        (rule("state", "value_map", config={"mappings": {}}), "config.mappings: must be an object"),
        (rule("active", "value_map", config={"mappings": {"A": "up"}}), "config.mappings.A: is not true or false"),
        (
            rule("active", "value_map", config={"mappings": {"A": True}, "default": "up"}),
            "config.default: is not true or false",
        ),
        (
            rule("state", "value_map", config={"mappings": {"A": "1"}, "defualt": "2"}),
            "config.defualt: is an unknown key. Did you mean 'default'?",
        ),
        (rule("opened_at", "date_format"), "config.source_format: is missing."),
        (
            rule("opened_at", "date_format", config={"source_format": "yyyy-MM-dd"}),
            "config.source_format: 'yyyy' in 'yyyy-MM-dd' is no token of a date notation; write YYYY.",
        ),
        (
            rule("category", "date_format", config={"source_format": "iso", "target_format": "q"}),
            "config.target_format: 'q' in 'q' is no token",
        ),
        (
            rule("opened_at", "date_format", config={"source_format": "iso", "timezone": "Berlin"}),
            "config.timezone: there is no time zone 'Berlin'; write it as Europe/Berlin or UTC.",
        ),
        (
            rule("opened_at", "date_format", config={"source_format": "iso", "ambiguous": "latter"}),
            "config.ambiguous: 'latter' is unknown. Did you mean 'later'?",
        ),
        (
            rule("active", "date_format", config={"source_format": "iso"}),
            "transform: a date_format can't fill active, a column of type boolean.",
        ),
        (rule("number", "concatenate"), "config.fields: must be a list of source fields"),
        (rule("number", "concatenate", config={"fields": ["a", 1]}), "config.fields: must be a list of source fields"),
        (
            rule("number", "concatenate", config={"fields": ["a"], "separator": 1}),
            "config.separator: must be text, found 1.",
        ),
        (
            rule("location", "lookup", config={**LOOKUP, "lookup_table": "location"}),
            "config.lookup_table: there is no table 'location'. Did you mean 'locations'?",
        ),
        (
            rule("location", "lookup", config={**LOOKUP, "lookup_table": "projects"}),
            "config.lookup_table: location refers to locations, not to projects.",
        ),
        (
            rule("location", "lookup", config={**LOOKUP, "match_field": "nmae"}),
            "config.match_field: locations has no field 'nmae'. Did you mean 'name'?",
        ),
        (
            rule("location", "lookup", config={**LOOKUP, "match_field": "latitude"}),
            "config.match_field: latitude is a column of type decimal; a lookup goes by text.",
        ),
        (
            rule("location", "lookup", config={**LOOKUP, "return_field": "name"}),
            "config.return_field: location holds a sys_id, not 'name'.",
        ),
        (
            rule("location", "lookup", config={**LOOKUP, "on_missing": "keep"}),
            "config.on_missing: keep would put what is no sys_id into location.",
        ),
        (rule("number", "script"), "config.script: is missing."),
        (rule("number", "script", config={"script": ""}), "config.script: is empty."),
        (
            rule("number", "script", config={"script": "(function( {"}),
            "config.script: is not one JavaScript expression: SyntaxError",
        ),
        (
            rule("number", "script", config={"script": "1", "time_limit_ms": 0}),
            "config.time_limit_ms: must be a whole number from 10 to 10000, found 0.",
        ),
        (
            rule("number", "script", config={"script": "1", "memory_limit_mb": "8"}),
            "config.memory_limit_mb: must be a whole number from 1 to 256, found '8'.",
        ),
        (
            rule("number", validation=Validation(pattern="(")),
            "validation.pattern: '(' can't be used: unclosed group.",
        ),
        (rule("number", validation=Validation(pattern="a)|(b")), "validation.pattern: 'a)|(b' can't be used: "),
        (rule("number", validation=Validation(pattern="(?=a)")), "can't be used: look-around"),
        (rule("number", validation=Validation(pattern=r"(a)\1")), "can't be used: backreferences are not supported."),
        (rule("number", validation=Validation(pattern=r"[\w]{1,90000}")), "exceeds size limit"),
        (
            rule("number", validation=Validation(min_length=3, max_length=2)),
            "validation.min_length: 3 to 2 is no range of lengths.",
        ),
        (rule("number", validation=Validation(minimum="low")), "validation.minimum: is not a number: 'low'."),
        (rule("due_date", validation=Validation(maximum=5)), "validation.maximum: is not an ISO date and time"),
        (
            rule("number", validation=Validation(minimum=3, maximum=2)),
            "validation.minimum: 3 is above the maximum 2.",
        ),
        (
            rule("active", validation=Validation(minimum=0)),
            "validation.minimum: active is a column of type boolean, which has no range.",
        ),
        (
            rule("location", validation=Validation(reference="place")),
            "validation.reference: there is no table 'place'. Known are locations, ",
        ),
    ],
)
def test_a_faulty_rule_is_named_with_its_key_and_the_remedy(faulty: FieldRule, fault: str) -> None:
    found = fault_of(faulty)
    assert fault in found
    assert found.startswith("rule 2 (")
    assert f" -> {faulty.target_field}): " in found


def test_a_default_key_is_refused() -> None:
    faults = validate_mapping(mapping_of(replace(KEY_RULE, default="A1")))
    assert faults == (
        "rule 1 (id -> external_id): default: would give all records without a key the same external_id. Remove it.",
    )


def test_a_mapping_without_a_key_is_refused() -> None:
    (fault,) = validate_mapping(mapping_of(rule("number")))
    assert fault.startswith("rules: no active rule fills external_id")
    (fault,) = validate_mapping(mapping_of(replace(KEY_RULE, active=False), rule("number")))
    assert fault.startswith("rules: no active rule fills external_id")


def test_an_unknown_table_is_refused() -> None:
    faults = validate_mapping(mapping_of(KEY_RULE, table="ticket"))
    assert faults == ("target_table: there is no table 'ticket'. Did you mean 'tickets'?",)


def test_the_prefixed_name_of_a_table_is_known() -> None:
    compiled = compile_mapping(mapping_of(KEY_RULE, table="x_kwr_kwiksync_tickets"), key_field="id")
    assert compiled.table == "tickets"


def test_an_inactive_rule_may_be_faulty() -> None:
    assert validate_mapping(mapping_of(KEY_RULE, replace(rule("nowhere"), active=False))) == ()


def test_all_faults_are_told_at_once() -> None:
    mapping = mapping_of(
        rule("nmuber"),
        rule("state", "value_map", config={"mapping": {}}),
        rule("opened_at", "date_format", config={"source_format": "YYYY", "timezone": "X", "ambiguous": "x"}),
    )
    with pytest.raises(ConfigurationError) as error:
        compile_mapping(mapping, key_field="id", cursor_field="updated", cursor_format="x", cursor_timezone="Y")
    places = [fault.split(": ")[:2] for fault in error.value.faults]
    assert places == [
        [
            "rules",
            "no active rule fills external_id, by which a record is found again; map the key of the source to it.",
        ],
        ["rule 1 (field -> nmuber)", "target_field"],
        ["rule 2 (field -> state)", "config.mappings"],
        ["rule 2 (field -> state)", "config.mapping"],
        ["rule 3 (field -> opened_at)", "config.ambiguous"],
        ["rule 3 (field -> opened_at)", "config.timezone"],
        ["rule 3 (field -> opened_at)", "config.source_format"],
        ["cursor", "there is no time zone 'Y'; write it as Europe/Berlin or UTC."],
    ]
    assert str(error.value).startswith("ERR_014: The mapping erp.tickets (version 0) has 8 faults:\n  rules: ")
    assert error.value.remedy == "Correct the mapping, then run kwiksync plan."


def test_a_fault_tells_its_place_in_the_mapping() -> None:
    mapping = mapping_of(rule("nowhere", order=2), KEY_RULE, table="tickets")
    (fault,) = mapping_faults(mapping)
    assert (fault.rule, fault.key) == (0, "target_field")
