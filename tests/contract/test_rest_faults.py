"""What the network and the other side can do to a REST read, and what is said about it."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from kwiksync_ops.batch import Page
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.address import AddressGuard
from kwiksync_ops.connectors.http.timeouts import Timeouts
from kwiksync_ops.connectors.http.transport import HttpsTransport
from kwiksync_ops.connectors.rest.source import RestSource
from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionLostError,
    ConnectionTimeoutError,
    CustomerKeyError,
    InsecureTransportError,
    KwikSyncError,
    RateLimitError,
    SystemUnavailableError,
)
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.support.https_server import (
    HttpsServer,
    Response,
    in_turn,
    json_response,
    reset_after,
    silence,
    trickle,
    trickled_headers,
)

PATH = "/api/tickets"
RECORDS = [{"id": "1", "name": "one"}, {"id": "2", "name": "two"}]
GOOD = json_response({"data": RECORDS})
LOCAL = {"allow_hosts": ["127.0.0.0/8"]}
BASE = {"records_path": "data", "pagination": {"type": "none"}, **LOCAL}

StartServer = Callable[..., HttpsServer]


class Reader:
    """Reads one page from a server, with options on top of the plain ones."""

    def __init__(self, ca_file: str) -> None:
        self.clock = ManualClock()
        self.ca_file: str | None = ca_file
        self._opened: list[RestSource] = []

    def source(self, server: HttpsServer, base_url: str = "", **options: Any) -> RestSource:
        return self.source_at(base_url or server.url("/api"), **options)

    def source_at(self, base_url: str, **options: Any) -> RestSource:
        credentials = Credentials(base_url, ca_file=self.ca_file)
        self._opened.append(RestSource(credentials, {**BASE, **options}, Unlimited(), self.clock))
        return self._opened[-1]

    def __call__(self, server: HttpsServer, base_url: str = "", **options: Any) -> list[Page]:
        return list(self.source(server, base_url, **options).read(ReadRequest("tickets", key="id")))

    def failure(self, server: HttpsServer, base_url: str = "", **options: Any) -> KwikSyncError:
        with pytest.raises(KwikSyncError, match=r"^ERR_\d{3}: ") as caught:
            self(server, base_url, **options)
        return caught.value

    def close(self) -> None:
        for source in self._opened:
            source.close()


@pytest.fixture
def read(ca_file: str) -> Iterator[Reader]:
    reader = Reader(ca_file)
    yield reader
    reader.close()


@pytest.fixture
def server(https_server: StartServer) -> HttpsServer:
    return https_server()


# Time-outs


def test_no_bytes_is_a_time_out(server: HttpsServer, read: Reader) -> None:
    server.fail(PATH, silence)
    error = read.failure(server, timeouts={"read_s": 0.1})
    assert isinstance(error, ConnectionTimeoutError)
    assert "nothing came for 0.1 s" in str(error)


def test_a_body_that_stops_is_a_time_out(server: HttpsServer, read: Reader) -> None:
    server.fail(PATH, trickle(b'{"data"', before_each=lambda: None))
    assert read.failure(server, timeouts={"read_s": 0.1}).code == "ERR_002"


@pytest.mark.parametrize("fault", [trickle, trickled_headers], ids=["body", "headers"])
def test_a_byte_a_second_runs_into_the_total_time(server: HttpsServer, read: Reader, fault: Any) -> None:
    tick = lambda: read.clock.advance(1)  # noqa: E731  the fault's own words
    server.fail(PATH, fault(b" " * 500, before_each=tick) if fault is trickle else fault(before_each=tick))
    error = read.failure(server)
    assert isinstance(error, ConnectionTimeoutError)
    assert "not complete within 120 s" in str(error)


def test_a_silence_ends_with_the_total_time_when_that_is_shorter(server: HttpsServer, ca_file: str) -> None:
    server.fail(PATH, silence)
    options = {**BASE, "timeouts": {"read_s": 3_600, "total_s": 0.2}}
    source = RestSource(Credentials(server.url("/api"), ca_file=ca_file), options, Unlimited(), SystemClock())
    with pytest.raises(ConnectionTimeoutError, match=r"not complete within 0\.2 s"):
        list(source.read(ReadRequest("tickets", key="id")))
    source.close()


def test_a_machine_that_accepts_no_connection_is_a_time_out(
    server: HttpsServer, read: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_answer(*args: Any, **kwargs: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", no_answer)
    error = read.failure(server)
    assert isinstance(error, ConnectionTimeoutError)
    assert "no connection within 5 s" in str(error)


# Resends and waits


def test_nobody_listening_says_so(server: HttpsServer, read: Reader) -> None:
    server.close()
    error = read.failure(server)
    assert error.code == "ERR_011"
    assert "Connection refused" in str(error)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_passing_failure_is_sent_again_at_once(server: HttpsServer, read: Reader, status: int) -> None:
    server.on(PATH, in_turn(Response(status), Response(status), GOOD))
    (page,) = read(server)
    assert (page.records, page.calls, read.clock.slept) == (RECORDS, 3, [])


def test_a_failure_that_stays_ends_after_three_calls(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, Response(503, b"maintenance"))
    error = read.failure(server)
    assert isinstance(error, SystemUnavailableError)
    assert "answered 503, 'maintenance'" in str(error)
    assert len(server.requests) == 3


def test_an_error_of_the_system_itself_is_not_sent_again(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, Response(500))
    assert read.failure(server).code == "ERR_011"
    assert len(server.requests) == 1


def test_resets_are_sent_again_within_the_bound(server: HttpsServer, read: Reader) -> None:
    server.fail(PATH, reset_after(b'{"da'))
    assert read.failure(server).code == "ERR_011"
    assert len(server.requests) == 3


def test_retry_after_seconds_are_waited_exactly(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, in_turn(Response(429, headers={"Retry-After": "17"}), GOOD))
    (page,) = read(server)
    assert (page.records, page.calls, read.clock.slept) == (RECORDS, 2, [17.0])


def test_retry_after_date_counts_from_the_answers_own_date(server: HttpsServer, read: Reader) -> None:
    headers = {"Retry-After": "Wed, 15 Jan 2025 10:00:42 GMT", "Date": "Wed, 15 Jan 2025 10:00:00 GMT"}
    server.on(PATH, in_turn(_only_headers(429, headers), GOOD))
    read(server)
    assert read.clock.slept == [42.0]


@pytest.mark.parametrize("value", [None, "-5", "soon", "1e3", ""])
def test_retry_after_that_says_nothing_waits_half_a_minute(
    server: HttpsServer, read: Reader, value: str | None
) -> None:
    headers = {} if value is None else {"Retry-After": value}
    server.on(PATH, in_turn(Response(429, headers=headers), GOOD))
    read(server)
    assert read.clock.slept == [30.0]


@pytest.mark.parametrize(
    ("status", "error_type", "code"), [(429, RateLimitError, "ERR_007"), (503, SystemUnavailableError, "ERR_011")]
)
def test_a_wait_over_the_cap_is_left_to_the_task(
    server: HttpsServer, read: Reader, status: int, error_type: type[RateLimitError], code: str
) -> None:
    server.on(PATH, Response(status, headers={"Retry-After": "86400"}))
    error = read.failure(server)
    assert isinstance(error, error_type)
    assert (error.code, error.retry_after_s, read.clock.slept) == (code, 86400.0, [])


def test_waits_of_one_page_together_stay_under_the_cap(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, Response(429, headers={"Retry-After": "40"}))
    error = read.failure(server, retry_after_cap_s=60)
    assert isinstance(error, RateLimitError)
    assert read.clock.slept == [40.0]


# Refusals


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body",
    [{"error": {"code": "ERR_001"}}, {"code": "ERR_001"}, {"error": "ERR_001"}, {"message": "Unknown Customer-Key"}],
)
def test_a_refused_customer_key_is_told_from_refused_credentials(
    server: HttpsServer, read: Reader, status: int, body: dict[str, Any]
) -> None:
    server.on(PATH, json_response(body, status))
    assert isinstance(read.failure(server), CustomerKeyError)


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_an_authentication_error(server: HttpsServer, read: Reader, status: int) -> None:
    server.on(PATH, json_response({"error": "bad token"}, status))
    assert isinstance(read.failure(server), AuthenticationError)


@pytest.mark.parametrize("body", [b"<html>Forbidden</html>", b"[" * 100_000, b'"no"', gzip.compress(b"x", mtime=0)[:9]])
def test_a_refusal_in_any_form_is_an_authentication_error(server: HttpsServer, read: Reader, body: bytes) -> None:
    encoding = {"Content-Encoding": "gzip"} if body.startswith(b"\x1f") else {}
    server.on(PATH, Response(403, body, encoding))
    assert isinstance(read.failure(server), AuthenticationError)


def test_a_time_out_of_the_system_is_a_time_out(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, Response(408))
    assert isinstance(read.failure(server), ConnectionTimeoutError)


def test_an_unknown_source_is_a_configuration_error(server: HttpsServer, read: Reader) -> None:
    error = read.failure(server)
    assert isinstance(error, ConfigurationError)
    assert "answered 404" in str(error)


def test_a_forgotten_position_asks_for_a_new_start(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, in_turn(json_response({"data": RECORDS, "next": "t1"}), json_response({"error": "expired"}, 410)))
    error = read.failure(server, pagination={"type": "cursor", "cursor_path": "next"})
    assert isinstance(error, SystemUnavailableError)
    assert error.facts["restart"] is True


@pytest.mark.parametrize("status", [202, 204, 206, 304])
def test_only_200_is_an_answer(server: HttpsServer, read: Reader, status: int) -> None:
    server.on(PATH, Response(status))
    assert isinstance(read.failure(server), SystemUnavailableError)


# Bodies


BOMB = gzip.compress(b" " * 40_000_000)


def _only_headers(status: int, headers: dict[str, str]) -> Any:
    """An answer with these headers alone: `Response` would add the server's own Date."""

    def answer(exchange: Any) -> None:
        exchange.send_response_only(status)
        for name, value in {**headers, "Content-Length": "0"}.items():
            exchange.send_header(name, value)
        exchange.end_headers()

    return answer


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b"", {}, "the answer is empty"),
        (b"  \n", {}, "the answer is empty"),
        (b"null", {}, "the answer is null"),
        (b"[]", {}, "the answer is an array"),
        (b'{"items": []}', {}, "the answer has items"),
        (b'{"data": {"id": 1}}', {}, "there is an object, not an array of records, at 'data'"),
        (b'{"data": null}', {}, "there is null, not an array"),
        (b'{"data": [{"id": "1"}', {}, "Expecting ',' delimiter"),
        (b'{"data": [], "data": []}', {}, "'data' stands twice"),
        (b"<!DOCTYPE html><title>Log in</title>", {"Content-Type": "text/html"}, "a web page (a log-in page?)"),
        (b"<html>Log in</html>", {}, "a web page (a log-in page?)"),
        (
            gzip.compress(json.dumps({"data": RECORDS}).encode(), mtime=0)[:-9],
            {"Content-Encoding": "gzip"},
            "gzip data is cut",
        ),
        (b"plain", {"Content-Encoding": "gzip"}, "not valid gzip data"),
        (BOMB, {"Content-Encoding": "gzip"}, "larger than 16,777,216 bytes"),
        (b"x", {"Content-Encoding": "br"}, "encoded as 'br'"),
        (b'{"data": []}', {"Content-Type": "application/json; charset=klingon"}, "unknown charset 'klingon'"),
        (b'{"data": ' + b"[" * 100_000, {}, "cut off"),
    ],
)
def test_nonsense_is_refused_whole(
    server: HttpsServer, read: Reader, body: bytes, headers: dict[str, str], says: str
) -> None:
    server.on(PATH, Response(200, body, {"Content-Type": "application/json", **headers}))
    error = read.failure(server)
    assert isinstance(error, SystemUnavailableError)
    assert says in str(error)
    assert f"Page 1 of https://127.0.0.1:{server.port}/api/tickets" in str(error)
    assert error.remedy


