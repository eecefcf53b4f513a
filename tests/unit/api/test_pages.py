"""How pages write values, keep costly ones, draw charts and count looks."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from kwiksync_ops.api.pages.access import WINDOW_S, LookBudget
from kwiksync_ops.api.pages.charts import Bar, Span, bars, timeline
from kwiksync_ops.api.pages.formats import ago, duration, moment, share, watermark
from kwiksync_ops.api.pages.hub import starts_of
from kwiksync_ops.api.pages.kept import Kept
from kwiksync_ops.api.pages.links import Links
from kwiksync_ops.api.pages.record_query import in_words
from kwiksync_ops.errors import HubError
from kwiksync_ops.services.feed import Place, place_of
from kwiksync_ops.services.overview import RunSummary
from kwiksync_ops.vocabulary import RECORD_TABLES

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


def test_syncs_of_one_day_are_told_apart_by_their_time_others_by_their_day() -> None:
    runs = [
        RunSummary(f"run-{hours}", "erp", "inbound", "full", "success", ("tickets",), at, at, 1, 1, 0, 0, 0)
        for hours in (0, 1, 30)
        if (at := NOW + timedelta(hours=hours))
    ]
    assert list(starts_of(runs[:2])) == ["12:00", "13:00"]
    assert list(starts_of(runs)) == ["15 Jan", "15 Jan", "16 Jan"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (None, "—"),
        (0.25, "250 ms"),
        (12.4, "12 s"),
        (60, "1 min"),
        (185, "3 min 5 s"),
        (7_440, "2 h 4 min"),
        (7_200, "2 h"),
        (259_200, "3 days"),
    ],
)
def test_durations_are_told_in_two_units_at_most(seconds: float | None, told: str) -> None:
    assert duration(seconds) == told


def test_a_time_is_told_from_now_on_both_sides() -> None:
    assert ago(None, NOW) == "never"
    assert ago(NOW, NOW) == "just now"
    assert ago(NOW - timedelta(minutes=3, seconds=20), NOW) == "3 min ago"
    assert ago(NOW + timedelta(hours=4, minutes=59), NOW) == "in 4 h"


def test_small_shares_are_not_told_as_none() -> None:
    assert [share(value) for value in (None, 0, 0.0001, 0.012, 0.123, 1)] == ["—", "0%", "<0.1%", "1.2%", "12%", "100%"]


def test_what_says_nothing_is_left_out_of_a_watermark() -> None:
    assert watermark("2026-01-15T02:00:00.000000+00:00 T-17") == "2026-01-15 02:00:00 T-17"
    assert watermark(None) == "—"


def test_values_in_markup_are_escaped() -> None:
    chart = bars([Bar("<b>", "a & b", (("bar", 1.0),))], 'say "so"', str)
    assert "<b>" not in chart
    assert "a &amp; b" in chart
    assert "say &#34;so&#34;" in chart
    assert moment(NOW).count("2026-01-15 12:00") == 1


def test_bars_stand_on_each_other_and_a_small_one_is_seen() -> None:
    chart = bars([Bar("a", "a", (("bar", 1_000_000), ("bar-bad", 1)))], "", str)
    assert chart.count("<rect") == 2
    assert 'height="1.5"' in chart
    assert bars([], "none", str).count("<rect") == 0


def test_a_timeline_without_length_divides_by_nothing() -> None:
    assert 'x="0.00%"' in timeline([Span("a", "a", "bar", 0.0, 0.0)], "", duration)


def test_links_of_runs_lead_to_airflow_only_where_it_made_them() -> None:
    links = Links("/p/api/pages", "/p/api", "/p")
    assert links.airflow_run("cli_20260115T020000_aa") is None
    assert links.airflow_run("kwiksync_erp_inbound/manual__1+2", "tickets.load") == (
        "/p/dags/kwiksync_erp_inbound/runs/manual__1%2B2/tasks/tickets.load"
    )
    assert links.page("records", "tickets", state="3", name="") == "/p/api/pages/records/tickets?state=3"


def test_a_place_is_read_as_it_was_written() -> None:
    place = Place(17, NOW)
    assert place_of(str(place)) == place


def test_looks_are_free_again_when_the_window_is_over_and_each_caller_has_own() -> None:
    budget = LookBudget()
    assert [budget.take("a", 2, now) for now in (0.0, 1.0)] == [0.0, 0.0]
    assert budget.take("a", 2, 2.0) == WINDOW_S - 2.0
    assert budget.take("b", 2, 2.0) == 0.0
    assert budget.take("a", 2, WINDOW_S) == 0.0


def test_a_costly_value_is_read_once_for_all_and_not_waited_for_long() -> None:
    gate, reads = threading.Event(), []

    def read() -> int:
        gate.wait(30)
        reads.append(1)
        return 7

    kept = Kept(read)
    assert [kept.get() for _ in range(3)] == [None] * 3
    gate.set()
    while kept.get() is None:
        pass
    assert (kept.get(), reads) == (7, [1])


def test_what_is_read_while_it_expires_is_read_once_more() -> None:
    gate, reads = threading.Event(), []

    def read() -> int:
        gate.wait(30)
        reads.append(1)
        return len(reads)

    kept = Kept(read, fresh_s=1_000)
    assert kept.get() is None
    kept.expire()
    gate.set()
    while kept.get() != 2:
        pass
    assert (kept.get(), reads) == (2, [1, 1])


def test_a_read_that_fails_is_made_again() -> None:
    answers = iter([HubError("The hub is away."), 7])

    def read() -> int:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    kept = Kept(read, fresh_s=0.0)
    while kept.get() is None:
        pass
    assert kept.get() == 7


@pytest.mark.parametrize(
    ("table", "text", "told"),
    [
        ("tickets", "due_date<2026-12-01", "Due date is before 2026-12-01 00:00:00"),
        ("tickets", "closed_at=", "Closed at is empty"),
        ("tickets", "state!=1", "State is not New (1)"),
        ("projects", "end_date>=2026-12-01", "End date is not before 2026-12-01"),
        ("assets", "quantity<minimum_quantity", "Quantity is less than minimum quantity"),
        ("locations", "name~dam", "Name contains dam"),
    ],
)
def test_a_filter_is_told_in_words(table: str, text: str, told: str) -> None:
    assert in_words(RECORD_TABLES[table], text) == told
