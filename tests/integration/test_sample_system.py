"""The sample system as it is configured: read by its connector, mapped by its mappings, table after table."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.batch import MappedBatch, Page, Reject, SourceRecord
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.errors import AuthenticationError, CustomerKeyError, SystemUnavailableError
from kwiksync_ops.mapping.compiler import compile_mapping
from kwiksync_ops.mapping.files import read_mapping
from kwiksync_ops.mapping.outbound import compile_outbound
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Direction
from tests.support.sample_erp import CUSTOMER_KEY, TOKEN, SampleErp, make_certificates, running_sample_erp

INCLUDE = Path(__file__).parents[2] / "include"
START = datetime(2016, 3, 24, 18, 30, tzinfo=UTC)
SPEC = load_system(INCLUDE / "systems" / "erp.yaml", INCLUDE / "mappings")
ERP_NAMES = {"kw_corp_ticket_tasks": "tasks"}


class CountingLimiter:
    def __init__(self) -> None:
        self.calls = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        self.calls += 1
        yield


class MappedTables:
    """Answers look-ups from what was mapped before; a record's `sys_id` is its place."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}

    def add(self, batch: MappedBatch) -> None:
        table = self.tables.setdefault(batch.table, {})
        for row in batch.rows:
            record = dict(zip(batch.columns, row, strict=True))
            table[record["external_id"]] = record | {"sys_id": f"{batch.table}:{record['external_id']}"}

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        wanted = set(values)
        records = self.tables.get(table, {}).values()
        return {record[match_field]: record[return_field] for record in records if record[match_field] in wanted}


class Sync:
    """What a sync of the sample system reads and maps."""

    def __init__(self, erp: SampleErp, spec: SystemSpec = SPEC) -> None:
        self.erp = erp
        self.spec = spec
        self.limiter = CountingLimiter()
        self.hub = MappedTables()

    def pages(self, table: TableSpec, since: datetime | None = None, **credentials: Any) -> list[Page]:
        known = {"token": TOKEN, "customer_key": CUSTOMER_KEY, "ca_file": self.erp.ca_file} | credentials
        source = open_source("rest", Credentials(self.erp.url, **known), self.spec.options, self.limiter, ManualClock())
        try:
            return list(source.read(_request(table, since)))
        finally:
            source.close()

    def read(self, table: TableSpec, since: datetime | None = None) -> list[SourceRecord]:
        return [record for page in self.pages(table, since) for record in page.records]

    def map(self, table: TableSpec, records: list[SourceRecord]) -> MappedBatch:
        mapping = read_mapping(INCLUDE / "mappings" / table.mapping, self.spec.system)
        cursor = table.cursor
        assert cursor is not None
        compiled = compile_mapping(
            mapping,
            key_field=table.key,
            cursor_field=cursor.field,
            cursor_format=cursor.format,
            cursor_timezone=cursor.timezone,
        )
        batch = compiled.apply(records, self.hub)
        self.hub.add(batch)
        return batch

    def run(self, since: datetime | None = None) -> list[Reject]:
        tables = (self.map(table, self.read(table, since)) for table in self.spec.tables)
        return [reject for batch in tables for reject in batch.rejects]


@pytest.fixture(scope="module")
def running_erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as erp:
        yield erp


@pytest.fixture
def sync(running_erp: SampleErp) -> Sync:
    running_erp.move_clock(now=START.isoformat())
    return Sync(running_erp)


@pytest.mark.parametrize("table", SPEC.tables, ids=lambda table: table.table)
def test_the_connector_reads_each_table_whole(sync: Sync, table: TableSpec) -> None:
    read = sync.read(table)
    assert [record[table.key] for record in read] == list(dict.fromkeys(record[table.key] for record in read))
    assert _plain(table, read) == _plain(table, sync.erp.truth(_erp_name(table)))


@pytest.mark.parametrize("table", SPEC.tables, ids=lambda table: table.table)
def test_an_incremental_read_brings_what_changed_and_no_more(sync: Sync, table: TableSpec) -> None:
    since = START - timedelta(days=2)
    changed = _plain(table, sync.read(table, since))
    sync.erp.move_clock(now=(since - timedelta(minutes=1)).isoformat())
    before = _plain(table, sync.erp.truth(_erp_name(table)))
    sync.erp.move_clock(now=START.isoformat())
    after = _plain(table, sync.erp.truth(_erp_name(table)))
    assert changed
    assert changed == {key: record for key, record in after.items() if before.get(key) != record}


def test_a_full_sync_takes_under_thirty_calls_and_an_incremental_one_a_call_a_table(sync: Sync) -> None:
    sync.run()
    full = sync.limiter.calls
    sync.run(START)
    assert full < 30
    assert sync.limiter.calls - full == len(SPEC.tables)


def test_what_came_in_goes_out_as_the_erp_wrote_it(sync: Sync) -> None:
    sync.run()
    table = SPEC.table("tickets")
    assert table is not None
    mapping = read_mapping(INCLUDE / "mappings" / table.outbound_mapping, SPEC.system, Direction.OUTBOUND)
    tickets = sync.hub.tables["tickets"]
    formatted = compile_outbound(mapping).apply(list(tickets.values()), sync.hub)
    truth = {ticket["ticket_id"]: ticket for ticket in sync.erp.truth("tickets")}
    assert formatted.rejects == []
    assert len(formatted.payloads) == len(tickets) > 3_000
    for ticket_id, payload in zip(tickets, formatted.payloads, strict=True):
        assert payload
        assert payload.items() <= truth[ticket_id].items()


