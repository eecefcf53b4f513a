"""Suggestions for what a mapping leaves out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kwiksync_ops.mapping.documents import mapping_of
from kwiksync_ops.services.mapping_suggestions import suggest_inbound, suggest_outbound, without_common_nulls

RECORDS = [
    {"id": "T1", "number": "INC1", "due": "13/2/2026 11:00", "project_id": "P1", "note": "?"},
    {"id": "T2", "number": "INC2", "due": "14/2/2026 11:00", "project_id": "P2", "note": "?"},
]
KEY: dict[str, Any] = {"source_field": "id", "target_field": "external_id", "transform": "direct"}
LOOKUP = {"lookup_table": "projects", "match_field": "external_id", "return_field": "sys_id"}


class Hub:
    """Knows the projects P1 and P2."""

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        known = {"P1": "1" * 32, "P2": "2" * 32} if table == "projects" else {}
        return {value: known[value] for value in values if value in known}


def suggested(rules: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    found = suggest_inbound("tickets", "tickets", rules, RECORDS, Hub())
    return {match.rule.target_field: (match.rule.source_field, match.rule.transform.value) for match in found[::-1]}


def test_columns_without_a_rule_get_their_best_field() -> None:
    found = suggested([KEY])
    assert found["number"] == ("number", "direct")
    assert found["due_date"] == ("due", "date_format")
    assert found["project"] == ("project_id", "lookup")


def test_a_column_that_a_rule_fills_is_not_suggested() -> None:
    assert "number" not in suggested([KEY, {**KEY, "source_field": "number", "target_field": "number"}])


def test_rules_that_are_faulty_do_not_stand_in_the_way() -> None:
    assert "number" in suggested([{}, {"transform": "concatenate", "config": {"fields": 3}}, {"config": []}])


def test_no_records_suggest_nothing() -> None:
    assert suggest_inbound("tickets", "tickets", [KEY], [], Hub()) == []


def test_the_way_out_turns_round_what_the_way_in_reads() -> None:
    fields = [
        KEY,
        {"source_field": "no", "target_field": "number", "transform": "direct"},
        {"source_field": "s", "target_field": "state", "transform": "value_map", "config": {"mappings": {"New": "1"}}},
        {
            "source_field": "d",
            "target_field": "due_date",
            "transform": "date_format",
            "config": {"source_format": "epoch"},
        },
        {"source_field": "p", "target_field": "project", "transform": "lookup", "config": LOOKUP},
        {"source_field": "x", "target_field": "category", "transform": "script", "config": {"script": "value"}},
    ]
    inbound = mapping_of("erp", {"source_table": "tickets", "target_table": "tickets", "fields": fields})
    sent = [{"source_field": "number", "target_field": "no", "transform": "direct"}]
    found = [
        (match.rule.source_field, match.rule.target_field, match.rule.config)
        for match in suggest_outbound(inbound, sent)
    ]
    assert found == [
        ("state", "s", {"mappings": {"New": "1"}, "reverse": True}),
        ("due_date", "d", {"target_format": "epoch"}),
        ("project", "p", {"lookup_table": "projects", "match_field": "sys_id", "return_field": "external_id"}),
    ]


def test_words_for_no_value_that_the_mapping_has_are_not_said_again() -> None:
    match = suggest_inbound("tickets", "tickets", [], [{"number": "?"}, {"number": "A"}], Hub())[0]
    assert without_common_nulls(match.rule, ["?", ""]).null_values == ()
    assert without_common_nulls(match.rule, []).null_values == ("?",)
