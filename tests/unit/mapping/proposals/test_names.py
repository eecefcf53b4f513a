"""Names by their words."""

from __future__ import annotations

import pytest

from kwiksync_ops.mapping.proposals.names import similarity, telling_words, words_of


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LastModifiedDate", ("last", "change", "when")),
        ("sys_updated_on", ("sys", "change", "when")),
        ("POSTAL_CODE", ("zip", "code")),
        ("customerID", ("customer", "id")),
        ("Straße", ("street",)),
        ("Letzte Änderung", ("letzte", "change")),
        ("incidents", ("ticket",)),
        ("companies", ("company",)),
        ("due dates", ("due", "when")),
        ("??", ()),
    ],
)
def test_a_name_is_split_into_words_that_stand_for_all_that_mean_the_same(name: str, words: tuple[str, ...]) -> None:
    assert words_of(name) == words


def test_the_same_words_in_another_order_are_the_same_name() -> None:
    assert similarity(words_of("date_due"), words_of("due_date")) == 1
    assert similarity(words_of("duedate"), words_of("due_date")) > 0.8
    assert similarity(words_of("qty"), words_of("Menge")) == 1


def test_a_word_more_takes_a_little_and_a_word_less_takes_much() -> None:
    more = similarity(words_of("planned_due_date"), words_of("due_date"))
    less = similarity(words_of("quantity"), words_of("minimum_quantity"))
    assert 0.8 < more < 1
    assert less <= 0.5


def test_that_both_are_times_makes_no_names_alike() -> None:
    assert similarity(words_of("created_at"), words_of("closed_at")) == 0


def test_a_name_without_letters_is_like_none() -> None:
    assert similarity(words_of("123?"), words_of("number")) == 0
    assert similarity((), words_of("number")) == 0


def test_whose_field_it_is_tells_nothing_about_it() -> None:
    assert telling_words("ticket_number", words_of("tickets")) == ("number",)
    assert telling_words("ticket", words_of("tickets")) == ("ticket",)
