"""Tables, keys, cursors and rules proposed for the objects of a system."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kwiksync_ops.connectors.discovery import ObjectInfo
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.proposals.profile import profile_records
from kwiksync_ops.services.discovery import Inspected, likely_objects, named_objects, noun_of
from kwiksync_ops.services.proposals import (
    TableProposal,
    Wishes,
    choose_tables,
    preview_proposal,
    propose,
    spread,
)

SITES = [
    {
        "site_id": f"L{at}",
        "name": f"Site {at}",
        "city": "Oslo",
        "customer": f"C{at}",
        "updated_at": "2026-01-02T00:00:00Z",
    }
    for at in range(20)
]
ORDERS = [
    {
        "id": f"W{at}",
        "no": f"WO-{at}",
        "subject": "Lamp",
        "status": "OPEN" if at % 2 else "PURPLE",
        "site_id": f"L{at}",
        "opened": "13/1/2026 10:00",
        "changed": "14/1/2026 10:00",
    }
    for at in range(25)
]


def inspected(name: str, records: list[dict[str, Any]], *, is_complete: bool = True) -> Inspected:
    return Inspected(ObjectInfo(name), records, profile_records(records), {}, is_complete)


SYSTEM = [inspected("/api/sites", SITES), inspected("/api/work_orders", ORDERS)]


def proposals(objects: list[Inspected] | None = None, wishes: Wishes | None = None) -> dict[str, TableProposal]:
    found = SYSTEM if objects is None else objects
    return {proposal.table: proposal for proposal in propose(found, choose_tables(found), wishes)}


def rules(proposal: TableProposal) -> dict[str, str]:
    return {match.rule.target_field: match.rule.source_field for match in proposal.matches}


@pytest.mark.parametrize(
    ("name", "noun"),
    [
        ("/api/v1/tickets", "tickets"),
        ("/api/v1/tickets/?view=all", "tickets"),
        ("dbo.Work Orders", "Work Orders"),
        ("in/tickets_*.csv.gz", "tickets"),
        ("tickets-2026.xlsx", "tickets"),
        ("x_kwr_kwiksync_tickets", "tickets"),
        ("Tickets", "Tickets"),
        ("*.csv", "*"),
    ],
)
def test_an_objects_name_says_what_its_records_are(name: str, noun: str) -> None:
    assert noun_of(name) == noun


def test_objects_become_the_tables_that_they_are_like_in_load_order() -> None:
    found = proposals()
    assert list(found) == ["locations", "tickets"]
    assert found["tickets"].inspected.info.name == "/api/work_orders"
    assert "its name means tickets" in found["tickets"].choice.reason


def test_an_object_that_is_like_no_table_is_left_out() -> None:
    assert proposals([inspected("currencies", [{"iso": "EUR", "rate": 1}])]) == {}


def test_no_two_objects_feed_one_table() -> None:
    found = choose_tables([inspected("sites", SITES), inspected("locations", SITES)])
    assert len(found) == 1


def test_a_table_that_was_said_stands_whatever_it_is_like() -> None:
    found = choose_tables(SYSTEM, {"/api/sites": "assets"})
    assert ("/api/sites", "assets", "as you said") in [(each.object, each.table, each.reason) for each in found]


def named(prefix: str, **more: str) -> list[dict[str, Any]]:
    return [{"sys_id": f"{prefix}{at}", "number": f"I{at}", "short_description": "a", **more} for at in range(10)]


def test_an_object_that_holds_the_same_records_as_a_chosen_one_is_left_out() -> None:
    def chosen(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> int:
        return len(choose_tables([inspected("incident", one), inspected("task", other)]))

    long = "0123456789abcdef"
    assert chosen(named(long), named(long, due="1", state="2", ticket="3")) == 1
    assert chosen(named("A"), named("A")) == 1
    assert chosen(named("A"), named("B")) == 2
    assert chosen(named(""), named("", due="1", state="2", ticket="3")) == 2


def test_key_cursor_and_references_are_proposed() -> None:
    tickets = proposals()["tickets"]
    assert tickets.key is not None
    assert tickets.key.field.name == "id"
    cursor = tickets.cursor_spec()
    assert cursor is not None
    assert (cursor.field, cursor.format, cursor.timezone) == ("changed", "D/M/YYYY HH:mm", "UTC")
    assert rules(tickets)["location"] == "site_id"
    assert rules(tickets)["external_id"] == "id"
    assert [field.name for field in tickets.unused] == []
    assert "description" in tickets.empty_columns


def test_the_zone_of_times_that_name_none_goes_into_cursor_and_rules() -> None:
    tickets = proposals(wishes=Wishes(timezone="Europe/Berlin"))["tickets"]
    cursor = tickets.cursor_spec()
    assert cursor is not None
    assert cursor.timezone == "Europe/Berlin"
    (opened,) = (match.rule for match in tickets.matches if match.rule.target_field == "opened_at")
    assert opened.config["timezone"] == "Europe/Berlin"
    sites = proposals(wishes=Wishes(timezone="Europe/Berlin"))["locations"].cursor_spec()
    assert sites is not None
    assert sites.timezone == "UTC"


def test_a_person_may_change_keys_cursors_and_fields() -> None:
    wishes = Wishes(
        keys={"tickets": "no"},
        cursors={"locations": "", "tickets": "opened"},
        fields={("tickets", "state"): "", ("tickets", "description"): "subject"},
    )
    found = proposals(wishes=wishes)
    tickets = found["tickets"]
    assert found["locations"].cursor is None
    assert (rules(tickets)["external_id"], tickets.table_spec().key) == ("no", "no")
    assert "state" not in rules(tickets)
    assert rules(tickets)["description"] == "subject"
    assert tickets.matches[0].rule.target_field == "external_id"


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        (Wishes(keys={"tickets": "nummer"}), "has no field 'nummer'"),
        (Wishes(keys={"assets": "id"}), "No object of the system feeds 'assets'"),
        (Wishes(cursors={"tickets": "subject"}), "holds no dates or times"),
        (Wishes(fields={("tickets", "stat"): "status"}), "Did you mean 'state'"),
        (Wishes(fields={("tickets", "sys_id"): "id"}), "no column 'sys_id'"),
        (Wishes(fields={("tickets", "state"): "statu"}), "Did you mean 'status'"),
    ],
)
def test_a_wish_for_what_there_is_not_says_what_there_is(wishes: Wishes, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        proposals(wishes=wishes)


def test_another_key_of_a_table_is_what_others_refer_to() -> None:
    sites = [{**site, "code": f"L{at}", "site_id": f"S{at}"} for at, site in enumerate(SITES)]
    objects = [inspected("sites", sites), inspected("work_orders", ORDERS)]
    assert "location" not in rules(proposals(objects)["tickets"])
    assert rules(proposals(objects, Wishes(keys={"locations": "code"}))["tickets"])["location"] == "site_id"


def test_ten_records_from_all_over_the_sample_go_through_the_real_mapping() -> None:
    found = proposals()
    shown = preview_proposal(found["tickets"], "erp", list(found.values()))
    assert len(shown.records) == 10
    taken = [record for record in shown.records if record.after]
    rejected = [record for record in shown.records if not record.after]
    assert {record.after["location"] for record in taken if record.after} <= {f"→ L{at}" for at in range(20)}
    assert {record.before["status"] for record in rejected} >= {"PURPLE"}
    assert "PURPLE" in rejected[0].rejects[0].message


def test_a_reference_to_a_record_that_was_not_read_is_rejected_only_where_all_were() -> None:
    sites, orders = SYSTEM
    last = replace(orders, records=[{**ORDERS[1], "site_id": "L99"}])
    for is_complete, is_rejected in ((True, True), (False, False)):
        found = propose([replace(sites, is_complete=is_complete), orders], choose_tables(SYSTEM))
        proposal = replace(found[1], inspected=last)
        assert bool(preview_proposal(proposal, "erp", found).rejected) is is_rejected


def test_a_sample_is_spread_over_all_records() -> None:
    assert spread(range(100), 10) == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert spread([1, 2], 10) == [1, 2]
    assert spread([], 10) == []


def test_likely_objects_are_a_few_for_each_table() -> None:
    names = ["incident", "incident_task", "cmn_location", "sc_request", "u_currency", "incident_sla", "incident_alert"]
    likely = likely_objects([ObjectInfo(name) for name in names])
    assert likely["incident"] == "tickets"
    assert "u_currency" not in likely
    assert sum(table == "tickets" for table in likely.values()) <= 3


def test_a_name_that_the_system_does_not_list_is_refused_where_it_lists_all() -> None:
    known = [ObjectInfo("orders"), ObjectInfo("sites")]
    assert [info.name for info in named_objects(known, ["sites"])] == ["sites"]
    with pytest.raises(ConfigurationError, match="Did you mean 'orders'"):
        named_objects(known, ["order"])
    assert [info.name for info in named_objects(known, ["/other"], ["/other"])] == ["/other"]
    assert [info.name for info in named_objects([], ["view"])] == ["view"]
