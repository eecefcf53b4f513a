"""Other systems' words for tables, columns and values."""

from __future__ import annotations

import pytest

from kwiksync_ops.mapping.compiler import validate_mapping
from kwiksync_ops.mapping.proposals.columns import closed_set, column_names, table_names
from kwiksync_ops.mapping.proposals.matching import table_likeness
from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.vocabulary import RECORD_TABLES, TransformType
from tests.support.mappings import mapping_of


@pytest.mark.parametrize(
    ("table", "column", "word", "value"),
    [
        ("tickets", "state", "New", "1"),
        ("tickets", "state", "IN_PROGRESS", "2"),
        ("tickets", "state", "Awaiting customer reply", "3"),
        ("tickets", "state", "7", "7"),
        ("tickets", "state", "-100", None),
        ("tickets", "state", "purple", None),
        ("tickets", "priority", "1 - Critical", "1"),
        ("projects", "priority", "P4", "4"),
        ("projects", "state", "ON_HOLD", "5"),
        ("kw_corp_ticket_tasks", "state", "WAITING", "-5"),
        ("locations", "status", "suspended", "on_hold"),
        ("assets", "status", "in-stock", "in_stock"),
    ],
)
def test_a_word_means_one_value_of_the_column(table: str, column: str, word: str, value: str | None) -> None:
    known = closed_set(table, column)
    assert known is not None
    assert known.value_of(word) == value


def test_a_column_that_can_hold_anything_has_no_closed_set() -> None:
    assert closed_set("tickets", "category") is None


@pytest.mark.parametrize(
    ("seen", "other"), [("OPEN", "ON_HOLD"), ("open", "on_hold"), ("Open", "On Hold"), ("in progress", "on hold")]
)
def test_words_that_were_not_seen_are_spelled_like_those_that_were(seen: str, other: str) -> None:
    known = closed_set("tickets", "state")
    assert known is not None
    assert known.other_words({seen: "1"})[other] == "3"


def test_words_with_a_code_in_front_get_one_too() -> None:
    known = closed_set("tickets", "priority")
    assert known is not None
    assert known.other_words({"1 - Critical": "1", "2 - High": "2", "3 - Moderate": "3", "4 - Low": "4"}) == {
        "5 - Planning": "5"
    }


def test_no_word_is_added_for_a_value_that_was_seen() -> None:
    known = closed_set("tickets", "state")
    assert known is not None
    assert "1" not in known.other_words({"OPEN": "1"}).values()


def test_every_column_has_names_and_every_table_too() -> None:
    for table in RECORD_TABLES.values():
        assert len(table_names(table.name)) > 1
        for column in table.columns:
            assert len(column_names(table.name, column.name)) > 1, (table.name, column.name)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("incidents", "tickets"),
        ("Work Orders", "tickets"),
        ("sites", "locations"),
        ("alm_asset", "assets"),
        ("pm_project", "projects"),
        ("work order tasks", "kw_corp_ticket_tasks"),
        ("Milestones", "deliverables"),
        ("Standorte", "locations"),
    ],
)
def test_an_objects_name_means_one_table_most(name: str, table: str) -> None:
    assert max(RECORD_TABLES, key=lambda known: table_likeness(known, name)) == table
    assert table_likeness(table, name) >= 0.6


def test_the_values_of_a_closed_set_fit_their_columns() -> None:
    for table, column in [(t.name, c.name) for t in RECORD_TABLES.values() for c in t.columns]:
        if known := closed_set(table, column):
            config = {"mappings": dict(known.by_word)}
            rules = [
                FieldRule("id", "external_id", TransformType.DIRECT),
                FieldRule("word", column, TransformType.VALUE_MAP, config=config),
            ]
            assert validate_mapping(mapping_of(*rules, table=table)) == ()