def test_an_unusable_answer_is_shown_by_its_beginning(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, Response(200, b'{"oops":\n "' + b"x" * 900 + b'"}', {"Content-Type": "application/problem"}))
    error = str(read.failure(server))
    assert 'Content-Type application/problem; it begins \'{"oops": "xxx' in error
    assert "x" * 150 in error
    assert "x" * 250 not in error


def test_a_content_length_beyond_the_body_is_a_broken_connection(server: HttpsServer, read: Reader) -> None:
    body = json.dumps({"data": RECORDS}).encode()
    server.on(PATH, Response(200, body, {"Content-Length": str(len(body) + 5), "Connection": "close"}))
    assert read.failure(server).code == "ERR_011"
    assert len(server.requests) == 3


def test_a_content_length_short_of_the_body_is_refused_and_spoils_no_later_page(
    server: HttpsServer, read: Reader
) -> None:
    body = json.dumps({"data": RECORDS}).encode()
    server.on(PATH, in_turn(Response(200, body, {"Content-Length": str(len(body) - 5)}), GOOD))
    source = read.source(server)
    request = ReadRequest("tickets", key="id")
    with pytest.raises(SystemUnavailableError):
        list(source.read(request))
    (page,) = source.read(request)
    assert page.records == RECORDS


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("identity", bytes),
        ("gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])),
    ],
)
def test_compressed_answers_are_read(
    server: HttpsServer, read: Reader, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    server.on(PATH, Response(200, encode(GOOD.body), {"Content-Encoding": encoding}))
    (page,) = read(server)
    assert page.records == RECORDS
    assert server.requests[0].headers["Accept-Encoding"] == "gzip"


def test_an_error_within_a_200_is_seen_where_configured(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, json_response({"data": [], "error": {"message": "Transaction cancelled"}}))
    error = read.failure(server, error_path="error")
    assert isinstance(error, SystemUnavailableError)
    assert "Transaction cancelled" in str(error)


def test_a_wrong_total_makes_the_read_unfinished(server: HttpsServer, read: Reader) -> None:
    paging = {"type": "page_number", "total_path": "total"}
    pages = [json_response({"data": RECORDS, "total": 3}), json_response({"data": [], "total": 3})]
    server.on(PATH, in_turn(*pages))
    error = read.failure(server, pagination=paging)
    assert isinstance(error, SystemUnavailableError)
    assert "ended with 2 different records, though the system has 3" in str(error)
    assert error.facts["restart"] is True


def test_a_row_that_came_twice_does_not_hide_one_that_did_not_come(server: HttpsServer, read: Reader) -> None:
    doubled = [RECORDS[1], {"id": "3"}]
    pages = [json_response({"data": data, "total": 4}) for data in (RECORDS, doubled, [])]
    server.on(PATH, in_turn(*pages))
    error = read.failure(server, pagination={"type": "offset", "total_path": "total"})
    assert "ended with 3 different records, though the system has 4" in str(error)


def test_a_total_in_a_header_ends_a_read_without_another_call(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, json_response({"data": RECORDS}, headers={"X-Total-Count": "2"}))
    (page,) = read(server, pagination={"type": "offset", "total_header": "X-Total-Count"})
    assert page.is_last


@pytest.mark.parametrize("document", [{"data": RECORDS}, {"data": RECORDS, "total": "many"}])
def test_a_total_that_is_not_told_is_nonsense(server: HttpsServer, read: Reader, document: dict[str, Any]) -> None:
    server.on(PATH, json_response(document))
    error = read.failure(server, pagination={"type": "offset", "total_path": "total"})
    assert "does not say how many records there are" in str(error)


def test_a_cycle_of_pages_is_an_error(server: HttpsServer, read: Reader) -> None:
    pages = [json_response({"data": [{"id": str(n)}], "next": token}) for n, token in enumerate(("a", "b", "a"))]
    server.on(PATH, in_turn(*pages))
    error = read.failure(server, pagination={"type": "cursor", "cursor_path": "next"})
    assert "page loop" in str(error)
    assert len(server.requests) == 3


# Filters


def test_since_and_until_are_sent_in_the_systems_own_notation(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, GOOD)
    source = read.source(
        server,
        since_param="from",
        until_param="to",
        time_format="D/M/YYYY H:mm",
        timezone="Europe/Berlin",
        params={"sort": "id", "all": True},
    )
    since = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)
    list(source.read(ReadRequest("tickets", key="id", since=Position(since), until=since + timedelta(hours=9))))
    assert server.requests[0].query == {"from": "6/1/2026 0:30", "to": "6/1/2026 9:30", "sort": "id", "all": "true"}


