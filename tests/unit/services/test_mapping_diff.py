from __future__ import annotations

from dataclasses import replace

from kwiksync_ops.mapping.rules import FieldRule, TableMapping, Validation
from kwiksync_ops.services.mapping_diff import RuleAction, RuleChange, ValueChange, diff_mappings
from kwiksync_ops.vocabulary import TransformType

IDENTITY = FieldRule("ticket_id", "external_id", TransformType.DIRECT)
STATE = FieldRule("status", "state", TransformType.VALUE_MAP, {"mappings": {"OPEN": "1", "DONE": "3"}}, order=1)
NUMBER = FieldRule("number", "number", TransformType.DIRECT, order=2)
OLD = TableMapping("erp", "tickets", "tickets", (IDENTITY, STATE), version=3)


def with_state(**changes: object) -> TableMapping:
    return replace(OLD, rules=(IDENTITY, replace(STATE, **changes)))  # type: ignore[arg-type]  # any field of the rule


def test_the_same_mapping_has_no_change_whatever_its_version() -> None:
    assert diff_mappings(OLD, replace(OLD, version=0)) == ()


def test_a_first_mapping_is_all_added() -> None:
    changes = diff_mappings(None, OLD)
    assert [(change.target_field, change.action) for change in changes] == [
        ("external_id", RuleAction.ADDED),
        ("state", RuleAction.ADDED),
    ]
    assert changes[0].values == (
        ValueChange("source_field", None, "ticket_id"),
        ValueChange("transform", None, "direct"),
    )


def test_a_changed_rule_says_value_by_value_what_differs() -> None:
    changed = with_state(
        config={"mappings": {"OPEN": "2", "HELD": "4"}}, validation=Validation(required=True), active=False
    )
    (change,) = diff_mappings(OLD, changed)
    assert change.action is RuleAction.CHANGED
    assert [str(value) for value in change.values] == [
        'config.mappings.OPEN: "1" → "2"',
        'config.mappings.HELD: — → "4"',
        "validation.required: — → true",
        "active: — → false",
        'config.mappings.DONE: "3" → —',
    ]


def test_added_and_removed_rules_are_named() -> None:
    changes = diff_mappings(OLD, replace(OLD, rules=(IDENTITY, NUMBER)))
    assert [(change.target_field, change.action) for change in changes] == [
        ("number", RuleAction.ADDED),
        ("state", RuleAction.REMOVED),
    ]


def test_a_rule_put_in_between_changes_no_other_rule() -> None:
    between = replace(OLD, rules=(IDENTITY, replace(NUMBER, order=1), replace(STATE, order=2)))
    assert [change.target_field for change in diff_mappings(OLD, between)] == ["number"]


def test_another_order_is_a_change_of_the_whole_mapping() -> None:
    swapped = replace(OLD, rules=(replace(STATE, order=0), replace(IDENTITY, order=1)), source_table="cases")
    assert diff_mappings(OLD, swapped) == (
        RuleChange(
            "*",
            RuleAction.CHANGED,
            (
                ValueChange("source_table", "tickets", "cases"),
                ValueChange("order", ["external_id", "state"], ["state", "external_id"]),
            ),
        ),
    )


def test_true_and_one_differ() -> None:
    (change,) = diff_mappings(with_state(default=1), with_state(default=True))
    assert [str(value) for value in change.values] == ["default: 1 → true"]