def test_every_page_tells_the_erps_time(sync: Sync) -> None:
    assert {page.server_time for table in SPEC.tables for page in sync.pages(table)} == {START}


def test_exactly_the_faulty_records_are_rejected(sync: Sync) -> None:
    rejects = {(reject.external_id, reject.field, reject.code) for reject in sync.run()}
    assert rejects == {
        ("DESLJ", "name", "ERR_006"),
        ("CALLF", "longitude", "ERR_008"),
        ("MERIJ", "longitude", "ERR_008"),
        ("P-LEW-17294-1", "end_date", "ERR_004"),
        ("T-0002265", "state", "ERR_004"),
        ("T-0003938", "state", "ERR_004"),
        ("T-0005100", "project", "ERR_004"),
        ("A-00042", "quantity", "ERR_008"),
        ("D-GSC-16234-1-1", "due_date", "ERR_004"),
    }
    assert {external_id for external_id, _, _ in rejects} == {fault["id"] for fault in sync.erp.faults()}


@pytest.mark.parametrize("now", ["2016-03-01T09:00", "2016-03-10T00:00", "2016-03-24T19:30", "2016-04-15T00:00"])
def test_at_any_time_the_faulty_records_are_all_that_is_rejected(sync: Sync, now: str) -> None:
    sync.erp.move_clock(now=now)
    assert {reject.external_id for reject in sync.run()} == {fault["id"] for fault in sync.erp.faults()}


def test_after_the_busy_hour_an_incremental_sync_leaves_what_a_full_one_would(sync: Sync) -> None:
    sync.run()
    sync.erp.move_clock(advance_minutes=60)
    rejects = sync.run(START - timedelta(seconds=SPEC.limits.overlap_s))
    assert [reject.external_id for reject in rejects] == ["T-0004157"]
    fresh = Sync(sync.erp)
    fresh.run()
    # The hub keeps the last sound version of a record that was spoiled since.
    kept = sync.hub.tables["tickets"].pop("T-0004157")
    assert kept["state"] == "6"
    assert sync.hub.tables == fresh.hub.tables


def test_mapped_values_are_what_the_hub_wants(sync: Sync) -> None:
    sync.run()
    tables = sync.hub.tables
    assert tables["locations"]["DESH4"] | {"street": None, "zip": None, "customer": None, "sys_id": None} == {
        "external_id": "DESH4",
        "name": "Altengörs Harbour",
        "street": None,
        "city": "Altengörs",
        "state": "SH",
        "zip": None,
        "country": "Germany",
        "region": "Europe, Middle East and Africa",
        "latitude": Decimal("53.900000"),
        "longitude": Decimal("10.200000"),
        "customer": None,
        "status": "active",
        "sys_id": None,
    }
    ticket = tables["tickets"]["T-0002833"]
    assert ticket["opened_at"] == datetime(2016, 3, 5, 12, 12, tzinfo=UTC)
    assert (ticket["number"], ticket["state"], ticket["priority"], ticket["closed_at"]) == (
        "INC0002833",
        "6",
        "3",
        None,
    )
    assert ticket["project"] in {project["sys_id"] for project in tables["projects"].values()}
    assert {asset["category"] for asset in tables["assets"].values()} >= {"Engineering", "Security", "Other"}
    assert all(project["customer"] for project in tables["projects"].values())


def test_a_wrong_customer_key_and_a_wrong_token_are_told_apart(sync: Sync) -> None:
    with pytest.raises(CustomerKeyError, match="ERR_001"):
        sync.pages(SPEC.tables[0], customer_key="wrong-customer-key")
    with pytest.raises(AuthenticationError, match="ERR_003"):
        sync.pages(SPEC.tables[0], token="wrong-token")


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    made = make_certificates(tmp_path / "expired", "--expired")
    expired = ("--certificate", made["certificate"], "--key", made["key"])
    with (
        running_sample_erp(tmp_path, *expired, ca_file=made["authority"]) as erp,
        pytest.raises(SystemUnavailableError, match="expired"),
    ):
        Sync(erp).pages(SPEC.tables[0])


def _request(table: TableSpec, since: datetime | None) -> ReadRequest:
    assert table.cursor is not None
    return ReadRequest(
        table.source,
        table.key,
        cursor_field=table.cursor.field,
        cursor_format=table.cursor.format,
        cursor_timezone=table.cursor.timezone,
        since=Position(since) if since else None,
        options=table.options,
    )


def _erp_name(table: TableSpec) -> str:
    return ERP_NAMES.get(table.table, table.table)


def _plain(table: TableSpec, records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By key, numbers with a fraction as text: the connector keeps them exact, a test's JSON does not."""
    return {
        record[table.key]: {
            name: str(value) if isinstance(value, float | Decimal) else value for name, value in record.items()
        }
        for record in records
    }
