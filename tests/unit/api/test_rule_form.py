"""A rule as a form: what a browser posts of it unchanged is the rule again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.api.pages.posted import Posted
from kwiksync_ops.api.pages.rule_form import Input, double_words, read_rule, rule_form
from kwiksync_ops.declared.fault import Fault

MAPPINGS = sorted((Path(__file__).parents[3] / "include" / "mappings").rglob("*.json"))
RULE: dict[str, Any] = {"source_field": "a", "target_field": "b", "transform": "direct"}


def posted(rule: dict[str, Any], direction: str = "inbound", **typed: list[str]) -> Posted:
    """What a browser sends of the form, with what was typed into it."""
    form = rule_form(rule, 0, direction, [], {})
    sent: dict[str, list[str]] = {}
    for each in (each for inputs in form.groups.values() for each in inputs):
        sent |= _sent(each)
    return Posted(sent | {f"rule.{name.replace('__', '.')}": texts for name, texts in typed.items()})


def _sent(each: Input) -> dict[str, list[str]]:
    name = f"rule.{each.name}"
    if each.kind == "pairs":
        return {f"{name}.word": [pair[0] for pair in each.value], f"{name}.value": [pair[1] for pair in each.value]}
    if each.kind == "truth":
        return {name: ["on"]} if each.value else {}
    return {name: [each.value]}


@pytest.mark.parametrize("path", MAPPINGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_rule_of_the_examples_comes_back_as_it_was(path: Path) -> None:
    direction = "outbound" if path.name.endswith(".outbound.json") else "inbound"
    for rule in json.loads(path.read_text(encoding="utf-8"))["fields"]:
        assert read_rule(posted(rule, direction), rule, direction) == rule


@pytest.mark.parametrize(
    "more",
    [
        {"default": 3, "null_values": ["", 0, False], "active": False, "order": 7},
        {"null_values": []},
        {"default": "", "validation": {"minimum": "0.5", "maximum": 9, "min_length": 0}},
        {"transform": "value_map", "config": {"mappings": {"x": 1, "y": None, "z": True, "": ""}, "default": 2}},
        {"transform": "script", "config": {"script": "value\n  .trim()", "time_limit_ms": 50}},
    ],
)
def test_values_keep_their_kinds(more: dict[str, Any]) -> None:
    rule = {**RULE, **more}
    assert read_rule(posted(rule), rule, "inbound") == rule


def test_what_is_typed_takes_the_place_of_what_was() -> None:
    form = posted(RULE, validation__max_length=["20"], validation__minimum=["3"], null_values=['"?", ""'])
    rule = read_rule(form, RULE, "inbound")
    assert rule["validation"] == {"max_length": 20, "minimum": 3}
    assert rule["null_values"] == ["?", ""]


def test_what_is_no_value_of_its_kind_stays_for_the_check_to_tell() -> None:
    rule = read_rule(posted(RULE, validation__max_length=["many"], null_values=['"?']), RULE, "inbound")
    assert (rule["validation"]["max_length"], rule["null_values"]) == ("many", '"?')


def test_a_number_stays_one_where_numbers_were() -> None:
    rule = {**RULE, "transform": "value_map", "config": {"mappings": {"low": 1}}}
    form = posted(rule, config__mappings__word=["low", "high"], config__mappings__value=["2", "3"])
    assert read_rule(form, rule, "inbound")["config"]["mappings"] == {"low": 2, "high": 3}


def test_another_transform_drops_what_it_does_not_take() -> None:
    rule = {**RULE, "transform": "value_map", "config": {"mappings": {"low": "1"}}}
    assert read_rule(posted(rule, transform=["direct"]), rule, "inbound") == RULE


def test_words_that_stand_twice_are_named() -> None:
    rule = {**RULE, "transform": "value_map", "config": {"mappings": {"low": "1"}}}
    form = posted(rule, config__mappings__word=["low", "low", ""], config__mappings__value=["1", "2", ""])
    assert double_words(form) == ["low"]


def test_a_fault_stands_at_the_input_that_it_is_of() -> None:
    faults = [Fault(Path("m"), ("fields", 0, "config", "mappings", "low"), "is wrong.")]
    form = rule_form({**RULE, "transform": "value_map"}, 0, "inbound", faults, {})
    told = {each.name: each.fault for inputs in form.groups.values() for each in inputs if each.fault}
    assert told == {"config.mappings": "is wrong."}


@pytest.mark.parametrize("rule", [{}, {"transform": 3, "config": "x"}, {"transform": "none", "validation": []}])
def test_a_rule_that_is_none_is_shown_all_the_same(rule: dict[str, Any]) -> None:
    assert "Fields" in rule_form(rule, 0, "inbound", [], {}).groups
