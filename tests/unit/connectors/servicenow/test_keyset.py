from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from kwiksync_ops.connectors.servicenow.keyset import Keyset, Place, hidden, text_of

KEYSET = Keyset("sys_updated_on")
NOON, LATER, LAST = "2026-01-15 12:00:00", "2026-01-15 12:00:01", "2026-01-15 12:00:09"
A, B, C = "a" * 32, "b" * 32, "c" * 32


@pytest.mark.parametrize(
    ("place", "until", "conditions"),
    [
        (Place("start"), None, ("ORDERBYsys_updated_on", "ORDERBYsys_id")),
        (
            Place("from", NOON),
            LAST,
            (f"sys_updated_on>={NOON}", f"sys_updated_on<={LAST}", "ORDERBYsys_updated_on", "ORDERBYsys_id"),
        ),
        (Place("after", NOON), None, (f"sys_updated_on>{NOON}", "ORDERBYsys_updated_on", "ORDERBYsys_id")),
        (Place("after"), None, ("sys_updated_onISNOTEMPTY", "ORDERBYsys_updated_on", "ORDERBYsys_id")),
        (Place("within", NOON, A), LAST, (f"sys_updated_on={NOON}", f"sys_id>{A}", "ORDERBYsys_id")),
        (Place("within", "", A), None, ("sys_updated_onISEMPTY", f"sys_id>{A}", "ORDERBYsys_id")),
    ],
)
def test_a_place_is_asked_for_by_its_conditions(place: Place, until: str | None, conditions: tuple[str, ...]) -> None:
    assert KEYSET.conditions(place, until) == conditions


def test_a_table_without_cursor_is_read_by_sys_id() -> None:
    keyset = Keyset(None)
    assert keyset.conditions(Place("start"), None) == ("ORDERBYsys_id",)
    following = keyset.after([("", A), ("", B)])
    assert keyset.conditions(following, None) == (f"sys_id>{B}", "ORDERBYsys_id")
    assert keyset.after_all(following) is None


@pytest.mark.parametrize(
    ("place", "mark"),
    [
        (Place("from", LATER), (NOON, A)),
        (Place("after", NOON), (NOON, A)),
        (Place("within", NOON, B), (NOON, A)),
        (Place("within", NOON, B), (NOON, B)),
        (Place("within", NOON, B), (LATER, C)),
        (Place("start"), ("2026-01-15 12:00:10", A)),
    ],
)
def test_a_record_outside_of_what_was_asked_for_shows_an_ignored_query(place: Place, mark: tuple[str, str]) -> None:
    assert "was not asked for" in (KEYSET.fault(place, LAST, [mark]) or "")


@pytest.mark.parametrize("marks", [[(NOON, B), (NOON, A)], [(LATER, A), (NOON, B)], [(NOON, A), (NOON, A)]])
def test_records_out_of_order_show_an_ignored_order(marks: list[tuple[str, str]]) -> None:
    assert "out of order" in (KEYSET.fault(Place("start"), None, marks) or "")


def test_ids_of_an_unusual_form_are_left_to_the_databases_order() -> None:
    assert KEYSET.fault(Place("start"), None, [(NOON, "global"), (NOON, "A1")]) is None


def test_what_was_asked_for_is_no_fault() -> None:
    assert KEYSET.fault(Place("from", NOON), LAST, [(NOON, A), (NOON, B), (LATER, A), (LAST, A)]) is None


def test_the_last_second_is_left_to_the_next_page_where_it_is_a_small_part() -> None:
    marks = [(NOON, A), (NOON, B), (NOON, C), (LATER, A)]
    assert KEYSET.whole_seconds(Place("start"), marks) == 3


@pytest.mark.parametrize(
    "marks", [[(NOON, A), (NOON, B)], [(NOON, A), (LATER, A), (LATER, B)]], ids=["one second", "most of the page"]
)
def test_a_large_last_second_is_read_on_within_it(marks: list[tuple[str, str]]) -> None:
    assert KEYSET.whole_seconds(Place("start"), marks) == len(marks)
    assert KEYSET.after(marks) == Place("within", *marks[-1])
    assert KEYSET.after_all(KEYSET.after(marks)) == Place("after", marks[-1][0])


def test_a_place_outlives_its_way_through_json() -> None:
    place = hidden(Place("within", NOON, A), 1000)
    assert place.skip == 1000
    assert Place.from_json(place.to_json()) == place


def test_times_are_written_in_utc_and_cut_to_seconds() -> None:
    moment = datetime(2026, 1, 15, 13, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))
    assert text_of(moment) == NOON
    assert text_of(datetime(2026, 1, 15, 12, tzinfo=UTC)) == NOON
