"""The words of choices are those that other systems' words are mapped to."""

from __future__ import annotations

import pytest

from kwiksync_ops.mapping.proposals.columns import closed_set
from kwiksync_ops.vocabulary import RECORD_TABLES, Column

CHOSEN = [(table.name, column) for table in RECORD_TABLES.values() for column in table.columns if column.choices]


def test_states_and_priorities_have_words_and_nothing_else_has() -> None:
    assert {(table, column.name) for table, column in CHOSEN} == {
        ("projects", "state"),
        ("projects", "priority"),
        ("tickets", "state"),
        ("tickets", "priority"),
        ("kw_corp_ticket_tasks", "state"),
        ("deliverables", "state"),
    }


@pytest.mark.parametrize(("table", "column"), CHOSEN, ids=lambda each: each if isinstance(each, str) else each.name)
def test_a_word_means_the_same_value_as_where_a_mapping_is_proposed(table: str, column: Column) -> None:
    known = closed_set(table, column.name)
    assert known is not None
    assert known.values == {value for value, _ in column.choices}
    assert {value: known.value_of(label) for value, label in column.choices} == {
        value: value for value, _ in column.choices
    }


def test_the_value_always_stands_in_its_words() -> None:
    tickets = RECORD_TABLES["tickets"]
    state, priority = tickets.column("state"), tickets.column("priority")
    assert state is not None
    assert priority is not None
    assert (state.choice("6"), priority.choice("1")) == ("Resolved (6)", "1 - Critical")
    assert (state.choice("99"), state.choice(None), state.choice("")) == (None, None, None)
