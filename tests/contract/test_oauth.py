"""Access tokens by OAuth 2, proven against a real HTTPS server that issues, ends and refuses them."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest
from kwiksync_ops.errors import AuthenticationError, InsecureTransportError, KwikSyncError, SystemUnavailableError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.https_server import Fault, HttpsServer, Request, Response, json_response, reset_after

SECRET = "canary-secret-91d2"
ROWS = [{"id": str(number), "name": f"row {number}"} for number in range(6)]
OPTIONS: dict[str, Any] = {
    "allow_hosts": ["127.0.0.0/8"],
    "records_path": "data",
    "pagination": {"type": "offset", "page_size": 2},
    "push": {"create": {"method": "POST", "path": "rows"}},
}


class Issuer:
    """Gives tokens for an hour each; only the newest is valid, and only a known client is given one."""

    def __init__(self, server: HttpsServer) -> None:
        self.asked: list[dict[str, str]] = []
        self.clients: list[str] = []
        self.valid = ""
        self.applied: list[bytes] = []
        self.refresh_token: str | None = None
        self.answer: Response | Fault | None = None
        self._numbers = itertools.count(1)
        server.on("/token", self._issue)
        server.on("/api/rows", self._serve)

    def revoke(self) -> None:
        self.valid = "revoked"

    def _issue(self, request: Request) -> Response | Fault:
        if self.answer:
            return self.answer
        asked = dict(parse_qsl(request.body.decode()))
        self.asked.append(asked)
        self.clients.append(request.headers.get("Authorization", ""))
        if self.refresh_token is not None and asked.get("refresh_token") != self.refresh_token:
            return json_response({"error": "invalid_grant", "error_description": f"used: {asked}"}, 400)
        number = next(self._numbers)
        self.valid = f"t0ken-value-{number}"
        told: dict[str, Any] = {"access_token": self.valid, "token_type": "Bearer", "expires_in": 3600}
        if self.refresh_token is not None:
            self.refresh_token = told["refresh_token"] = f"refreshed-{number}"
        return json_response(told)

    def _serve(self, request: Request) -> Response:
        if request.headers.get("Authorization") != f"Bearer {self.valid}":
            return json_response({"error": f"not valid: {request.headers.get('Authorization')}"}, 401)
        if request.method == "POST":
            self.applied.append(request.body)
            return json_response({"id": "9"}, 201)
        start = int(request.query["offset"])
        return json_response({"data": ROWS[start : start + 2]})


class Bench:
    def __init__(self, server: HttpsServer, ca_file: str) -> None:
        self.server = server
        self.issuer = Issuer(server)
        self.limiter = Unlimited()
        self.clock = ManualClock()
        self._ca_file = ca_file
        self._opened: list[Any] = []

    def credentials(self, **extra: str) -> Credentials:
        client = {"client_id": "kwik", "client_secret": SECRET, "token_url": self.server.url("/token")}
        return Credentials(self.server.url("/api"), ca_file=self._ca_file, extra={**client, **extra})

    def source(self, options: dict[str, Any] | None = None, **extra: str) -> Source:
        given = {**OPTIONS, **(options or {})}
        return self._kept(open_source("rest", self.credentials(**extra), given, self.limiter, self.clock))

    def target(self) -> Any:
        return self._kept(open_target("rest", self.credentials(), OPTIONS, self.limiter, self.clock))

    def read(self, source: Source) -> list[Any]:
        return [record for page in source.read(ReadRequest("rows", "id")) for record in page.records]

    def close(self) -> None:
        for each in self._opened:
            each.close()

    def _kept(self, opened: Any) -> Any:
        self._opened.append(opened)
        return opened


@pytest.fixture
def bench(https_server: Callable[[], HttpsServer], ca_file: str) -> Iterator[Bench]:
    found = Bench(https_server(), ca_file)
    yield found
    found.close()


def test_one_token_serves_a_whole_read_and_its_call_is_counted(bench: Bench) -> None:
    pages = list(bench.source().read(ReadRequest("rows", "id")))
    assert [record for page in pages for record in page.records] == ROWS
    assert [page.calls for page in pages] == [2, 1, 1, 1]
    assert bench.limiter.calls == len(bench.server.requests) == 5
    assert bench.issuer.asked == [{"grant_type": "client_credentials"}]
    assert bench.issuer.clients == ["Basic " + base64.b64encode(f"kwik:{SECRET}".encode()).decode()]


def test_client_and_further_fields_go_in_the_body_where_that_is_configured(bench: Bench) -> None:
    oauth = {"auth_style": "body", "params": {"audience": "https://erp"}}
    bench.read(bench.source({"oauth": oauth}, scope="read"))
    assert bench.issuer.clients == [""]
    assert bench.issuer.asked == [
        {
            "grant_type": "client_credentials",
            "scope": "read",
            "audience": "https://erp",
            "client_id": "kwik",
            "client_secret": SECRET,
        }
    ]


def test_a_token_is_renewed_shortly_before_its_end(bench: Bench) -> None:
    source = bench.source()
    bench.read(source)
    bench.clock.advance(3530)
    bench.read(source)
    bench.clock.advance(20)
    bench.read(source)
    assert len(bench.issuer.asked) == 2
    assert not any(request.headers.get("Authorization") == "Bearer " for request in bench.server.requests)


def test_a_token_that_was_revoked_is_renewed_in_the_middle_of_a_read(bench: Bench) -> None:
    pages = bench.source().read(ReadRequest("rows", "id"))
    next(pages)
    bench.issuer.revoke()
    second = next(pages)
    assert second.records == ROWS[2:4]
    assert second.calls == 3
    assert [record for page in pages for record in page.records] == ROWS[4:]


def test_a_system_that_refuses_every_token_is_asked_with_two(bench: Bench) -> None:
    bench.server.on("/api/rows", json_response({"error": "no rights"}, 401))
    with pytest.raises(AuthenticationError, match="refused") as caught:
        bench.read(bench.source())
    assert len(bench.issuer.asked) == 2
    assert len(bench.server.requests) == 4
    assert "t0ken-value" not in str(caught.value)


def test_a_token_in_the_answer_of_the_system_is_not_shown(bench: Bench) -> None:
    bench.server.on(
        "/api/rows", lambda request: json_response({"seen": [*request.headers["Authorization"].split()]}, 403)
    )
    with pytest.raises(AuthenticationError, match=r"\[redacted\]") as caught:
        bench.read(bench.source())
    assert "t0ken-value" not in str(caught.value)


def test_a_write_whose_token_was_refused_is_applied_once(bench: Bench) -> None:
    target = bench.target()
    request = PushRequest("rows", "id")
    first = target.push(request, [Delivery("d1", Action.CREATE, None, {"name": "a"}, "k1")])
    bench.issuer.revoke()
    second = target.push(request, [Delivery("d2", Action.CREATE, None, {"name": "b"}, "k2")])
    assert [receipt.outcome for receipt in (*first, *second)] == [Outcome.CONFIRMED] * 2
    assert bench.issuer.applied == [b'{"name":"a"}', b'{"name":"b"}']
    assert target.calls == len(bench.server.requests) == 5


def test_a_write_is_unsent_while_no_token_is_to_be_had(bench: Bench) -> None:
    bench.issuer.answer = json_response({}, 500)
    receipt = bench.target().push(PushRequest("rows", "id"), [Delivery("d1", Action.CREATE, None, {}, "k1")])[0]
    assert receipt.outcome == Outcome.UNSENT


def test_a_refresh_token_that_is_replaced_is_used_from_then_on(bench: Bench) -> None:
    bench.issuer.refresh_token = "first-refresh-token"
    source = bench.source(refresh_token="first-refresh-token")
    for _ in range(3):
        bench.read(source)
        bench.issuer.revoke()
    assert [asked["refresh_token"] for asked in bench.issuer.asked] == [
        "first-refresh-token",
        "refreshed-1",
        "refreshed-2",
    ]


def test_a_refresh_token_that_was_replaced_elsewhere_says_what_to_do(bench: Bench) -> None:
    bench.issuer.refresh_token = "another"
    with pytest.raises(AuthenticationError, match="invalid_grant") as caught:
        bench.read(bench.source(refresh_token="stale-refresh-token"))
    assert "set a new one" in caught.value.remedy
    assert "stale-refresh-token" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        (json_response({"error": "invalid_client"}, 401), AuthenticationError, "invalid_client"),
        (json_response({"error": "invalid_scope"}), AuthenticationError, "invalid_scope"),
        (Response(404, b"<html>"), AuthenticationError, "answered 404"),
        (Response(200, b"<html>", {"Content-Type": "text/html"}), SystemUnavailableError, "gave no token"),
        (json_response({"access_token": "a\nb"}), SystemUnavailableError, "gave no token"),
        (json_response({"access_token": "abc", "token_type": "mac"}), AuthenticationError, "type 'mac'"),
        (json_response({}, 500), SystemUnavailableError, "answered 500"),
        (reset_after(b"{"), SystemUnavailableError, "connection broke"),
    ],
)
def test_no_token_is_one_clear_error(
    bench: Bench, answer: Response | Fault, error: type[KwikSyncError], message: str
) -> None:
    bench.issuer.answer = answer
    with pytest.raises(error, match=message) as caught:
        bench.read(bench.source())
    assert SECRET not in str(caught.value)
    assert caught.value.remedy


def test_the_issuer_is_waited_for_as_long_as_it_asks(bench: Bench) -> None:
    issue = bench.issuer._issue
    answers = iter([Response(429, headers={"Retry-After": "7"})])
    bench.server.on("/token", lambda request: next(answers, None) or issue(request))
    assert bench.read(bench.source()) == ROWS
    assert bench.clock.slept == [7.0]


def test_tokens_are_asked_for_over_https_only(bench: Bench) -> None:
    with pytest.raises(InsecureTransportError, match="not HTTPS"):
        bench.source(token_url="http://login.example/token")


def test_a_token_address_in_a_private_network_must_be_allowed(bench: Bench) -> None:
    source = bench.source(token_url="https://192.168.7.7/token")
    with pytest.raises(InsecureTransportError, match=r"192\.168\.7\.7"):
        bench.read(source)


def test_a_table_has_no_oauth_of_its_own(bench: Bench) -> None:
    with pytest.raises(KwikSyncError, match="sets auth"):
        list(bench.source().read(ReadRequest("rows", "id", options={"auth": "none"})))
