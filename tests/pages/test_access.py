"""Who sees which page, how often, under which policy, and what is answered to what nobody should send."""

from __future__ import annotations

import asyncio
import json
import re
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests
import trustme
from fastapi import FastAPI
from fastapi.routing import APIRoute

from kwiksync_ops.api.app import create_app
from kwiksync_ops.api.context import Context
from kwiksync_ops.api.pages.app import create_pages
from kwiksync_ops.errors import ConflictError
from kwiksync_ops.storage import audit
from kwiksync_ops.storage.audit import AuditFilter
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.models import AUDIT, ERROR_LOG
from tests.pages.sample import Sample
from tests.support.api_server import ApiServer

ADMIN_ONLY = (
    "/settings",
    "/undo/{run_id:path}",
    "/undo/plan/{run_id:path}",
    "/mappings/{system}/{table}/edit",
)
EXPECTED = {"nobody": 401, "expired": 401, "viewer": 403, "user": 200, "admin": 200}


def get(server: ApiServer, path: str, who: str = "user") -> requests.Response:
    cookie = {} if who == "nobody" else {"Cookie": f"_token={who}-token"}
    return server.call("GET", f"/pages{path}", headers=cookie)


def conflict(hub: Hub, error: str) -> str:
    """The id of a conflict that waits: the error, told as one of a ticket's state."""
    told = ("field", "base", "hub", "hub_changed_on", "hub_changed_by", "system", "system_changed_on")
    payload = dict.fromkeys((*told, "policy", "winner"), None) | {"field": "state", "sys_id": error, "policy": "manual"}

    def work(connection: Connection) -> None:
        row = connection.execute(ERROR_LOG.select().where(ERROR_LOG.c.sys_id == error)).mappings().one()
        told = {"sys_id": "c" * 32, "code": ConflictError.code, "payload": json.dumps(payload)}
        connection.execute(ERROR_LOG.insert(), {**row, **told})

    hub.write(work)
    return "c" * 32


def paths(context: Context, sample: Sample) -> dict[str, str]:
    """Every route of the pages, and an address of it."""
    routes = [route.path for route in create_pages(context).routes if isinstance(route, APIRoute)]
    names = {
        "{run_id:path}": sample.runs[-1],
        "{dag_id}": "kwiksync_erp_inbound",
        "{table}": "tickets",
        "{system}": "erp",
    }
    ids = dict.fromkeys(routes, sample.error) | {"/conflicts/{sys_id}": conflict(context.hub, sample.error)}
    ids |= {route: sample.ticket for route in routes if route.startswith("/records")}
    return {
        route: re.sub(r"\{[^}]+\}", lambda found: names.get(found.group(), ids[route]), route)  # noqa: B023  # used at once
        for route in routes
    }


def test_every_page_answers_every_caller_as_their_role_says(
    server: ApiServer, context: Context, sample: Sample, subtests: pytest.Subtests
) -> None:
    for route, path in paths(context, sample).items():
        for who, expected in EXPECTED.items():
            with subtests.test(f"{route} {who}"):
                answer = get(server, path, who)
                is_refused = who == "user" and route in ADMIN_ONLY
                assert answer.status_code == (403 if is_refused else expected), answer.text[:300]
                assert answer.headers["Content-Type"].startswith("text/html")


def test_every_answer_has_the_policy(server: ApiServer) -> None:
    for path in ("/", "/connections", "/none", "/static/pages.css", "/static/none.css"):
        policy = get(server, path).headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert "frame-ancestors 'self'" in policy
        assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in server.call("GET", "/status", who="user").headers["Content-Security-Policy"]


def test_pages_are_never_kept_and_their_files_for_good(server: ApiServer) -> None:
    page = get(server, "/")
    assert page.headers["Cache-Control"] == "no-store"
    for address in re.findall(r'(?:src|href)="(/pages/static/[^"]+)"', page.text):
        answer = server.call("GET", address)
        assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")


def test_no_page_holds_a_script_or_a_style_of_its_own(server: ApiServer, context: Context, sample: Sample) -> None:
    for path in paths(context, sample).values():
        text = get(server, path, "admin").text
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:", text), path


def test_links_stay_below_the_prefix_that_the_app_is_served_under(
    context: Context, sample: Sample, subtests: pytest.Subtests
) -> None:
    for path in paths(context, sample).values():
        with subtests.test(path):
            text = prefixed(context, path.removeprefix("/"), "admin")
            links = re.findall(r'(?:href|src|action|data-url|data-live|data-find|data-then)="([^"#?][^"]*)"', text)
            assert {link for link in links if not link.startswith("/team/airflow/")} == set()
    login = prefixed(context, "", "expired")
    assert "/team/airflow/api/v2/auth/login?next=%2Fteam%2Fairflow%2F" in login


def prefixed(context: Context, path: str, who: str) -> str:
    """A page of the app where Airflow is served under /team/airflow."""
    airflow = FastAPI()
    airflow.mount("/team/airflow/api/x_kwr_kwiksync", create_app(context))

    async def ask() -> str:
        transport = httpx.ASGITransport(airflow)
        async with httpx.AsyncClient(transport=transport, base_url="https://127.0.0.1") as client:
            cookies = {"Cookie": f"_token={who}-token"}
            return (await client.get(f"/team/airflow/api/x_kwr_kwiksync/pages/{path}", headers=cookies)).text

    with ThreadPoolExecutor(1) as pool:  # the browser's driver keeps a loop in this thread
        return pool.submit(asyncio.run, ask()).result()