def test_a_resumed_read_keeps_the_filters_it_began_with(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, lambda request: json_response({"data": RECORDS if request.query["offset"] == "0" else []}))
    source = read.source(server, since_param="from", pagination={"type": "offset"})
    began = ReadRequest("tickets", key="id", page_records=2, since=Position(datetime(2026, 1, 5, tzinfo=UTC)))
    token = next(source.read(began)).resume
    list(source.read(ReadRequest("tickets", key="id", resume=token, page_records=9)))
    assert server.requests[1].query == {"from": "2026-01-05T00:00:00Z", "limit": "2", "offset": "2"}


def test_keyset_starts_after_the_given_position(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, json_response({"data": []}))
    source = read.source(server, pagination={"type": "keyset"})
    since = Position(datetime(2026, 1, 5, tzinfo=UTC), "R7")
    list(source.read(ReadRequest("tickets", key="id", cursor_field="at", since=since)))
    assert server.requests[0].query == {"limit": "1000", "changed_after": "2026-01-05T00:00:00Z", "after_id": "R7"}


def test_a_short_page_ends_a_read_only_where_configured(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, in_turn(GOOD, json_response({"data": []})))
    assert len(read(server, pagination={"type": "page_number", "short_page_is_last": True})) == 1
    assert len(server.requests) == 1


