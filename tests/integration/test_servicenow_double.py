"""The double of a ServiceNow instance: the official client library works against it, and it is as odd as a real one."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pysnc
import pytest
import requests
import trustme

from tests.support.sample_erp import make_certificates
from tests.support.servicenow import (
    ADMIN,
    ADMIN_PASSWORD,
    CLIENT_ID,
    CLIENT_SECRET,
    DEMO,
    PASSWORD,
    USER,
    RunningInstance,
    start_instance,
)

# tests.support.servicenow puts the double on the path.
from servicenow.imports import Staging, TransformMap  # isort: skip
from servicenow.rate_limit import RateLimit  # isort: skip
from servicenow.schema import BOOLEAN, DATE, INTEGER, Column, Table, reference  # isort: skip
from servicenow.writing import DELETE, BusinessRule  # isort: skip

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
INCIDENTS = "/api/now/table/incident"
JSON = {"Accept": "application/json"}


@pytest.fixture
def running(certificate_authority: trustme.CA) -> Iterator[RunningInstance]:
    with start_instance(certificate_authority) as running:
        running.instance.clock.stop_at(NOW)
        yield running


class Api:
    """Calls to the instance, logged in."""

    def __init__(self, running: RunningInstance, ca_file: str, auth: tuple[str, str] = (USER, PASSWORD)) -> None:
        self.url, self.session = running.url, requests.Session()
        self.session.trust_env, self.session.verify = False, ca_file
        self.session.auth = auth
        self.session.headers.update(JSON)

    def __call__(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.url + path, timeout=10, **options)

    def get(self, path: str = INCIDENTS, **params: Any) -> requests.Response:
        return self("GET", path, params=params)

    def rows(self, path: str = INCIDENTS, **params: Any) -> list[dict[str, Any]]:
        answer = self.get(path, **params)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["result"]
        return rows

    def numbers(self, query: str, path: str = INCIDENTS) -> list[str]:
        """What the records are called that a query finds."""
        return [row["short_description"] for row in self.rows(path, sysparm_query=query)]

    def write(self, method: str, path: str, **fields: Any) -> requests.Response:
        return self(method, path, json=fields)


@pytest.fixture
def api(running: RunningInstance, ca_file: str) -> Iterator[Api]:
    api = Api(running, ca_file)
    with api.session:
        yield api


@pytest.fixture
def admin(running: RunningInstance, ca_file: str) -> Iterator[Api]:
    api = Api(running, ca_file, (ADMIN, ADMIN_PASSWORD))
    with api.session:
        yield api


def error_of(answer: requests.Response) -> tuple[int, str, str | None]:
    body = answer.json()
    assert body["status"] == "failure"
    return answer.status_code, body["error"]["message"], body["error"]["detail"]


NO_RECORD = (404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


def add_incidents(running: RunningInstance, *names: str, **fields: str) -> list[str]:
    return [running.instance.insert("incident", short_description=name, **fields) for name in names]


class TestOfficialClient:
    """PySNC, as its users write it."""

    @pytest.fixture(autouse=True)
    def _trust(self, monkeypatch: pytest.MonkeyPatch, ca_file: str) -> None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    @pytest.fixture
    def client(self, running: RunningInstance) -> Iterator[pysnc.ServiceNowClient]:
        client = pysnc.ServiceNowClient(running.url, (USER, PASSWORD))
        with client.session:
            yield client

    def test_reads_all_pages_of_a_query(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        expected = add_incidents(running, *(f"{number:02d}" for number in range(10)))
        add_incidents(running, "closed", active="false")
        found = client.GlideRecord("incident", batch_size=3)
        found.add_active_query()
        found.order_by("short_description")
        found.query()

        assert [str(record.short_description) for record in found] == [f"{number:02d}" for number in range(10)]
        assert len(found) == 10
        assert {str(record.sys_id) for record in found} == set(expected)
        assert len([call for call in running.instance.calls if call.method == "GET"]) == 4

    def test_stops_at_a_limit(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        add_incidents(running, *(f"{number:02d}" for number in range(10)))
        found = client.GlideRecord("incident", batch_size=3)
        found.limit = 7
        found.query()

        assert len(list(found)) == 7

    def test_finds_one_by_sys_id_or_field(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        sys_id, _ = add_incidents(running, "one", "two")
        record = client.GlideRecord("incident")

        assert record.get(sys_id)
        assert record.short_description == "one"
        assert client.GlideRecord("incident").get("short_description", "two")
        assert not client.GlideRecord("incident").get("f" * 32)

    def test_inserts_updates_and_deletes(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        record = client.GlideRecord("incident")
        record.initialize()
        record.short_description, record.work_notes = "new", "first"
        sys_id = str(record.insert())
        record.short_description = "changed"
        record.update()

        (stored,) = running.instance.find("incident", sys_id=sys_id)
        assert (stored["short_description"], stored["sys_mod_count"]) == ("changed", "1")
        assert [entry["value"] for entry in running.instance.all("sys_journal_field")] == ["first"]
        assert record.delete()
        assert running.instance.all("incident") == []

    def test_walks_references(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        place = running.instance.insert("cmn_location", name="Lisboa")
        caller = running.instance.insert("sys_user", name="Beth Anglin", location=place)
        add_incidents(running, "one", caller_id=caller)
        found = client.GlideRecord("incident")
        found.fields = ["caller_id", "caller_id.location", "caller_id.location.name"]
        found.add_query("caller_id.location.name", "LIKE", "Lis")
        found.query()

        assert found.next()
        assert (found.get_value("caller_id"), found.get_display_value("caller_id")) == (caller, "Beth Anglin")
        assert found.caller_id.location.name == "Lisboa"

    def test_queries_by_every_kind_of_condition(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        add_incidents(running, "a", category="software", priority="1")
        add_incidents(running, "b", category="hardware", priority="2")
        add_incidents(running, "c", priority="3")

        def names(**conditions: Any) -> list[str]:
            found = client.GlideRecord("incident")
            conditions["add"](found)
            found.order_by("short_description")
            found.query()
            return [str(record.short_description) for record in found]

        assert names(add=lambda found: found.add_query("priority", "<", "3")) == ["a", "b"]
        assert names(add=lambda found: found.add_null_query("category")) == ["c"]
        assert names(add=lambda found: found.add_not_null_query("category")) == ["a", "b"]
        assert names(add=lambda found: found.add_query("priority", "1").add_or_condition("priority", "3")) == ["a", "c"]
        assert names(add=lambda found: found.add_encoded_query("categorySTARTSWITHhard")) == ["b"]

    def test_joins_and_counts_related_records(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        boss = running.instance.insert("sys_user", name="Boss", user_name="boss")
        running.instance.insert("sys_user", name="Clerk", user_name="clerk", manager=boss)
        running.instance.insert("sys_user_group", name="Desk", manager=boss, active="true")
        bosses = client.GlideRecord("sys_user")
        bosses.add_rl_query("sys_user", "manager", ">0")
        bosses.query()
        leaders = client.GlideRecord("sys_user")
        leaders.add_join_query("sys_user_group", join_table_field="manager").add_query("active", "true")
        leaders.query()

        assert [str(record.name) for record in bosses] == ["Boss"]
        assert [str(record.name) for record in leaders] == ["Boss"]

    def test_writes_many_in_one_batch(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        answers: list[requests.Response] = []
        for number in range(25):
            record = client.GlideRecord("incident")
            record.initialize()
            record.short_description = f"{number:02d}"
            client.batch_api.post(record, answers.append)
        client.batch_api.execute()

        assert [answer.status_code for answer in answers] == [201] * 25
        assert [row["short_description"] for row in running.instance.all("incident")] == [
            f"{number:02d}" for number in range(25)
        ]
        assert [call.path for call in running.instance.calls] == ["/api/now/v1/batch"]

    def test_updates_and_deletes_many_in_one_batch_each(
        self, running: RunningInstance, client: pysnc.ServiceNowClient
    ) -> None:
        add_incidents(running, *(f"{number:02d}" for number in range(12)))
        found = client.GlideRecord("incident")
        found.query()
        for record in found:
            record.category = "software"

        assert found.update_multiple()
        assert {row["category"] for row in running.instance.all("incident")} == {"software"}
        assert client.GlideRecord("incident").delete_multiple()
        assert running.instance.all("incident") == []
        assert [call.path for call in running.instance.calls].count("/api/now/v1/batch") == 2

    def test_sends_what_a_batch_left_over_again(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        running.instance.settings.batch_item_s = 6.0
        add_incidents(running, *(f"{number:02d}" for number in range(12)))

        assert client.GlideRecord("incident").delete_multiple()
        assert running.instance.all("incident") == []
        assert [call.path for call in running.instance.calls].count("/api/now/v1/batch") == 3

    def test_sends_a_long_query_as_a_batch(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        (sys_id,) = add_incidents(running, "one")
        found = client.GlideRecord("incident")
        found.add_query("sys_id", "IN", ",".join([sys_id, *("f" * 32,) * 400]))
        found.query()

        assert [str(record.sys_id) for record in found] == [sys_id]
        assert [call.path for call in running.instance.calls] == ["/api/now/v1/batch"]

    def test_logs_in_by_client_credentials(self, running: RunningInstance) -> None:
        add_incidents(running, "one")
        flow = pysnc.auth.ServiceNowClientCredentialsFlow(CLIENT_ID, CLIENT_SECRET)
        client = pysnc.ServiceNowClient(running.url, flow)
        with client.session:
            found = client.GlideRecord("incident")
            found.query()

        assert len(found) == 1
        assert running.instance.calls[0].path == "/oauth_token.do"

    def test_is_told_what_went_wrong(self, running: RunningInstance, client: pysnc.ServiceNowClient) -> None:
        stranger = pysnc.ServiceNowClient(running.url, (USER, "wrong"))
        with stranger.session, pytest.raises(pysnc.exceptions.AuthenticationException, match="Not Authenticated"):
            stranger.GlideRecord("incident").query()
        with pytest.raises(pysnc.exceptions.RequestException, match="Invalid table nowhere"):
            client.GlideRecord("nowhere").query()
        running.instance.faults.add("cancelled_error")
        with pytest.raises(pysnc.exceptions.RequestException, match="Maximum execution time exceeded"):
            client.GlideRecord("incident").query()


class TestReading:
    def test_every_value_is_text_and_a_reference_has_a_link(self, running: RunningInstance, api: Api) -> None:
        caller = running.instance.insert("sys_user", name="Beth Anglin")
        add_incidents(running, "one", caller_id=caller)
        (row,) = api.rows()

        assert row["caller_id"] == {"link": f"{running.url}/api/now/table/sys_user/{caller}", "value": caller}
        assert row["assigned_to"] == ""
        assert (row["active"], row["priority"], row["sys_mod_count"]) == ("true", "4", "0")
        assert row["sys_updated_on"] == "2026-03-01 12:00:00"
        assert row["sys_domain"]["value"] == "global"

    @pytest.mark.parametrize(
        ("asked", "caller", "state"),
        [
            ({"sysparm_exclude_reference_link": "true"}, "ID", "1"),
            ({"sysparm_display_value": "true"}, {"display_value": "Beth", "link": "LINK"}, "New"),
            ({"sysparm_display_value": "true", "sysparm_exclude_reference_link": "true"}, "Beth", "New"),
            (
                {"sysparm_display_value": "all"},
                {"display_value": "Beth", "link": "LINK", "value": "ID"},
                {"display_value": "New", "value": "1"},
            ),
            (
                {"sysparm_display_value": "all", "sysparm_exclude_reference_link": "true"},
                {"display_value": "Beth", "value": "ID"},
                {"display_value": "New", "value": "1"},
            ),
        ],
    )
    def test_display_values_and_links_come_as_asked(
        self, running: RunningInstance, api: Api, asked: dict[str, str], caller: Any, state: Any
    ) -> None:
        beth = running.instance.insert("sys_user", name="Beth")
        add_incidents(running, "one", caller_id=beth)
        link = f"{running.url}/api/now/table/sys_user/{beth}"
        text = json.dumps(caller).replace("LINK", link).replace("ID", beth)
        (row,) = api.rows(**asked)

        assert row["caller_id"] == json.loads(text)
        assert row["state"] == state

    def test_unknown_fields_are_left_out_without_a_word(self, running: RunningInstance, api: Api) -> None:
        beth = running.instance.insert("sys_user", name="Beth")
        add_incidents(running, "one", caller_id=beth)

        assert api.rows(sysparm_fields="number,nonsense,caller_id.name,caller_id.nonsense,assigned_to.name") == [
            {"number": "INC0010001", "caller_id.name": "Beth", "assigned_to.name": ""}
        ]

    def test_journal_fields_read_back_empty(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, "one", work_notes="secret")

        assert api.rows()[0]["work_notes"] == ""
        shown = api.rows(sysparm_display_value="true")[0]["work_notes"]
        assert shown == "2026-03-01 12:00:00 - system (Work notes)\nsecret\n\n"

    def test_display_values_are_of_the_users_time_zone(self, running: RunningInstance, ca_file: str) -> None:
        running.instance.add_user("berlin", "berlin-password", time_zone="Europe/Berlin")
        add_incidents(running, "one")
        berlin = Api(running, ca_file, ("berlin", "berlin-password"))
        with berlin.session:
            assert berlin.rows(sysparm_display_value="true")[0]["sys_updated_on"] == "2026-03-01 13:00:00"
            assert berlin.rows()[0]["sys_updated_on"] == "2026-03-01 12:00:00"

    def test_a_parents_table_shows_the_childrens_records_with_its_own_columns(
        self, running: RunningInstance, api: Api
    ) -> None:
        (sys_id,) = add_incidents(running, "one")
        running.instance.insert("pm_project", short_description="two")
        rows = api.rows("/api/now/table/task", sysparm_query="ORDERBYshort_description")

        assert [row["sys_class_name"] for row in rows] == ["incident", "pm_project"]
        assert "caller_id" not in rows[0]
        assert api.get(f"/api/now/table/task/{sys_id}").json()["result"]["number"] == "INC0010001"
        assert error_of(api.get(f"/api/now/table/pm_project/{sys_id}")) == NO_RECORD

    def test_an_empty_list_is_not_found_in_v1_only(self, api: Api) -> None:
        assert error_of(api.get("/api/now/v1/table/incident")) == NO_RECORD
        for path in ("/api/now/table/incident", "/api/now/v2/table/incident"):
            answer = api.get(path)
            assert (answer.status_code, answer.json(), answer.headers["X-Total-Count"]) == (200, {"result": []}, "0")

    def test_name_value_pairs_filter_where_there_is_no_query(self, running: RunningInstance, api: Api) -> None:
        beth = running.instance.insert("sys_user", name="Beth")
        add_incidents(running, "one", state="7", caller_id=beth)
        add_incidents(running, "two")

        assert [row["short_description"] for row in api.rows(state="Closed")] == ["one"]
        assert [row["short_description"] for row in api.rows(caller_id="Beth", nonsense="1")] == ["one"]
        assert len(api.rows(state="Closed", sysparm_query="ORDERBYnumber")) == 2

    def test_the_answer_is_dated_by_the_instances_clock(self, api: Api) -> None:
        assert api.get().headers["Date"] == "Sun, 01 Mar 2026 12:00:00 GMT"


class TestPages:
    def test_limit_offset_and_total(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, *"abcde")
        answer = api.get(sysparm_limit=2, sysparm_offset=2, sysparm_query="ORDERBYshort_description")

        assert [row["short_description"] for row in answer.json()["result"]] == ["c", "d"]
        assert answer.headers["X-Total-Count"] == "5"
        offsets = {rel: parse_qs(link["url"])["sysparm_offset"][0] for rel, link in answer.links.items()}
        assert offsets == {"first": "0", "prev": "0", "next": "4", "last": "4"}

    def test_the_next_link_leads_to_the_next_page(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, *"abcde")
        answer, found = api.get(sysparm_limit=2, sysparm_query="active=true^ORDERBYshort_description"), []
        found += answer.json()["result"]
        while "next" in answer.links:
            answer = api("GET", answer.links["next"]["url"].removeprefix(running.url))
            found += answer.json()["result"]

        assert [row["short_description"] for row in found] == list("abcde")

    def test_headers_of_pages_can_be_suppressed(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, *"abc")

        assert "Link" not in api.get(sysparm_limit=2, sysparm_suppress_pagination_header="true").headers
        uncounted = api.get(sysparm_limit=2, sysparm_no_count="true")
        assert "X-Total-Count" not in uncounted.headers
        assert set(uncounted.links) == {"first", "next"}
        assert "Link" not in api.get().headers

    def test_an_odd_instance_names_a_page_before_the_first(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, "one")
        running.instance.settings.has_odd_prev_link = True

        assert "sysparm_offset=-1" in api.get(sysparm_limit=10).links["prev"]["url"]

    @pytest.mark.parametrize("asked", [{"sysparm_limit": "0"}, {"sysparm_limit": "-1"}, {"sysparm_offset": "-1"}])
    def test_no_page_at_all_is_refused(self, api: Api, asked: dict[str, str]) -> None:
        assert api.get(**asked).status_code == 400

    def test_access_controls_shorten_pages_after_the_limit(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, *"abcd")
        running.instance.controls.limit_rows("incident", lambda user, row: row["short_description"] in "ad")
        asked = {"sysparm_limit": 2, "sysparm_query": "ORDERBYshort_description"}
        first, second = api.get(**asked), api.get(**asked, sysparm_offset=2)

        assert [len(page.json()["result"]) for page in (first, second)] == [1, 1]
        assert first.headers["X-Total-Count"] == "4"
        assert (
            api.get(f"{INCIDENTS}/{running.instance.find('incident', short_description='b')[0]['sys_id']}").ok is False
        )

    def test_a_property_cuts_the_limit_down(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, *"abcd")
        running.instance.settings.max_limit = 3

        assert len(api.rows(sysparm_limit=100)) == 3

    def test_ties_that_no_order_settles_may_move(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, *"abcdef")
        running.instance.settings.has_unstable_ties = True
        pages = [api.numbers("ORDERBYsys_updated_on") for _ in range(3)]

        assert len({tuple(page) for page in pages}) > 1
        assert api.numbers("ORDERBYsys_updated_on^ORDERBYshort_description") == list("abcdef")


class TestQueries:
    @pytest.fixture(autouse=True)
    def _fill(self, running: RunningInstance) -> None:
        insert = running.instance.insert
        self.beth = insert("sys_user", name="Beth", user_name="beth")
        day = "2026-01-0"
        for name, priority, category, updated in (
            ("alpha", "1", "software", "1 08:00:00"),
            ("beta", "2", "hardware", "2 09:30:00"),
            ("gamma", "10", "", "3 10:00:00"),
        ):
            fields = {"short_description": name, "priority": priority, "category": category}
            insert("incident", **fields, sys_updated_on=day + updated)
        running.instance.change("incident", running.instance.all("incident")[0]["sys_id"])
        self.running = running

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("short_description=beta", "b"),
            ("short_description!=beta", "ag"),
            ("category=", "g"),
            ("category!=software", "bg"),
            ("category=NULL", "g"),
            ("priority<10", "ab"),
            ("priority<=2", "ab"),
            ("priority>2", "g"),
            ("priority>=2", "bg"),
            ("priorityBETWEEN2@10", "bg"),
            ("short_descriptionSTARTSWITHal", "a"),
            ("short_descriptionENDSWITHmma", "g"),
            ("short_descriptionLIKEet", "b"),
            ("short_descriptionNOT LIKEa", ""),
            ("categoryNOT LIKEhard", "ag"),
            ("short_descriptionINalpha,gamma", "ag"),
            ("categoryNOT INsoftware,hardware", "g"),
            ("categoryISEMPTY", "g"),
            ("categoryISNOTEMPTY", "ab"),
            ("categoryANYTHING", "abg"),
            ("short_descriptionSAMEAScategory", ""),
            ("sys_class_nameINSTANCEOFtask", "abg"),
            ("sys_updated_on>2026-01-02 09:30:00", "g"),
            ("sys_updated_on>=2026-01-02 09:30:00^sys_updated_on<2026-01-03 00:00:00", "b"),
            ("sys_updated_on>2026-01-02", "bg"),
            ("sys_updated_onBETWEENjavascript:gs.dateGenerate('2026-01-02','00:00:00')@2026-01-02 23:59:59", "b"),
            ("priority=1^ORpriority=2^category=hardware", "b"),
            ("priority=1^category=hardware^NQpriority=10", "g"),
            ("priority=1^NQpriority=2^ORpriority=10", "abg"),
            ("category!=hardware^ORDERBYDESCpriority", "ga"),
            ("ORDERBYDESCcategory^ORDERBYpriority", "abg"),
            ("^^EQ", "abg"),
        ],
    )
    def test_every_operator(self, api: Api, query: str, expected: str) -> None:
        order = "" if "ORDERBY" in query else "^ORDERBYshort_description"

        assert "".join(name[0] for name in api.numbers(query + order)) == expected

    @pytest.mark.parametrize(
        "invalid",
        [
            "nonsense=1",
            "priorityNEAR1",
            "assigned_to.nonsense=1",
            "sys_updated_on>2026-01-02T00:00:00Z",
            "sys_updated_on>yesterday",
            "priority>many",
            "priorityBETWEEN1",
            "sys_updated_on>javascript:gs.nonsense()",
            "Short_description=alpha",
            "ORDERBYnonsense",
            "RLQUERYnowhere.manager,>0^ENDRLQUERY",
        ],
    )
    def test_an_invalid_part_is_ignored_and_widens_the_read_unless_a_property_says_no(
        self, api: Api, invalid: str
    ) -> None:
        query = f"category=software^ORpriority=10^{invalid}^ORDERBYshort_description"
        assert api.numbers(query) == ["alpha", "gamma"]
        assert len(api.numbers(invalid)) == 3

        self.running.instance.settings.invalid_query_returns_no_rows = True
        assert api.numbers(query) == []

    def test_values_are_told_apart_by_case_or_not(self, api: Api) -> None:
        assert api.numbers("short_description=ALPHA") == []
        self.running.instance.settings.has_case_sensitive_values = False
        assert api.numbers("short_description=ALPHA") == ["alpha"]

    def test_dates_in_queries_are_utc_or_of_the_users_zone(self, ca_file: str) -> None:
        self.running.instance.add_user("berlin", "berlin-password", time_zone="Europe/Berlin")
        berlin = Api(self.running, ca_file, ("berlin", "berlin-password"))
        with berlin.session:
            assert berlin.numbers("sys_updated_on=2026-01-02 09:30:00") == ["beta"]
            self.running.instance.settings.reads_query_dates_in_user_zone = True
            assert berlin.numbers("sys_updated_on=2026-01-02 10:30:00") == ["beta"]

    def test_references_can_be_walked_and_the_caller_named(self, api: Api, running: RunningInstance) -> None:
        me = running.instance.find("sys_user", user_name=USER)[0]["sys_id"]
        running.instance.insert("incident", short_description="mine", assigned_to=me)
        running.instance.insert("incident", short_description="hers", assigned_to=self.beth)

        assert api.numbers("assigned_to=javascript:gs.getUserID()") == ["mine"]
        assert api.numbers("assigned_to.user_name=beth") == ["hers"]
        assert api.numbers("assigned_to.nameISNOTEMPTY^ORDERBYassigned_to.name") == ["hers", "mine"]

    def test_a_caret_in_a_value_is_doubled(self, api: Api, running: RunningInstance) -> None:
        running.instance.insert("incident", short_description="a^b")

        assert api.numbers("short_description=a^^b^active=true") == ["a^b"]


class TestWriting:
    def test_a_new_record_is_answered_with_its_place(self, running: RunningInstance, api: Api) -> None:
        answer = api.write("POST", INCIDENTS, short_description="Größe ✓", priority=2, active=True, caller_id=None)
        row = answer.json()["result"]

        assert answer.status_code == 201
        assert answer.headers["Location"] == f"{running.url}{INCIDENTS}/{row['sys_id']}"
        assert (row["short_description"], row["priority"], row["active"]) == ("Größe ✓", "2", "true")
        assert (row["sys_created_by"], row["sys_updated_by"], row["number"]) == (USER, USER, "INC0010001")

    def test_put_and_patch_change_only_what_they_name(self, running: RunningInstance, api: Api) -> None:
        (sys_id,) = add_incidents(running, "one", category="software")
        for count, method in enumerate(("PUT", "PATCH"), 1):
            answer = api.write(method, f"{INCIDENTS}/{sys_id}", short_description=method)
            row = answer.json()["result"]
            assert (answer.status_code, row["short_description"], row["category"]) == (200, method, "software")
            assert (row["sys_mod_count"], row["sys_updated_by"]) == (str(count), USER)

    def test_a_write_without_a_change_leaves_no_trace(self, running: RunningInstance, api: Api) -> None:
        (sys_id,) = add_incidents(running, "one")
        running.instance.clock.advance(60)
        row = api.write("PATCH", f"{INCIDENTS}/{sys_id}", short_description="one").json()["result"]

        assert (row["sys_mod_count"], row["sys_updated_on"]) == ("0", "2026-03-01 12:00:00")

    def test_an_empty_text_clears_a_field(self, running: RunningInstance, api: Api) -> None:
        (sys_id,) = add_incidents(running, "one", category="software")

        assert api.write("PATCH", f"{INCIDENTS}/{sys_id}", category="").json()["result"]["category"] == ""

    def test_journal_fields_append_at_every_write(self, running: RunningInstance, api: Api) -> None:
        (sys_id,) = add_incidents(running, "one")
        for _ in range(2):
            answer = api.write("PATCH", f"{INCIDENTS}/{sys_id}", work_notes="same")
            assert answer.json()["result"]["work_notes"] == ""

        entries = api.rows("/api/now/table/sys_journal_field", sysparm_query=f"element_id={sys_id}^element=work_notes")
        assert [(entry["value"], entry["sys_created_by"]) for entry in entries] == [("same", USER)] * 2
        assert running.instance.all("incident")[0]["sys_mod_count"] == "2"

    def test_what_is_unknown_or_read_only_is_ignored_without_a_word(self, running: RunningInstance, api: Api) -> None:
        (sys_id,) = add_incidents(running, "one")
        running.instance.controls.deny_field("incident", "category", "write")
        given = {"nonsense": "1", "sys_created_by": "me", "sys_updated_on": "2020-01-01 00:00:00", "category": "x"}
        row = api.write("PATCH", f"{INCIDENTS}/{sys_id}", **given, short_description="two").json()["result"]

        assert (row["sys_created_by"], row["sys_updated_on"]) == ("system", "2026-03-01 12:00:00")
        assert (row["category"], row["short_description"]) == ("", "two")

    def test_values_that_do_not_fit_are_cut_or_dropped(self, api: Api) -> None:
        given = {"short_description": "x" * 200, "priority": "high", "opened_at": "01.02.2026", "active": "maybe"}
        row = api.write("POST", INCIDENTS, **given, state="3.7").json()["result"]

        assert row["short_description"] == "x" * 160
        assert (row["priority"], row["opened_at"], row["active"], row["state"]) == ("", "", "false", "3")

    def test_a_nested_value_is_spoilt(self, running: RunningInstance, api: Api) -> None:
        row = api.write("POST", INCIDENTS, description={"value": "x", "ok": True}).json()["result"]

        assert row["description"] == "{value=x, ok=true}"

    def test_references_are_stored_as_given_unless_display_values_are(self, running: RunningInstance, api: Api) -> None:
        beth = running.instance.insert("sys_user", name="Beth Anglin")
        asked = "?sysparm_input_display_value=true&sysparm_exclude_reference_link=true"
        given = {"caller_id": "Beth Anglin", "state": "Resolved", "assigned_to": "Nobody"}
        raw = api.write("POST", f"{INCIDENTS}?sysparm_exclude_reference_link=true", **given).json()["result"]
        named = api.write("POST", INCIDENTS + asked, **given).json()["result"]

        assert (raw["caller_id"], raw["state"]) == ("Beth Anglin", "")
        assert (named["caller_id"], named["state"], named["assigned_to"]) == (beth, "6", "")

    def test_dates_are_utc_unless_display_values_are_given(self, running: RunningInstance, ca_file: str) -> None:
        running.instance.add_user("berlin", "berlin-password", time_zone="Europe/Berlin")
        berlin = Api(running, ca_file, ("berlin", "berlin-password"))
        with berlin.session:
            due = {"due_date": "2026-07-01 12:00:00"}
            raw = berlin.write("POST", INCIDENTS, **due).json()["result"]
            local = berlin.write("POST", f"{INCIDENTS}?sysparm_input_display_value=true", **due).json()["result"]

        assert (raw["due_date"], local["due_date"]) == ("2026-07-01 12:00:00", "2026-07-01 10:00:00")

    def test_an_array_is_refused(self, api: Api) -> None:
        answer = api("POST", INCIDENTS, json=[{"short_description": "one"}, {"short_description": "two"}])

        assert error_of(answer) == (400, "Exception while reading request", "The payload is not valid JSON.")

    def test_a_new_record_may_bring_its_sys_id_where_the_instance_allows(
        self, running: RunningInstance, api: Api
    ) -> None:
        sys_id = "0123456789abcdef" * 2
        assert api.write("POST", INCIDENTS, sys_id=sys_id).json()["result"]["sys_id"] == sys_id
        assert error_of(api.write("POST", INCIDENTS, sys_id=sys_id))[:2] == (403, "Operation Failed")

        running.instance.settings.accepts_new_sys_id = False
        assert api.write("POST", INCIDENTS, sys_id=sys_id).json()["result"]["sys_id"] != sys_id

    def test_a_deleted_record_leaves_a_trace_where_the_table_is_audited(
        self, running: RunningInstance, api: Api
    ) -> None:
        (sys_id,) = add_incidents(running, "one")
        group = running.instance.insert("sys_user_group", name="Desk")
        answer = api("DELETE", f"{INCIDENTS}/{sys_id}")
        api("DELETE", f"/api/now/table/sys_user_group/{group}")

        assert (answer.status_code, answer.content) == (204, b"")
        (trace,) = api.rows("/api/now/table/sys_audit_delete", sysparm_query="tablename=incident")
        assert (trace["documentkey"], trace["display_value"]) == (sys_id, "INC0010001")
        assert len(running.instance.all("sys_audit_delete")) == 1
        assert error_of(api("DELETE", f"{INCIDENTS}/{sys_id}")) == NO_RECORD

    def test_the_answers_body_can_be_left_out(self, api: Api) -> None:
        answer = api("POST", INCIDENTS, json={}, headers={"X-no-response-body": "true"})

        assert (answer.status_code, answer.content) == (201, b"")
        assert "Location" in answer.headers

    def test_a_table_of_a_tests_own_is_as_good_as_any(self, running: RunningInstance, api: Api) -> None:
        columns = (
            Column("u_name", is_display=True, is_mandatory=True),
            Column("u_code", is_unique=True),
            Column("u_count", INTEGER),
            Column("u_day", DATE),
            Column("u_open", BOOLEAN),
            reference("u_parent", "u_thing"),
        )
        running.instance.add_table(Table("u_thing", columns))
        path = "/api/now/table/u_thing"
        row = api.write("POST", path, u_name="a", u_code="1", u_count="7.9", u_day="2026-02-30", u_open="1").json()

        assert [row["result"][name] for name in ("u_count", "u_day", "u_open")] == ["7", "", "true"]
        assert "sys_class_name" not in row["result"]
        assert error_of(api.write("POST", path, u_name="b", u_code="1"))[0] == 403
        assert error_of(api.write("POST", path)) == (
            403,
            "Operation Failed",
            "Data Policy Exception: Name is mandatory",
        )


class TestRefusals:
    @pytest.mark.parametrize("auth", [(USER, "wrong"), ("nobody", PASSWORD), None])
    def test_who_is_not_known_is_not_let_in(self, api: Api, auth: tuple[str, str] | None) -> None:
        api.session.auth = auth
        answer = api.get()

        assert error_of(answer) == (401, "User Not Authenticated", "Required to provide Auth information")
        assert answer.headers["WWW-Authenticate"] == 'BASIC realm="Service-now"'

    @pytest.mark.parametrize("header", ["Basic %%%", "Basic", "Bearer unknown", "Digest x"])
    def test_a_broken_authorization_is_not_let_in(self, api: Api, header: str) -> None:
        api.session.auth = None

        assert api("GET", INCIDENTS, headers={"Authorization": header}).status_code == 401

    @pytest.mark.parametrize(
        ("method", "path", "status", "message"),
        [
            ("GET", "/api/now/table/nowhere", 400, "Invalid table nowhere"),
            ("GET", "/api/now/table", 400, "Requested URI does not represent any resource"),
            ("GET", "/api/now/table/incident/x/y", 400, "Requested URI does not represent any resource"),
            ("GET", "/api/now/v7/table/incident", 400, "Requested URI does not represent any resource"),
            ("GET", "/api/now/nonsense", 400, "Requested URI does not represent any resource"),
            ("GET", "/nonsense", 400, "Requested URI does not represent any resource"),
            ("GET", "/api/now/table/incident/ffffffff", 404, "No Record found"),
            ("DELETE", "/api/now/table/incident", 405, "Method not supported"),
            ("GET", "/api/now/v1/batch", 405, "Method not supported"),
            ("GET", "/api/now/import/sys_import_set_row", 405, "Method not supported"),
        ],
    )
    def test_what_is_not_there_is_refused(self, api: Api, method: str, path: str, status: int, message: str) -> None:
        assert error_of(api(method, path))[:2] == (status, message)

    def test_headers_are_required_or_not(self, running: RunningInstance, api: Api) -> None:
        no_accept = {"Accept": None}
        plain = {"data": b"{}", "headers": {"Content-Type": None}}
        assert api("GET", INCIDENTS, headers=no_accept).status_code == 406
        assert api("GET", INCIDENTS, headers={"Accept": "application/xml"}).status_code == 406
        assert api("GET", INCIDENTS, headers={"Accept": "*/*"}).status_code == 200
        assert api("POST", INCIDENTS, **plain).status_code == 415
        assert api("POST", INCIDENTS, data=b"a=1", headers={"Content-Type": "text/plain"}).status_code == 415

        running.instance.settings.requires_headers = False
        assert api("POST", INCIDENTS, **plain).status_code == 201
        assert api("GET", INCIDENTS, headers={"Accept": "application/xml"}).status_code == 406

    @pytest.mark.parametrize("body", [b"", b"{", b"[]", b"'x'", b"\xff"])
    def test_a_body_that_is_no_object_is_refused(self, api: Api, body: bytes) -> None:
        answer = api("POST", INCIDENTS, data=body, headers={"Content-Type": "application/json"})

        assert error_of(answer) == (400, "Exception while reading request", "The payload is not valid JSON.")

    def test_too_large_a_body_is_refused(self, running: RunningInstance, api: Api) -> None:
        running.instance.settings.max_payload_bytes = 100
        status, message, detail = error_of(api.write("POST", INCIDENTS, description="x" * 200))

        assert (status, message) == (400, "Exception while reading request")
        assert detail
        assert detail.startswith("Rejected large REST payload with content-length = ")

    def test_too_long_an_address_is_refused_but_not_inside_a_batch(self, api: Api) -> None:
        query = f"sysparm_query=sys_idIN{','.join('f' * 32 for _ in range(500))}"

        assert error_of(api("GET", f"{INCIDENTS}?{query}"))[0] == 414
        assert send(api, item(1, "GET", f"{INCIDENTS}?{query}"))["serviced_requests"][0]["status_code"] == 200

    def test_a_business_rule_aborts_a_write(self, running: RunningInstance, api: Api) -> None:
        (sys_id,) = add_incidents(running, "one")
        running.instance.rules.append(
            BusinessRule("No urgent ones", "task", lambda row: row["priority"] == "1", ("insert", "update", DELETE))
        )
        refused = api.write("PATCH", f"{INCIDENTS}/{sys_id}", priority="1")
        rule = running.instance.rules[0]

        assert error_of(refused) == (
            403,
            "Operation Failed",
            (
                f"Operation against file 'incident' was aborted by Business Rule '{rule.name}^{rule.sys_id}'. "
                f"Business Rule Stack:{rule.name}"
            ),
        )
        assert api.write("POST", INCIDENTS, priority="1").status_code == 403
        assert running.instance.all("incident")[0]["priority"] == "4"

    def test_a_table_that_may_not_be_read_is_refused_or_looks_empty(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, "one")
        running.instance.controls.deny_table("incident")
        assert error_of(api.get()) == (403, "User Not Authorized", "Failed API level ACL Validation")

        running.instance.settings.hides_denied_tables = True
        assert api.rows() == []

    def test_what_may_not_be_written_is_refused(self, running: RunningInstance, api: Api) -> None:
        (sys_id,) = add_incidents(running, "one")
        running.instance.controls.limit_rows("incident", lambda user, row: False, "write")
        for method, action in (("PATCH", "Update"), ("DELETE", "Delete")):
            refused = error_of(api.write(method, f"{INCIDENTS}/{sys_id}", category="x"))
            assert refused == (403, "Operation Failed", f"ACL Exception {action} Failed due to security constraints")
        running.instance.controls.deny_table("incident", "write")
        assert error_of(api.write("POST", INCIDENTS))[0] == 403

    def test_a_field_that_may_not_be_read_is_left_out(self, running: RunningInstance, api: Api) -> None:
        add_incidents(running, "one")
        running.instance.controls.deny_field("incident", "description")

        assert "description" not in api.rows()[0]
        refused = error_of(api.get(sysparm_query="active=true^descriptionISEMPTY"))
        assert refused == (
            403,
            "Insufficient rights to query records",
            "Field(s) present in the query do not have permission to be read",
        )

    def test_domains_are_kept_apart_unless_an_allowed_caller_asks(self, running: RunningInstance, ca_file: str) -> None:
        add_incidents(running, "ours", sys_domain="acme")
        add_incidents(running, "theirs", sys_domain="other")
        add_incidents(running, "all")
        for name, roles, expected in (("a", "", 2), ("b", "query_no_domain_table_api", 3)):
            running.instance.add_user(name, "user-password", domain="acme", roles=roles)
            user = Api(running, ca_file, (name, "user-password"))
            with user.session:
                assert [row["short_description"] for row in user.rows()] == ["ours", "all"]
                assert len(user.rows(sysparm_query_no_domain="true")) == expected


PASSWORD_GRANT = {"grant_type": "password", "username": USER, "password": PASSWORD}
CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}


class TestOAuth:
    def ask(self, api: Api, **form: str) -> requests.Response:
        api.session.auth = None
        return api("POST", "/oauth_token.do", data=CLIENT | form)

    def get_with(self, api: Api, token: str) -> int:
        return api("GET", INCIDENTS, headers={"Authorization": f"Bearer {token}"}).status_code

    def test_a_password_gets_an_access_and_a_refresh_token(self, running: RunningInstance, api: Api) -> None:
        answer = self.ask(api, **PASSWORD_GRANT)
        token = answer.json()

        assert (token["token_type"], token["expires_in"], token["scope"]) == ("Bearer", 1799, "useraccount")
        assert self.get_with(api, token["access_token"]) == 200
        running.instance.clock.advance(1_799)
        assert self.get_with(api, token["access_token"]) == 401
        fresh = self.ask(api, grant_type="refresh_token", refresh_token=token["refresh_token"]).json()
        assert self.get_with(api, fresh["access_token"]) == 200
        assert fresh["refresh_token"] == token["refresh_token"]

    def test_a_client_acts_for_its_user_without_a_refresh_token(self, running: RunningInstance, api: Api) -> None:
        token = self.ask(api, grant_type="client_credentials").json()
        created = api("POST", INCIDENTS, json={}, headers={"Authorization": f"Bearer {token['access_token']}"}).json()[
            "result"
        ]

        assert created["sys_created_by"] == USER
        assert "refresh_token" not in token

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ({"grant_type": "password", "username": USER, "password": "wrong"}, "invalid_grant"),
            ({"grant_type": "refresh_token", "refresh_token": "unknown"}, "invalid_grant"),
            ({"grant_type": "client_credentials", "client_secret": "wrong"}, "invalid_client"),
            ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
            ({}, "unsupported_grant_type"),
        ],
    )
    def test_no_token_for_a_wrong_grant(
        self, running: RunningInstance, api: Api, form: dict[str, str], error: str
    ) -> None:
        refused = self.ask(api, **form)
        assert (refused.status_code, refused.json()) == (
            401,
            {"error": "server_error", "error_description": "access_denied"},
        )
        running.instance.settings.names_oauth_errors = True
        assert self.ask(api, **form).json()["error"] == error

    def test_the_form_must_be_in_the_body(self, api: Api) -> None:
        form = {**CLIENT, **PASSWORD_GRANT}
        api.session.auth = None

        assert api("POST", "/oauth_token.do", params=form).status_code == 401
        assert api("POST", "/oauth_token.do", json=form).status_code == 401
        assert api("GET", "/oauth_token.do", params=form).status_code == 401

    def test_tokens_can_be_taken_away(self, running: RunningInstance, api: Api) -> None:
        token = self.ask(api, **PASSWORD_GRANT).json()
        running.instance.accounts.revoke_access()
        assert self.get_with(api, token["access_token"]) == 401
        running.instance.accounts.revoke_refresh()
        assert self.ask(api, grant_type="refresh_token", refresh_token=token["refresh_token"]).status_code == 401

    def test_client_credentials_must_be_switched_on(self, running: RunningInstance, api: Api) -> None:
        running.instance.settings.allows_client_credentials = False

        assert self.ask(api, grant_type="client_credentials").status_code == 401


def item(number: int, method: str = "POST", url: str = INCIDENTS, body: Any = None, **more: Any) -> dict[str, Any]:
    headers = [{"name": "Content-Type", "value": "application/json"}, {"name": "Accept", "value": "application/json"}]
    encoded = {} if body is None else {"body": base64.b64encode(json.dumps(body).encode()).decode()}
    return {"id": str(number), "method": method, "url": url, "headers": headers, **encoded, **more}


def send(api: Api, *items: dict[str, Any], **headers: str) -> dict[str, Any]:
    body = {"batch_request_id": 7, "rest_requests": list(items)}
    answer = api("POST", "/api/now/v1/batch", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    batch: dict[str, Any] = answer.json()
    assert batch["batch_request_id"] == "7"
    return batch


def body_of(serviced: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(serviced["body"]))


class TestBatch:
    def test_items_are_answered_in_order_each_for_itself(self, running: RunningInstance, api: Api) -> None:
        batch = send(
            api,
            item(1, body={"short_description": "one"}),
            item(2, url="/api/now/table/nowhere", body={}),
            item(3, "GET", f"{INCIDENTS}?sysparm_query=short_description%3Done&sysparm_fields=number"),
            item(4, "DELETE", f"{INCIDENTS}/{'f' * 32}"),
        )
        first, second, third, fourth = batch["serviced_requests"]

        assert [answer["id"] for answer in batch["serviced_requests"]] == ["1", "2", "3", "4"]
        assert (first["status_code"], first["status_text"]) == (201, "Created")
        assert {header["name"] for header in first["headers"]} >= {"Location", "Content-Type"}
        assert (second["status_code"], body_of(second)["error"]["message"]) == (400, "Invalid table nowhere")
        assert body_of(third) == {"result": [{"number": "INC0010001"}]}
        assert fourth["status_code"] == 404
        assert batch["unserviced_requests"] == []
        assert len(running.instance.calls) == 1

    def test_headers_of_answers_can_be_excluded_and_a_204_has_no_body(self, running: RunningInstance, api: Api) -> None:
        (sys_id,) = add_incidents(running, "one")
        deleted = item(1, "DELETE", f"{INCIDENTS}/{sys_id}", exclude_response_headers=True)
        (answer,) = send(api, deleted)["serviced_requests"]

        assert (answer["status_code"], answer["headers"]) == (204, [])
        assert "body" not in answer

    def test_a_batch_is_no_transaction(self, running: RunningInstance, api: Api) -> None:
        running.instance.rules.append(BusinessRule("No", "incident", lambda row: row["short_description"] == "bad"))
        names = ("good", "bad", "also good")
        batch = send(api, *(item(number, body={"short_description": name}) for number, name in enumerate(names)))

        assert [answer["status_code"] for answer in batch["serviced_requests"]] == [201, 403, 201]
        assert [row["short_description"] for row in running.instance.all("incident")] == ["good", "also good"]

    def test_what_is_beyond_the_time_limit_comes_back_unserviced(self, running: RunningInstance, api: Api) -> None:
        running.instance.settings.batch_item_s = 12.0
        batch = send(api, *(item(number, body={}) for number in range(4)))

        assert [answer["id"] for answer in batch["serviced_requests"]] == ["0", "1"]
        assert batch["unserviced_requests"] == ["2", "3"]
        assert len(running.instance.all("incident")) == 2

    def test_what_is_too_large_ends_the_batch(self, running: RunningInstance, api: Api) -> None:
        running.instance.settings.batch_max_input_bytes = 100
        batch = send(api, item(1, body={}), item(2, body={"description": "x" * 200}), item(3, body={}))
        assert batch["unserviced_requests"] == ["2", "3"]

        batch = send(api, item(1, "GET"), item(2, "GET"), **{"X-BATCHREQUEST-MAX-OUTPUT-SIZE": "50"})
        assert batch["unserviced_requests"] == ["1", "2"]

    def test_items_with_a_body_need_its_type(self, running: RunningInstance, api: Api) -> None:
        bare = [item(number, method, body={}) | {"headers": []} for number, method in enumerate(("GET", "POST"))]
        statuses = [answer["status_code"] for answer in send(api, *bare)["serviced_requests"]]
        assert statuses == [200, 415]

        running.instance.settings.requires_headers = False
        assert [answer["status_code"] for answer in send(api, *bare)["serviced_requests"]] == [200, 201]

    def test_items_need_paths_of_the_instance(self, running: RunningInstance, api: Api) -> None:
        (answer,) = send(api, item(1, "GET", f"{running.url}{INCIDENTS}"))["serviced_requests"]

        assert answer["status_code"] == 400

    @pytest.mark.parametrize(
        "items", [None, {}, [1], [{"id": "1", "method": "GET"}], [{"id": 1, "url": "/", "method": "GET"}]]
    )
    def test_a_batch_without_proper_items_is_refused(self, api: Api, items: Any) -> None:
        assert api.write("POST", "/api/now/v1/batch", batch_request_id="1", rest_requests=items).status_code == 400

    def test_a_body_that_is_not_base64_is_refused(self, api: Api) -> None:
        wrong = item(1) | {"body": "{}"}

        assert api.write("POST", "/api/now/v1/batch", rest_requests=[wrong]).status_code == 400

    def test_one_item_may_be_cancelled(self, running: RunningInstance, api: Api) -> None:
        running.instance.faults.add("cancelled_error", path="/table/incident", skip=1)
        batch = send(api, *(item(number, body={}) for number in range(3)))

        assert ["error" in body_of(answer) for answer in batch["serviced_requests"]] == [False, True, False]
        assert [answer["status_code"] for answer in batch["serviced_requests"]] == [201, 200, 201]


STAGING = "/api/now/import/u_locations"


def add_staging(running: RunningInstance, **details: Any) -> None:
    columns = (
        Column("u_id", label="Site ID"),
        Column("u_name", label="Site name"),
        Column("u_city"),
        Column("u_company"),
    )
    fields = {"u_id": "u_external_id", "u_name": "name", "u_city": "city", "u_company": "company"}
    coalesce = details.pop("coalesce", ("u_external_id",))
    transform_map = TransformMap(
        "Sites", "cmn_location", fields, coalesce, ignores=lambda row: row["u_name"] == "skip me"
    )
    table = Table("u_locations", columns, parent="sys_import_set_row")
    running.instance.add_staging(table, Staging("u_locations", (transform_map,), **details))


class TestImportSets:
    def test_a_record_is_inserted_then_updated_then_ignored(self, running: RunningInstance, api: Api) -> None:
        add_staging(running)
        answers = [api.write("POST", STAGING, u_id="1", u_name=name) for name in ("Lisboa", "Lisbon", "Lisbon")]
        (place,) = running.instance.all("cmn_location")
        results = [answer.json()["result"][0] for answer in answers]

        assert [answer.status_code for answer in answers] == [201] * 3
        assert [result["status"] for result in results] == ["inserted", "updated", "ignored"]
        assert {key: value for key, value in answers[0].json().items() if key != "result"} == {
            "import_set": "ISET0010001",
            "staging_table": "u_locations",
        }
        assert results[1] == {
            "transform_map": "Sites",
            "table": "cmn_location",
            "display_name": "name",
            "display_value": "Lisbon",
            "record_link": f"{running.url}/api/now/table/cmn_location/{place['sys_id']}",
            "status": "updated",
            "sys_id": place["sys_id"],
        }

    def test_without_a_coalesce_field_every_import_makes_a_new_record(self, running: RunningInstance, api: Api) -> None:
        add_staging(running, coalesce=())
        for _ in range(2):
            api.write("POST", STAGING, u_id="1", u_name="Lisboa")

        assert len(running.instance.all("cmn_location")) == 2

    def test_an_aborted_row_is_an_error_in_a_201(self, running: RunningInstance, api: Api) -> None:
        add_staging(running)
        running.instance.rules.append(BusinessRule("No", "cmn_location", lambda row: row["name"] == "bad"))
        answer = api.write("POST", STAGING, u_id="1", u_name="bad")
        (result,) = answer.json()["result"]

        assert (answer.status_code, result["status"]) == (201, "error")
        assert "aborted by Business Rule 'No^" in result["error_message"]
        assert "sys_id" not in result

    def test_a_row_may_be_ignored_by_its_map(self, running: RunningInstance, api: Api) -> None:
        add_staging(running)
        (result,) = api.write("POST", STAGING, u_id="1", u_name="skip me").json()["result"]

        assert (result["status"], running.instance.all("cmn_location")) == ("ignored", [])

    def test_empty_fields_are_not_copied_unless_switched_on(self, running: RunningInstance, api: Api) -> None:
        add_staging(running)
        api.write("POST", STAGING, u_id="1", u_name="a", u_city="Lisboa")
        api.write("POST", STAGING, u_id="1", u_name="b", u_city="")
        assert running.instance.all("cmn_location")[0]["city"] == "Lisboa"

        running.instance.settings.copies_empty_fields = True
        api.write("POST", STAGING, u_id="1", u_name="c", u_city="")
        assert running.instance.all("cmn_location")[0]["city"] == ""

    def test_references_are_found_by_name(self, running: RunningInstance, api: Api) -> None:
        company = running.instance.insert("core_company", name="ACME")
        add_staging(running)
        api.write("POST", STAGING, u_id="1", u_name="a", u_company="ACME")

        assert running.instance.all("cmn_location")[0]["company"] == company

    def test_what_a_row_became_can_be_asked_again(self, running: RunningInstance, api: Api) -> None:
        add_staging(running)
        inserted = api.write("POST", STAGING, u_id="1", u_name="Lisboa").json()
        (row,) = running.instance.all("u_locations")

        assert api.get(f"{STAGING}/{row['sys_id']}").json() == inserted
        assert error_of(api.get(f"{STAGING}/{'f' * 32}")) == NO_RECORD

    def test_a_table_without_a_map_and_one_that_stages_nothing(self, running: RunningInstance, api: Api) -> None:
        running.instance.add_table(Table("u_bare", (Column("u_x"),), parent="sys_import_set_row"))
        (result,) = api.write("POST", "/api/now/import/u_bare", u_x="1").json()["result"]

        assert (result["transform_map"], result["table"], result["status"]) == (
            "Invalid map",
            "No target table",
            "error",
        )
        assert error_of(api.write("POST", "/api/now/import/incident"))[:2] == (400, "Invalid staging table incident")

    def send_many(self, api: Api, *records: dict[str, Any]) -> dict[str, str]:
        answer = api.write("POST", f"{STAGING}/insertMultiple", records=list(records))
        assert answer.status_code == 201
        ids: dict[str, str] = answer.json()
        assert set(ids) == {"import_set_id", "multi_import_set_id"}
        return ids

    def states(self, api: Api, import_set: str) -> list[str]:
        query = f"sys_import_set={import_set}^ORDERBYsys_import_row"
        rows = api.rows("/api/now/table/u_locations", sysparm_query=query)
        return [row["sys_import_state"] for row in rows]

    def test_many_are_taken_by_label_and_transformed_later(self, running: RunningInstance, api: Api) -> None:
        add_staging(running)
        records = [{"Site ID": str(number), "Site name": f"Site {number}", "u_city": "lost"} for number in range(3)]
        ids = self.send_many(api, *records)

        assert running.instance.all("cmn_location") == []
        assert self.states(api, ids["import_set_id"]) == ["pending"] * 3
        assert self.states(api, ids["import_set_id"]) == ["inserted"] * 3
        assert [place["city"] for place in running.instance.all("cmn_location")] == [""] * 3
        (row, *_) = api.rows("/api/now/table/u_locations", sysparm_query="sys_import_row=0")
        assert row["sys_target_sys_id"] == running.instance.find("cmn_location", u_external_id="0")[0]["sys_id"]
        import_set = api.get(f"/api/now/table/sys_import_set/{ids['import_set_id']}").json()["result"]
        assert (import_set["state"], import_set["multi_import_set"]["value"]) == (
            "processed",
            ids["multi_import_set_id"],
        )

    def test_many_are_taken_by_name_and_at_once_where_it_is_set_so(self, running: RunningInstance, api: Api) -> None:
        add_staging(running, is_synchronous=True, has_column_names=True)
        ids = self.send_many(api, {"u_id": "1", "u_name": "a"}, {"Site ID": "2", "Site name": "b"})

        assert self.states(api, ids["import_set_id"]) == ["inserted", "inserted"]
        assert [place["name"] for place in running.instance.all("cmn_location")] == ["a", ""]

    def test_an_asynchronous_import_takes_its_time_or_hangs(self, running: RunningInstance, api: Api) -> None:
        add_staging(running, has_column_names=True)
        running.instance.settings.rows_per_import_poll = 1
        running.instance.settings.runs_imports = False
        ids = self.send_many(api, {"u_id": "1"}, {"u_id": "2"})
        for _ in range(3):
            assert self.states(api, ids["import_set_id"]) == ["pending", "pending"]

        running.instance.settings.runs_imports = True
        polls = [self.states(api, ids["import_set_id"]) for _ in range(3)]
        assert polls == [["pending", "pending"], ["inserted", "pending"], ["inserted", "inserted"]]

    def test_errors_of_many_are_seen_in_the_rows_only(self, running: RunningInstance, api: Api) -> None:
        add_staging(running, has_column_names=True)
        running.instance.rules.append(BusinessRule("No", "cmn_location", lambda row: row["name"] == "bad"))
        ids = self.send_many(api, {"u_id": "1", "u_name": "good"}, {"u_id": "2", "u_name": "bad"})
        running.instance.imports.run()

        assert self.states(api, ids["import_set_id"]) == ["inserted", "error"]

    @pytest.mark.parametrize("records", [None, {}, ["x"]])
    def test_records_must_be_a_list_of_objects(self, running: RunningInstance, api: Api, records: Any) -> None:
        add_staging(running)

        assert api.write("POST", f"{STAGING}/insertMultiple", records=records).status_code == 400


class TestRateLimit:
    def test_headers_come_with_every_answer_and_429_says_how_long_to_wait(
        self, running: RunningInstance, api: Api
    ) -> None:
        running.instance.rate_limit = RateLimit(2)
        running.instance.clock.advance(3_000)
        reset = str(int(datetime(2026, 3, 1, 13, tzinfo=UTC).timestamp()))
        answers = [api.get() for _ in range(3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        for answer in answers:
            assert (answer.headers["X-RateLimit-Limit"], answer.headers["X-RateLimit-Reset"]) == ("2", reset)
            assert "X-RateLimit-Rule" in answer.headers
            assert "X-RateLimit-Remaining" not in answer.headers
        assert (answers[2].headers["Retry-After"], error_of(answers[2])[1]) == ("600", "Rate limit exceeded")
        assert "Retry-After" not in answers[0].headers
        running.instance.clock.advance(600)
        assert api.get().status_code == 200

    def test_a_batch_counts_once(self, running: RunningInstance, api: Api) -> None:
        running.instance.rate_limit = RateLimit(1)
        send(api, *(item(number, body={}) for number in range(20)))

        assert len(running.instance.all("incident")) == 20
        assert api.get().status_code == 429


class TestFaults:
    @pytest.fixture(autouse=True)
    def _fill(self, running: RunningInstance) -> None:
        add_incidents(running, *(f"{number:02d}" for number in range(8)))

    def test_a_cancelled_transaction_hides_in_a_200(self, running: RunningInstance, api: Api) -> None:
        for kind in ("cancelled_error", "cancelled_result", "cancelled_tail"):
            running.instance.faults.add(kind)
        error, result, tail = api.get(), api.get(), api.get()

        assert [answer.status_code for answer in (error, result, tail)] == [200] * 3
        assert "result" not in error.json()
        assert error.json()["error"]["message"] == "Transaction cancelled: maximum execution time exceeded"
        assert result.json()["result"].startswith("Transaction cancelled")
        assert len(tail.json()["result"]) == 4
        assert tail.json()["status"] == "failure"
        assert api.get().json()["result"]

    @pytest.mark.parametrize(
        ("kind", "status", "text"),
        [
            ("queue_full", 429, ""),
            ("dropped", 202, ""),
            ("maintenance", 200, "under maintenance"),
            ("hibernating", 200, "Your instance is hibernating"),
            ("gateway_error", 503, "<html>"),
            ("server_error", 503, '"status":"failure"'),
        ],
    )
    def test_an_instance_that_does_not_serve(
        self, running: RunningInstance, api: Api, kind: str, status: int, text: str
    ) -> None:
        running.instance.faults.add(kind, method="POST")
        assert api.get().status_code == 200
        answer = api.write("POST", INCIDENTS)

        assert (answer.status_code, "Retry-After" in answer.headers) == (status, False)
        assert text in answer.text
        assert len(running.instance.all("incident")) == 8

    def test_a_429_may_be_ordered(self, running: RunningInstance, api: Api) -> None:
        running.instance.faults.add("rate_limited", retry_after_s=7)

        assert api.get().headers["Retry-After"] == "7"
        assert running.instance.calls[-1].fault == "rate_limited"

    def test_a_body_may_be_broken(self, running: RunningInstance, api: Api) -> None:
        running.instance.faults.add("broken_body")
        answer = api.get()

        assert answer.status_code == 200
        with pytest.raises(requests.exceptions.JSONDecodeError):
            answer.json()

    @pytest.mark.parametrize("kind", ["reset", "cut"])
    def test_a_connection_may_end_in_the_middle(self, running: RunningInstance, api: Api, kind: str) -> None:
        running.instance.faults.add(kind)
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError)):
            api.get()
        assert len(api.rows()) == 8

    @pytest.mark.parametrize("is_done", [True, False])
    def test_an_answer_may_get_lost_whether_the_work_is_done_or_not(
        self, running: RunningInstance, api: Api, is_done: bool
    ) -> None:
        running.instance.faults.add("lost", is_done=is_done)
        with pytest.raises(requests.exceptions.ConnectionError):
            api.write("POST", INCIDENTS)
        assert len(running.instance.all("incident")) == 8 + is_done

    def test_an_answer_may_never_come(self, running: RunningInstance, api: Api) -> None:
        running.instance.faults.add("timeout", is_done=True)
        with pytest.raises(requests.exceptions.ReadTimeout):
            api.session.post(running.url + INCIDENTS, json={}, timeout=0.2)
        assert len(running.instance.all("incident")) == 9
        assert len(api.rows()) == 9

    def test_a_fault_strikes_only_what_it_is_meant_for(self, running: RunningInstance, api: Api) -> None:
        running.instance.faults.add("server_error", path="/table/sys_user", times=2, skip=1, status=500)
        statuses = [api.get("/api/now/table/sys_user").status_code for _ in range(5)]

        assert statuses == [200, 500, 500, 200, 200]
        running.instance.faults.add("lost", path="/table/incident")
        assert send(api, item(1, "GET"))["serviced_requests"][0]["status_code"] == 200
        with pytest.raises(requests.exceptions.ConnectionError):
            api.get()
        running.instance.faults.add("server_error", times=None)
        assert [api.get().status_code for _ in range(3)] == [503] * 3
        running.instance.faults.clear()
        assert api.get().status_code == 200


class TestMetadata:
    def test_tables_name_what_they_extend(self, running: RunningInstance, api: Api) -> None:
        (incident,) = api.rows("/api/now/table/sys_db_object", sysparm_query="name=incident")
        (task,) = running.instance.find("sys_db_object", name="task")

        assert incident["super_class"]["value"] == task["sys_id"]
        assert incident["label"] == "Incident"

    def test_columns_stand_with_the_table_that_they_come_from(self, api: Api) -> None:
        query = "name=incident^elementINcaller_id,state,short_description,sys_id^ORDERBYelement"
        rows = api.rows("/api/now/table/sys_dictionary", sysparm_query=query)

        assert [row["element"] for row in rows] == ["caller_id", "state"]
        assert (rows[0]["internal_type"]["value"], rows[0]["reference"]["value"]) == ("reference", "sys_user")
        (text,) = api.rows("/api/now/table/sys_dictionary", sysparm_query="name=task^element=short_description")
        assert (text["column_label"], text["max_length"], text["read_only"]) == ("Short description", "160", "false")

    def test_choices_have_labels(self, api: Api) -> None:
        query = "name=incident^element=state^ORDERBYsequence"
        rows = api.rows("/api/now/table/sys_choice", sysparm_query=query)

        assert [(row["value"], row["label"]) for row in rows][:2] == [("1", "New"), ("2", "In Progress")]

    def test_the_user_finds_itself_and_its_time_zone(self, api: Api) -> None:
        (me,) = api.rows("/api/now/table/sys_user", sysparm_query="sys_id=javascript:gs.getUserID()")

        assert (me["user_name"], me["time_zone"]) == (USER, "UTC")

    def test_a_table_that_is_defined_anew_is_described_anew(self, running: RunningInstance, api: Api) -> None:
        for name in ("u_old", "u_new"):
            running.instance.add_table(Table("u_thing", (Column(name),)))
        query = "name=u_thing^elementSTARTSWITHu_"

        assert [row["element"] for row in api.rows("/api/now/table/sys_dictionary", sysparm_query=query)] == ["u_new"]


class TestAdministration:
    def test_switches_faults_and_limits_can_be_set_from_outside(
        self, running: RunningInstance, api: Api, admin: Api
    ) -> None:
        assert admin.write("POST", "/admin/settings", max_limit=1).json()["max_limit"] == 1
        admin.write("POST", "/admin/faults", kind="server_error", status=500)
        assert api.get().status_code == 500
        admin.write("POST", "/admin/rate_limit", calls_per_window=1)
        assert [api.get().status_code for _ in range(2)] == [200, 429]
        admin.write("POST", "/admin/rate_limit")
        assert admin.write("POST", "/admin/clock", seconds=60).json() == {"now": "2026-03-01 12:01:00"}
        assert admin.get("/admin/calls").json()["by_status"] == {"500": 1, "200": 1, "429": 1}

    def test_what_is_unknown_is_refused(self, api: Api, admin: Api) -> None:
        assert admin.write("POST", "/admin/settings", nonsense=1).status_code == 400
        assert admin.write("POST", "/admin/faults", kind="nonsense").status_code == 400
        assert admin.get("/admin/nonsense").status_code == 400
        assert api.get("/admin/settings").status_code == 403


def test_the_demo_starts_it_on_a_port_with_a_sample(tmp_path: Path) -> None:
    paths = make_certificates(tmp_path / "certificates")
    (tmp_path / "password").write_text(PASSWORD, encoding="utf-8")
    command = [
        *(sys.executable, str(DEMO / "servicenow" / "run.py"), "--port", "0", "--user", USER),
        *("--certificate", paths["certificate"], "--key", paths["key"]),
        *("--password-file", str(tmp_path / "password")),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            assert process.stdout
            port = json.loads(process.stdout.readline())["port"]
            running = RunningInstance(f"https://127.0.0.1:{port}", port, None)  # type: ignore[arg-type]  # in a process
            api = Api(running, paths["authority"])
            with api.session:
                rows = api.rows(sysparm_query="caller_id.location.name=東京 office", sysparm_fields="number")
                assert rows
                assert api.get(sysparm_limit=1).headers["X-Total-Count"] == "60"
        finally:
            process.terminate()
        assert process.wait(10) == -signal.SIGTERM
