"""Errors that come with status 200, in each place where an answer may tell one; over real HTTPS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Target
from kwiksync_ops.errors import AuthenticationError, KwikSyncError, RateLimitError, SystemUnavailableError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.https_server import HttpsServer, json_response

TOKEN = "canary-token-in-an-error"
CALL = {"method": "POST", "path": "rpc"}
BY_KEY = {**CALL, "body": {"id": "${key}"}}
OPTIONS: dict[str, Any] = {
    "records_path": "result",
    "error_path": "error",
    "error_codes": {"path": "error.code", "denied": [1], "later": [2], "conflict": [3], "gone": [4]},
    "request": {"body": {"method": "list"}},
}
PUSH: dict[str, Any] = {
    "create": CALL,
    "update": BY_KEY,
    "delete": {"method": "DELETE", "path": "one?id={key}"},
    "read": {"path": "rpc", "body": {"id": "${key}"}, "record_path": "result.0"},
    "repeat": "look",
}
REQUEST = PushRequest("rpc", "id")


def error(code: int) -> Any:
    return json_response({"result": None, "error": {"code": code, "message": f"refused {TOKEN}"}})


def delivery(action: Action, number: int = 1) -> Delivery:
    key = None if action == Action.CREATE else "7"
    return Delivery(f"d{number}", action, key, {"name": "a"}, f"k{number}", record_id=f"r{number}")


class Bench:
    def __init__(self, server: HttpsServer, ca_file: str, stack: ExitStack) -> None:
        self.server = server
        self._stack = stack
        self._credentials = Credentials(server.url("/api"), token=TOKEN, ca_file=ca_file, allow_hosts=("127.0.0.1",))

    def target(self, **push: Any) -> Target:
        options = {**OPTIONS, "push": {**PUSH, **push}}
        opened = open_target("rest", self._credentials, options, Unlimited(), ManualClock())
        return self._stack.enter_context(closing(opened))

    def read(self) -> list[Any]:
        source = open_source("rest", self._credentials, OPTIONS, Unlimited(), ManualClock())
        self._stack.enter_context(closing(source))
        return list(source.read(ReadRequest("rpc", "id")))


@pytest.fixture
def bench(https_server: Callable[[], HttpsServer], ca_file: str) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(https_server(), ca_file, stack)


@pytest.mark.parametrize(("code", "kind"), [(1, AuthenticationError), (2, RateLimitError), (9, SystemUnavailableError)])
def test_a_read_ends_with_the_error_of_its_code(bench: Bench, code: int, kind: type[KwikSyncError]) -> None:
    bench.server.on("/api/rpc", error(code))
    with pytest.raises(kind, match="the system tells an error") as caught:
        bench.read()
    assert TOKEN not in str(caught.value)


def test_records_beside_an_error_are_not_taken(bench: Bench) -> None:
    bench.server.on("/api/rpc", json_response({"result": [{"id": 1}], "error": {"code": 9}}))
    with pytest.raises(SystemUnavailableError, match="Nothing of the page was taken"):
        bench.read()


@pytest.mark.parametrize(
    ("action", "code", "outcome", "err"),
    [
        (Action.CREATE, 9, Outcome.REFUSED, "ERR_008"),
        (Action.CREATE, 2, Outcome.UNSENT, "ERR_007"),
        (Action.UPDATE, 3, Outcome.CONFLICT, None),
        (Action.UPDATE, 4, Outcome.GONE, None),
    ],
)
def test_a_write_gets_the_receipt_of_its_code(
    bench: Bench, action: Action, code: int, outcome: Outcome, err: str | None
) -> None:
    bench.server.on("/api/rpc", error(code))
    receipt = bench.target().push(REQUEST, [delivery(action)])[0]
    assert (receipt.outcome, receipt.code) == (outcome, err)
    assert TOKEN not in str(receipt.message)


def test_a_write_that_is_denied_raises(bench: Bench) -> None:
    bench.server.on("/api/rpc", error(1))
    with pytest.raises(AuthenticationError):
        bench.target().push(REQUEST, [delivery(Action.CREATE)])


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (json_response({"result": True}), Outcome.CONFIRMED),
        (error(4), Outcome.CONFIRMED),
        (error(9), Outcome.REFUSED),
        (json_response({"error": {"code": 9}}, 404), Outcome.CONFIRMED),
    ],
)
def test_a_delete_is_done_when_it_is_done_or_there_is_nothing(bench: Bench, answer: Any, outcome: Outcome) -> None:
    bench.server.on("/api/one", answer)
    assert bench.target().push(REQUEST, [delivery(Action.DELETE)])[0].outcome == outcome


def test_a_bulk_call_that_is_refused_whole_is_unsent_unless_it_holds_one_record(bench: Bench) -> None:
    bench.server.on("/api/rpc", error(9))
    bulk = {"path": "rpc", "body": {"method": "all", "records": "${records}"}, "actions": ["create"], "status_path": ""}
    target = bench.target(bulk=bulk)
    both = [delivery(Action.CREATE, number) for number in (1, 2)]
    assert [receipt.outcome for receipt in target.push(REQUEST, both)] == [Outcome.UNSENT] * 2
    assert target.push(REQUEST, both[:1])[0].outcome == Outcome.REFUSED
    bench.server.on("/api/rpc", error(2))
    assert target.push(REQUEST, both)[0].code == "ERR_007"


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (json_response({"result": [{"id": 7, "name": "a"}]}), Outcome.CONFIRMED),
        (json_response({"result": [{"id": 7, "name": "b"}]}), Outcome.UNSENT),
        (json_response({"result": []}), Outcome.UNSENT),
        (error(4), Outcome.UNSENT),
        (error(9), Outcome.UNKNOWN),
        (json_response({"result": {}}), Outcome.UNKNOWN),
        (json_response({}), Outcome.UNKNOWN),
    ],
)
def test_a_look_claims_that_nothing_is_there_only_where_the_system_says_so(
    bench: Bench, answer: Any, outcome: Outcome
) -> None:
    bench.server.on("/api/rpc", answer)
    assert bench.target().look(REQUEST, [delivery(Action.UPDATE)])[0].outcome == outcome
