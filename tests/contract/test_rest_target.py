"""What a REST target claims about a delivery, over real HTTPS, against a system that fails after it has applied."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_target
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Target
from kwiksync_ops.errors import AuthenticationError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.https_server import HttpsServer, Response
from tests.support.target_app import PUSH, Plan, TargetApp, reset, status, truncated, unanswered

REQUEST = PushRequest("tickets", "id")
CREATE = Delivery("d1", Action.CREATE, None, {"name": "one"}, "key-1")


@pytest.fixture
def server(https_server: Callable[..., HttpsServer]) -> HttpsServer:
    return https_server()


@pytest.fixture
def app(server: HttpsServer) -> TargetApp:
    return TargetApp(server)


@pytest.fixture
def target(server: HttpsServer, ca_file: str) -> Iterator[Target]:
    options = {"push": PUSH, "allow_hosts": ["127.0.0.0/8"], "timeouts": {"read_s": 1}}
    credentials = Credentials(server.url("/api"), ca_file=ca_file)
    opened = open_target("rest", credentials, options, Unlimited(), ManualClock())
    yield opened
    opened.close()


def _push(target: Target, delivery: Delivery) -> Receipt:
    return target.push(REQUEST, [delivery])[0]


def _update(etag: str | None = None) -> Delivery:
    return Delivery("d2", Action.UPDATE, "1", {"name": "two"}, "key-2", etag)


def test_a_create_is_confirmed_with_its_key_and_version(target: Target, app: TargetApp) -> None:
    receipt = _push(target, CREATE)
    assert (receipt.outcome, receipt.key, receipt.etag) == (Outcome.CONFIRMED, "1", '"1"')


@pytest.mark.parametrize(
    "plan",
    [status(500), status(502), status(503), status(504), truncated, unanswered, reset],
    ids=["500", "502", "503", "504", "truncated", "unanswered", "reset"],
)
def test_an_answer_that_fails_after_applying_is_unknown_and_its_key_is_honoured(
    target: Target, app: TargetApp, plan: Plan
) -> None:
    app.plan = [plan]
    assert _push(target, CREATE).outcome == Outcome.UNKNOWN
    assert app.applied == {"key-1": 1}
    assert _push(target, CREATE).key == "1"
    assert app.applied == {"key-1": 1}


@pytest.mark.parametrize("code", [429, 503])
def test_a_call_that_is_put_off_is_unsent_with_its_wait(target: Target, app: TargetApp, code: int) -> None:
    app.before = [Response(code, b"", {"Retry-After": "7"})]
    receipt = _push(target, CREATE)
    assert (receipt.outcome, receipt.retry_after_s, app.applied) == (Outcome.UNSENT, 7.0, {})


def test_a_change_of_an_old_version_is_a_conflict(target: Target, app: TargetApp) -> None:
    _push(target, CREATE)
    assert _push(target, _update('"0"')).outcome == Outcome.CONFLICT
    assert _push(target, _update('"1"')).outcome == Outcome.CONFIRMED


def test_a_record_that_is_not_there_is_gone_for_an_update_and_done_for_a_delete(target: Target, app: TargetApp) -> None:
    assert _push(target, _update()).outcome == Outcome.GONE
    assert _push(target, Delivery("d3", Action.DELETE, "1", {}, "key-3")).outcome == Outcome.CONFIRMED


@pytest.mark.parametrize("code", [400, 422])
def test_a_refusal_names_its_code(target: Target, app: TargetApp, code: int) -> None:
    app.before = [Response(code, b'{"error": "no name"}')]
    receipt = _push(target, CREATE)
    assert (receipt.outcome, receipt.code) == (Outcome.REFUSED, "ERR_008")
    assert "no name" in (receipt.message or "")


@pytest.mark.parametrize("code", [401, 403])
def test_refused_credentials_are_raised(target: Target, app: TargetApp, code: int) -> None:
    app.before = [Response(code)]
    with pytest.raises(AuthenticationError, match="ERR_003"):
        _push(target, CREATE)


def test_a_look_finds_what_arrived_and_what_did_not(target: Target, app: TargetApp) -> None:
    _push(target, CREATE)
    assert target.look(REQUEST, [_update()])[0].outcome == Outcome.UNSENT
    _push(target, _update())
    assert target.look(REQUEST, [_update()])[0].outcome == Outcome.CONFIRMED
