"""Records looked at through a window: however small it is, all of them are found once, and in order."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kwiksync_ops.storage import record_search
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORDS
from kwiksync_ops.storage.record_search import Condition, OtherField, Sort

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
EVERY_SEVENTH = Condition("state", "=", "0")


@pytest.fixture(autouse=True)
def tickets(hub: Hub) -> None:
    """200 tickets, five a minute, a fourth of them without a number, half of them of one project."""
    rows = [
        {
            "sys_id": f"{number:032x}",
            "external_id": f"E{number}",
            "source_system": "erp",
            "sys_created_on": EPOCH,
            "sys_updated_on": EPOCH + timedelta(minutes=number // 5),
            "sys_mod_count": 0,
            "active": True,
            "number": f"T{number % 50:03d}" if number % 4 else None,
            "state": str(number % 7),
            "project": "p" * 32 if number % 2 else None,
        }
        for number in range(200)
    ]
    hub.write(lambda connection: connection.execute(RECORDS["tickets"].insert(), rows))


def whole(hub: Hub, conditions: Sequence[Condition], sort: Sort) -> list[str]:
    with hub.read() as connection:
        found = record_search.read_page(connection, "tickets", conditions, sort=sort, limit=1_000)
    return [row["sys_id"] for row in found]


def by_windows(hub: Hub, conditions: Sequence[Condition], sort: Sort, candidates: int) -> list[str]:
    seen: list[str] = []
    after: tuple[Any, str] | None = None
    while True:
        with hub.read() as connection:
            window = record_search.read_window(
                connection, "tickets", conditions, sort=sort, after=after, limit=3, candidates=candidates
            )
        assert len(window.rows) <= min(3, candidates)
        seen += [row["sys_id"] for row in window.rows]
        if window.reached:
            after = window.reached
        elif len(window.rows) == 3:
            after = (window.rows[-1][sort.field], window.rows[-1]["sys_id"])
        else:
            return seen


@pytest.mark.parametrize("sort", [Sort(), Sort("number", False), Sort("number"), Sort("sys_id"), Sort("state", False)])
def test_windows_of_any_size_hold_every_record_once_in_order(hub: Hub, sort: Sort, subtests: pytest.Subtests) -> None:
    for conditions in ((), (EVERY_SEVENTH,), (Condition("project", "=", "p" * 32), EVERY_SEVENTH)):
        for candidates in (1, 4, 10_000):
            with subtests.test(f"{conditions} {candidates}"):
                wanted = whole(hub, conditions, sort)
                assert wanted
                assert by_windows(hub, conditions, sort, candidates) == wanted


def test_a_window_looks_no_further_than_it_may(hub: Hub) -> None:
    with hub.read() as connection:
        none = record_search.read_window(
            connection, "tickets", [Condition("state", "=", "none")], sort=Sort("sys_id"), limit=50, candidates=10
        )
    assert (none.rows, none.reached) == ([], (f"{190:032x}", f"{190:032x}"))


def test_what_belongs_to_a_record_is_looked_at_alone(hub: Hub) -> None:
    """100 of 200 are of the project: a window of 101 sees the end of them."""
    conditions = [Condition("project", "=", "p" * 32), Condition("state", "=", "none")]
    with hub.read() as connection:
        found = record_search.read_window(
            connection, "tickets", conditions, sort=Sort("sys_id"), limit=50, candidates=101
        )
    assert (found.rows, found.reached) == ([], None)


def test_a_table_says_whether_it_holds_more_than_a_number(hub: Hub) -> None:
    with hub.read() as connection:
        assert record_search.holds_more(connection, "tickets", 199)
        assert not record_search.holds_more(connection, "tickets", 200)


def test_the_values_of_the_newest_records_are_told_each_once(hub: Hub) -> None:
    with hub.read() as connection:
        found = record_search.seen_values(connection, "tickets", ["state", "category"], newest=3)
    assert found == {"state": ["1", "2", "3"], "category": []}


def test_a_field_is_compared_with_another_of_the_record(hub: Hub) -> None:
    later = Condition("sys_updated_on", ">", OtherField("sys_created_on"))
    assert len(whole(hub, [later], Sort())) == 195
