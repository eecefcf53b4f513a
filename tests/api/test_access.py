"""Every route with every kind of caller by every means: the exact answer, and a trace of each refusal."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from fastapi.routing import APIRoute

from kwiksync_ops.api.app import create_app
from kwiksync_ops.api.context import OWN_HEADER, Context
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services.issued_keys import issue_key
from kwiksync_ops.services.settings import change_setting
from kwiksync_ops.storage import audit
from kwiksync_ops.storage.audit import AuditFilter
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Role
from tests.support.api_server import AirflowDouble, ApiServer

ADMIN_ONLY = {
    ("DELETE", "/records/{table}/{sys_id}"),
    ("PUT", "/mappings/{system}/{table}"),
    ("POST", "/mappings/{system}/{table}/rollback"),
    ("GET", "/settings"),
    ("PUT", "/settings/{key}"),
    ("GET", "/keys"),
    ("POST", "/keys"),
    ("POST", "/keys/{name}/rotate"),
    ("DELETE", "/keys/{name}"),
    ("POST", "/systems/{system}/test"),
    ("PUT", "/systems/{system}/customer-key"),
    ("GET", "/undo/{run_id}"),
    ("POST", "/undo/{run_id}"),
}
ROUTES = sorted(
    (method, route.path.replace(":path", ""))
    for route in create_app().routes
    if isinstance(route, APIRoute)
    for method in route.methods
)
CALLERS = ("nobody", "viewer", "user", "admin", "bad", "expired")
NO_SUCH = ("key", "viewer")
NAMES = {"table": "tickets", "sys_id": "0" * 32, "system": "erp", "run_id": "none", "key": "none", "name": "none"}


def headers_of(means: str, who: str, keys: dict[str, str]) -> dict[str, str]:
    if who == "nobody":
        return {}
    if means == "key":
        return {"X-Customer-Key": keys.get(who, f"kwk_{'0' * 32}_{'x' * 43}")}
    if means == "cookie":
        return {"Cookie": f"_token={who}-token", OWN_HEADER: "1", "Sec-Fetch-Site": "same-origin"}
    return {"Authorization": f"Bearer {who}-token"}


@pytest.fixture
def keys(hub: Hub, secret_keys: tuple[str, ...]) -> dict[str, str]:
    roles = {"user": Role.USER, "admin": Role.ADMIN}
    made = {name: issue_key(hub, secret_keys, name, role, who="t", clock=SystemClock()) for name, role in roles.items()}
    return {name: text for name, (_, text) in made.items()}


def test_every_route_answers_every_caller_as_the_access_table_says(server: ApiServer, keys: dict[str, str]) -> None:
    """A caller who may is told what is wrong with the call: neither 401 nor 403 nor a failure of ours."""
    callers = [(means, who) for means in ("bearer", "cookie", "key") for who in CALLERS if (means, who) != NO_SUCH]
    for method, path in ROUTES:
        url = path.format(**NAMES)
        for means, who in callers:
            assert_expected(server.call(method, url, headers=headers_of(means, who, keys)), who, (method, path))


def assert_expected(answer: requests.Response, who: str, route: tuple[str, str]) -> None:
    told = f"{who} {route}: {answer.status_code} {answer.text[:200]}"
    if who in ("nobody", "bad", "expired"):
        assert answer.status_code == 401, told
    elif who == "viewer" or (who == "user" and route in ADMIN_ONLY):
        assert answer.status_code == 403, told
    else:
        assert answer.status_code < 500, told
        assert answer.status_code not in (401, 403), told
    for name, value in (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff")):
        assert answer.headers[name] == value
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_cookie_alone_changes_nothing(server: ApiServer) -> None:
    cookie = {"Cookie": "_token=admin-token"}
    for headers in ({}, {OWN_HEADER: "1", "Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-origin"}):
        assert server.call("POST", "/sync", headers=cookie | headers, json={"system": "erp"}).status_code == 403
    assert server.call("GET", "/status", headers=cookie).status_code == 200


def refusals(hub: Hub) -> list[tuple[str, str, int]]:
    with hub.read() as connection:
        rows = audit.search(connection, AuditFilter(action="access"), limit=99)
    assert {row["details"]["from"] for row in rows} <= {"127.0.0.1"}
    return [(row["who"], row["object"], row["details"].get("attempts", 1)) for row in reversed(rows)]


def test_refusals_stand_in_the_audit_trail(
    server: ApiServer, airflow: AirflowDouble, hub: Hub, secret_keys: tuple[str, ...]
) -> None:
    server.call("GET", "/settings", who="user")
    server.call("GET", "/status", who="viewer")
    server.call("POST", "/sync", headers={"Cookie": "_token=admin-token"}, json={"system": "erp"})
    airflow.refuses = frozenset({"kwiksync_erp_inbound"})
    server.call("POST", "/sync", who="user", json={"system": "erp"})
    server.call("GET", "/status", headers={"X-Customer-Key": "kwk_nonsense"})
    assert refusals(hub) == [
        ("user", "GET /settings", 1),
        ("viewer", "GET /status", 1),
        ("admin", "POST /sync", 1),
        ("user", "POST /sync", 1),
        ("unknown key", "GET /status", 1),
    ]
    with hub.read() as connection:
        assert audit.verify(connection, (*secret_keys, "test-audit-key")) is None


STRANGERS = {
    "nobody": {},
    "bad token": {"Authorization": "Bearer expired-token"},
    "unknown key": {"X-Customer-Key": f"kwk_{'0' * 32}_{'x' * 43}"},
}


@pytest.mark.parametrize("who", STRANGERS)
def test_a_flood_of_attempts_is_a_few_rows_that_tell_how_many(
    server: ApiServer, context: Context, hub: Hub, who: str
) -> None:
    clock = context.clock = ManualClock()

    def attempt(times: int) -> None:
        for _ in range(times):
            assert server.call("GET", "/status", headers=STRANGERS[who]).status_code == 401

    attempt(11)
    assert refusals(hub) == [(who, "GET /status", 1), (who, "GET /status", 10)]
    clock.advance(60)
    attempt(1)
    assert refusals(hub)[2:] == [(who, "GET /status", 1)]


def test_every_kind_of_audited_call_tells_from_where_it_came(server: ApiServer, hub: Hub) -> None:
    server.call("POST", "/sync", who="user", json={"system": "erp"}).raise_for_status()
    server.call("GET", "/records/tickets?format=csv", who="user").raise_for_status()
    server.call("PUT", "/settings/audit.anchor", who="admin", json={"value": "file:///srv/anchors"}).raise_for_status()
    assert server.call("GET", "/keys", who="user").status_code == 403
    change_setting(hub, "audit.anchor", "", who="ann", clock=SystemClock())
    with hub.read() as connection:
        rows = audit.search(connection, AuditFilter(), limit=5)
    assert [(row["action"], row["details"].get("from")) for row in rows] == [
        ("setting.change", None),
        ("access.refuse", "127.0.0.1"),
        ("setting.change", "127.0.0.1"),
        ("records.export", "127.0.0.1"),
        ("sync.start", "127.0.0.1"),
    ]


def test_sixty_calls_a_minute_and_then_the_time_to_wait(server: ApiServer, context: Context) -> None:
    context.calls_per_minute = 60
    answers = [server.call("GET", "/mappings", who="user") for _ in range(61)]
    assert [answer.status_code for answer in answers] == [200] * 60 + [429]
    assert answers[0].headers["RateLimit-Remaining"] == "59"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 61
    assert answers[-1].json()["code"] == "ERR_007"
    assert server.call("GET", "/mappings", who="admin").status_code == 200


@pytest.mark.parametrize("hub_url", ["sqlite"], indirect=True)
def test_guessed_keys_do_not_fill_the_audit_trail(server: ApiServer, context: Context, hub: Hub) -> None:
    context.calls_per_minute = 3
    guesses = [server.call("GET", "/status", headers={"X-Customer-Key": f"kwk_{n}"}) for n in range(5)]
    assert [answer.status_code for answer in guesses] == [401] * 3 + [429] * 2
    assert refusals(hub) == [("unknown key", "GET /status", 1)]
    assert server.call("GET", "/status", who="user").status_code == 200


def test_bodies_queries_and_nul_are_bounded(server: ApiServer) -> None:
    many: Any = iter([b" " * 600_000, b" " * 600_000])
    assert server.call("POST", "/sync", who="user", data=b" " * 1_048_577).status_code == 413
    assert server.call("POST", "/sync", who="user", data=many).status_code == 413
    assert server.call("GET", "/records/tickets?name=" + "x" * 9_000, who="user").status_code == 414
    assert server.call("GET", "/records/tickets?number=%00", who="user").status_code == 400