def test_has_more_ends_a_read_without_another_call(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, json_response({"data": RECORDS, "more": False}))
    assert len(read(server, pagination={"type": "page_number", "has_more_path": "more"})) == 1


def test_server_time_is_the_date_of_the_answer(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, Response(200, GOOD.body, {"Date": "Wed, 15 Jan 2025 10:00:00 GMT"}))
    (page,) = read(server)
    assert page.server_time is not None
    assert page.server_time.tzinfo is UTC


# Transport


def test_an_expired_certificate_is_named_with_its_date(https_server: StartServer, read: Reader) -> None:
    expired = https_server(not_after=datetime(2025, 3, 1, 12, tzinfo=UTC))
    error = read.failure(expired)
    assert error.code == "ERR_011"
    assert "expired on 2025-03-01 12:00 UTC" in str(error)


def test_a_certificate_that_is_not_valid_yet_is_named(https_server: StartServer, read: Reader) -> None:
    error = read.failure(https_server(not_after=datetime.now(UTC) + timedelta(days=60)))
    assert error.code == "ERR_011"
    assert "is not valid (certificate is not yet valid)" in str(error)


def test_a_handshake_that_is_cut_off_is_a_broken_connection(read: Reader) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        hang_up = threading.Thread(target=lambda: [listener.accept()[0].close() for _ in range(3)])
        hang_up.start()
        with pytest.raises(ConnectionLostError):
            list(read.source_at(f"https://127.0.0.1:{listener.getsockname()[1]}").read(ReadRequest("x", key="id")))
        hang_up.join()


