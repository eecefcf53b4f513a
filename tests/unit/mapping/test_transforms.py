from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import MemoryLookups, map_records, map_value, outcome, reject

STATES = {"OPEN": "1", "IN_PROGRESS": "2", "3": "three", "true": "yes", "NONE": None}
HUB = {
    "projects": [{"external_id": "P1", "number": "7", "sys_id": "p" * 32}],
    "locations": [{"external_id": "L1", "name": "Depot", "sys_id": "l" * 32}],
}


def direct(field: str, **options: Any) -> FieldRule:
    return FieldRule(field, "category", TransformType.DIRECT, **options)


def value_map(**config: Any) -> FieldRule:
    return FieldRule("status", "state", TransformType.VALUE_MAP, config)


def concatenate(*fields: str, null_values: tuple[Any, ...] = (), default: Any = None, **config: Any) -> FieldRule:
    config = {"fields": list(fields), **config}
    return FieldRule("-", "assigned_to", TransformType.CONCATENATE, config, null_values=null_values, default=default)


def lookup(table: str, target: str, **config: Any) -> FieldRule:
    config = {"lookup_table": table, "match_field": "external_id", "return_field": "sys_id", **config}
    return FieldRule("ref", target, TransformType.LOOKUP, config)


@pytest.mark.parametrize(
    ("field", "record", "expected"),
    [
        ("plain", {"plain": "x"}, "x"),
        ("customer.id", {"customer": {"id": "C1"}}, "C1"),
        ("a.b.c", {"a": {"b": {"c": "deep"}}}, "deep"),
        ("customer.id", {"customer.id": "exact", "customer": {"id": "path"}}, "exact"),
        ("customer.id", {"customer.id": None, "customer": {"id": "path"}}, None),
        ("customer.id", {"customer": "no object"}, None),
        ("customer.id", {"customer": None}, None),
        ("customer.id", {}, None),
        ("absent", {}, None),
    ],
)
def test_a_source_field_is_a_key_or_a_path(field: str, record: dict[str, Any], expected: Any) -> None:
    assert outcome(map_records([{"id": "A1", **record}], direct(field))) == expected


def test_records_with_and_without_a_nested_field_share_a_batch() -> None:
    records = [{"id": "1", "a": {"b": "x"}}, {"id": "2"}, {"id": "3", "a.b": "y"}]
    assert [row[1] for row in map_records(records, direct("a.b")).rows] == ["x", None, "y"]


@pytest.mark.parametrize(
    ("value", "null_values", "expected"),
    [
        ("?", ("?",), None),
        ("? ", ("?",), "? "),
        ("", ("", "N/A"), None),
        (0, (0,), None),
        (0, (False,), "0"),
        (False, (0,), "false"),
        (1, ("1",), "1"),
        (Decimal("0.0"), (0,), None),
        (-1, ("?", -1), None),
        ("?", ("?", -1), None),
    ],
)
def test_null_values_mean_no_value(value: Any, null_values: tuple[Any, ...], expected: Any) -> None:
    assert map_value(value, direct("value", null_values=null_values)) == expected


def test_null_values_are_told_apart_from_nested_values() -> None:
    records = [{"id": "1", "value": "?"}, {"id": "2", "value": {"a": 1}}, {"id": "3", "value": "x"}]
    batch = map_records(records, direct("value", null_values=("?",)))
    assert [row[1] for row in batch.rows] == [None, "x"]


@pytest.mark.parametrize(
    ("rule", "record", "expected"),
    [
        (direct("value", default="none"), {}, "none"),
        (direct("value", default="none", null_values=("?",)), {"value": "?"}, "none"),
        (direct("value", default="none"), {"value": ""}, ""),
        (direct("value", default=7), {}, "7"),
        (concatenate("a", "b", default="nobody"), {}, "nobody"),
        (
            FieldRule("v", "state", TransformType.SCRIPT, {"script": "undefined"}, default="1"),
            {"v": "x"},
            "1",
        ),
    ],
)
def test_the_default_stands_where_there_is_no_value(rule: FieldRule, record: dict[str, Any], expected: str) -> None:
    assert outcome(map_records([{"id": "A1", **record}], rule)) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("OPEN", "1"), (3, "three"), (True, "yes"), ("NONE", None), (None, None)]
)
def test_a_value_map_looks_values_up_as_text(value: Any, expected: Any) -> None:
    assert map_value(value, value_map(mappings=STATES)) == expected


def test_a_value_map_gives_the_type_of_its_column() -> None:
    rule = FieldRule("flag", "active", TransformType.VALUE_MAP, {"mappings": {"Y": "true", "N": False}})
    batch = map_records([{"id": "1", "flag": "Y"}, {"id": "2", "flag": "N"}], rule)
    assert [row[1] for row in batch.rows] == [True, False]


def test_an_unknown_value_is_a_mapping_error_that_names_the_known_ones() -> None:
    found = reject("CLOSED", value_map(mappings={"OPEN": "1", "IN_PROGRESS": "2"}))
    assert (found.code, found.field) == ("ERR_004", "state")
    assert found.message == (
        "state (from status) has the value 'CLOSED', none of the mapped ones ('OPEN', 'IN_PROGRESS'); "
        "add it to mappings, or set a default."
    )


