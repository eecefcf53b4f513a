"""The examples of SQL systems as they stand: read, mapped, and written back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest
from kwiksync_ops.mapping.compiler import compile_mapping
from kwiksync_ops.mapping.files import read_mapping
from kwiksync_ops.mapping.outbound import compile_outbound, nested
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action, Direction
from tests.support.sql_database import SqlDatabase, open_database

INCLUDE = Path(__file__).parents[2] / "include"
WAREHOUSE = [
    "DROP SCHEMA IF EXISTS warehouse CASCADE",
    "CREATE SCHEMA warehouse",
    "CREATE TABLE warehouse.regions (region_id int PRIMARY KEY, name text, updated_at timestamptz)",
    """CREATE TABLE warehouse.sites (site_id text PRIMARY KEY, name text, street text, city text, zip text,
    latitude numeric(9, 6), longitude numeric(9, 6), region_id int, tenant text, updated_at timestamptz)""",
    """CREATE TABLE warehouse.tickets (ticket_no bigserial PRIMARY KEY, hub_id varchar(32) UNIQUE, title varchar(200),
    details text, status text, urgency text, assignee text, site_id text, opened_at timestamptz, due_at timestamptz,
    row_version integer NOT NULL DEFAULT 1, updated_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE TABLE warehouse.deleted_tickets (ticket_no bigint PRIMARY KEY, deleted_at timestamptz)",
    "INSERT INTO warehouse.regions VALUES (1, 'North', '2026-01-02 00:00:00+00')",
    """INSERT INTO warehouse.sites VALUES
    ('S1', 'Hafen', 'Kai 1', 'Hamburg', '20457', 53.5, 9.99, 1, 'emea', '2026-01-01 00:00:00+00'),
    ('S2', 'Other', NULL, NULL, NULL, NULL, NULL, 1, 'apac', '2026-01-01 00:00:00+00')""",
]


class _NoLookups:
    """A hub without records: what is looked for there is the value that was given."""

    def find(self, table: str, match_field: str, return_field: str, values: Any) -> dict[str, str]:
        return {value: value for value in values}


def spec_of(name: str) -> SystemSpec:
    return load_system(INCLUDE / "systems" / "examples" / f"{name}.yaml", INCLUDE / "mappings")


def rows(database: SqlDatabase, spec: SystemSpec, table: TableSpec) -> list[dict[str, Any]]:
    """As the hub gets them."""
    cursor = table.cursor
    assert cursor is not None
    request = ReadRequest(table.source, table.key, cursor.field, cursor.format, cursor.timezone, options=table.options)
    with closing(open_source("sql", database.credentials, spec.options, Unlimited(), ManualClock())) as source:
        (page,) = source.read(request)
    mapping = compile_mapping(
        read_mapping(INCLUDE / "mappings" / table.mapping, spec.system),
        key_field=table.key,
        cursor_field=cursor.field,
        cursor_format=cursor.format,
        cursor_timezone=cursor.timezone,
    )
    batch = mapping.apply(page.records, _NoLookups())
    assert (batch.rejects, page.rejects) == ([], [])
    assert None not in batch.versions
    return [dict(zip(batch.columns, row, strict=True)) for row in batch.rows]


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[SqlDatabase]:
    with open_database("postgresql", tmp_path) as database:
        database.execute(*WAREHOUSE)
        yield database
        database.execute("DROP SCHEMA warehouse CASCADE")


def test_the_warehouse_is_read_and_written(warehouse: SqlDatabase) -> None:
    spec = spec_of("warehouse_sql")
    locations, tickets = spec.tables
    (site,) = rows(warehouse, spec, locations)
    assert (site["external_id"], site["region"], str(site["latitude"])) == ("S1", "North", "53.500000")

    outbound = compile_outbound(
        read_mapping(INCLUDE / "mappings" / tickets.outbound_mapping, spec.system, Direction.OUTBOUND)
    )
    opened = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
    record = dict.fromkeys(outbound.columns) | {
        "short_description": "Gate 7 stays open",
        "state": "2",
        "location": "S1",
        "opened_at": opened,
    }
    (payload,) = outbound.apply([record], _NoLookups()).payloads
    assert payload is not None
    delivery = Delivery("d", Action.CREATE, None, nested(payload), "key", record_id="c" * 32)
    request = PushRequest(tickets.source, tickets.key, tickets.options)
    with closing(open_target("sql", warehouse.credentials, spec.options, Unlimited(), ManualClock())) as target:
        (receipt,) = target.push(request, [delivery])
        (again,) = target.look(request, [delivery])
    assert (receipt.outcome, receipt.key, receipt.etag) == (Outcome.CONFIRMED, "1", "1")
    assert again.outcome == Outcome.CONFIRMED

    (ticket,) = rows(warehouse, spec, tickets)
    assert (ticket["external_id"], ticket["state"], ticket["location"]) == ("1", "2", "S1")
    assert ticket["opened_at"] == opened


def test_the_deletions_of_the_warehouse_are_a_feed(warehouse: SqlDatabase) -> None:
    spec = spec_of("warehouse_sql")
    deletes = spec.tables[1].deletes
    warehouse.execute("INSERT INTO warehouse.deleted_tickets VALUES (7, '2026-01-15 08:30:00+00')")
    request = ReadRequest(deletes.source, deletes.key, "deleted_at", options=deletes.options)
    with closing(open_source("sql", warehouse.credentials, spec.options, Unlimited(), ManualClock())) as source:
        (page,) = source.read(request)
    assert page.records == [{"ticket_no": 7, "deleted_at": "2026-01-15T08:30:00+00:00"}]


def test_the_maintenance_system_is_read_in_the_time_of_berlin(tmp_path: Path) -> None:
    spec = spec_of("maintenance_sql")
    table = replace(spec.tables[0], source="Equipment List")
    with open_database("sqlite", tmp_path) as database:
        database.execute(
            'CREATE TABLE "Equipment List" ("Equipment No" text PRIMARY KEY, Description text, "Group" text, '
            'Serial text, Quantity integer, Status text, Keeper text, "Changed At" text, Photo blob)',
            """INSERT INTO "Equipment List" VALUES
            ('E-1', 'Pump', 'Hydraulics', 'SN1', NULL, 'A', NULL, '2026-07-15 12:00:00', x'00')""",
        )
        (asset,) = rows(database, spec, table)
    assert (asset["external_id"], asset["category"], asset["quantity"]) == ("E-1", "Hydraulics", 1)
    assert asset["status"] == "in_use"