def test_an_unknown_authority_points_to_ca_file(https_server: StartServer, read: Reader) -> None:
    error = read.failure(https_server(authority=trustme.CA()))
    assert "signed by an authority that is not trusted" in str(error)
    assert "ca_file" in error.remedy


def test_without_ca_file_the_machines_trust_counts(server: HttpsServer, read: Reader) -> None:
    read.ca_file = None
    server.on(PATH, GOOD)
    assert "not trusted" in str(read.failure(server))


def test_a_certificate_for_another_host_is_refused(https_server: StartServer, read: Reader) -> None:
    assert "does not belong to" in str(read.failure(https_server(names=("erp.example.com",))))


def test_a_server_without_tls_is_not_read(https_server: StartServer, read: Reader) -> None:
    plain = https_server(plain=True)
    error = read.failure(plain, f"https://127.0.0.1:{plain.port}/api")
    assert "does not speak TLS" in str(error)


def test_a_ca_file_that_is_missing_is_named(server: HttpsServer, read: Reader) -> None:
    read.ca_file = "/nowhere/ca.pem"
    error = read.failure(server)
    assert isinstance(error, ConfigurationError)
    assert "/nowhere/ca.pem can't be used: No such file" in str(error)


def test_plain_http_is_refused(https_server: StartServer, read: Reader) -> None:
    plain = https_server(plain=True)
    plain.on(PATH, GOOD)
    error = read.failure(plain)
    assert isinstance(error, InsecureTransportError)
    assert error.code == "ERR_016"
    assert plain.requests == []


def test_plain_http_to_this_machine_is_read_when_asked_for(https_server: StartServer, read: Reader) -> None:
    plain = https_server(plain=True)
    plain.on(PATH, GOOD)
    (page,) = read(plain, allow_insecure_loopback=True, allow_hosts=[])
    assert page.records == RECORDS


def test_a_loopback_address_is_refused_unless_allowed(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, GOOD)
    error = read.failure(server, server.url("/api", host="localhost"), allow_hosts=[])
    assert isinstance(error, InsecureTransportError)
    assert "add localhost to allow_hosts" in error.remedy
    assert server.requests == []


def test_a_host_may_be_allowed_by_name(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, GOOD)
    (page,) = read(server, server.url("/api", host="localhost"), allow_hosts=["localhost"])
    assert page.records == RECORDS


