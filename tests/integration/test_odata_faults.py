"""What services do that none should, and what some demand: CSRF tokens, ETags, cut batches, links that lead nowhere."""

from __future__ import annotations

import base64
import json
import logging
import ssl
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import trustme

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    InsecureTransportError,
    KwikSyncError,
    SystemUnavailableError,
)
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.https_server import Request, Response, json_response
from tests.support.odata_server import ROOT, ODataServer, ODataService, Settings

BEGINNING = datetime(2026, 1, 15, 12, tzinfo=UTC)
CANARY = "canary-4f1d8c9b7a6e"
KEYSET = {"pagination": {"type": "keyset"}}
BATCH = {"push": {"batch": {"records": 50}}}
SINGLE = {"push": {"repeat": "look"}}


class Desk:
    """A service with our connector to it."""

    def __init__(self, server: ODataServer, ca_file: str) -> None:
        self.service = server.service
        self.limiter = Unlimited()
        self.clock = ManualClock()
        self.credentials = Credentials(server.url(ROOT), login="sync", password=CANARY, ca_file=ca_file)

    def fill(self, count: int, step: timedelta = timedelta(seconds=1)) -> list[str]:
        for number in range(count):
            key = f"K{number:03d}"
            self.service.put("Tickets", ID=key, name="n", amount=Decimal(number), changedAt=BEGINNING + step * number)
        return [key for (key,) in self.service.entities["Tickets"]]

    def read(self, options: Mapping[str, Any] | None = None, **changes: Any) -> list[Page]:
        opened = {"allow_hosts": ["127.0.0.0/8"], **(options or {})}
        request = ReadRequest(**{"source": "Tickets", "key": "ID", "cursor_field": "changedAt", **changes})
        with closing(open_source("odata", self.credentials, opened, self.limiter, self.clock)) as source:
            return list(source.read(replace(request, page_records=10)))

    def push(
        self, options: Mapping[str, Any], *deliveries: Delivery, look: bool = False, **changes: str
    ) -> list[Receipt]:
        opened = {"allow_hosts": ["127.0.0.0/8"], **options}
        request = PushRequest(changes.get("source", "Tickets"), changes.get("key", "ID"))
        with closing(open_target("odata", self.credentials, opened, self.limiter, self.clock)) as target:
            return target.look(request, deliveries) if look else target.push(request, deliveries)

    def check(self, credentials: Credentials) -> str:
        opened = {"allow_hosts": ["127.0.0.0/8"]}
        with closing(open_source("odata", credentials, opened, self.limiter, self.clock)) as source:
            return source.check()

    def sent(self, method: str) -> list[Request]:
        return [request for request in self.service.requests if request.method == method]

    def spoil(self, change: Callable[[Any], Any], *, calls: tuple[int, ...] = (1,)) -> None:
        """Change what the n-th list says."""
        seen = [0]

        def after(request: Request, answer: Response) -> Response:
            if not request.path.endswith("/Tickets"):
                return answer
            seen[0] += 1
            if seen[0] not in calls:
                return answer
            return json_response(change(json.loads(answer.body)), headers=answer.headers)

        self.service.after = after


@pytest.fixture
def start(certificate_authority: trustme.CA, ca_file: str) -> Iterator[Callable[..., Desk]]:
    """Starts a service of a version, with its settings."""
    started: list[ODataServer] = []

    def begin(version: str = "v4", **settings: Any) -> Desk:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
        started.append(ODataServer(context, ODataService(version, Settings(**{"page_cap": 10, **settings}))))
        return Desk(started[-1], ca_file)

    yield begin
    for server in started:
        server.close()


both = pytest.mark.parametrize("version", ["v4", "v2"])


def create(key: str | None, **fields: Any) -> Delivery:
    payload = {"name": "n", **fields} if key is None else {"ID": key, "name": "n", **fields}
    return Delivery(f"c-{key}", Action.CREATE, None, payload, f"k-{key}", record_id="0" * 31 + "7")


def update(key: str, **fields: Any) -> Delivery:
    return Delivery(f"u-{key}", Action.UPDATE, key, fields, f"k-{key}")


def outcomes(receipts: list[Receipt]) -> list[Outcome]:
    return [receipt.outcome for receipt in receipts]


def ids(pages: list[Page]) -> list[str]:
    return [record["ID"] for page in pages for record in page.records]


