"""The way in turned round: what gets its value back goes out, all else is named with its reason."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kwiksync_ops.mapping.outbound import compile_outbound
from kwiksync_ops.mapping.proposals.matching import MatchContext, propose_rules
from kwiksync_ops.mapping.proposals.profile import profile_records
from kwiksync_ops.mapping.proposals.way_out import WayOut, turn_round
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.vocabulary import RECORD_TABLES

KEY = {"id": "T1"}
GIVEN = "the system gives it"


def way_of(records: list[dict[str, Any]], *, table: str = "tickets", timezone: str = "UTC") -> WayOut:
    fields = {profile.name: profile for profile in profile_records(records)}
    context = MatchContext(timezone=timezone)
    matches = propose_rules(RECORD_TABLES[table], list(fields.values()), context, key="id")
    return turn_round(RECORD_TABLES[table], matches, fields, timezone, kept={"id": GIVEN})


def sent(way: WayOut, table: str = "tickets", **values: Any) -> dict[str, Any]:
    """What goes out for a record of the hub."""
    rules = tuple(match.rule for match in way.matches)
    compiled = compile_outbound(TableMapping("s", table, "things", rules, direction="outbound"))
    payload = compiled.apply([dict.fromkeys(compiled.columns) | values], lookups=None).payloads[0]  # type: ignore[arg-type]  # none are made
    assert payload is not None
    return payload


@pytest.mark.parametrize(
    ("came", "column", "value"),
    [
        ({"state": "open"}, "state", "1"),
        ({"priority": 2}, "priority", "2"),
        ({"opened_at": "2/3/2026 10:15"}, "opened_at", "2026-03-02 10:15:00"),
        ({"opened_at": "2026-03-02T10:15:00+00:00"}, "opened_at", "2026-03-02 10:15:00"),
        ({"opened_at": "2026-03-02T10:15:00"}, "opened_at", "2026-03-02 10:15:00"),
        ({"title": "Lamp"}, "short_description", "Lamp"),
    ],
)
def test_what_comes_in_goes_out_as_it_came(came: dict[str, Any], column: str, value: str) -> None:
    other = {"opened_at": "13/3/2026 10:15"} if "/" in str(came) else {}
    way = way_of([{**KEY, **came}, {"id": "T2", **came, **other}])
    assert sent(way, **{column: moment(value) if column == "opened_at" else value}) == came


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_times_without_a_zone_go_out_as_the_system_reads_them() -> None:
    way = way_of([{**KEY, "opened_at": "2026-07-02 10:15:00"}], timezone="Europe/Berlin")
    assert sent(way, opened_at=moment("2026-07-02 08:15:00")) == {"opened_at": "2026-07-02 10:15:00"}


def test_the_word_that_is_seen_most_goes_out_and_a_guessed_one_never() -> None:
    words = ["Open", "New", "New", "Closed"]
    (state,) = way_of([{"id": f"T{at}", "state": word} for at, word in enumerate(words)]).matches
    assert state.rule.config["mappings"] == {"1": "New", "7": "Closed"}
    assert state.open_values == ("2", "3", "4", "6", "8")


def test_what_does_not_get_its_value_back_is_named() -> None:
    records = [{"id": f"L{at}", "name": f"Site {at}", "position": f"5{at}.5, 13.4"} for at in range(4)]
    way = way_of(records, table="locations")
    assert way.fields == ("name",)
    assert way.left_out == {
        "id": GIVEN,
        "position": "it is computed on its way in, and nothing computes it back",
    }


def test_a_number_that_goes_out_as_text_counts_for_less() -> None:
    way = way_of([{**KEY, "number": 7001}, {"id": "T2", "number": 7002}])
    (number,) = way.matches
    assert (number.reason, number.score < 0.8) == ("as it came, a number as text", True)