def test_a_redirect_within_the_host_is_followed(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, Response(307, headers={"Location": "/api/v2/tickets"}))
    server.on("/api/v2/tickets", GOOD)
    (page,) = read(server)
    assert (page.records, page.calls) == (RECORDS, 2)


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{port}/x", "https://evil.example/x", "//evil.example/x", "https://127.0.0.1:1/x"]
)
def test_a_redirect_elsewhere_is_not_followed(server: HttpsServer, read: Reader, location: str) -> None:
    server.on(PATH, Response(302, headers={"Location": location.format(port=server.port)}))
    error = read.failure(server)
    assert isinstance(error, InsecureTransportError)
    assert "was not followed" in str(error)


def test_redirects_without_end_are_an_error(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, Response(302, headers={"Location": PATH}))
    assert "redirected more than 3 times" in str(read.failure(server))


@pytest.mark.parametrize("link", ["https://evil.example/next", "http://127.0.0.1/next", "file:///etc/passwd"])
def test_a_next_link_elsewhere_is_not_followed(server: HttpsServer, read: Reader, link: str) -> None:
    server.on(PATH, json_response({"data": RECORDS, "next": link}))
    error = read.failure(server, pagination={"type": "next_link", "next_path": "next"})
    assert isinstance(error, InsecureTransportError)
    assert len(server.requests) == 1


def test_a_next_link_that_repeats_the_credentials_is_not_followed(server: HttpsServer, ca_file: str) -> None:
    canary = "canary-9c1f77aa02"
    server.on(PATH, json_response({"data": RECORDS, "next": f"{PATH}?page=2&t={canary}"}))
    options = {**BASE, "pagination": {"type": "next_link", "next_path": "next"}}
    source = RestSource(
        Credentials(server.url("/api"), token=canary, ca_file=ca_file), options, Unlimited(), ManualClock()
    )
    with pytest.raises(InsecureTransportError) as caught:
        list(source.read(ReadRequest("tickets", key="id")))
    source.close()
    assert canary not in str(caught.value)


def test_the_environment_changes_neither_the_way_nor_the_credentials(
    server: HttpsServer, ca_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    server.on(PATH, GOOD)
    source = RestSource(Credentials(server.url("/api"), token="t0k", ca_file=ca_file), BASE, Unlimited(), ManualClock())
    (page,) = source.read(ReadRequest("tickets", key="id"))
    source.close()
    assert page.records == RECORDS
    assert server.requests[0].headers["Authorization"] == "Bearer t0k"


def test_pages_share_one_connection(server: HttpsServer, read: Reader) -> None:
    server.on(PATH, in_turn(GOOD, json_response({"data": []})))
    assert len(read(server, pagination={"type": "page_number"})) == 2
    assert server.connections == 1


def test_the_address_that_was_checked_is_the_one_connected_to(https_server: StartServer, ca_file: str) -> None:
    server = https_server(names=("erp.example",))
    server.on(PATH, GOOD)
    looked_up: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1", "127.0.0.2"] if len(looked_up) == 1 else ["169.254.169.254"]

    guard = AddressGuard(names=frozenset({"erp.example"}), resolve=resolve)
    transport = HttpsTransport(guard, ManualClock(), ca_file=ca_file)
    url = f"https://erp.example:{server.port}{PATH}"
    answer = transport.get(url, what="The call", headers={}, timeouts=Timeouts(), max_bytes=1_000)
    transport.close()
    assert answer.status == 200
    assert looked_up == ["erp.example"]
    assert server.requests[0].headers["Host"] == f"erp.example:{server.port}"


def test_a_second_address_serves_when_the_first_does_not(https_server: StartServer, ca_file: str) -> None:
    server = https_server(names=("erp.example",))
    server.on(PATH, GOOD)
    guard = AddressGuard(names=frozenset({"erp.example"}), resolve=lambda host, port: ["127.0.0.2", "127.0.0.1"])
    transport = HttpsTransport(guard, ManualClock(), ca_file=ca_file)
    url = f"https://erp.example:{server.port}{PATH}"
    answer = transport.get(url, what="The call", headers={}, timeouts=Timeouts(), max_bytes=1_000)
    transport.close()
    assert answer.status == 200


# Test connection


def test_checking_a_system_says_what_answered(server: HttpsServer, read: Reader) -> None:
    server.on("/api/ping", GOOD)
    assert "answered 200 with application/json" in read.source(server, check_path="ping").check()


def test_checking_without_a_path_says_that_it_is_reachable(server: HttpsServer, read: Reader) -> None:
    assert "it is reachable" in read.source(server).check()


def test_checking_with_refused_credentials_raises(server: HttpsServer, read: Reader) -> None:
    server.on("/api", json_response({}, 401))
    with pytest.raises(AuthenticationError):
        read.source(server).check()
