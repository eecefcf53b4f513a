"""Records over REST: filtered, sorted, page by page, as ServiceNow people ask, as CSV; written, and who wrote it."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import pytest

from kwiksync_ops.storage import audit
from kwiksync_ops.storage.audit import AuditFilter
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORDS
from tests.support.api_server import ApiServer

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
TICKETS = RECORDS["tickets"]


@pytest.fixture(autouse=True)
def tickets(hub: Hub) -> None:
    """250 tickets, ten a minute; each third one without a category."""
    rows = [
        {
            "sys_id": f"{number:032x}",
            "external_id": f"E{number:03d}",
            "source_system": "erp",
            "sys_created_on": EPOCH,
            "sys_updated_on": EPOCH + timedelta(minutes=number // 10),
            "sys_mod_count": 0,
            "active": True,
            "number": f"TKT{number:05d}",
            "short_description": "=cmd()" if number == 7 else f"Pump {number} leaks",
            "state": str(number % 4),
            "category": None if number % 3 == 0 else f"c{number % 5}",
        }
        for number in range(250)
    ]
    hub.write(lambda connection: connection.execute(TICKETS.insert(), rows))


def get(server: ApiServer, query: str) -> Any:
    answer = server.call("GET", f"/records/tickets?{query}", who="user")
    assert answer.status_code == 200, answer.text
    return answer.json()


def numbers(server: ApiServer, query: str) -> list[int]:
    return [int(row["number"][3:]) for row in get(server, query + "&limit=1000")["result"]]


def test_pages_by_cursor_hold_every_record_once_in_order(server: ApiServer, subtests: pytest.Subtests) -> None:
    for sort in ("", "number", "-number", "category", "-category", "sys_updated_on", "state"):
        with subtests.test(sort):
            assert_read_whole(server, sort)


def assert_read_whole(server: ApiServer, sort: str) -> None:
    whole = get(server, f"sort={sort}&limit=1000")["result"]
    pages: list[Any] = []
    cursor = ""
    while cursor is not None:
        page = get(server, f"sort={sort}&limit=70&fields=sys_id&cursor={cursor}")
        pages += page["result"]
        cursor = page["next"]
    assert len(pages) == 250
    assert [row["sys_id"] for row in pages] == [row["sys_id"] for row in whole]


FILTERS: list[tuple[str, Any]] = [
    ("state=3", lambda n: n % 4 == 3),
    ("state=3&category=c1", lambda n: n % 4 == 3 and n % 5 == 1 and n % 3),
    ("category=", lambda n: n % 3 == 0),
    ("filter=number>=TKT00200", lambda n: n >= 200),
    ("filter=short_description~pump 24", lambda n: n == 24 or 240 <= n < 250),
    ("sysparm_query=state=3^category=c1", lambda n: n % 4 == 3 and n % 5 == 1 and n % 3),
    ("sysparm_query=state=1^ORstate=2", lambda n: n % 4 in (1, 2)),
    ("sysparm_query=state=1^NQnumber=TKT00000", lambda n: n % 4 == 1 or n == 0),
    ("sysparm_query=stateIN0,1", lambda n: n % 4 < 2),
    ("sysparm_query=stateNOT IN0,1", lambda n: n % 4 >= 2),
    ("sysparm_query=categoryISEMPTY", lambda n: n % 3 == 0),
    ("sysparm_query=categoryISNOTEMPTY", lambda n: n % 3),
    ("sysparm_query=numberSTARTSWITHtkt0001", lambda n: 10 <= n < 20),
    ("sysparm_query=numberENDSWITH9", lambda n: n % 10 == 9),
    ("sysparm_query=numberBETWEENTKT00005@TKT00009", lambda n: 5 <= n <= 9),
    ("sysparm_query=sys_updated_on>=2026-01-01 00:20:00^EQ", lambda n: n >= 200),
]


def test_filters_take_what_they_say_and_no_more(server: ApiServer, subtests: pytest.Subtests) -> None:
    for query, wanted in FILTERS:
        with subtests.test(query):
            assert sorted(numbers(server, query)) == [number for number in range(250) if wanted(number)]


def test_a_read_as_servicenow_people_write_it(server: ApiServer) -> None:
    query = "sysparm_query=state=1^ORDERBYDESCnumber&sysparm_fields=number,state&sysparm_limit=3&sysparm_offset=2"
    assert get(server, query)["result"] == [{"number": f"TKT{n:05d}", "state": "1"} for n in (241, 237, 233)]


def test_a_read_that_began_at_an_offset_goes_on_by_its_cursor(server: ApiServer) -> None:
    query = "sort=number&fields=number&limit=100&sysparm_offset=100"
    first = get(server, query)
    second = get(server, f"{query}&cursor={first['next']}")
    found = [int(row["number"][3:]) for page in (first, second) for row in page["result"]]
    assert (found, second["next"]) == (list(range(100, 250)), None)


def test_two_carets_are_one_in_a_value(server: ApiServer) -> None:
    server.call("PATCH", f"/records/tickets/{1:032x}", who="user", json={"short_description": "2^8^"})
    query = "sysparm_query=short_description=2^^8^^^state=1"
    assert [row["sys_id"] for row in get(server, query)["result"]] == [f"{1:032x}"]


NOT_UNDERSTOOD = [
    ("sysparm_query=stat=1", "Did you mean"),
    ("sysparm_query=stateLIKE", "lacks a value"),
    ("sysparm_query=^ORstate=1", "nothing before"),
    ("sysparm_query=NQstate=1", "nothing before"),
    ("sysparm_query=ORDERBYnumber^NQstate=1", "nothing before"),
    ("sysparm_query=stateNOT IN,", "lacks values"),
    ("sysparm_query=banana", "no part of an encoded query"),
    ("sysparm_query=sys_mod_count=many", "a whole number"),
    ("colour=red", "no field"),
    ("fields=number,colour", "no field"),
    ("sort=colour", "no field"),
    ("cursor=nonsense", "cursor"),
    ("cursor=bnVsbA", "cursor"),
]


def test_a_part_that_is_not_understood_never_widens_the_read(server: ApiServer, subtests: pytest.Subtests) -> None:
    for query, says in NOT_UNDERSTOOD:
        with subtests.test(query):
            answer = server.call("GET", f"/records/tickets?{query}", who="user")
            assert answer.status_code == 400, answer.text
            assert says in answer.json()["message"]


def test_csv_streams_all_of_a_filter_and_runs_no_formula(server: ApiServer) -> None:
    answer = server.call(
        "GET", "/records/tickets?format=csv&fields=number,short_description&filter=number<TKT00020", who="user"
    )
    assert answer.headers["Content-Type"].startswith("text/csv")
    text = answer.content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["number", "short_description"]
    assert len(rows) == 21
    assert rows[8] == ["TKT00007", "'=cmd()"]


def test_csv_with_a_limit_is_the_page_that_json_has(server: ApiServer) -> None:
    asked = "fields=number&filter=number<TKT00020&sort=-number"
    for limit in ("limit=2", "sysparm_limit=2"):
        page = server.call("GET", f"/records/tickets?{asked}&{limit}", who="user").json()["result"]
        text = server.call("GET", f"/records/tickets?{asked}&{limit}&format=csv", who="user").content.decode(
            "utf-8-sig"
        )
        assert text.splitlines() == ["number", *(row["number"] for row in page)]
        assert len(page) == 2


def test_a_record_is_made_changed_and_deleted_with_its_history(server: ApiServer) -> None:
    made = server.call("POST", "/records/tickets", who="user", json={"number": "N-1", "state": "1"})
    assert made.status_code == 201
    path = "/" + urljoin("records/tickets", made.headers["Location"])
    seen = server.call("GET", path, who="user")
    assert seen.headers["ETag"] == '"0"'
    changed = server.call("PATCH", path, who="user", json={"state": "2"}, headers={"If-Match": '"0"'})
    assert (changed.status_code, changed.json()["result"]["state"]) == (200, "2")
    late = server.call("PATCH", path, who="user", json={"state": "3"}, headers={"If-Match": '"0"'})
    assert (late.status_code, late.json()["code"]) == (409, "ERR_009")
    assert server.call("DELETE", path, who="user").status_code == 403
    assert server.call("DELETE", path, who="admin").status_code == 204
    assert server.call("GET", path, who="user").status_code == 404


def test_history_tells_who_changed_what(server: ApiServer) -> None:
    path = f"/records/tickets/{1:032x}"
    server.call("PATCH", path, who="user", json={"state": "3"})
    (entry,) = server.call("GET", path + "/history", who="user").json()["result"]
    assert (entry["who"], entry["changes"]) == ("user", {"state": ["1", "3"]})


def test_the_audit_trail_tells_from_where_records_were_written(server: ApiServer, hub: Hub) -> None:
    made = server.call("POST", "/records/tickets", who="user", json={"number": "N-1", "state": "1"}).json()["result"]
    path = f"/records/tickets/{made['sys_id']}"
    server.call("PATCH", path, who="user", json={"state": "2"})
    server.call("DELETE", path, who="admin")
    with hub.read() as connection:
        rows = audit.search(connection, AuditFilter(action="record"), limit=9)
    assert [(row["action"], row["who"], row["details"]["from"]) for row in rows] == [
        ("record.delete", "admin", "127.0.0.1"),
        ("record.update", "user", "127.0.0.1"),
        ("record.create", "user", "127.0.0.1"),
    ]


FAULTY: list[tuple[Any, int, str]] = [
    ({"colour": "red"}, 400, "colour"),
    ({"opened_at": "yesterday"}, 422, "opened_at"),
    ({"project": "f" * 32}, 422, "project"),
    ({"sys_id": "0" * 32}, 400, "sys_id"),
    ([], 422, "dictionary"),
]


def test_a_faulty_change_changes_nothing(server: ApiServer, subtests: pytest.Subtests) -> None:
    path = f"/records/tickets/{1:032x}"
    for values, status, says in FAULTY:
        with subtests.test(repr(values)):
            answer = server.call("PATCH", path, who="user", json=values)
            assert answer.status_code == status, answer.text
            assert says in answer.json()["message"]
    assert server.call("GET", path, who="user").json()["result"]["sys_mod_count"] == 0


def test_the_same_creation_twice_is_one_record(server: ApiServer) -> None:
    twice = [
        server.call("POST", "/records/tickets", who="user", json={"number": "N-1"}, headers={"Idempotency-Key": "k"})
        for _ in range(2)
    ]
    assert twice[0].json() == twice[1].json()
    assert len(get(server, "filter=number=N-1")["result"]) == 1


def test_a_text_is_searched_in_number_and_name_beside_other_conditions(server: ApiServer) -> None:
    assert sorted(numbers(server, "q=pump%2012")) == [12, *range(120, 130)]
    assert numbers(server, "q=tkt00042") == [42]
    assert numbers(server, "q=pump%2012&state=0&filter=number>TKT00120") == [128, 124]
    assert numbers(server, "q=%25") == []


def test_numbers_and_moments_are_compared_with_another_field(server: ApiServer) -> None:
    assert len(numbers(server, "filter=sys_updated_on>sys_created_on")) == 240
    assert len(numbers(server, "filter=sys_updated_on=sys_created_on")) == 10


EARLY, LATE = "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"
HALF, NUL = '"\\ud800"', '"a\\u0000b"'
STRANGE = [
    ("GET", f"/records/tickets?filter=opened_at>{EARLY}", None, 400),
    ("GET", f"/records/tickets?filter=opened_at<{LATE}", None, 400),
    ("GET", f"/logs/sync?from={EARLY}", None, 422),
    ("GET", f"/logs/sync?to={LATE}", None, 422),
    ("POST", "/sync", '{"system": "erp", "to": "9999-12-31T23:59:59-14:00"}', 422),
    ("PUT", "/settings/alerts.link", f'{{"value": {HALF}}}', 422),
    ("PUT", "/settings/alerts.link", f'{{"value": {NUL}}}', 422),
    ("PUT", "/settings/alerts.link", '{"value": "javascript:alert(1)"}', 422),
    ("PUT", "/settings/alerts.link", '{"value": "https://ann:word@a"}', 422),
    ("PUT", "/settings/alerts.link", '{"value": "https://a\\nBcc: b"}', 422),
    ("POST", "/mappings/erp/tickets/preview", f'{{"records": [{{"ticket_number": {HALF}}}]}}', 422),
    ("POST", "/records/tickets", "[" * 100_000, 400),
    ("POST", "/records/tickets", f'{{"sys_mod_count": {"9" * 5_000}}}', 400),
]


def test_what_no_database_or_calendar_holds_is_the_caller_s_fault(server: ApiServer, subtests: pytest.Subtests) -> None:
    for method, path, body, status in STRANGE:
        with subtests.test(f"{method} {path} {(body or '')[:50]}"):
            answer = server.call(method, path, who="admin", data=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == status, answer.text


def test_a_body_that_is_no_json_is_told_so(server: ApiServer) -> None:
    answer = server.call("POST", "/sync", who="user", data="{garbage", headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert answer.json()["message"].startswith("The body is not JSON: ")
