"""Bulk calls, jobs, confirmation by reading, and looking for a delivery: what a REST target claims, over real HTTPS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from decimal import Decimal
from typing import Any

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_target
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Target
from kwiksync_ops.errors import AuthenticationError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.https_server import Exchange, Fault, HttpsServer, Response, json_response

REQUEST = PushRequest("tickets", "id")
BULK: dict[str, Any] = {"path": "bulk", "results_path": "results", "key_path": "id", "error_path": "error"}
READ = {"path": "one?id={key}", "record_path": "record"}
TOKEN = "a-token-that-nobody-sees"  # planted

Answer = Response | Fault
Open = Callable[..., Target]


@pytest.fixture
def server(https_server: Callable[..., HttpsServer]) -> HttpsServer:
    return https_server()


@pytest.fixture
def opened(server: HttpsServer, ca_file: str) -> Iterator[Open]:
    with ExitStack() as stack:

        def start(**push: Any) -> Target:
            options = {"push": push, "allow_hosts": ["127.0.0.1"], "timeouts": {"read_s": 1}}
            credentials = Credentials(server.url("/api"), token=TOKEN, ca_file=ca_file)
            return stack.enter_context(closing(open_target("rest", credentials, options, Unlimited(), ManualClock())))

        yield start


def creates(count: int) -> list[Delivery]:
    return [Delivery(f"d{n}", Action.CREATE, None, {"name": f"n{n}"}, f"k{n}", record_id=f"r{n}") for n in range(count)]


def update(**payload: Any) -> Delivery:
    return Delivery("d0", Action.UPDATE, "1", payload, "k0", record_id="r0")


def outcomes(receipts: list[Receipt]) -> list[tuple[str, str | None]]:
    return [(receipt.outcome.value, receipt.key) for receipt in receipts]


def results(*items: Any) -> Response:
    return json_response({"results": list(items)}, 207)


def test_results_stand_in_the_order_of_the_records(server: HttpsServer, opened: Open) -> None:
    target = opened(bulk=BULK)
    server.on("/api/bulk", results({"status": 201, "id": "A"}, {"status": 422, "error": {"field": "name"}}))
    receipts = target.push(REQUEST, creates(2))
    assert outcomes(receipts) == [("confirmed", "A"), ("refused", None)]
    assert (receipts[1].code, '{"field": "name"}' in (receipts[1].message or "")) == ("ERR_008", True)


def test_results_are_found_by_their_place_or_by_our_id_in_any_order(server: HttpsServer, opened: Open) -> None:
    by_place = opened(bulk={**BULK, "index_path": "index"})
    server.on("/api/bulk", results({"index": 1, "status": 201, "id": "B"}, {"index": 0, "status": 409}))
    assert outcomes(by_place.push(REQUEST, creates(2))) == [("conflict", None), ("confirmed", "B")]
    by_id = opened(bulk={**BULK, "id_field": "ref", "id_path": "ref"})
    server.on("/api/bulk", results({"ref": "d1", "status": 201, "id": 7}, {"ref": "d0", "status": 200, "id": "A"}))
    assert outcomes(by_id.push(REQUEST, creates(2))) == [("confirmed", "A"), ("confirmed", "7")]


@pytest.mark.parametrize(
    "answer",
    [
        results({"status": 201, "id": "A"}),
        json_response({"ok": True}),
        json_response({"results": {"status": 201}}),
        Response(200, b"<html>", {"Content-Type": "text/html"}),
        Response(200, b"[" * 100_000),
        json_response({}, 500),
        Exchange.wait_for_end,
        Exchange.reset,
    ],
    ids=["one missing", "no list", "an object", "a web page", "too deep", "500", "silence", "reset"],
)
def test_an_answer_that_tells_nothing_of_a_record_leaves_it_unknown(
    server: HttpsServer, opened: Open, answer: Answer
) -> None:
    target = opened(bulk=BULK)
    server.on("/api/bulk", (lambda request: answer) if not isinstance(answer, Response) else answer)
    assert {receipt.outcome for receipt in target.push(REQUEST, creates(2))} == {Outcome.UNKNOWN}


def test_a_result_that_is_missing_or_has_no_status_is_unknown_alone(server: HttpsServer, opened: Open) -> None:
    target = opened(bulk={**BULK, "index_path": "index"})
    server.on("/api/bulk", results({"index": 0, "status": 201, "id": "A"}, {"index": 1, "status": "fine"}))
    assert outcomes(target.push(REQUEST, creates(3))) == [("confirmed", "A"), ("unknown", None), ("unknown", None)]


def test_a_result_without_a_status_is_shown_without_secrets(server: HttpsServer, opened: Open) -> None:
    target = opened(bulk=BULK)
    server.on("/api/bulk", results({"note": f"sent with {TOKEN}"}))
    (receipt,) = target.push(REQUEST, creates(1))
    assert "sent with" in (receipt.message or "")
    assert TOKEN not in (receipt.message or "")


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_body_that_is_refused_whole_was_not_applied(server: HttpsServer, opened: Open, status: int) -> None:
    target = opened(bulk=BULK)
    server.on("/api/bulk", json_response({"error": f"too much, {TOKEN}"}, status))
    many = target.push(REQUEST, creates(2))
    assert {receipt.outcome for receipt in many} == {Outcome.UNSENT}
    (one,) = target.push(REQUEST, creates(1))
    assert (one.outcome, one.code) == (Outcome.REFUSED, "ERR_008")
    assert all(TOKEN not in (receipt.message or "") for receipt in (*many, one))


def test_a_system_that_is_away_or_refuses_us_got_nothing(server: HttpsServer, opened: Open) -> None:
    target = opened(bulk=BULK)
    server.on("/api/bulk", json_response({}, 403))
    with pytest.raises(AuthenticationError):
        target.push(REQUEST, creates(2))
    server.on("/api/bulk", json_response({}, 429, {"Retry-After": "7"}))
    assert [(one.outcome, one.retry_after_s) for one in target.push(REQUEST, creates(1))] == [(Outcome.UNSENT, 7.0)]
    server.close()
    away = opened(bulk=BULK)
    assert {receipt.outcome for receipt in away.push(REQUEST, creates(2))} == {Outcome.UNSENT}


def test_an_action_that_the_bulk_call_can_not_do_goes_out_by_itself(server: HttpsServer, opened: Open) -> None:
    target = opened(bulk={**BULK, "actions": ["create"]}, update={"method": "PUT", "path": "one?id={key}"})
    server.on("/api/one", json_response({"id": "1"}))
    assert (target.call_records(REQUEST, Action.CREATE), target.call_records(REQUEST, Action.UPDATE)) == (1000, 1)
    assert not target.sends(REQUEST, Action.DELETE)
    assert not target.sends_changes_only(REQUEST)
    assert outcomes(target.push(REQUEST, [update(name="x")])) == [("confirmed", "1")]
    assert server.requests[-1].method == "PUT"


JOB = {"by": "job", "path": "jobs?id={job}", "job_path": "job", "state_path": "state", "error_path": "why"}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (json_response({"state": "running"}), Outcome.ACCEPTED),
        (json_response({"state": "done"}), Outcome.CONFIRMED),
        (json_response({"state": "failed", "why": "disk full"}), Outcome.REFUSED),
        (json_response({}, 503), Outcome.ACCEPTED),
        (json_response({}, 404), Outcome.UNKNOWN),
        (Response(200, b"{"), Outcome.ACCEPTED),
    ],
)
def test_a_job_is_asked_until_it_ends(server: HttpsServer, opened: Open, told: Response, expected: Outcome) -> None:
    target = opened(bulk=BULK, confirm=JOB)
    server.on("/api/bulk", json_response({"job": 5}, 202))
    accepted = target.push(REQUEST, creates(2))
    assert [(receipt.outcome, receipt.job) for receipt in accepted] == [(Outcome.ACCEPTED, "5")] * 2
    server.on("/api/jobs", told)
    waiting = [Delivery(f"d{n}", Action.UPDATE, f"{n}", {}, f"k{n}", job="5") for n in range(2)]
    assert [receipt.outcome for receipt in target.confirm(REQUEST, waiting)] == [expected] * 2
    assert [request.query for request in server.requests if request.path == "/api/jobs"] == [{"id": "5"}]


def test_a_job_tells_of_each_record_what_became_of_it(server: HttpsServer, opened: Open) -> None:
    target = opened(bulk={**BULK, "id_field": "ref", "id_path": "ref"}, confirm=JOB)
    listed = [{"ref": "d0", "status": 201, "id": "A"}, {"ref": "d1", "status": 422, "error": "no"}]
    server.on("/api/jobs", json_response({"state": "done", "results": listed}))
    waiting = [Delivery(f"d{n}", Action.CREATE, None, {}, f"k{n}", job="5") for n in range(3)]
    assert outcomes(target.confirm(REQUEST, waiting)) == [("confirmed", "A"), ("refused", None), ("unknown", None)]
    nameless = Delivery("d9", Action.CREATE, None, {}, "k9")
    assert outcomes(target.confirm(REQUEST, [nameless])) == [("unknown", None)]


def test_an_answer_with_results_and_a_job_keeps_the_job_of_those_that_it_goes_on_with(
    server: HttpsServer, opened: Open
) -> None:
    target = opened(bulk=BULK, confirm=JOB)
    results = [{"status": 202, "id": "A"}, {"status": 422, "error": "no"}]
    server.on("/api/bulk", json_response({"job": 5, "results": results}))
    told = [(receipt.outcome, receipt.job) for receipt in target.push(REQUEST, creates(2))]
    assert told == [(Outcome.ACCEPTED, "5"), (Outcome.REFUSED, None)]


@pytest.mark.parametrize("status", [302, 303])
def test_a_bulk_call_that_is_answered_by_a_redirect_may_have_arrived(
    server: HttpsServer, opened: Open, status: int
) -> None:
    target = opened(bulk=BULK)
    server.on("/api/bulk", Response(status, b"", {"Location": "/api/elsewhere"}))
    assert outcomes(target.push(REQUEST, creates(2))) == [("unknown", None)] * 2


def test_a_job_that_fails_without_a_reason_is_told_in_words(server: HttpsServer, opened: Open) -> None:
    target = opened(bulk=BULK, confirm=JOB)
    server.on("/api/jobs", json_response({"state": "failed"}))
    (receipt,) = target.confirm(REQUEST, [Delivery("d0", Action.CREATE, None, {}, "k0", job="5")])
    assert (receipt.outcome, receipt.message) == (Outcome.REFUSED, "The job failed.")


@pytest.mark.parametrize(
    ("answer", "looked", "confirmed"),
    [
        (json_response({"record": {"n": 1.0, "s": "x", "more": 1}}), Outcome.CONFIRMED, Outcome.CONFIRMED),
        (json_response({"record": {"n": 2, "s": "x"}}), Outcome.UNSENT, Outcome.UNKNOWN),
        (json_response({"record": {"n": True, "s": "x"}}), Outcome.UNSENT, Outcome.UNKNOWN),
        (json_response({}, 404), Outcome.UNSENT, Outcome.UNKNOWN),
        (json_response({"data": {}}), Outcome.UNKNOWN, Outcome.ACCEPTED),
        (json_response({"record": ["n", "s"]}), Outcome.UNKNOWN, Outcome.ACCEPTED),
        (json_response({}, 500), Outcome.UNKNOWN, Outcome.ACCEPTED),
    ],
)
def test_a_record_is_read_to_see_whether_it_has_what_was_sent(
    server: HttpsServer, opened: Open, answer: Response, looked: Outcome, confirmed: Outcome
) -> None:
    change = {"method": "PATCH", "path": "one?id={key}"}
    target = opened(update=change, read=READ, repeat="look", confirm={"by": "read"})
    server.on("/api/one", answer)
    sent = update(n=Decimal(1), s="x")
    assert target.look(REQUEST, [sent])[0].outcome == looked
    assert target.confirm(REQUEST, [sent])[0].outcome == confirmed


def test_a_record_of_unknown_id_is_found_by_ours(server: HttpsServer, opened: Open) -> None:
    find = {"path": "list", "param": "q", "field": "ref", "records_path": "data"}
    create = {"method": "POST", "path": "one"}
    target = opened(create=create, read=READ, repeat="look", correlation_field="ref", find=find)
    server.on(
        "/api/list", json_response({"data": [{"id": "8", "ref": "other"}, {"id": "9", "ref": "r0", "name": "n0"}]})
    )
    assert outcomes(target.look(REQUEST, creates(1))) == [("confirmed", "9")]
    assert server.requests[-1].query == {"q": "r0"}
    server.on("/api/list", json_response({"data": []}))
    assert outcomes(target.look(REQUEST, creates(1))) == [("unsent", None)]
    blind = opened(create=create)
    assert outcomes(blind.look(REQUEST, creates(1))) == [("unknown", None)]


@pytest.mark.parametrize("found", [{"error": "try later"}, "none", 0, None], ids=["object", "text", "number", "null"])
def test_a_search_that_answers_no_list_does_not_say_that_nothing_is_there(
    server: HttpsServer, opened: Open, found: Any
) -> None:
    find = {"path": "list", "param": "q", "field": "ref", "records_path": "data"}
    create = {"method": "POST", "path": "one"}
    target = opened(create=create, read=READ, repeat="look", correlation_field="ref", find=find)
    server.on("/api/list", json_response({"data": found}))
    assert outcomes(target.look(REQUEST, creates(1))) == [("unknown", None)]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (409, Outcome.CONFLICT),
        (428, Outcome.CONFLICT),
        (410, Outcome.GONE),
        (408, Outcome.UNKNOWN),
        (405, Outcome.REFUSED),
    ],
)
def test_a_status_means_the_same_for_one_record(
    server: HttpsServer, opened: Open, status: int, expected: Outcome
) -> None:
    target = opened(update={"method": "PATCH", "path": "one?id={key}"})
    server.on("/api/one", json_response({"error": "no"}, status))
    assert target.push(REQUEST, [update(name="x")])[0].outcome == expected
    assert target.calls == 1


def test_a_create_that_is_answered_without_an_id_names_none(server: HttpsServer, opened: Open) -> None:
    target = opened(create={"method": "POST", "path": "one"})
    server.on("/api/one", json_response({"ok": True}, 201))
    assert outcomes(target.push(REQUEST, creates(1))) == [("confirmed", None)]


def test_a_refusal_is_told_without_secrets(server: HttpsServer, opened: Open) -> None:
    target = opened(create={"method": "POST", "path": "one"})
    server.on("/api/one", json_response({"error": f"no name, {TOKEN}"}, 422))
    (receipt,) = target.push(REQUEST, creates(1))
    assert "no name" in (receipt.message or "")
    assert TOKEN not in (receipt.message or "")


def test_nothing_more_is_sent_once_a_system_is_away(server: HttpsServer, opened: Open) -> None:
    server.close()
    target = opened(create={"method": "POST", "path": "one"})
    assert outcomes(target.push(REQUEST, creates(3))) == [("unsent", None)] * 3
    assert target.calls == 1