# What services demand


@both
@pytest.mark.parametrize("options", [SINGLE, BATCH], ids=["single", "batch"])
def test_a_token_against_forgery_is_fetched_once_with_its_cookie(
    start: Callable[..., Desk], version: str, options: Mapping[str, Any]
) -> None:
    desk = start(version, needs_csrf=True)
    assert outcomes(desk.push(options, create("A"), create("B"), create("C"))) == [Outcome.CONFIRMED] * 3
    assert len([request for request in desk.sent("GET") if request.headers.get("X-CSRF-Token") == "Fetch"]) == 1
    assert len(desk.service.requests) == desk.limiter.calls


def test_a_service_that_asks_for_a_token_and_gives_none_is_told(start: Callable[..., Desk]) -> None:
    desk = start()
    refused = Response(403, headers={"X-CSRF-Token": "Required"})
    desk.service.before = lambda request: refused if request.method == "POST" else None
    desk.service.after = lambda request, answer: answer if request.path != f"{ROOT}/" else Response(200, b"{}")
    with pytest.raises(AuthenticationError, match="gives none"):
        desk.push(SINGLE, create("A"))


@both
@pytest.mark.parametrize("options", [SINGLE, BATCH], ids=["single", "batch"])
def test_where_an_etag_is_asked_for_it_is_read(
    start: Callable[..., Desk], version: str, options: Mapping[str, Any]
) -> None:
    desk = start(version, needs_etag=True)
    desk.fill(2)
    receipts = desk.push(options, update("K000", name="changed"), update("K001", name="changed"))
    assert outcomes(receipts) == [Outcome.CONFIRMED] * 2
    assert {entity["name"] for entity in desk.service.entities["Tickets"].values()} == {"changed"}
    assert receipts[0].etag == 'W/"2"'


def test_a_record_that_is_gone_where_an_etag_is_asked_for_is_gone(start: Callable[..., Desk]) -> None:
    desk = start("v4", needs_etag=True)
    assert outcomes(desk.push(SINGLE, update("none", name="x"))) == [Outcome.GONE]
    assert desk.service.entities["Tickets"] == {}


def test_without_if_match_version_4_would_create_what_is_gone(start: Callable[..., Desk]) -> None:
    desk = start("v4")
    desk.push({"push": {"if_match": False}}, update("none", name="x"))
    assert list(desk.service.entities["Tickets"]) == [("none",)]
    assert outcomes(desk.push(SINGLE, update("none 2", name="x"))) == [Outcome.GONE]
    assert list(desk.service.entities["Tickets"]) == [("none",)]


@both
def test_a_key_that_the_system_gives_is_taken_from_the_answer_or_its_address(
    start: Callable[..., Desk], version: str
) -> None:
    for says_it in (True, False):
        desk = start(version, answers_changes=says_it)
        assert [receipt.key for receipt in desk.push(SINGLE, create(None), create(None))] == ["N00001", "N00002"]
        item = Delivery("i", Action.CREATE, None, {"Ticket": "A/1'", "Position": 3}, "k")
        (receipt,) = desk.push(SINGLE, item, source="Items", key="@key")
        assert receipt.key == "Ticket='A/1''',Position=3"


@both
def test_a_create_of_unknown_outcome_is_found_by_our_own_id(start: Callable[..., Desk], version: str) -> None:
    desk = start(version)
    options = {"push": {"correlation_field": "ref"}}
    delivery = create(None)
    assert outcomes(desk.push(options, delivery, look=True)) == [Outcome.UNSENT]
    desk.service.after = lambda request, answer: Response(500) if request.method == "POST" else answer
    assert outcomes(desk.push(options, delivery)) == [Outcome.UNKNOWN]
    (found,) = desk.push(options, delivery, look=True)
    assert (found.outcome, found.key) == (Outcome.CONFIRMED, "N00001")
    assert outcomes(desk.push(SINGLE, delivery, look=True)) == [Outcome.UNKNOWN]


def test_an_upsert_is_one_record_however_often_it_is_sent(start: Callable[..., Desk]) -> None:
    desk = start()
    by_key = {"push": {"repeat": "upsert"}}
    for _ in range(2):
        (receipt,) = desk.push(by_key, create("A/1", amount="2"))
        assert (receipt.outcome, receipt.key) == (Outcome.CONFIRMED, "A/1")
    assert list(desk.service.entities["Tickets"]) == [("A/1",)]
    assert outcomes(desk.push(by_key, create(None))) == [Outcome.REFUSED]
    with pytest.raises(ConfigurationError, match="no upsert"):
        start("v2").push(by_key, create("A"))


