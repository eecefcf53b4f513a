"""The sample ERP's writing side, as a client over HTTPS meets it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import requests

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_target
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Target
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.sample_erp import CUSTOMER_KEY, TOKEN, SampleErp, running_sample_erp

INCLUDE = Path(__file__).parents[2] / "include"
SPEC = load_system(INCLUDE / "systems" / "erp.yaml", None)
NOW = "24/3/2016 18:30"
BEFORE_THE_WAVE = "2016-03-24T18:30"
TICKETS, BULK = "/api/v1/tickets", "/api/v1/tickets/bulk"
NEW = {"description": "A printer that smells of almonds", "priority": "2 - High", "due_at": "26/3/2016 9:05"}
WAVE_TICKET = "T-0002833"
"""It closes at 18:59, in the replayed history."""

Record = dict[str, Any]


@pytest.fixture(scope="module")
def running_erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as erp:
        yield erp


@pytest.fixture
def erp(running_erp: SampleErp) -> SampleErp:
    running_erp.move_clock(now=BEFORE_THE_WAVE)
    return running_erp


def call(erp: SampleErp, method: str, path: str, json: Any = None, **headers: str) -> requests.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return erp.session.request(method, erp.url + path, json=json, headers=named, timeout=30)


def created(erp: SampleErp, **fields: Any) -> str:
    ticket_id: str = call(erp, "POST", TICKETS, NEW | fields).json()["ticket_id"]
    return ticket_id


def read(erp: SampleErp, ticket_id: str) -> requests.Response:
    return erp.get(f"{TICKETS}/{ticket_id}")


def in_bulk(erp: SampleErp, *records: Record) -> list[Record]:
    answer = call(erp, "POST", BULK, {"records": records})
    assert answer.status_code == 200, answer.text
    results: list[Record] = answer.json()["results"]
    return results


def changed_since(erp: SampleErp, moment: str) -> dict[str, Record]:
    tickets = erp.records("tickets", updated_since=moment, limit=1000)
    return {ticket["ticket_id"]: ticket for ticket in tickets}


def deletions(erp: SampleErp, **params: Any) -> list[Record]:
    found: list[Record] = erp.get("/api/v1/deletions", table="tickets", **params).json()["data"]
    return found


def test_a_created_ticket_gets_its_numbers_from_the_erp_and_comes_back_on_the_next_read(erp: SampleErp) -> None:
    answer = call(erp, "POST", TICKETS, NEW)
    ticket = answer.json()
    assert answer.status_code == 201
    assert ticket.items() >= NEW.items()
    assert ticket["ticket_number"] == "INC" + ticket["ticket_id"].removeprefix("T-")
    assert (ticket["state"], ticket["opened_at"], ticket["updated_at"], ticket["revision"]) == ("New", NOW, NOW, 1)
    assert ticket["updated_by"] == "API"
    assert changed_since(erp, NOW)[ticket["ticket_id"]] == ticket
    assert ticket.keys() == erp.records("tickets", limit=1)[0].keys()


def test_one_record_is_read_with_its_etag_which_changes_with_the_record(erp: SampleErp) -> None:
    ticket_id = created(erp)
    before = read(erp, ticket_id)
    assert before.headers["ETag"] == read(erp, ticket_id).headers["ETag"]
    patched = call(erp, "PATCH", f"{TICKETS}/{ticket_id}", {"state": "Active"})
    assert patched.headers["ETag"] == read(erp, ticket_id).headers["ETag"] != before.headers["ETag"]
    assert patched.json() == before.json() | {"state": "Active", "revision": 2}


def test_a_record_of_every_table_is_read_by_its_key_even_with_a_slash_in_it(erp: SampleErp) -> None:
    task = erp.records("tasks", limit=1)[0]
    assert erp.get(f"/api/v1/tasks/{task['task_id']}").json() == task
    assert erp.get("/api/v1/tasks/T-0/99").status_code == 404
    assert erp.get("/api/v1/invoices/1").status_code == 404


def test_the_same_key_and_body_create_once_and_another_body_is_refused(erp: SampleErp) -> None:
    first = call(erp, "POST", TICKETS, NEW, Idempotency_Key="create-1")
    again = call(erp, "POST", TICKETS, NEW, Idempotency_Key="create-1")
    other = call(erp, "POST", TICKETS, NEW | {"state": "Active"}, Idempotency_Key="create-1")
    assert (again.status_code, again.content, again.headers["ETag"]) == (201, first.content, first.headers["ETag"])
    assert (other.status_code, other.json()["error"]["field"]) == (422, "key")


def test_an_update_of_the_same_key_is_done_once_though_its_etag_is_stale_by_then(erp: SampleErp) -> None:
    path = f"{TICKETS}/{created(erp)}"
    headers = {"Idempotency_Key": "update-1", "If_Match": erp.get(path).headers["ETag"]}
    first = call(erp, "PATCH", path, {"state": "Active"}, **headers)
    again = call(erp, "PATCH", path, {"state": "Active"}, **headers)
    assert (first.status_code, again.status_code, again.json()["revision"]) == (200, 200, 2)


def test_the_key_of_a_refused_write_can_be_used_for_the_right_one(erp: SampleErp) -> None:
    refused = call(erp, "POST", TICKETS, NEW | {"state": "Lost"}, Idempotency_Key="create-2")
    repaired = call(erp, "POST", TICKETS, NEW, Idempotency_Key="create-2")
    assert (refused.status_code, repaired.status_code) == (422, 201)


def test_an_update_that_is_based_on_an_older_record_is_stale_and_changes_nothing(erp: SampleErp) -> None:
    path = f"{TICKETS}/{created(erp)}"
    old = erp.get(path).headers["ETag"]
    call(erp, "PATCH", path, {"state": "Active"})
    stale = [call(erp, method, path, {"state": "Closed"}, If_Match=old) for method in ("PATCH", "DELETE")]
    assert [(answer.status_code, answer.json()["code"]) for answer in stale] == [(412, "STALE")] * 2
    assert erp.get(path).json()["state"] == "Active"
    current = erp.get(path).headers["ETag"]
    assert call(erp, "PATCH", path, {"state": "Closed"}, If_Match=current).status_code == 200


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"state": "2"}, "state"),
        ({"priority": "2"}, "priority"),
        ({"due_at": "2016-03-26 09:05:00"}, "due_at"),
        ({"due_at": "31/2/2016 9:05"}, "due_at"),
        ({"opened_at": "?"}, "opened_at"),
        ({"project_id": "P-NO-1"}, "project_id"),
        ({"location_id": 7}, "location_id"),
        ({"description": None}, "description"),
        ({"description": "x" * 201}, "description"),
        ({"revision": 7}, "revision"),
        ({"ticket_number": "INC0000001"}, "ticket_number"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_value_that_the_erp_does_not_know_is_named_and_nothing_is_written(
    erp: SampleErp, fields: Record, field: str
) -> None:
    path = f"{TICKETS}/{created(erp)}"
    before = erp.get(path).json()
    answer = call(erp, "PATCH", path, {"category": "Category 1"} | fields)
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    assert answer.json()["error"]["message"]
    assert erp.get(path).json() == before


def test_a_new_ticket_needs_a_description(erp: SampleErp) -> None:
    answer = call(erp, "POST", TICKETS, {"state": "New"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "description")


def test_a_deleted_ticket_is_in_no_read_but_in_the_feed(erp: SampleErp) -> None:
    ticket_id = created(erp)
    assert call(erp, "DELETE", f"{TICKETS}/{ticket_id}").status_code == 204
    answers = [
        read(erp, ticket_id),
        call(erp, "PATCH", f"{TICKETS}/{ticket_id}", {"state": "Active"}),
        call(erp, "DELETE", f"{TICKETS}/{ticket_id}"),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404]
    assert ticket_id not in changed_since(erp, NOW)
    assert ticket_id not in {ticket["ticket_id"] for ticket in erp.truth("tickets")}
    fed = deletions(erp, updated_since=BEFORE_THE_WAVE)
    assert {"ticket_id": ticket_id, "deleted_at": NOW} in fed


def test_the_feed_of_deletions_is_paged_and_filtered_as_the_tickets_are(erp: SampleErp) -> None:
    gone = [created(erp) for _ in range(5)]
    for ticket_id in gone:
        call(erp, "DELETE", f"{TICKETS}/{ticket_id}")
    fed: list[Record] = []
    position: Record = {}
    answer: Record = {"has_more": True}
    while answer["has_more"]:
        answer = erp.get("/api/v1/deletions", table="tickets", limit=2, **position).json()
        fed += answer["data"]
        position = {"changed_after": fed[-1]["deleted_at"], "after_id": fed[-1]["ticket_id"]}
    assert [deletion["ticket_id"] for deletion in fed if deletion["ticket_id"] in gone] == gone
    assert deletions(erp, updated_until="2016-03-24T18:29") == []
    assert erp.get("/api/v1/deletions", table="locations").status_code == 400


def test_a_bulk_call_tells_what_became_of_each_record(erp: SampleErp) -> None:
    changed, deleted, stale = created(erp), created(erp), created(erp)
    results = in_bulk(
        erp,
        {"action": "create", "fields": NEW, "idempotency_key": "bulk-1"},
        {"action": "update", "id": changed, "fields": {"state": "Resolved"}},
        {"action": "update", "id": changed, "fields": {"state": "6"}},
        {"action": "delete", "id": deleted},
        {"action": "update", "id": stale, "fields": {"state": "Closed"}, "if_match": '"old"'},
        {"action": "update", "id": "T-9999999", "fields": {}},
        {"action": "create", "id": "T-9999999", "fields": NEW},
    )
    assert [(result["index"], result["status"]) for result in results] == list(
        enumerate([201, 200, 422, 204, 412, 404, 422])
    )
    assert results[0]["record"] == read(erp, results[0]["id"]).json()
    assert results[1]["etag"] == read(erp, changed).headers["ETag"]
    assert results[2]["error"].items() >= {"field": "state", "code": "INVALID_VALUE"}.items()
    assert read(erp, deleted).status_code == 404
    assert read(erp, stale).json()["state"] == "New"


def test_a_bulk_call_that_is_sent_twice_is_done_once(erp: SampleErp) -> None:
    records = [
        {"action": "create", "fields": NEW | {"category": f"Category {number}"}, "idempotency_key": f"twice-{number}"}
        for number in range(1000)
    ]
    before = len(erp.truth("tickets"))
    first, again = in_bulk(erp, *records), in_bulk(erp, *records)
    assert first == again
    assert len({result["id"] for result in first}) == 1000
    assert len(erp.truth("tickets")) == before + 1000
    assert call(erp, "POST", BULK, {"records": [*records, records[0]]}).status_code == 400


def test_an_edit_lasts_until_the_replayed_history_changes_that_very_field(erp: SampleErp) -> None:
    path = f"{TICKETS}/{WAVE_TICKET}"
    replayed = erp.get(path).json()
    call(erp, "PATCH", path, {"state": "Active", "symptom": "Symptom of our own"})
    erp.move_clock(advance_minutes=29)
    later = erp.get(path).json()
    assert (later["state"], later["symptom"], later["updated_at"]) == (
        "Closed",
        "Symptom of our own",
        "24/3/2016 18:59",
    )
    assert later["revision"] > replayed["revision"] + 1


def test_a_deleted_ticket_stays_deleted_when_the_replayed_history_goes_on(erp: SampleErp) -> None:
    erp.move_clock(now="2016-03-24T18:39")
    [(ticket_id, _)] = list(_changed_by_a_minute(erp).items())[:1]
    erp.move_clock(now="2016-03-24T18:39")
    call(erp, "DELETE", f"{TICKETS}/{ticket_id}")
    counted = erp.move_clock(advance_minutes=1)["tickets"]
    assert read(erp, ticket_id).status_code == 404
    assert counted == len(changed_since(erp, "2016-03-24T18:40"))


def _changed_by_a_minute(erp: SampleErp) -> dict[str, Record]:
    erp.move_clock(advance_minutes=1)
    return changed_since(erp, "2016-03-24T18:40")


def test_the_operator_edits_without_a_customer_key_and_without_a_counted_call(erp: SampleErp) -> None:
    ticket_id, calls = created(erp), erp.get("/admin/calls").json()["calls"]
    door = f"/admin/records/tickets/{ticket_id}"
    edited = call(erp, "PATCH", door, {"priority": "1 - Critical"}, X_Customer_Key="")
    assert (edited.status_code, edited.json()["updated_by"]) == (200, "Operator")
    assert erp.get(door).json() == edited.json()
    assert call(erp, "PATCH", door, {"priority": "1"}).status_code == 422
    assert call(erp, "DELETE", door).status_code == 204
    assert call(erp, "POST", "/admin/records/tickets", NEW).status_code == 201
    assert erp.get("/admin/calls").json()["calls"] == calls


def test_assets_are_written_in_the_same_way(erp: SampleErp) -> None:
    asset = call(erp, "POST", "/api/v1/assets", {"description": "Plotter", "quantity": 3}).json()
    assert (asset["asset_tag"], asset["updated_at"]) == (
        asset["asset_id"].replace("A-", "GSA-"),
        "2016-03-24T18:30:00Z",
    )
    path = f"/api/v1/assets/{asset['asset_id']}"
    assert call(erp, "PATCH", path, {"quantity": -1}).json()["error"]["field"] == "quantity"
    assert call(erp, "PATCH", path, {"quantity": 4}).json() == asset | {"quantity": 4}
    assert asset["asset_id"] in {one["asset_id"] for one in erp.records("assets", updated_since=BEFORE_THE_WAVE)}


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", TICKETS), ("PATCH", f"{TICKETS}/T-0000346"), ("DELETE", f"{TICKETS}/T-0000346"), ("POST", BULK)],
)
def test_a_write_needs_the_token_and_the_customer_key_and_counts_as_a_call(
    erp: SampleErp, method: str, path: str
) -> None:
    before = erp.get("/admin/calls").json()["calls"]
    refused = [
        call(erp, method, path, {}, X_Customer_Key="wrong").json()["code"],
        call(erp, method, path, {}, Authorization="Bearer wrong").json()["code"],
    ]
    assert refused == ["ERR_001", "ERR_003"]
    assert erp.get("/admin/calls").json()["calls"] == before + 2


def test_tables_that_are_only_read_refuse_a_write_and_a_body_that_is_no_record_is_named(erp: SampleErp) -> None:
    assert call(erp, "PATCH", "/api/v1/locations/DEWS3", {"city": "Weil"}).status_code == 405
    assert call(erp, "POST", "/api/v1/tasks", {}).status_code == 405
    assert call(erp, "POST", TICKETS, ["x"]).status_code == 400
    assert call(erp, "POST", BULK, {"records": [{"action": "erase"}]}).status_code == 400


class Unlimited:
    def call(self) -> nullcontext[None]:
        return nullcontext()


@pytest.fixture
def target(erp: SampleErp) -> Iterator[Target]:
    credentials = Credentials(erp.url, token=TOKEN, customer_key=CUSTOMER_KEY, ca_file=erp.ca_file)
    target = open_target("rest", credentials, SPEC.options, Unlimited(), ManualClock())
    yield target
    target.close()


def push_request() -> PushRequest:
    table = SPEC.table("tickets")
    assert table is not None
    return PushRequest(table.source, table.key, table.options)


def test_the_connector_writes_to_it_by_the_configuration_of_the_demo(erp: SampleErp, target: Target) -> None:
    first, second = created(erp), created(erp)
    request = push_request()
    etag = read(erp, first).headers["ETag"]
    made = target.push(request, [Delivery("1", Action.CREATE, None, NEW, "push-1")])
    changed = target.push(
        request,
        [
            Delivery("2", Action.UPDATE, first, {"state": "Active"}, "push-2", etag),
            Delivery("3", Action.UPDATE, second, {"state": "Lost"}, "push-3"),
            Delivery("4", Action.UPDATE, second, {"state": "Closed"}, "push-4", '"old"'),
            Delivery("5", Action.UPDATE, "T-9999999", {"state": "Closed"}, "push-5"),
        ],
    )
    deleted = target.push(request, [Delivery("6", Action.DELETE, second, {}, "push-6")])
    outcomes = [receipt.outcome for receipt in (*made, *changed, *deleted)]
    assert outcomes == [
        Outcome.CONFIRMED,
        Outcome.CONFIRMED,
        Outcome.REFUSED,
        Outcome.CONFLICT,
        Outcome.GONE,
        Outcome.CONFIRMED,
    ]
    assert made[0].key is not None
    assert read(erp, made[0].key).json().items() >= NEW.items()
    assert changed[0].etag == read(erp, first).headers["ETag"]
    assert read(erp, first).json()["state"] == "Active"
    assert "state" in (changed[1].message or "")
    assert read(erp, second).status_code == 404


def test_what_the_connector_sends_twice_is_done_once(erp: SampleErp, target: Target) -> None:
    deliveries = [Delivery(str(number), Action.CREATE, None, NEW, f"same-{number}") for number in range(3)]
    before = len(erp.truth("tickets"))
    first, again = (target.push(push_request(), deliveries) for _ in range(2))
    assert [receipt.key for receipt in first] == [receipt.key for receipt in again]
    assert len(erp.truth("tickets")) == before + 3


def test_the_connector_looks_whether_a_write_has_arrived(erp: SampleErp, target: Target) -> None:
    ticket_id = created(erp)
    arrived = Delivery("1", Action.UPDATE, ticket_id, {"priority": NEW["priority"]}, "look-1")
    lost = Delivery("2", Action.UPDATE, ticket_id, {"priority": "1 - Critical"}, "look-2")
    found = target.look(push_request(), [arrived, lost])
    assert [receipt.outcome for receipt in found] == [Outcome.CONFIRMED, Outcome.UNSENT]