def test_a_form_of_another_site_is_a_refused_attempt_in_the_audit_trail(server: ApiServer, sample_hub: Hub) -> None:
    path = "/pages/mappings/erp/tickets/edit"
    for site in ({"Sec-Fetch-Site": "cross-site"}, {}):
        answer = server.call("POST", path, headers={"Cookie": "_token=admin-token", **site}, data={"do": "save"})
        assert answer.status_code == 403
    with sample_hub.read() as connection:
        rows = audit.search(connection, AuditFilter(action="access"), limit=9)
    told = [(row["who"], row["object"], row["details"]["from"]) for row in rows]
    assert told == [("admin", f"POST {path}", "127.0.0.1")] * 2


def test_looks_have_a_budget_of_their_own(server: ApiServer, context: Context) -> None:
    context.calls_per_minute = 60
    assert {get(server, "/hub/now").status_code for _ in range(70)} == {200}
    assert server.call("GET", "/status", headers={"Cookie": "_token=user-token"}).headers["RateLimit-Remaining"] == "59"


def test_who_looks_too_often_is_told_to_wait(server: ApiServer, context: Context) -> None:
    context.looks_per_minute = 5
    *first, last = [get(server, "/connections/activity") for _ in range(6)]
    assert {answer.status_code for answer in first} == {200}
    assert last.status_code == 429
    assert 1 <= int(last.headers["Retry-After"]) <= 61
    assert "Too many pages at once" in last.text
    assert get(server, "/", "admin").status_code == 200


def test_several_workers_of_the_api_server_tell_the_same(
    server: ApiServer, context: Context, sample: Sample, certificate_authority: trustme.CA, ca_file: str
) -> None:
    """What one of them showed, another goes on with: nothing that a page needs is in one worker's memory alone."""
    apart = Context(context.gateway, calls_per_minute=context.calls_per_minute, given=context.given)
    other = ApiServer(apart, certificate_authority, ca_file)
    try:
        place = get(server, "/connections/activity").headers["X-Last"]
        assert get(other, f"/connections/activity?after={place}").headers["X-Last"] == place
        changed = {"short_description": "Told to another worker"}
        assert server.call("PATCH", f"/records/tickets/{sample.ticket}", who="user", json=changed).status_code == 200
        assert "Told to another worker" in get(other, f"/records/tickets/{sample.ticket}").text
        assert "Undo this run?" in get(server, f"/undo/{sample.runs[-1]}", "admin").text
        while "X-Done" not in (plan := get(other, f"/undo/plan/{sample.runs[-1]}", "admin")).headers:
            pass
        assert "What it changed in the hub" in plan.text
        following = re.findall(
            r'href="/pages(/records/tickets\?[^"]*cursor=[^"]*)"', get(server, "/records/tickets").text
        )
        assert "Tickets" in get(other, following[0].replace("&amp;", "&")).text
    finally:
        other.close()


GARBAGE = [
    ("/sync-log?cursor=x", 400, "cursor"),
    ("/sync-log?cursor=bnVsbA", 400, "cursor"),
    ("/sync-log?cursor=WzEsMl0", 400, "cursor"),
    ("/sync-log?from=yesterday", 400, "is no day"),
    ("/sync-log?to=2026-13-01", 400, "is no day"),
    ("/sync-log?status=sucess", 400, "Did you mean"),
    ("/sync-log?table=tikets", 400, "Did you mean"),
    ("/sync-log/none", 404, "There is no run none"),
    ("/sync-log/kwiksync_erp_inbound/none", 404, "There is no run"),
    ("/error-log?code=banana", 400, "no error code"),
    ("/error-log?resolution=banana", 400, "There is no status"),
    ("/error-log/none", 404, "no row none"),
    ("/connections/activity?after=banana", 400, "no place"),
    ("/connections/activity?after=1-99999999999999999999", 400, "no place in time"),
    ("/undo/none", 400, "There is no run"),
    ("/none", 404, "There is no page"),
    ("/sync-log/x?after=banana", 422, "after"),
]


def test_what_can_t_be_read_is_told_and_never_fails(server: ApiServer, subtests: pytest.Subtests) -> None:
    for path, status, says in GARBAGE:
        with subtests.test(path):
            answer = get(server, path, "admin")
            assert answer.status_code == status, answer.text[:500]
            assert says in answer.text.replace("&#39;", "'")


def test_what_came_from_a_system_is_shown_and_not_run(server: ApiServer, sample_hub: Hub) -> None:
    path = "/sync-log?system=%3Cscript%3Ealert(1)%3C/script%3E"
    assert "<script>alert" not in get(server, path).text


def test_a_refused_look_stands_in_the_audit_trail(server: ApiServer, sample_hub: Hub) -> None:
    get(server, "/settings")
    with sample_hub.read() as connection:
        (row,) = connection.execute(AUDIT.select().where(AUDIT.c.action == "access.refuse")).mappings().all()
    assert (row["who"], row["object"]) == ("user", "GET /pages/settings")