@pytest.mark.parametrize("value", ["CLOSED", 9, 1.5, "", False])
def test_an_unknown_value_becomes_the_default_of_the_map(value: Any) -> None:
    assert map_value(value, value_map(mappings=STATES, default="9")) == "9"


def test_the_default_of_a_map_may_be_null() -> None:
    assert map_value("CLOSED", value_map(mappings=STATES, default=None)) is None


def test_a_map_takes_no_nested_value_even_with_a_default() -> None:
    assert reject({"a": 1}, value_map(mappings=STATES, default="9")).code == "ERR_004"


def test_known_unknown_and_nested_values_share_a_batch() -> None:
    values = ["OPEN", "CLOSED", None, 3, ["OPEN"], "OPEN"]
    records = [{"id": str(index), "status": value} for index, value in enumerate(values)]
    batch = map_records(records, value_map(mappings=STATES))
    assert [row[1] for row in batch.rows] == ["1", None, "three", "1"]
    assert [found.external_id for found in batch.rejects] == ["1", "4"]


@pytest.mark.parametrize(
    ("config", "record", "expected"),
    [
        ({"separator": " "}, {"first": "John", "last": "Smith"}, "John Smith"),
        ({}, {"first": "John", "last": "Smith"}, "JohnSmith"),
        ({"separator": " "}, {"first": "John"}, "John"),
        ({"separator": "-"}, {"first": 1, "last": Decimal("2.50")}, "1-2.50"),
        ({"separator": "-"}, {"first": "", "last": "x"}, "-x"),
        ({"separator": "-", "on_null": "empty"}, {"last": "x"}, "-x"),
        ({"separator": "-", "on_null": "null"}, {"last": "x"}, None),
        ({"separator": "-", "on_null": "empty"}, {}, None),
        ({}, {}, None),
    ],
)
def test_concatenate_joins_what_is_there(config: dict[str, Any], record: dict[str, Any], expected: str) -> None:
    assert outcome(map_records([{"id": "A1", **record}], concatenate("first", "last", **config))) == expected


def test_concatenate_leaves_null_values_out_and_reads_paths() -> None:
    record = {"id": "A1", "name": {"first": "?", "last": "Smith"}}
    rule = concatenate("name.first", "name.last", separator=" ", null_values=("?",))
    assert outcome(map_records([record], rule)) == "Smith"


def test_concatenate_refuses_nested_parts() -> None:
    batch = map_records([{"id": "A1", "first": {"a": 1}, "last": "x"}], concatenate("first", "last"))
    (found,) = batch.rejects
    assert (found.code, found.field) == ("ERR_004", "assigned_to")
    assert found.message.startswith("assigned_to (from first, last) is an object")


def test_lookup_finds_records_of_the_hub_once_a_batch() -> None:
    lookups = MemoryLookups(HUB)
    records = [{"id": "1", "ref": "P1"}, {"id": "2", "ref": None}, {"id": "3", "ref": "P1"}]
    batch = map_records(records, lookup("x_kwr_kwiksync_projects", "project"), lookups=lookups)
    assert [row[1] for row in batch.rows] == ["p" * 32, None, "p" * 32]
    assert lookups.calls == [("projects", "external_id", "sys_id", frozenset({"P1"}))]


def test_lookup_matches_numbers_as_text() -> None:
    rule = lookup("projects", "project", match_field="number")
    assert map_value(7, rule, lookups=MemoryLookups(HUB)) == "p" * 32


def test_a_lookup_without_a_match_is_a_mapping_error_with_a_remedy() -> None:
    found = reject("P9", lookup("projects", "project"), lookups=MemoryLookups(HUB))
    assert found.code == "ERR_004"
    assert found.message == (
        "project (from ref) has no match: no record of projects has the external_id 'P9'; "
        "sync projects first, or set on_missing to null."
    )


def test_a_lookup_without_a_match_may_be_null_or_keep_its_value() -> None:
    lookups = MemoryLookups(HUB)
    assert map_value("P9", lookup("projects", "project", on_missing="null"), lookups=lookups) is None
    keep = lookup("locations", "assigned_to", return_field="name", on_missing="keep")
    assert map_value("L9", keep, lookups=lookups) == "L9"
    assert map_value("L1", keep, lookups=lookups) == "Depot"


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "x" * 70_000])
def test_a_lookup_asks_for_nothing_that_a_database_would_refuse(value: str) -> None:
    lookups = MemoryLookups(HUB)
    records = [{"id": "1", "ref": "P1"}, {"id": "2", "ref": value}]
    batch = map_records(records, lookup("projects", "project"), lookups=lookups)
    assert len(batch.rows) == batch.rejected == 1
    assert lookups.calls[0][3] == {"P1"}


def test_nothing_is_asked_where_there_is_nothing_to_look_up() -> None:
    lookups = MemoryLookups(HUB)
    map_records([{"id": "1"}], lookup("projects", "project"), lookups=lookups)
    assert lookups.calls == []


def test_a_lookup_takes_no_nested_value() -> None:
    assert reject({"id": "P1"}, lookup("projects", "project"), lookups=MemoryLookups(HUB)).code == "ERR_004"


def test_what_a_lookup_returns_must_fit_its_column() -> None:
    hub = MemoryLookups({"projects": [{"external_id": "P1", "short_description": "x" * 300}]})
    rule = lookup("projects", "assigned_to", return_field="short_description")
    assert reject("P1", rule, lookups=hub).message.endswith("has 300 characters; the column holds 255.")
