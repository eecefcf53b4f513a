from __future__ import annotations

from typing import Any

import pytest

from kwiksync_ops.batch import Reject
from kwiksync_ops.mapping.rules import FieldRule, Validation
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import MemoryLookups, map_records, map_value

TARGETS = {
    "string": ("tickets", "number"),
    "text": ("tickets", "description"),
    "integer": ("assets", "quantity"),
    "decimal": ("locations", "latitude"),
    "date": ("projects", "start_date"),
    "datetime": ("tickets", "opened_at"),
    "boolean": ("tickets", "active"),
    "reference": ("tickets", "project"),
}
HUB = {"projects": [{"sys_id": "p" * 32}]}


def check(kind: str, value: Any, validation: Validation, lookups: MemoryLookups | None = None) -> list[Reject]:
    """The rejects of a value in a column of this kind."""
    table, column = TARGETS[kind]
    rule = FieldRule("value", column, TransformType.DIRECT, validation=validation)
    result = map_value(value, rule, table=table, lookups=lookups)
    return result if isinstance(result, list) else []


@pytest.mark.parametrize(
    ("kind", "value", "validation"),
    [
        ("string", "INC0000045", Validation(pattern="INC[0-9]{7}")),
        ("string", "a", Validation(pattern="a|b")),
        ("string", "Straße", Validation(pattern=r"\w+")),
        ("string", None, Validation(pattern="x")),
        ("integer", 45, Validation(pattern="[0-9]{2}")),
        ("date", "2026-01-15", Validation(pattern="2026-.*")),
        ("string", "abc", Validation(min_length=3, max_length=3)),
        ("string", "😀😀", Validation(max_length=2)),
        ("string", None, Validation(min_length=3)),
        ("integer", 5, Validation(minimum=5, maximum=5)),
        ("integer", None, Validation(minimum=5)),
        ("decimal", "-90", Validation(minimum="-90.0", maximum="90.0")),
        ("string", "7.5", Validation(minimum=7, maximum="7.6")),
        ("date", "2026-01-15", Validation(minimum="2026-01-15", maximum="2026-12-31")),
        ("datetime", "2026-01-15T00:00:00+02:00", Validation(maximum="2026-01-14T22:00:00Z")),
        ("string", "x", Validation(required=True)),
        ("integer", 0, Validation(required=True)),
        ("boolean", False, Validation(required=True)),
        ("reference", "p" * 32, Validation(reference="projects")),
        ("reference", "p" * 32, Validation(reference="x_kwr_kwiksync_projects")),
        ("reference", None, Validation(reference="projects")),
    ],
)
def test_a_value_that_keeps_the_rule_passes(kind: str, value: Any, validation: Validation) -> None:
    assert check(kind, value, validation, MemoryLookups(HUB)) == []


@pytest.mark.parametrize(
    ("kind", "value", "validation", "code", "reason"),
    [
        ("string", "xINC1", Validation(pattern="INC[0-9]"), "ERR_008", "does not match the pattern INC[0-9]: 'xINC1'."),
        ("string", "INC1\n", Validation(pattern="INC[0-9]"), "ERR_008", "does not match"),
        ("string", "ab", Validation(pattern="a|b"), "ERR_008", "does not match"),
        ("string", "", Validation(pattern="a"), "ERR_008", "does not match"),
        ("string", "ab", Validation(min_length=3), "ERR_008", "has 2 characters; at least 3 are asked for: 'ab'."),
        ("string", "abcd", Validation(max_length=3), "ERR_008", "has 4 characters; at most 3 are allowed: 'abcd'."),
        ("integer", 4, Validation(minimum=5), "ERR_008", "is below the minimum 5: 4."),
        ("integer", 6, Validation(maximum=5), "ERR_008", "is above the maximum 5: 6."),
        ("decimal", "90.000001", Validation(maximum="90"), "ERR_008", "is above the maximum 90"),
        ("string", "7.7", Validation(maximum="7.6"), "ERR_008", "is above the maximum 7.6"),
        ("string", "ten", Validation(maximum=5), "ERR_008", "is not a number: 'ten'."),
        ("date", "2025-12-31", Validation(minimum="2026-01-01"), "ERR_008", "is below the minimum 2026-01-01"),
        ("datetime", "2026-01-15", Validation(maximum="2026-01-14T23:59:59Z"), "ERR_008", "is above the maximum"),
        ("string", None, Validation(required=True), "ERR_006", "is required and has no value."),
        ("string", " \t", Validation(required=True), "ERR_006", "is required and has no value."),
        ("integer", None, Validation(required=True), "ERR_006", "is required and has no value."),
        (
            "reference",
            "q" * 32,
            Validation(reference="projects"),
            "ERR_008",
            f"refers to no record of projects: no sys_id is '{'q' * 32}'; sync projects first.",
        ),
        ("string", "a\0", Validation(reference="projects"), "ERR_008", "NUL"),
    ],
)
def test_a_value_that_breaks_the_rule_is_rejected(
    kind: str, value: Any, validation: Validation, code: str, reason: str
) -> None:
    (found,) = check(kind, value, validation, MemoryLookups(HUB))
    assert found.code == code
    assert reason in found.message


def test_a_value_that_breaks_two_rules_has_two_rejects() -> None:
    found = check("string", "abcd", Validation(pattern="[0-9]+", max_length=3))
    assert [reject.message.split(" (from value) ")[1][:10] for reject in found] == ["does not m", "has 4 char"]


def test_a_value_of_the_wrong_type_is_rejected_once() -> None:
    validation = Validation(required=True, minimum=5, pattern="[0-9]+")
    (found,) = check("integer", "many", validation)
    assert "is not a whole number" in found.message


def test_a_default_satisfies_required() -> None:
    rule = FieldRule("value", "state", TransformType.DIRECT, validation=Validation(required=True), default="1")
    assert map_value(None, rule) == "1"


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*", "(.*a){20}", "([a-z]+)*=", "(x+x+)+y"])
def test_no_pattern_hangs_a_sync(pattern: str) -> None:
    (found,) = check("text", "a" * 60_000 + "!", Validation(pattern=pattern))
    assert found.code == "ERR_008"
    assert len(found.message) < 200


def test_references_are_asked_for_once_a_batch() -> None:
    lookups = MemoryLookups(HUB)
    rule = FieldRule("value", "project", TransformType.DIRECT, validation=Validation(reference="projects"))
    records = [{"id": str(index), "value": letter * 32} for index, letter in enumerate("pqqp")]
    batch = map_records(records, rule, lookups=lookups)
    assert [row[0] for row in batch.rows] == ["0", "3"]
    assert lookups.calls == [("projects", "sys_id", "sys_id", frozenset({"p" * 32, "q" * 32}))]


def test_what_was_just_looked_up_is_not_asked_for_again() -> None:
    lookups = MemoryLookups({"projects": [{"external_id": "P1", "sys_id": "p" * 32}]})
    config = {"lookup_table": "projects", "match_field": "external_id", "return_field": "sys_id"}
    rule = FieldRule("value", "project", TransformType.LOOKUP, config, Validation(reference="projects"))
    assert map_value("P1", rule, lookups=lookups) == "p" * 32
    assert len(lookups.calls) == 1