def test_an_upsert_may_go_by_our_own_id_as_an_alternate_key(start: Callable[..., Desk]) -> None:
    desk = start()
    desk.service.before = lambda request: (
        Response(204, headers={"OData-EntityId": f"https://desk{ROOT}/Tickets('N1')"})
        if request.method == "PATCH"
        else None
    )
    (receipt,) = desk.push({"push": {"repeat": "upsert", "correlation_field": "ref"}}, create(None))
    assert (receipt.outcome, receipt.key) == (Outcome.CONFIRMED, "N1")
    (sent,) = desk.sent("PATCH")
    assert sent.path == f"{ROOT}/Tickets(ref='{'0' * 31}7')"
    assert json.loads(sent.body) == {"name": "n"}
    assert "If-Match" not in sent.headers


@both
def test_a_whole_record_goes_out_by_put_where_that_is_asked_for(start: Callable[..., Desk], version: str) -> None:
    desk = start(version)
    desk.fill(1)
    options = {"push": {"update": "PUT", "actions": ["update"]}, "allow_hosts": ["127.0.0.0/8"]}
    assert outcomes(desk.push(options, update("K000", name="whole"))) == [Outcome.CONFIRMED]
    assert [request.method for request in desk.service.requests] == ["GET", "PUT"]
    assert desk.service.entities["Tickets"]["K000",]["amount"] is None
    with closing(open_target("odata", desk.credentials, options, Unlimited(), ManualClock())) as target:
        request = PushRequest("Tickets", "ID")
        assert not target.sends_changes_only(request)
        assert [action for action in Action if target.sends(request, action)] == [Action.UPDATE]


def test_the_way_of_a_service_stands_in_the_source(start: Callable[..., Desk]) -> None:
    desk = start()
    keys = desk.fill(3)
    desk.credentials = replace(desk.credentials, base_url=desk.credentials.base_url.removesuffix("/desk"))
    assert ids(desk.read(source="desk/Tickets")) == keys
    assert "is reachable and no OData service itself (404 for its metadata)" in desk.check(desk.credentials)


def test_fixed_parameters_go_with_every_call(start: Callable[..., Desk]) -> None:
    desk = start("v2", needs_csrf=True)
    desk.fill(1)
    fixed = {"params": {"sap-client": "100"}}
    desk.read(fixed)
    desk.push({**fixed, **SINGLE}, create("A"), update("K000", name="b"))
    desk.push({**fixed, **BATCH}, create("B"), create("C"))
    of_records = [request for request in desk.service.requests if request.path != f"{ROOT}/"]
    assert {request.query.get("sap-client") for request in of_records} == {"100"}


def test_a_token_is_asked_for_by_oauth(start: Callable[..., Desk]) -> None:
    desk = start(authorization="Bearer access-token-0123456789")
    token = json_response({"access_token": "access-token-0123456789", "token_type": "bearer", "expires_in": 3600})
    desk.service.before = lambda request: token if request.path == "/oauth/token" else None
    keys = desk.fill(12)
    extra = {"client_id": "kwiksync", "client_secret": "client-secret-0123456789", "token_url": "/oauth/token"}
    desk.credentials = replace(desk.credentials, login=None, password=None, extra=extra)
    pages = desk.read(KEYSET)
    assert ids(pages) == keys
    assert sum(page.calls for page in pages) == desk.limiter.calls == len(desk.service.requests)


@pytest.mark.parametrize("decimals", ["string", "number"])
def test_decimals_are_exchanged_as_the_option_says(start: Callable[..., Desk], decimals: str) -> None:
    desk = start()
    options = {"decimals": decimals, **SINGLE}
    assert outcomes(desk.push(options, create("A", amount=Decimal("12.75"), visits=7))) == [Outcome.CONFIRMED]
    (record,) = desk.read(options)[0].records
    assert record["amount"] == ("12.75" if decimals == "string" else Decimal("12.75"))
    assert desk.service.entities["Tickets"]["A",]["amount"] == Decimal("12.75")


# Paging


