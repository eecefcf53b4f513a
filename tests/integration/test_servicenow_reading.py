"""Reading a ServiceNow instance that is as odd as a real one: a strict double over HTTPS."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest
import trustme

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionTimeoutError,
    KwikSyncError,
    RateLimitError,
    SystemUnavailableError,
)
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.conftest import StartServer
from tests.support.https_server import Response, json_response
from tests.support.servicenow import CLIENT_ID, CLIENT_SECRET, PASSWORD, USER, RunningInstance, start_instance

# tests.support.servicenow puts the double on the path.
from servicenow.faults import FaultKind  # isort: skip
from servicenow.instance import Instance  # isort: skip
from servicenow.schema import CREATED, Column, Table  # isort: skip

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OPTIONS = {"allow_hosts": ["127.0.0.0/8"]}


@pytest.fixture
def running(certificate_authority: trustme.CA) -> Iterator[RunningInstance]:
    with start_instance(certificate_authority) as running:
        running.instance.clock.stop_at(NOW)
        yield running


@pytest.fixture
def instance(running: RunningInstance) -> Instance:
    return running.instance


class Reader:
    """Reads the instance as the sync does, ten records a page."""

    def __init__(self, running: RunningInstance, ca_file: str) -> None:
        self.clock = ManualClock(NOW)
        self.credentials = Credentials(running.url, login=USER, password=PASSWORD, ca_file=ca_file)
        self._instance = running.instance

    def pages(self, source: str = "incident", **options: Any) -> list[Page]:
        changes = {name: options.pop(name) for name in ReadRequest.__dataclass_fields__ if name in options}
        request = {"cursor_field": "sys_updated_on", "page_records": 10, **changes}
        opened = open_source("servicenow", self.credentials, {**OPTIONS, **options}, Unlimited(), self.clock)
        with closing(opened):
            return list(opened.read(ReadRequest(source, **{"key": "sys_id", **request})))

    def ids(self, source: str = "incident", **options: Any) -> list[str]:
        return [record["sys_id"] for page in self.pages(source, **options) for record in page.records]

    def fails(self, **options: Any) -> KwikSyncError:
        with pytest.raises(KwikSyncError, match="ERR_") as raised:
            self.pages(**options)
        assert raised.value.remedy
        return raised.value

    def check(self) -> str:
        with closing(open_source("servicenow", self.credentials, OPTIONS, Unlimited(), self.clock)) as opened:
            return opened.check()


@pytest.fixture
def reader(running: RunningInstance, ca_file: str) -> Reader:
    return Reader(running, ca_file)


def add_incidents(instance: Instance, count: int, *, tied: int = 1, **fields: str) -> list[str]:
    """Incidents in the order of (changed, sys_id), so many of them in each second; their sys_ids."""
    first = NOW - timedelta(days=1)
    moments = [first + timedelta(seconds=number // tied) for number in range(count)]
    return [
        instance.insert("incident", sys_id=f"{number:032x}", sys_updated_on=f"{moment:%Y-%m-%d %H:%M:%S}", **fields)
        for number, moment in enumerate(moments)
    ]


class TestKeyset:
    @pytest.mark.parametrize("tied", [1, 3, 7, 10, 45])
    def test_every_record_comes_once_although_its_order_is_unstable(
        self, instance: Instance, reader: Reader, tied: int
    ) -> None:
        instance.settings.has_unstable_ties = True
        added = add_incidents(instance, 45, tied=tied)
        assert reader.ids() == added

    def test_a_page_takes_one_call_where_few_records_share_a_second(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 100)
        pages = reader.pages()
        assert sum(page.calls for page in pages) == len(instance.calls) == len(pages) + 1  # one proves the time zone

    def test_an_empty_table_takes_one_call(self, instance: Instance, reader: Reader) -> None:
        (page,) = reader.pages()
        assert (page.records, page.is_last, len(instance.calls)) == ([], True, 1)

    def test_records_are_counted_only_near_the_end(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 100)
        reader.pages()
        counted = ["sysparm_no_count=false" in call.query_string for call in instance.calls]
        assert counted[0]
        assert not any(counted[1:6])

    def test_an_instance_that_cuts_pages_down_loses_nothing(self, instance: Instance, reader: Reader) -> None:
        instance.settings.max_limit = 4
        added = add_incidents(instance, 45, tied=6)
        assert reader.ids() == added

    def test_a_table_without_cursor_is_read_by_sys_id(self, instance: Instance, reader: Reader) -> None:
        added = add_incidents(instance, 35)
        assert reader.ids(cursor_field=None) == added

    def test_a_table_without_updates_is_read_by_its_creation(self, instance: Instance, reader: Reader) -> None:
        instance.add_table(Table("u_event", (Column("name"),), stamps=CREATED))
        added = [instance.insert("u_event", sys_id=f"{number:032x}") for number in range(25)]
        assert reader.ids("u_event", cursor_field="sys_created_on") == added

    def test_records_without_a_time_of_change_come_too(self, instance: Instance, reader: Reader) -> None:
        timeless = [instance.insert("incident", sys_id=f"a{number:031x}", sys_updated_on="") for number in range(25)]
        added = add_incidents(instance, 25)
        assert reader.ids() == timeless + added

    def test_a_read_of_changes_begins_at_the_second_and_ends_before_the_running_one(
        self, instance: Instance, reader: Reader
    ) -> None:
        added = add_incidents(instance, 30, tied=3)
        instance.insert("incident", sys_updated_on="2999-01-01 00:00:00")
        since = Position(NOW - timedelta(days=1) + timedelta(seconds=4, milliseconds=900))
        assert reader.ids(since=since) == added[12:]

    def test_what_changes_in_the_running_second_is_left_to_the_next_read(
        self, instance: Instance, reader: Reader
    ) -> None:
        since, seconds = Position(NOW - timedelta(days=2)), ("11:59:58", "11:59:59", "12:00:00", "12:00:01")
        added = [instance.insert("incident", sys_updated_on=f"2026-03-01 {second}") for second in seconds]
        assert reader.ids(since=since) == added[:2]
        assert reader.ids(since=since, lag_s=0) == added[:3]
        assert reader.ids() == added

    def test_a_full_read_takes_what_changes_meanwhile(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 5)
        fresh = instance.insert("incident")
        assert reader.ids()[-1] == fresh

    def test_a_read_ends_where_it_is_told_to(self, instance: Instance, reader: Reader) -> None:
        added = add_incidents(instance, 30, tied=3)
        assert reader.ids(until=NOW - timedelta(days=1) + timedelta(seconds=4)) == added[:15]

    def test_a_read_goes_on_with_the_bound_that_it_began_with(self, instance: Instance, reader: Reader) -> None:
        added = add_incidents(instance, 45, tied=3)
        since = Position(NOW - timedelta(days=2))
        first, *_ = reader.pages(since=since)
        token = json.loads(json.dumps(first.resume))
        assert token["until"] is not None
        rest = reader.ids(since=since, resume=token)
        assert [record["sys_id"] for record in first.records] + rest == added

    def test_a_read_does_not_go_on_by_another_query(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 45)
        token = reader.pages()[0].resume
        assert reader.fails(resume=token, query="active=true").facts["restart"] is True


class TestHiddenRecords:
    """Row rules hide records after a page was cut, so that pages are short or empty in the middle of a read."""

    @pytest.mark.parametrize(
        "seen", [range(0, 45, 3), range(33, 45), range(12), range(44, 45)], ids=["each third", "end", "start", "last"]
    )
    @pytest.mark.parametrize("tied", [1, 45])
    def test_what_may_be_seen_comes_whatever_lies_before_it(
        self, instance: Instance, reader: Reader, seen: range, tied: int
    ) -> None:
        added = add_incidents(instance, 45, tied=tied)
        visible = {sys_id for number, sys_id in enumerate(added) if number in seen}
        instance.controls.limit_rows("incident", lambda user, row: row["sys_id"] in visible)
        assert reader.ids() == [sys_id for sys_id in added if sys_id in visible]

    def test_a_table_whose_records_are_all_hidden_ends(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 45)
        instance.controls.limit_rows("incident", lambda user, row: False)
        (page,) = reader.pages()
        assert (page.records, page.is_last) == ([], True)

    def test_a_domain_is_read_whole(self, instance: Instance, reader: Reader) -> None:
        mine = instance.insert("sys_user_group", name="Mine")
        instance.add_user("separated", PASSWORD, domain=mine, time_zone="UTC")
        reader.credentials = Credentials(
            reader.credentials.base_url, login="separated", password=PASSWORD, ca_file=reader.credentials.ca_file
        )
        add_incidents(instance, 15, sys_domain="another")
        added = [instance.insert("incident", sys_id=f"f{number:031x}", sys_domain=mine) for number in range(15)]
        assert reader.ids() == added


class TestQueries:
    def test_a_query_narrows_every_page(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 20, category="software")
        urgent = [instance.insert("incident", sys_id=f"f{n:031x}", category="hardware", urgency="1") for n in range(13)]
        assert reader.ids(query="category=hardware^NQurgency=1^category!=software") == urgent

    @pytest.mark.parametrize("returns_no_rows", [False, True])
    @pytest.mark.parametrize("since", [None, Position(NOW - timedelta(days=3))])
    @pytest.mark.parametrize(
        "query", ["u_catgory=hardware", "caller_id.u_catgoryISEMPTY", "state=Closed", "stateIN7,x"]
    )
    def test_a_condition_that_the_instance_does_not_understand_widens_no_read(
        self, instance: Instance, reader: Reader, query: str, returns_no_rows: bool, since: Position | None
    ) -> None:
        instance.settings.invalid_query_returns_no_rows = returns_no_rows
        add_incidents(instance, 5, category="software")
        if returns_no_rows and since is not None:
            assert reader.ids(query=query, since=since) == []
            return
        error = reader.fails(query=query, since=since)
        assert isinstance(error, ConfigurationError)
        assert f"does not understand '{query}'" in error.message

    def test_a_query_that_nothing_meets_is_no_fault(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 5, category="software")
        assert reader.ids(query="category=hardware^due_date<2020-01-01 00:00:00^stateBETWEEN6@7") == []

    def test_a_cursor_that_the_table_has_not_is_named(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 5)
        assert "without u_changed" in reader.fails(cursor_field="u_changed").message

    @pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
    def test_times_that_are_read_in_the_users_zone_end_the_read(
        self, instance: Instance, reader: Reader, zone: str
    ) -> None:
        instance.add_user("traveller", PASSWORD, time_zone=zone)
        instance.settings.reads_query_dates_in_user_zone = True
        reader.credentials = Credentials(
            reader.credentials.base_url, login="traveller", password=PASSWORD, ca_file=reader.credentials.ca_file
        )
        first = NOW - timedelta(days=1)
        for hour in range(40):
            instance.insert("incident", sys_updated_on=f"{first + timedelta(hours=hour / 2):%Y-%m-%d %H:%M:%S}")
        for since in (None, Position(NOW - timedelta(hours=12))):
            assert "time zone of the integration user to UTC" in reader.fails(since=since).remedy


class TestFields:
    def test_only_the_fields_that_are_wanted_come(self, instance: Instance, reader: Reader) -> None:
        site = instance.insert("cmn_location", name="Köln", city="")
        instance.insert("incident", number="INC1", location=site)
        (record,) = reader.pages(fields=["number", "location", "location.name", "assigned_to", "active"])[0].records
        assert record.keys() >= {"sys_id", "sys_updated_on", "number"}
        assert (record["location"], record["location.name"]) == (site, "Köln")
        assert (record["assigned_to"], record["active"]) == (None, "true")

    def test_references_come_as_sys_ids_where_all_fields_are_read(self, instance: Instance, reader: Reader) -> None:
        site = instance.insert("cmn_location", name="Köln")
        instance.insert("incident", location=site)
        (record,) = reader.pages()[0].records
        assert (record["location"], record["work_notes"]) == (site, None)

    @pytest.mark.parametrize("field", ["u_numbr", "location.u_town"])
    def test_a_field_that_is_not_there_is_named(self, instance: Instance, reader: Reader, field: str) -> None:
        add_incidents(instance, 3)
        error = reader.fails(fields=["number", field])
        assert isinstance(error, ConfigurationError)
        assert f"gives no {field}" in error.message

    def test_a_field_that_the_user_may_not_read_is_named(self, instance: Instance, reader: Reader) -> None:
        add_incidents(instance, 3)
        instance.controls.deny_field("incident", "description")
        assert "gives no description" in reader.fails(fields=["number", "description"]).message

    def test_a_table_may_be_known_by_another_field(self, instance: Instance, reader: Reader) -> None:
        instance.insert("incident", number="INC7")
        (page,) = reader.pages(key="number", fields=["short_description"])
        assert page.records[0]["number"] == "INC7"


class TestFaults:
    @pytest.mark.parametrize(
        "kind", [FaultKind.CANCELLED_ERROR, FaultKind.CANCELLED_RESULT, FaultKind.CANCELLED_TAIL, FaultKind.TIMEOUT]
    )
    def test_a_call_that_takes_too_long_is_asked_again_for_half(
        self, instance: Instance, reader: Reader, kind: FaultKind
    ) -> None:
        added = add_incidents(instance, 90)
        instance.faults.add(kind, skip=1)
        assert reader.ids(page_records=40, timeouts={"read_s": 1}) == added
        sizes = [parse_qs(call.query_string)["sysparm_limit"][0] for call in instance.calls]
        assert sizes.count("40") == 2
        assert sizes.count("20") >= 2

    def test_a_table_that_can_never_answer_in_time_ends_the_read(self, instance: Instance, reader: Reader) -> None:
        instance.faults.add(FaultKind.CANCELLED_ERROR, times=None)
        error = reader.fails(page_records=40)
        assert isinstance(error, ConnectionTimeoutError)
        assert "Transaction cancelled" in error.message
        assert len(instance.calls) == 3

    @pytest.mark.parametrize(
        ("kind", "says"),
        [
            (FaultKind.MAINTENANCE, "a web page"),
            (FaultKind.HIBERNATING, "a web page"),
            (FaultKind.DROPPED, "answered 202"),
            (FaultKind.SERVER_ERROR, "answered 503"),
        ],
    )
    def test_an_answer_that_is_none_is_never_an_empty_table(
        self, instance: Instance, reader: Reader, kind: FaultKind, says: str
    ) -> None:
        add_incidents(instance, 3)
        instance.faults.add(kind, times=None)
        error = reader.fails()
        assert isinstance(error, SystemUnavailableError)
        assert says in error.message

    @pytest.mark.parametrize("kind", [FaultKind.LOST, FaultKind.RESET, FaultKind.GATEWAY_ERROR])
    def test_a_call_that_broke_is_made_again(self, instance: Instance, reader: Reader, kind: FaultKind) -> None:
        added = add_incidents(instance, 25)
        instance.faults.add(kind, skip=1)
        assert reader.ids() == added

    def test_a_rate_limit_is_waited_for_exactly(self, instance: Instance, reader: Reader) -> None:
        added = add_incidents(instance, 25)
        instance.faults.add(FaultKind.RATE_LIMITED, skip=1, retry_after_s=17)
        assert reader.ids() == added
        assert reader.clock.slept == [17]

    def test_an_overfull_queue_without_headers_is_waited_for_too(self, instance: Instance, reader: Reader) -> None:
        added = add_incidents(instance, 5)
        instance.faults.add(FaultKind.QUEUE_FULL)
        assert reader.ids() == added
        assert reader.clock.slept == [30]

    def test_an_hour_of_waiting_is_left_to_the_next_attempt(self, instance: Instance, reader: Reader) -> None:
        instance.faults.add(FaultKind.RATE_LIMITED, retry_after_s=3_000)
        error = reader.fails()
        assert isinstance(error, RateLimitError)
        assert error.retry_after_s == 3_000

    def test_a_table_that_the_user_may_not_read_is_refused(self, instance: Instance, reader: Reader) -> None:
        instance.controls.deny_table("incident")
        assert isinstance(reader.fails(), AuthenticationError)

    def test_an_unknown_table_is_a_fault_of_the_configuration(self, reader: Reader) -> None:
        error = reader.fails(source="incidents")
        assert isinstance(error, ConfigurationError)
        assert "Invalid table incidents" in error.message

    def test_a_sick_record_takes_no_other_with_it(self, instance: Instance, reader: Reader) -> None:
        added = add_incidents(instance, 25, tied=5)
        instance.change("incident", added[9], short_description="no database keeps this: \0")
        pages = reader.pages()
        rejects = [reject for page in pages for reject in page.rejects]
        assert [(reject.code, reject.external_id) for reject in rejects] == [("ERR_008", added[9])]
        assert [record["sys_id"] for page in pages for record in page.records] == [*added[:9], *added[10:]]


class TestOtherAnswers:
    """What instances were seen to answer, and the double does not."""

    @pytest.fixture
    def answers(self, https_server: StartServer, reader: Reader) -> list[Response]:
        """What is answered, in turn."""
        answers: list[Response] = []
        server = https_server()
        server.on("/api/now/v2/table/incident", lambda request: answers.pop(0))
        reader.credentials = replace(reader.credentials, base_url=server.url(""))
        return answers

    def test_nothing_found_may_be_a_404(self, answers: list[Response], reader: Reader) -> None:
        error = {"error": {"message": "No Record found", "detail": "Records matching query not found"}}
        answers += [json_response(error, 404)]
        assert reader.ids() == []

    def test_another_404_is_no_empty_table(self, answers: list[Response], reader: Reader) -> None:
        answers += [Response(404, b"<html>no such page</html>")]
        assert isinstance(reader.fails(), ConfigurationError)

    def test_a_count_that_does_not_come_ends_no_read(self, answers: list[Response], reader: Reader) -> None:
        first, second = (f"{number:032x}" for number in range(2))
        rows = [{"sys_id": sys_id, "sys_updated_on": "2026-02-01 00:00:00"} for sys_id in (first, second)]
        found = [json_response({"result": part}) for part in (rows[:1], rows[:1], rows[1:], [], [])]
        answers += [found[0], found[2], found[1], found[3], found[4]]
        assert reader.ids() == [first, second]

    def test_a_record_that_lacks_a_field_is_rejected_alone(self, answers: list[Response], reader: Reader) -> None:
        row = {"sys_id": "a" * 32, "sys_updated_on": "2026-02-01 00:00:00", "number": "INC1"}
        rows = [row, {**row, "sys_id": "b" * 32, "description": "x"}]
        answers += [json_response({"result": rows}, headers={"X-Total-Count": "2"})]
        (page,) = reader.pages(fields=["number", "description"])
        assert [record["sys_id"] for record in page.records] == ["b" * 32]
        (reject,) = page.rejects
        assert (reject.code, reject.field, reject.external_id) == ("ERR_006", "description", "a" * 32)

    def test_a_sick_record_whose_key_is_not_known_is_named_by_its_sys_id(
        self, answers: list[Response], reader: Reader
    ) -> None:
        row = {"sys_id": "a" * 32, "sys_updated_on": "2026-02-01 00:00:00", "number": "INC\0"}
        answers += [json_response({"result": [row]}, headers={"X-Total-Count": "1"})]
        (reject,) = reader.pages(key="number")[0].rejects
        assert reject.external_id is None
        assert "a" * 32 in reject.message

    def test_references_may_come_with_links(self, answers: list[Response], reader: Reader) -> None:
        row = {"sys_id": "a" * 32, "sys_updated_on": "2026-02-01 00:00:00", "location": {"link": "x", "value": "l1"}}
        answers += [json_response({"result": [row]}, headers={"X-Total-Count": "1"})]
        assert reader.pages()[0].records[0]["location"] == "l1"

    def test_a_page_of_records_that_nothing_tells_apart_is_refused(
        self, answers: list[Response], reader: Reader
    ) -> None:
        answers += [json_response({"result": [1]}, headers={"X-Total-Count": "5"})]
        assert isinstance(reader.fails(), SystemUnavailableError)


class TestOAuth:
    CLIENT = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}  # noqa: RUF012  # never changed

    def use(self, reader: Reader, extra: Mapping[str, str], **login: str) -> None:
        known = reader.credentials
        reader.credentials = Credentials(known.base_url, ca_file=known.ca_file, extra={**self.CLIENT, **extra}, **login)

    @pytest.mark.parametrize("grant", ["client_credentials", "password"])
    def test_a_token_is_got_once_for_all_pages(self, instance: Instance, reader: Reader, grant: str) -> None:
        added = add_incidents(instance, 25)
        self.use(reader, {"grant_type": grant}, login=USER, password=PASSWORD)
        pages = reader.pages()
        assert [record["sys_id"] for page in pages for record in page.records] == added
        assert sum(call.path == "/oauth_token.do" for call in instance.calls) == 1
        assert sum(page.calls for page in pages) == len(instance.calls)

    def test_a_refresh_token_gets_tokens_too(self, instance: Instance, reader: Reader) -> None:
        added = add_incidents(instance, 5)
        refresh = instance.accounts.issue_refresh(USER, CLIENT_ID)
        self.use(reader, {"refresh_token": refresh})
        assert reader.ids() == added

    def test_a_token_that_was_revoked_in_the_middle_is_replaced(self, instance: Instance, reader: Reader) -> None:
        added = add_incidents(instance, 25)
        self.use(reader, {"grant_type": "client_credentials"})
        opened = open_source("servicenow", reader.credentials, OPTIONS, Unlimited(), reader.clock)
        with closing(opened):
            reading = opened.read(ReadRequest("incident", "sys_id", "sys_updated_on", page_records=10))
            first = next(iter(reading))
            instance.accounts.revoke_access()
            pages = [first, *reading]
        assert [record["sys_id"] for page in pages for record in page.records] == added

    def test_a_refused_client_is_told(self, reader: Reader) -> None:
        self.use(reader, {"grant_type": "client_credentials", "client_secret": "wrong-secret-value"})
        assert isinstance(reader.fails(), AuthenticationError)


class TestCheck:
    def test_it_says_who_we_are_and_that_all_is_well(self, instance: Instance, reader: Reader) -> None:
        instance.delete("incident", instance.insert("incident"))
        said = reader.check()
        assert f"we are {USER}. Its time zone is UTC." in said
        assert "deletions can come as a feed" in said

    def test_it_finds_who_an_oauth_client_is(self, reader: Reader) -> None:
        known = reader.credentials
        reader.credentials = Credentials(known.base_url, ca_file=known.ca_file, extra=TestOAuth.CLIENT)
        assert f"we are {USER}" in reader.check()

    def test_it_warns_of_another_time_zone(self, instance: Instance, reader: Reader) -> None:
        instance.add_user("berliner", PASSWORD, time_zone="Europe/Berlin")
        known = reader.credentials
        reader.credentials = Credentials(known.base_url, "berliner", PASSWORD, ca_file=known.ca_file)
        assert "Its time zone is Europe/Berlin: set it to UTC" in reader.check()

    def test_it_says_what_can_not_be_read(self, instance: Instance, reader: Reader) -> None:
        instance.controls.deny_table("sys_audit_delete")
        instance.controls.deny_table("sys_user")
        instance.controls.deny_table("sys_journal_field")
        said = reader.check()
        assert "sys_audit_delete can not be read" in said
        assert "sys_journal_field can not be read" in said
        assert "sys_user" in said

    def test_a_wrong_password_is_refused(self, reader: Reader) -> None:
        known = reader.credentials
        reader.credentials = Credentials(known.base_url, USER, "wrong-password-1", ca_file=known.ca_file)
        with pytest.raises(AuthenticationError):
            reader.check()

    def test_secrets_are_in_no_answer(self, instance: Instance, reader: Reader) -> None:
        for kind in itertools.islice(FaultKind, 8):
            instance.faults.clear()
            instance.faults.add(kind, times=None)
            assert PASSWORD not in str(reader.fails(page_records=10))
