"""How a REST system knows who calls: signatures, sessions that end, and waits that a 403 asks for; over real HTTPS."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest
from kwiksync_ops.errors import AuthenticationError, KwikSyncError, RateLimitError, SystemUnavailableError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.desk_apps import LOGIN, PASSWORD, RPC, RpcDesk, Store
from tests.support.https_server import HttpsServer, Request, Response, in_turn, json_response

SECRET = "canary-hmac-secret-77"
READ = ReadRequest("rows", "id")


class Bench:
    def __init__(self, server: HttpsServer, ca_file: str) -> None:
        self.server = server
        self.limiter = Unlimited()
        self.clock = ManualClock()
        self.stack = ExitStack()
        self._ca_file = ca_file

    def credentials(self, **fields: Any) -> Credentials:
        return Credentials(self.server.url("/api"), ca_file=self._ca_file, allow_hosts=("127.0.0.1",), **fields)

    def source(self, options: dict[str, Any], **fields: Any) -> Source:
        opened = open_source("rest", self.credentials(**fields), options, self.limiter, self.clock)
        return self.stack.enter_context(closing(opened))

    def target(self, options: dict[str, Any], **fields: Any) -> Any:
        opened = open_target("rest", self.credentials(**fields), options, self.limiter, self.clock)
        return self.stack.enter_context(closing(opened))


@pytest.fixture
def bench(https_server: Callable[[], HttpsServer], ca_file: str) -> Iterator[Bench]:
    found = Bench(https_server(), ca_file)
    with found.stack:
        yield found


def is_signed(request: Request) -> bool:
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    path = f"{request.path}?{query}" if query else request.path
    text = f"{request.headers['X-Timestamp']}\n{request.method}\n{path}\n{request.body.decode()}"
    return request.headers["X-Signature"] == hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def test_every_call_is_signed_as_it_is_sent(bench: Bench) -> None:
    pages = {"1": [{"id": "ü", "name": "a"}], "2": []}

    def answer(request: Request) -> Response:
        if not is_signed(request):
            return json_response({}, 401)
        return json_response({"id": "7"} if request.method == "POST" else pages[request.query["page"]])

    bench.server.on("/api/rows", answer)
    options = {
        "auth": "hmac",
        "pagination": {"type": "page_number"},
        "push": {"create": {"method": "POST", "path": "rows"}},
    }
    extra = {"hmac_secret": SECRET}
    assert [page.records for page in bench.source(options, extra=extra).read(READ)] == [pages["1"], []]
    delivery = Delivery("d1", Action.CREATE, None, {"name": "Grüße"}, "k1")
    receipt = bench.target(options, extra=extra).push(PushRequest("rows", "id"), [delivery])[0]
    assert (receipt.outcome, receipt.key) == (Outcome.CONFIRMED, "7")


def test_a_signature_that_is_refused_is_told_without_the_secret(bench: Bench) -> None:
    bench.server.on("/api/rows", lambda request: json_response({"expected": SECRET}, 401))
    with pytest.raises(AuthenticationError) as caught:
        list(bench.source({"auth": "hmac"}, extra={"hmac_secret": SECRET}).read(READ))
    assert SECRET not in str(caught.value)
    assert len(bench.server.requests) == 1


def test_headers_are_made_of_what_the_connection_holds(bench: Bench) -> None:
    bench.server.on("/api/rows", json_response([]))
    options = {"headers": {"X-App-Id": "${client_id}", "X-App-Key": "Key ${client_secret}"}, "auth": "none"}
    list(bench.source(options, extra={"client_id": "kwik", "client_secret": SECRET}).read(READ))
    sent = bench.server.requests[0].headers
    assert (sent["X-App-Id"], sent["X-App-Key"]) == ("kwik", f"Key {SECRET}")
    with pytest.raises(AuthenticationError, match="X-App-Id can't be made of"):
        bench.source(options)


@pytest.fixture
def desk(bench: Bench) -> RpcDesk:
    store = Store()
    for number in range(20):
        at = f"2026-01-15T12:00:{number:02d}Z"
        store.records[f"R{number:02d}"] = {"id": f"R{number:02d}", "amount": number, "updated_at": at}
    return RpcDesk(store, bench.server)


RPC_READ = ReadRequest("rpc", "id", cursor_field="updated_at", page_records=5)


def test_a_session_is_opened_once_and_again_when_it_ended(bench: Bench, desk: RpcDesk) -> None:
    pages = bench.source(RPC, login=LOGIN, password=PASSWORD).read(RPC_READ)
    first = [next(pages), next(pages)]
    desk.end_session()
    rest = list(pages)
    assert desk.logins == 2
    assert [page.calls for page in (*first, *rest)] == [2, 1, 3, 1, 1]
    assert [record["amount"] for page in (*first, *rest) for record in page.records] == list(range(20))


def test_a_write_into_a_session_that_ended_is_applied_once(bench: Bench, desk: RpcDesk) -> None:
    target = bench.target(RPC, login=LOGIN, password=PASSWORD)
    request = PushRequest("rpc", "id")
    for number in range(2):
        delivery = Delivery(f"d{number}", Action.CREATE, None, {"amount": number}, f"k{number}")
        assert target.push(request, [delivery])[0].outcome == Outcome.CONFIRMED
        desk.end_session()
    assert target.calls == 5
    assert desk.logins == 2


def test_a_login_that_gives_no_session_is_told(bench: Bench, desk: RpcDesk) -> None:
    with pytest.raises(AuthenticationError, match="has no session") as caught:
        list(bench.source(RPC, login=LOGIN, password="wrong-password").read(RPC_READ))
    assert "wrong-password" not in str(caught.value)


def test_a_session_that_is_never_taken_ends_the_read_after_one_more_login(bench: Bench, desk: RpcDesk) -> None:
    source = bench.source({**RPC, "session": {**RPC["session"], "headers": {}}}, login=LOGIN, password=PASSWORD)
    with pytest.raises(SystemUnavailableError, match="the session has ended"):
        list(source.read(RPC_READ))
    assert desk.logins == 2


def test_a_session_by_cookie_needs_no_header(bench: Bench) -> None:
    bench.server.on("/api/login", Response(200, b"{}", {"Set-Cookie": "sid=cookie-value-9; Path=/; Secure; HttpOnly"}))
    bench.server.on(
        "/api/rows",
        lambda request: json_response([{"id": "1"}] if request.headers.get("Cookie") == "sid=cookie-value-9" else []),
    )
    options = {"auth": "session", "session": {"path": "login", "body": {"user": "${login}", "password": "${password}"}}}
    pages = list(bench.source(options, login=LOGIN, password=PASSWORD).read(READ))
    assert [page.records for page in pages] == [[{"id": "1"}]]
    assert json.loads(bench.server.requests[0].body) == {"user": LOGIN, "password": PASSWORD}


def test_a_403_that_says_how_long_to_wait_is_waited_for(bench: Bench) -> None:
    busy = json_response({"message": "secondary rate limit"}, 403, {"Retry-After": "9"})
    bench.server.on("/api/rows", in_turn(busy, json_response([{"id": "1"}])))
    assert next(bench.source({}).read(READ)).calls == 2
    assert bench.clock.slept == [9.0]


def test_a_403_that_asks_to_wait_too_long_is_a_rate_limit(bench: Bench) -> None:
    bench.server.on("/api/rows", json_response({}, 403, {"Retry-After": "900"}))
    with pytest.raises(RateLimitError) as caught:
        list(bench.source({}).read(READ))
    assert caught.value.retry_after_s == 900.0
    options = {"push": {"create": {"method": "POST", "path": "rows"}}}
    receipt = bench.target(options).push(PushRequest("rows", "id"), [Delivery("d", Action.CREATE, None, {}, "k")])[0]
    assert (receipt.outcome, receipt.retry_after_s, receipt.code) == (Outcome.UNSENT, 900.0, "ERR_007")


@pytest.mark.parametrize("auth", ["hmac", "session", "oauth2"])
def test_a_connection_that_lacks_what_a_scheme_needs_is_told(bench: Bench, auth: str) -> None:
    options = {"auth": auth, **({"session": RPC["session"]} if auth == "session" else {})}
    bench.server.on("/api/rpc", json_response({"result": None}))
    with pytest.raises(KwikSyncError, match=r"ERR_003"):
        list(bench.source(options).read(READ))
    assert [request.path for request in bench.server.requests] in ([], ["/api/rpc"])


def test_a_check_by_a_body_tells_the_error_that_comes_with_status_200(bench: Bench) -> None:
    bench.server.on("/api/graphql", json_response({"errors": [{"message": "no rights"}]}))
    options = {"error_path": "errors", "check_path": "graphql", "check_body": {"query": "{ viewer }"}}
    with pytest.raises(SystemUnavailableError, match="no rights"):
        bench.source(options).check()
    assert bench.server.requests[0].method == "POST"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Response(200, b"<html>", {"Content-Type": "text/html"}), "has no session"),
        (json_response({"result": [7, {"no": "text"}]}), "has no session"),
        (json_response({"result": [7, "two\nlines"]}), "can stand in no header"),
        (json_response({"error": "blocked"}, 403), "Logging in at"),
    ],
)
def test_a_login_whose_answer_serves_not_is_told(bench: Bench, answer: Response, says: str) -> None:
    bench.server.on("/api/rpc", answer)
    with pytest.raises(AuthenticationError, match=says):
        list(bench.source(RPC, login=LOGIN, password=PASSWORD).read(RPC_READ))


def test_a_check_finds_a_web_page_and_says_so(bench: Bench) -> None:
    bench.server.on("/api/", Response(200, b"<html>", {"Content-Type": "text/html; charset=utf-8"}))
    bench.server.on("/api", Response(200, b"<html>", {"Content-Type": "text/html; charset=utf-8"}))
    assert "That is a web page" in bench.target({"error_path": "error"}).check()