def test_a_service_without_or_is_read_by_two_queries(start: Callable[..., Desk]) -> None:
    desk = start("v2", takes_or=False)
    keys = desk.fill(35, timedelta(seconds=0))
    assert ids(desk.read({"pagination": {"type": "keyset", "two_queries": True}})) == keys
    with pytest.raises(ConfigurationError, match="BAD_QUERY: or is not supported"):
        desk.read(KEYSET)


@both
@pytest.mark.parametrize("two_queries", [False, True], ids=["one query", "two queries"])
@pytest.mark.parametrize(("page_cap", "count"), [(7, True), (7, False), (10, False), (100, False)])
@pytest.mark.parametrize("step", [0, 0.001, 0.03, 0.3])
def test_times_that_are_told_less_exactly_than_they_are_kept_lose_nothing(
    start: Callable[..., Desk], version: str, step: float, page_cap: int, two_queries: bool, count: bool
) -> None:
    desk = start(version, page_cap=page_cap, tells_seconds=True)
    unit = timedelta(seconds=1) if version == "v4" else timedelta(milliseconds=1)
    keys = desk.fill(35, unit * step)
    for key in keys:
        desk.service.entities["Tickets"][key,]["changedAt"] += unit * 0.456
    read = ids(desk.read({"pagination": {"type": "keyset", "two_queries": two_queries}, "count": count}))
    assert sorted(set(read)) == keys
    assert len(read) < 2 * len(keys)


def test_a_table_without_a_cursor_is_read_by_its_key(start: Callable[..., Desk]) -> None:
    desk = start("v2")
    keys = desk.fill(25)
    assert ids(desk.read(KEYSET, cursor_field=None)) == keys


@both
def test_a_poison_record_is_rejected_alone_wherever_it_stands(start: Callable[..., Desk], version: str) -> None:
    desk = start(version)
    keys = desk.fill(25)
    for bad in (0, 4, 9):

        def poison(document: Any, bad: int = bad) -> Any:
            records = document["d"]["results"] if version == "v2" else document["value"]
            records[bad]["name"] = float("nan")
            return document

        desk.spoil(poison, calls=(2,))
        pages = desk.read(KEYSET)
        assert ids(pages) == [key for key in keys if key != f"K{10 + bad:03d}"]
        (reject,) = (reject for page in pages for reject in page.rejects)
        assert (reject.code, reject.external_id) == ("ERR_008", f"K{10 + bad:03d}")


@both
@pytest.mark.parametrize("bad", [0, 4, 9])
def test_a_poison_record_of_a_composite_key_is_rejected_once(
    start: Callable[..., Desk], version: str, bad: int
) -> None:
    desk = start(version)
    for number in range(25):
        desk.service.put("Items", Ticket=f"T{number // 4}", Position=number, changedAt=BEGINNING)

    def poison(request: Request, answer: Response) -> Response:
        if not request.path.endswith("Items"):
            return answer
        document = json.loads(answer.body)
        for record in document["d"]["results"] if version == "v2" else document["value"]:
            record["text"] = float("nan") if record["Position"] == 10 + bad else "sound"
        return json_response(document, headers=answer.headers)

    desk.service.after = poison
    pages = desk.read(KEYSET, source="Items", key="@key")
    assert [record["Position"] for page in pages for record in page.records] == [
        number for number in range(25) if number != 10 + bad
    ]
    assert len([reject for page in pages for reject in page.rejects]) == 1


@both
def test_a_record_whose_linked_records_are_cut_is_rejected(start: Callable[..., Desk], version: str) -> None:
    desk = start(version, page_cap=3)
    desk.fill(2)
    for number in range(4):
        desk.service.put("Items", Ticket="K001", Position=number)
    pages = desk.read({"expand": ["items"], **KEYSET})
    assert ids(pages) == ["K000"]
    (reject,) = (reject for page in pages for reject in page.rejects)
    assert (reject.external_id, reject.field) == ("K001", "items")


@pytest.mark.parametrize("ignored", ["$filter", "$orderby"])
def test_a_service_that_ignores_what_a_read_by_key_needs_is_found_out(start: Callable[..., Desk], ignored: str) -> None:
    desk = start()
    desk.fill(25, -timedelta(seconds=1))

    def ignoring(request: Request) -> Response | None:
        query = {name: value for name, value in request.query.items() if name != ignored}
        return desk.service.proper_answer(replace(request, query=query)) if request.query else None

    desk.service.before = ignoring
    with pytest.raises(ConfigurationError, match="does not keep to"):
        desk.read(KEYSET)


