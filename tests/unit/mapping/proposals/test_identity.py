"""Which field is the key, and which one the change time."""

from __future__ import annotations

from typing import Any

from kwiksync_ops.mapping.proposals.identity import propose_cursor, propose_key
from kwiksync_ops.mapping.proposals.names import words_of
from kwiksync_ops.mapping.proposals.profile import Declared, profile_records

RECORDS: list[dict[str, Any]] = [
    {"name": "a", "ticket_id": "T1", "number": "N1", "state": "New", "updated_at": "2026-01-02T00:00:00Z"},
    {"name": "b", "ticket_id": "T2", "number": "N2", "state": "New", "updated_at": "2026-01-02T00:00:00Z"},
]


def keys_of(records: list[dict[str, Any]], noun: str = "tickets", **declared: Declared) -> list[str]:
    return [found.field.name for found in propose_key(profile_records(records, declared), words_of(noun))]


def cursors_of(records: list[dict[str, Any]]) -> list[str]:
    return [found.field.name for found in propose_cursor(profile_records(records))]


def test_an_id_of_the_object_itself_is_the_first_choice_and_other_unique_fields_follow() -> None:
    assert keys_of(RECORDS) == ["ticket_id", "number", "name"]


def test_an_id_that_comes_twice_is_no_key() -> None:
    assert keys_of([{"id": 1, "code": "a"}, {"id": 1, "code": "b"}]) == ["code"]


def test_what_the_system_says_is_the_key_comes_first_even_where_no_record_was_read() -> None:
    assert keys_of(RECORDS, number=Declared(is_key=True))[0] == "number"
    assert keys_of([], ref=Declared(is_key=True), name=Declared()) == ["ref"]


def test_times_long_texts_and_decimals_are_no_keys() -> None:
    records = [{"at": f"2026-01-0{day}", "text": f"{day}" * 300, "share": f"{day}.5"} for day in (1, 2)]
    assert keys_of(records) == []


def test_the_change_time_is_a_time_that_says_so_and_is_never_empty() -> None:
    assert cursors_of(RECORDS) == ["updated_at"]
    assert cursors_of([{"created_at": "2026-01-02", "opened_at": "2026-01-02"}]) == []
    assert cursors_of([{"updated_at": "2026-01-02T00:00:00Z"}, {"updated_at": None}]) == []
    assert cursors_of([{"updated_by": "2026-01-02T00:00:00Z"}]) == []


def test_a_moment_is_a_better_change_time_than_a_day() -> None:
    record = {"modified_on": "2026-01-02", "sys_updated_on": "2026-01-02 03:04:05"}
    first, second = propose_cursor(profile_records([record]))
    assert (first.field.name, second.field.name) == ("sys_updated_on", "modified_on")
    assert "only the day" in second.reason


def test_names_of_other_products_are_known() -> None:
    for name in ("LastModifiedDateTime", "SystemModstamp", "write_date", "geaendert_am", "changed_at", "ModifiedDate"):
        assert cursors_of([{name: "2026-01-02T03:04:05Z"}]) == [name], name
