"""What every way of reading a system promises, proven against a real HTTPS server."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.errors import AuthenticationError, KwikSyncError, SystemUnavailableError
from kwiksync_ops.testing import ManualClock
from tests.support.https_server import HttpsServer, Request, Response, json_response, reset_after
from tests.support.paged_api import OPTIONS, PATH, PagedApi, sample_records

CANARY = "canary-4f1d8c9b7a6e"
PAGED = sorted(set(OPTIONS) - {"none"})


class CountingLimiter:
    def __init__(self) -> None:
        self.calls = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        self.calls += 1
        yield


class Bench:
    """A source of one style, with the server behind it."""

    def __init__(self, server: HttpsServer, style: str, ca_file: str) -> None:
        self.server = server
        self.style = style
        self.limiter = CountingLimiter()
        self.clock = ManualClock()
        self._ca_file = ca_file
        self._opened: list[Source] = []

    def serve(self, count: int, **changes: Any) -> PagedApi:
        api = PagedApi(self.style, sample_records(count), **changes)
        api.install(self.server)
        return api

    def source(self) -> Source:
        credentials = Credentials(
            self.server.url("/api"), token=CANARY, customer_key=CANARY + "-key", ca_file=self._ca_file
        )
        options = {**OPTIONS[self.style], "allow_hosts": ["127.0.0.0/8"]}
        self._opened.append(open_source("rest", credentials, options, self.limiter, self.clock))
        return self._opened[-1]

    def read(self, **changes: Any) -> list[Page]:
        return list(self.source().read(self.request(**changes)))

    def request(self, **changes: Any) -> ReadRequest:
        return ReadRequest("records", key="id", cursor_field="updated_at", page_records=10, **changes)

    def close(self) -> None:
        for source in self._opened:
            source.close()


@pytest.fixture(params=sorted(OPTIONS))
def bench(request: pytest.FixtureRequest, https_server: Callable[[], HttpsServer], ca_file: str) -> Iterator[Bench]:
    bench = Bench(https_server(), request.param, ca_file)
    yield bench
    bench.close()


paged = pytest.mark.parametrize("bench", PAGED, indirect=True)


def records_of(pages: list[Page]) -> list[Any]:
    return [record for page in pages for record in page.records]


def test_every_record_comes_once_and_in_order(bench: Bench) -> None:
    api = bench.serve(40)
    pages = bench.read()
    assert records_of(pages) == api.records
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))


def test_a_read_that_ends_with_a_full_page_is_complete(bench: Bench) -> None:
    api = bench.serve(14)
    assert records_of(bench.read()) == api.records


def test_nothing_to_read_is_one_empty_last_page(bench: Bench) -> None:
    bench.serve(0)
    pages = bench.read()
    assert [(page.records, page.is_last) for page in pages] == [([], True)]


def test_a_read_goes_on_after_any_page(bench: Bench) -> None:
    api = bench.serve(30)
    pages = bench.read()
    for page in pages:
        token = json.loads(json.dumps(page.resume))
        rest = bench.read(resume=token)
        assert records_of(pages[: page.number]) + records_of(rest) == api.records
        assert rest[-1].is_last
        assert rest[0].number == page.number + 1


def test_after_the_last_page_nothing_is_called(bench: Bench) -> None:
    bench.serve(5)
    last = bench.read()[-1]
    before = bench.limiter.calls
    (page,) = bench.read(resume=last.resume)
    assert (page.records, page.is_last, page.calls) == ([], True, 0)
    assert bench.limiter.calls == before


def test_every_call_goes_through_the_limiter_and_is_told(bench: Bench) -> None:
    bench.serve(20, instead={1: json_response({}, 503)})
    pages = bench.read()
    assert sum(page.calls for page in pages) == bench.limiter.calls == len(bench.server.requests)
    assert pages[0].calls == 2


def test_credentials_and_customer_key_go_with_every_call(bench: Bench) -> None:
    bench.serve(20)
    bench.read()
    assert {request.headers["Authorization"] for request in bench.server.requests} == {f"Bearer {CANARY}"}
    assert {request.headers["X-Customer-Key"] for request in bench.server.requests} == {f"{CANARY}-key"}


def test_a_poison_record_is_rejected_alone(bench: Bench) -> None:
    api = bench.serve(20)
    api.records[3] = {**api.records[3], "name": float("nan")}
    pages = bench.read()
    assert records_of(pages) == api.records[:3] + api.records[4:]
    (reject,) = (reject for page in pages for reject in page.rejects)
    assert (reject.code, reject.external_id) == ("ERR_008", "R00003")


@pytest.mark.parametrize("bad", [0, 6, 7, 13, 19])
def test_a_poison_record_at_the_edge_of_a_page_stops_nothing(bench: Bench, bad: int) -> None:
    api = bench.serve(20)
    api.records[bad] = {**api.records[bad], "name": "NUL \0"}
    pages = bench.read()
    assert records_of(pages) == api.records[:bad] + api.records[bad + 1 :]
    assert sum(len(page.rejects) for page in pages) == 1


def test_only_poison_is_all_rejects_and_a_complete_read(bench: Bench) -> None:
    api = bench.serve(20)
    api.records[:] = [{**record, "name": float("inf")} for record in api.records]
    pages = bench.read()
    assert records_of(pages) == []
    assert [reject.external_id for page in pages for reject in page.rejects] == [record["id"] for record in api.records]
    assert pages[-1].is_last


@paged
def test_a_refusal_in_the_middle_keeps_the_pages_before(bench: Bench) -> None:
    api = bench.serve(30, instead={3: json_response({"error": "token expired"}, 401)})
    pages = bench.source().read(bench.request())
    got = [next(pages), next(pages)]
    with pytest.raises(AuthenticationError) as caught:
        next(pages)
    assert caught.value.code == "ERR_003"
    assert "Page 3" in str(caught.value)
    assert records_of(got) + records_of(bench.read(resume=got[-1].resume)) == api.records


@paged
def test_a_connection_reset_in_a_page_fetches_it_again(bench: Bench) -> None:
    api = bench.serve(30, instead={2: reset_after(b'{"data": [{"id": "R0')})
    assert records_of(bench.read()) == api.records


@paged
def test_a_page_that_is_cut_off_is_refused_whole(bench: Bench) -> None:
    body = b'{"data": [{"id": "R00007"}'
    bench.serve(30, instead={2: Response(200, body, {"Content-Type": "application/json"})})
    pages = bench.source().read(bench.request())
    next(pages)
    with pytest.raises(SystemUnavailableError):
        next(pages)


@paged
def test_a_page_that_comes_again_for_ever_is_a_loop(bench: Bench) -> None:
    api = bench.serve(30)
    first = api(Request("GET", PATH, {"page": "1", "offset": "0", "limit": "10"}, {}, b""))
    bench.server.on(PATH, lambda request: first)
    with pytest.raises(SystemUnavailableError, match="page loop"):
        bench.read()


def test_no_secret_shows_in_pages_errors_tracebacks_or_logs(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    bench.serve(10)
    shown = [repr(bench.source()), repr(bench.read())]
    for answer in (
        json_response({"error": f"bad token {CANARY} and key {CANARY}-key"}, 401),
        json_response({"error": CANARY}, 500),
        json_response({"error": CANARY}, 404),
        Response(200, f"<html>{CANARY}</html>".encode(), {"Content-Type": "text/html"}),
        Response(302, CANARY.encode(), {"Location": f"https://evil.example/?t={CANARY}"}),
        Response(429, CANARY.encode(), {"Retry-After": "9999"}),
        Response(503, CANARY.encode()),
        json_response({"data": {"token": CANARY}, "echo": CANARY}),
        lambda request: reset_after(CANARY.encode()),
    ):
        bench.server.on(PATH, answer)
        with pytest.raises(KwikSyncError, match=r"^ERR_\d{3}: ") as caught:
            bench.read()
        shown += [*traceback.format_exception(caught.value), repr(caught.value), repr(caught.value.facts)]
    assert not [text for text in (*shown, caplog.text) if CANARY in text]
    assert "sent again" in caplog.text


def test_no_secret_shows_in_the_payload_of_a_reject(bench: Bench) -> None:
    api = bench.serve(3)
    api.records[1] = {**api.records[1], "name": float("nan"), "echo": CANARY, "password": "hunter2"}
    (reject,) = (reject for page in bench.read() for reject in page.rejects)
    assert CANARY not in reject.payload
    assert "hunter2" not in reject.payload