def test_links_that_lead_in_a_circle_are_a_page_loop(start: Callable[..., Desk]) -> None:
    desk = start()
    desk.fill(35)
    desk.spoil(lambda document: {**document, "@odata.nextLink": "Tickets?$skiptoken=10"}, calls=(1, 2, 3, 4))
    with pytest.raises(SystemUnavailableError, match="page loop"):
        desk.read()


def test_an_empty_page_with_a_link_is_not_the_last(start: Callable[..., Desk]) -> None:
    desk = start()
    keys = desk.fill(25)
    desk.spoil(lambda document: {**document, "value": []}, calls=(2,))
    pages = desk.read()
    assert [len(page.records) for page in pages] == [10, 0, 5]
    assert ids(pages) == keys[:10] + keys[20:]


@pytest.mark.parametrize("link", ["https://evil.example/Tickets", f"Tickets?$skiptoken={CANARY}"])
def test_a_link_that_leads_away_or_holds_a_credential_is_not_followed(start: Callable[..., Desk], link: str) -> None:
    desk = start()
    desk.fill(3)
    desk.spoil(lambda document: {**document, "@odata.nextLink": link})
    with pytest.raises(InsecureTransportError, match="not followed"):
        desk.read()


@both
def test_fewer_records_than_were_counted_are_an_error_that_starts_again(
    start: Callable[..., Desk], version: str
) -> None:
    desk = start(version)
    desk.fill(15)

    def less(document: Any) -> Any:
        (document["d"]["results"] if version == "v2" else document["value"]).pop()
        return document

    desk.spoil(less, calls=(1,))
    with pytest.raises(SystemUnavailableError, match="14 different records, though the system has 15") as caught:
        desk.read({"count": True})
    assert caught.value.facts["restart"] is True


def test_a_position_that_the_system_forgot_starts_the_read_again(start: Callable[..., Desk]) -> None:
    desk = start()
    desk.fill(25)
    gone = json_response({"error": {"code": "GONE", "message": "The token has ended."}}, 410)
    desk.service.before = lambda request: gone if "$skiptoken" in request.query else None
    with pytest.raises(SystemUnavailableError, match=r"GONE: The token has ended\.") as caught:
        desk.read()
    assert caught.value.facts["restart"] is True


def test_another_way_of_paging_than_the_token_has_starts_the_read_again(start: Callable[..., Desk]) -> None:
    desk = start()
    desk.fill(25)
    token = desk.read()[0].resume
    with pytest.raises(ConfigurationError) as caught:
        desk.read(KEYSET, resume=token)
    assert caught.value.facts["restart"] is True


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html><body>Log in</body></html>", "its root is <html>"),
        (b"{}", "it is not XML"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><edmx:Edmx/>', "declares entities of its own"),
        (b"", "it is not XML"),
    ],
)
def test_metadata_that_are_none_are_told(start: Callable[..., Desk], body: bytes, why: str) -> None:
    desk = start()
    desk.service.before = lambda request: Response(200, body, {"Content-Type": "text/html"})
    with pytest.raises(SystemUnavailableError, match=why):
        desk.read()
    assert outcomes(desk.push(SINGLE, create("A"))) == [Outcome.UNSENT]
    assert outcomes(desk.push(SINGLE, create("A"), look=True)) == [Outcome.UNKNOWN]


# Batches


def test_what_comes_behind_the_end_of_a_batch_was_not_sent(start: Callable[..., Desk]) -> None:
    desk = start(continues_on_error=False)
    receipts = desk.push(BATCH, create("A"), create("B", amount="many"), create("C"), create("D"))
    assert outcomes(receipts) == [Outcome.CONFIRMED, Outcome.REFUSED, Outcome.UNSENT, Outcome.UNSENT]
    assert list(desk.service.entities["Tickets"]) == [("A",)]


@both
def test_a_batch_that_is_refused_whole_was_not_sent(start: Callable[..., Desk], version: str) -> None:
    desk = start(version, batch_limit=2)
    receipts = desk.push(BATCH, create("A"), create("B"), create("C"))
    assert outcomes(receipts) == [Outcome.UNSENT] * 3
    assert "At most 2 operations" in str(receipts[0].message)
    assert outcomes(desk.push(BATCH, create("A"), create("B"))) == [Outcome.CONFIRMED] * 2


