"""OData services read and written: SAP CAP in both versions where npm can set it up, and the strict double."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import trustme

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.odata.discovery import open_discovery
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Target
from kwiksync_ops.errors import AuthenticationError, ConfigurationError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action, ColumnType
from tests.support.cap_service import PASSWORD, USER, running_cap
from tests.support.odata_server import ROOT, ODataServer, ODataService, Settings

BEGINNING = datetime(2026, 1, 15, 12, 0, 0, 123000, tzinfo=UTC)
ODD = (
    "A/1",
    "A#2",
    "O'Neil",
    "50% & more?",
    "a+b=c;d",
    "Grüße 日本",
    "with blank",
    "(x,y)",
    "a:b@c$d",
    "comma,'quoted'",
)
KEYS = sorted([*ODD, *(f"K{number:04d}" for number in range(27))])
ROWS = {
    key: {
        "ID": key,
        "name": f"name {number}",
        "amount": Decimal(f"{number}.25"),
        "visits": 9007199254740993 + number,
        "changedAt": BEGINNING + timedelta(seconds=number // 8),
        "due": datetime(2026, 2, 1, tzinfo=UTC) + timedelta(days=number),
        "ref": "read",
    }
    for number, key in enumerate(KEYS)
}
ITEMS = [{"Ticket": key, "Position": 10 * number, "text": f"{key} {number}"} for key in ODD for number in (1, 2)]
PAGINGS: Mapping[str, Mapping[str, Any]] = {
    "keyset": {"type": "keyset"},
    "two queries": {"type": "keyset", "two_queries": True},
    "next_link": {"type": "next_link"},
}
SYSTEMS = ("double-v4", "double-v2", *(("cap-v4", "cap-v2") if shutil.which("npm") else ()))


@dataclass(frozen=True)
class System:
    version: str
    credentials: Credentials

    def read(self, source: str = "Tickets", key: str = "ID", **options: Any) -> list[Page]:
        request = {name: options.pop(name) for name in ("since", "until", "resume") if name in options}
        with closing(self.source({"filter": "ref eq 'read'", **options} if source == "Tickets" else options)) as found:
            return list(found.read(ReadRequest(source, key, "changedAt", page_records=10, **request)))

    def source(self, options: Mapping[str, Any]) -> Any:
        return open_source("odata", self.credentials, self._options(options), Unlimited(), ManualClock())

    def target(self, options: Mapping[str, Any]) -> Target:
        return open_target("odata", self.credentials, self._options(options), Unlimited(), ManualClock())

    def discovery(self) -> Any:
        return open_discovery(self.credentials, self._options({}), Unlimited(), ManualClock())

    def _options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {"allow_hosts": ["127.0.0.0/8"], **options}


def csv_of(rows: list[dict[str, Any]]) -> str:
    names = list(rows[0])
    lines = [";".join(names)]
    for row in rows:
        texts = [value.isoformat() if isinstance(value, datetime) else str(value) for value in row.values()]
        quoted = ('"' + text.replace("+00:00", "Z").replace('"', '""') + '"' for text in texts)
        lines.append(";".join(quoted))
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def urls(
    certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Mapping[str, str]]:
    """The services by name; CAP is started once, for both versions, and only where one of its tests is chosen."""
    with ExitStack() as stack:
        found: dict[str, str] = {}
        if any("cap" in item.name for item in request.session.items):
            rows = [{**row, "due": str(row["due"])[:10]} for row in ROWS.values()]
            data = {"Tickets": csv_of(rows), "Items": csv_of(ITEMS)}
            url = stack.enter_context(running_cap(tmp_path_factory.mktemp("cap"), certificate_authority, data))
            found |= {"cap-v4": f"{url}/odata/v4/desk", "cap-v2": f"{url}/odata/v2/desk", "drafts": f"{url}/odata/v4"}
        yield found


@pytest.fixture(params=SYSTEMS)
def system(
    request: pytest.FixtureRequest, urls: Mapping[str, str], certificate_authority: trustme.CA, ca_file: str
) -> Iterator[System]:
    kind, _, version = request.param.partition("-")
    if kind == "cap":
        yield System(version, Credentials(urls[request.param], USER, PASSWORD, ca_file=ca_file))
        return
    service = ODataService(version, Settings(page_cap=10, links="absolute" if version == "v2" else "relative"))
    for row in ROWS.values():
        service.put("Tickets", **row)
    for item in ITEMS:
        service.put("Items", **item)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    server = ODataServer(context, service)
    yield System(version, Credentials(server.url(ROOT), USER, PASSWORD, ca_file=ca_file))
    server.close()


def records_of(pages: list[Page]) -> list[Any]:
    assert [reject for page in pages for reject in page.rejects] == []
    return [record for page in pages for record in page.records]


@pytest.mark.parametrize("count", [False, True], ids=["", "counted"])
@pytest.mark.parametrize("paging", PAGINGS)
def test_every_record_comes_once_however_the_pages_follow_each_other(system: System, paging: str, count: bool) -> None:
    pages = system.read(pagination=PAGINGS[paging], count=count)
    records = records_of(pages)
    assert sorted(record["ID"] for record in records) == KEYS
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert pages[0].server_time


def test_values_come_exactly(system: System) -> None:
    for record in records_of(system.read(pagination=PAGINGS["keyset"])):
        row = ROWS[record["ID"]]
        assert (record["name"], record["note"]) == (row["name"], None)
        assert Decimal(record["amount"]) == row["amount"]
        assert int(record["visits"]) == row["visits"]
        assert not isinstance(record["amount"], float)
        assert datetime.fromisoformat(record["changedAt"]) == row["changedAt"]
        assert record["due"].startswith(str(row["due"])[:10])
        assert not [name for name in record if name.startswith(("@", "__"))]


@pytest.mark.parametrize("paging", PAGINGS)
def test_a_read_goes_on_after_any_page_in_another_process(system: System, paging: str) -> None:
    pages = system.read(pagination=PAGINGS[paging])
    for page in pages:
        rest = system.read(pagination=PAGINGS[paging], resume=page.resume)
        come = [record["ID"] for record in (*records_of(pages[: page.number]), *records_of(rest))]
        assert sorted(come) == KEYS


def test_a_window_of_time_is_read(system: System) -> None:
    since, until = Position(BEGINNING + timedelta(seconds=1)), BEGINNING + timedelta(seconds=3)
    records = records_of(system.read(pagination=PAGINGS["keyset"], since=since, until=until))
    wanted = [key for key in KEYS if since.updated_at < ROWS[key]["changedAt"] <= until]  # type: ignore[operator]
    assert sorted(record["ID"] for record in records) == wanted


def test_a_read_goes_on_behind_one_of_many_records_of_one_moment(system: System) -> None:
    key = KEYS[11]
    since = Position(ROWS[key]["changedAt"], key)  # type: ignore[arg-type]
    for paging in PAGINGS.values():
        assert sorted(record["ID"] for record in records_of(system.read(pagination=paging, since=since))) == KEYS[12:]


def test_only_the_selected_properties_come(system: System) -> None:
    record = records_of(system.read(select=["name"], pagination=PAGINGS["keyset"]))[0]
    assert set(record) == {"ID", "name", "changedAt"}


def test_linked_records_come_with_each_record(system: System) -> None:
    for record in records_of(system.read(expand=["items"], pagination=PAGINGS["keyset"])):
        wanted = [10, 20] if record["ID"] in ODD else []
        assert [item["Position"] for item in record["items"]] == wanted


def test_records_are_told_apart_by_a_key_of_several_properties(system: System) -> None:
    with closing(system.source({"pagination": PAGINGS["keyset"]})) as source:
        pages = list(source.read(ReadRequest("Items", "@key", page_records=7)))
    assert sorted((record["Ticket"], record["Position"]) for record in records_of(pages)) == sorted(
        (str(item["Ticket"]), item["Position"]) for item in ITEMS
    )
    assert "Ticket='O''Neil',Position=10" in {record["@key"] for record in records_of(pages)}


def test_a_check_says_the_version_and_the_entity_sets(system: System) -> None:
    with closing(system.source({})) as source, closing(system.target({})) as target:
        told = source.check()
        assert told == target.check()
    assert f"version {system.version[1]}.0 with 2 entity sets: Items, Tickets." in told


def test_a_wrong_password_is_told(system: System) -> None:
    if "odata/v" not in system.credentials.base_url:
        return  # the double lets everybody in
    stranger = replace(system, credentials=replace(system.credentials, password="wrong-password"))
    with pytest.raises(AuthenticationError, match="ERR_003"):
        stranger.read()


def test_an_entity_set_or_property_that_is_not_there_is_told_with_what_is(system: System) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean 'Tickets'"):
        system.read("Tickts")
    with closing(system.source({})) as source, pytest.raises(ConfigurationError, match="changedAt"):
        list(source.read(ReadRequest("Tickets", "ID", "modified")))


def test_what_the_system_refuses_is_told_in_its_words(system: System) -> None:
    with pytest.raises(ConfigurationError, match="answered 400") as caught:
        system.read(filter="nonsense eq 'read'")
    assert "{" not in caught.value.message.partition("answered")[2]


def test_the_fields_of_an_entity_set_are_discovered(system: System) -> None:
    with closing(system.discovery()) as discovery:
        assert sorted(found.name for found in discovery.objects()) == ["Items", "Tickets"]
        fields = {field.name: field for field in discovery.fields("Tickets", {})}
        assert (fields["ID"].is_key, fields["ID"].type) == (True, ColumnType.STRING)
        assert fields["amount"].type == ColumnType.DECIMAL
        assert "items" not in fields
        assert next(field for field in discovery.fields("Items", {}) if field.name == "@key").is_key
        assert len(discovery.sample("Tickets", 3, {}).records) == 3
        assert ("pagination" in discovery.options("Tickets", {})) == (system.version == "v2")


# Writing

FORMATS: Mapping[str, Mapping[str, Any]] = {
    "single": {"repeat": "look"},
    "multipart": {"batch": {"records": 50}},
    "json": {"batch": {"records": 50, "format": "json"}},
}


def delivery(key: str, action: Action = Action.CREATE, **fields: Any) -> Delivery:
    is_create = action == Action.CREATE
    payload = {"ID": key, **fields} if is_create else fields
    return Delivery(f"d-{key}", action, None if is_create else key, payload, f"k-{key}", record_id="0" * 32)


def push(target: Target, *deliveries: Delivery, source: str = "Tickets", key: str = "ID") -> list[Receipt]:
    request = PushRequest(source, key)
    size = target.call_records(request, deliveries[0].action)
    calls = [deliveries[start : start + size] for start in range(0, len(deliveries), size)]
    return [receipt for call in calls for receipt in target.push(request, call)]


def look(target: Target, *deliveries: Delivery) -> list[Receipt]:
    return target.look(PushRequest("Tickets", "ID"), deliveries)


@pytest.mark.parametrize("written", FORMATS)
def test_records_with_odd_keys_are_created_changed_and_deleted(system: System, written: str) -> None:
    if written == "json" and system.version == "v2":
        return  # version 2 has no batches of JSON
    with closing(system.target({"push": FORMATS[written]})) as target:
        keys = [f"{system.version} {written} {key}" for key in ODD[:6]]
        fields = {"name": "new", "amount": Decimal("7.50"), "visits": 2**53 + 1, "due": "2026-03-01", "note": "n"}
        creates = [delivery(key, **fields) for key in keys]
        receipts = push(target, *creates)
        assert [(receipt.outcome, receipt.key) for receipt in receipts] == [(Outcome.CONFIRMED, key) for key in keys]
        assert {receipt.outcome for receipt in look(target, *creates)} == {Outcome.CONFIRMED}
        updates = [delivery(key, Action.UPDATE, name="O'Neil & Söhne", amount="7.75", note=None) for key in keys]
        assert {receipt.outcome for receipt in look(target, *updates)} == {Outcome.UNSENT}
        assert {receipt.outcome for receipt in push(target, *updates)} == {Outcome.CONFIRMED}
        looked = look(target, *updates)
        assert {receipt.outcome for receipt in looked} == {Outcome.CONFIRMED}
        assert all(receipt.record and int(receipt.record["visits"]) == 2**53 + 1 for receipt in looked)
        deletes = [delivery(key, Action.DELETE) for key in keys]
        assert {receipt.outcome for receipt in push(target, *deletes)} == {Outcome.CONFIRMED}
        assert {receipt.outcome for receipt in look(target, *deletes)} == {Outcome.CONFIRMED}
        assert {receipt.outcome for receipt in push(target, *deletes)} == {Outcome.CONFIRMED}


@pytest.mark.parametrize("written", ["single", "multipart"])
def test_a_change_that_is_based_on_an_older_version_is_a_conflict(system: System, written: str) -> None:
    key = f"{system.version} conflict {written}"
    with closing(system.target({"push": FORMATS[written]})) as target:
        push(target, delivery(key, name="first"), delivery(f"{key} 2", name="first"))
        old = look(target, delivery(key, name="first"))[0].etag
        assert old
        assert push(target, delivery(key, Action.UPDATE, name="theirs"))[0].outcome == Outcome.CONFIRMED
        stale = replace(delivery(key, Action.UPDATE, name="ours"), etag=old)
        receipts = push(target, stale, delivery(f"{key} 2", Action.UPDATE, name="ours"))
        assert [receipt.outcome for receipt in receipts] == [Outcome.CONFLICT, Outcome.CONFIRMED]
        theirs = look(target, stale)[0]
        assert theirs.record
        assert (theirs.outcome, theirs.record["name"]) == (Outcome.UNSENT, "theirs")
        assert push(target, replace(stale, etag=theirs.etag))[0].outcome == Outcome.CONFIRMED


@pytest.mark.parametrize("written", ["single", "multipart"])
def test_a_change_of_a_record_that_is_gone_creates_nothing(system: System, written: str) -> None:
    with closing(system.target({"push": FORMATS[written]})) as target:
        updates = [delivery(f"{system.version} gone {written} {number}", Action.UPDATE, name="x") for number in (1, 2)]
        assert [receipt.outcome for receipt in push(target, *updates)] == [Outcome.GONE] * 2
        assert [receipt.record for receipt in look(target, *updates)] == [None, None]


@pytest.mark.parametrize("written", FORMATS)
def test_a_record_that_is_refused_holds_up_no_other(system: System, written: str) -> None:
    if written == "json" and system.version == "v2":
        return  # version 2 has no batches of JSON
    with closing(system.target({"push": FORMATS[written]})) as target:
        keys = [f"{system.version} refused {written} {number}" for number in range(5)]
        deliveries = [delivery(key, name=key) for key in keys]
        deliveries[2] = delivery(keys[2], amount="many")
        receipts = push(target, *deliveries)
        assert [receipt.outcome == Outcome.CONFIRMED for receipt in receipts] == [True, True, False, True, True]
        assert (receipts[2].outcome, receipts[2].code) == (Outcome.REFUSED, "ERR_008")
        assert "amount" in str(receipts[2].message)


def test_an_upsert_creates_once_and_changes_from_then_on(system: System) -> None:
    if system.version == "v2":
        return  # it has none
    with closing(system.target({"push": {"repeat": "upsert"}})) as target:
        for name in ("first", "second"):
            (receipt,) = push(target, delivery("upsert/1", name=name))
            assert (receipt.outcome, receipt.key) == (Outcome.CONFIRMED, "upsert/1")
        (found,) = look(target, delivery("upsert/1", name="second"))
        assert found.outcome == Outcome.CONFIRMED


def test_records_of_a_composite_key_are_written_by_it(system: System) -> None:
    with closing(system.target({"push": {"repeat": "look"}})) as target:
        create = Delivery("1", Action.CREATE, None, {"Ticket": "W/1'#", "Position": 5, "text": "a"}, "1")
        receipt = push(target, create, source="Items", key="@key")[0]
        assert (receipt.outcome, receipt.key) == (Outcome.CONFIRMED, "Ticket='W/1''#',Position=5")
        update = Delivery("2", Action.UPDATE, receipt.key, {"text": "b"}, "2")
        assert push(target, update, source="Items", key="@key")[0].outcome == Outcome.CONFIRMED
        found = target.look(PushRequest("Items", "@key"), [update])[0]
        assert found.outcome == Outcome.CONFIRMED
        delete = Delivery("3", Action.DELETE, receipt.key, {}, "3")
        assert push(target, delete, source="Items", key="@key")[0].outcome == Outcome.CONFIRMED


if "cap-v4" in SYSTEMS:

    def test_a_draft_enabled_entity_set_is_read_and_written_by_a_fixed_key_of_cap(
        urls: Mapping[str, str], ca_file: str
    ) -> None:
        drafts = System("v4", Credentials(urls["drafts"], USER, PASSWORD, ca_file=ca_file))
        fixed = {"fixed_keys": {"IsActiveEntity": True}, "filter": "IsActiveEntity eq true"}
        key = "11111111-2222-4333-8444-555555555555"
        with closing(drafts.target({**fixed, "push": {"repeat": "look"}})) as target:
            receipts = push(target, delivery(key, name="new"), source="plans/Plans")
            assert [(receipt.outcome, receipt.key) for receipt in receipts] == [(Outcome.CONFIRMED, key)]
            update = delivery(key, Action.UPDATE, name="changed")
            assert push(target, update, source="plans/Plans")[0].outcome == Outcome.CONFIRMED
            assert target.look(PushRequest("plans/Plans", "ID"), [update])[0].outcome == Outcome.CONFIRMED
        pages = drafts.read("plans/Plans", pagination=PAGINGS["keyset"], **fixed)
        assert [(record["ID"], record["name"]) for record in records_of(pages)] == [(key, "changed")]