@pytest.mark.parametrize("kind", ["multipart", "json"])
def test_a_batch_whose_answer_is_cut_off_or_mixed_up_may_have_arrived(start: Callable[..., Desk], kind: str) -> None:
    desk = start()
    options = {"push": {"batch": {"records": 50, "format": kind}}}
    deliveries = [create("A"), create("B")]

    def cut(request: Request, answer: Response) -> Response:
        return replace(answer, body=answer.body[: len(answer.body) - 40]) if request.method == "POST" else answer

    desk.service.after = cut
    assert outcomes(desk.push(options, *deliveries)) == [Outcome.UNKNOWN] * 2
    assert len(desk.service.entities["Tickets"]) == 2
    assert outcomes(desk.push(options, *deliveries, look=True)) == [Outcome.CONFIRMED] * 2


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Response(500), Outcome.UNKNOWN),
        (Response(503), Outcome.UNKNOWN),
        (Response(503, headers={"Retry-After": "9"}), Outcome.UNSENT),
        (Response(429, headers={"Retry-After": "9"}), Outcome.UNSENT),
        (Response(403, headers={"Retry-After": "9"}), Outcome.UNSENT),
        (Response(200, b"<html></html>", {"Content-Type": "text/html"}), Outcome.UNKNOWN),
        (json_response({"responses": [{"id": "1", "status": 201}]}), Outcome.UNKNOWN),
    ],
)
def test_an_answer_to_a_batch_claims_no_more_than_it_says(
    start: Callable[..., Desk], answer: Response, expected: Outcome
) -> None:
    desk = start()
    desk.service.before = lambda request: answer if request.method == "POST" else None
    assert outcomes(desk.push(BATCH, create("A"), create("B")))[1] == expected


def test_a_record_whose_id_does_not_fit_its_key_is_refused_before_it_is_sent(start: Callable[..., Desk]) -> None:
    desk = start()
    desk.service.put("Items", Ticket="A", Position=1)
    for options in (SINGLE, BATCH):
        receipts = desk.push(
            options,
            update("Ticket='A'", text="x"),
            update("Ticket='A',Position=1", text="x"),
            source="Items",
            key="@key",
        )
        assert outcomes(receipts) == [Outcome.REFUSED, Outcome.CONFIRMED]


def test_what_a_batch_applied_is_told_though_one_of_its_records_may_not_be_read(start: Callable[..., Desk]) -> None:
    desk = start(needs_etag=True)
    desk.fill(1)
    denied = Response(403)
    desk.service.before = lambda request: denied if request.method == "GET" and "K000" in request.path else None
    created = [create("A"), create("B")]
    receipts = desk.push(BATCH, created[0], update("K000", name="x"), created[1])
    assert outcomes(receipts) == [Outcome.CONFIRMED, Outcome.UNSENT, Outcome.CONFIRMED]


def test_a_write_whose_token_can_not_be_fetched_now_was_not_sent(start: Callable[..., Desk]) -> None:
    desk = start(needs_csrf=True)
    desk.service.before = lambda request: Response(500) if request.path == f"{ROOT}/" else None
    assert outcomes(desk.push(SINGLE, create("A"))) == [Outcome.UNSENT]


# Secrets


def test_no_secret_shows_in_errors_receipts_tracebacks_or_logs(
    start: Callable[..., Desk], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    desk = start()
    desk.fill(1)
    basic = base64.b64encode(f"sync:{CANARY}".encode()).decode()
    said = f"password {CANARY} and Basic {basic}"
    shown: list[str] = []
    for status in (400, 401, 404, 429, 500, 503):
        error = json_response({"error": {"code": CANARY, "message": said}}, status, {"Retry-After": "999"})
        for path in ("$metadata", "Tickets", "$batch"):
            desk.service.before = lambda request, path=path, error=error: error if path in request.path else None
            for run in (
                desk.read,
                lambda: desk.push(SINGLE, create("A")),
                lambda: desk.push(BATCH, create("A"), create("B")),
            ):
                try:
                    shown.append(repr(run()))
                except KwikSyncError as exc:
                    shown += [*traceback.format_exception(exc), repr(exc.facts)]
    assert not [text for text in (*shown, caplog.text) if CANARY in text or basic in text]
