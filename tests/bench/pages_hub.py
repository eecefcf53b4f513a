"""A hub as a company has it after a year: as many tickets as asked for, and what belongs to them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import configuration
from kwiksync_ops.storage import schema
from kwiksync_ops.storage.bulk import insert_rows
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, BATCH, ERROR_LOG, RECORD_HISTORY, RECORD_LINK, RECORDS, SYNC_LOG
from kwiksync_ops.storage.sys_id import sys_ids_from
from kwiksync_ops.vocabulary import BATCH_RECORDS
from tests.support.inbound import INCLUDE

NOW = datetime.now(UTC).replace(microsecond=0)
SHARES = {
    "locations": 0.005,
    "projects": 0.02,
    "tickets": 1.0,
    "kw_corp_ticket_tasks": 0.3,
    "assets": 0.1,
    "deliverables": 0.03,
}
"""Records of a table for each ticket."""
SYNCS, ERRORS, OPEN_ERRORS, AUDITED, EDITS = 10_000, 60_000, 5_000, 100_000, 200_000
TABLES = tuple(SHARES)
FIRST_RUN, LAST_RUN = "kwiksync_erp_inbound/first", f"kwiksync_erp_inbound/{SYNCS - 1}"
EDITED_RUN = "kwiksync_erp_inbound/edited"


@dataclass(frozen=True)
class Filled:
    """Ids of what the pages are asked for; `tickets` by their place."""

    ids: dict[str, list[str]]
    error: str
    conflict: str


def fill(hub: Hub, tickets: int) -> Filled:
    schema.upgrade(hub)
    configuration.apply(hub, INCLUDE, who="bench", clock=SystemClock())
    counts = {table: max(int(tickets * share), 10) for table, share in SHARES.items()}
    ids = {table: _ids(number, count) for number, (table, count) in enumerate(counts.items())}
    for table in TABLES:
        _fill(hub, RECORDS[table], _records(table, ids))
        _fill(hub, RECORD_LINK, _links(table, ids[table]))
        _fill(hub, RECORD_HISTORY, _creations(table, ids[table]))
    _fill(hub, RECORD_HISTORY, _edits(ids["tickets"]))
    _fill(hub, SYNC_LOG, _log(counts))
    _fill(hub, BATCH, _batches(counts["tickets"]))
    _fill(hub, ERROR_LOG, _errors(ids["tickets"][0]))
    _fill(hub, AUDIT, _audit())
    _settle(hub)
    return Filled(ids, f"{OPEN_ERRORS - 1:032x}", f"{OPEN_ERRORS - 2:032x}")


def _settle(hub: Hub) -> None:
    """What autovacuum does within minutes."""
    with hub.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("ANALYZE" if hub.is_sqlite else "VACUUM ANALYZE")


def _fill(hub: Hub, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    while part := [row for _, row in zip(range(20_000), rows, strict=False)]:
        names = tuple(part[0])
        values = [tuple(row.values()) for row in part]
        hub.write(lambda connection, names=names, values=values: insert_rows(connection, table, names, values))


def _ids(table: int, count: int) -> list[str]:
    firsts = (f"{0x19A000000000 + table * 0x1000000 + batch:012x}0000{batch:016x}" for batch in range(count))
    return [sys_id for first, _ in zip(firsts, range(0, count, BATCH_RECORDS), strict=False) for sys_id in _of(first)][
        :count
    ]


def _of(first: str) -> list[str]:
    return sys_ids_from(first, BATCH_RECORDS)


def _records(table: str, ids: dict[str, list[str]]) -> Iterator[dict[str, Any]]:
    make = _MADE[table]
    for place, sys_id in enumerate(ids[table]):
        at = NOW - timedelta(days=365) + timedelta(seconds=25 * place)
        base = {
            "sys_id": sys_id,
            "external_id": f"X-{place}",
            "source_system": "erp",
            "sys_created_on": at,
            "sys_created_by": "bench",
            "sys_updated_on": at,
            "sys_updated_by": "bench",
            "sys_mod_count": 0,
            "active": True,
            "sys_deleted_on": None,
        }
        yield base | make(place, at, ids)


def _pick(ids: Sequence[str], place: int) -> str:
    return ids[place * 7919 % len(ids)]


def _location(place: int, _at: datetime, _ids: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "name": f"Site {place}",
        "street": f"{place} Main Street",
        "city": f"City {place % 300}",
        "state": "NY",
        "zip": f"{place:05}",
        "country": ("US", "DE", "FR", "JP")[place % 4],
        "region": f"Region {place % 12}",
        "latitude": Decimal(place * 37 % 120 - 60),
        "longitude": Decimal(place * 53 % 340 - 170),
        "customer": f"Customer {place % 90}",
        "status": "active",
    }


def _project(place: int, at: datetime, ids: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "number": f"PRJ{place:07}",
        "name": f"Project {place}",
        "short_description": "Renew the pumps",
        "state": str(place % 5),
        "priority": str(place % 4 + 1),
        "start_date": at.date(),
        "end_date": date(2027, 1 + place % 12, 1),
        "customer": f"Customer {place % 90}",
        "location": _pick(ids["locations"], place),
        "percent_complete": Decimal(place % 101),
        "manager": f"manager{place % 50}",
    }


def _ticket(place: int, at: datetime, ids: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "number": f"TKT{place:07}",
        "short_description": f"Pump {place % 9973} does not start",
        "description": "It was switched on twice, and hums.",
        "state": str(place % 7),
        "priority": str(place % 5 + 1),
        "category": ("hardware", "software", "network", "site")[place % 4],
        "assigned_to": f"user{place % 400}",
        "project": _pick(ids["projects"], place) if place % 3 else None,
        "location": _pick(ids["locations"], place),
        "opened_at": at,
        "due_date": at + timedelta(days=14),
        "closed_at": at + timedelta(days=7) if place % 50 else None,
    }


def _task(place: int, at: datetime, ids: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "number": f"TSK{place:07}",
        "ticket": _pick(ids["tickets"], place),
        "short_description": f"Look at pump {place % 9973}",
        "state": str(place % 4),
        "assigned_to": f"user{place % 400}",
        "due_date": at + timedelta(days=3),
        "completed_at": at + timedelta(days=2) if place % 40 else None,
        "work_notes": "Seen.",
    }


def _asset(place: int, _at: datetime, ids: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "asset_tag": f"AST{place:07}",
        "name": f"Seal {place % 500}",
        "category": ("spare part", "tool", "vehicle")[place % 3],
        "serial_number": f"S{place}",
        "quantity": place % 60,
        "minimum_quantity": 10,
        "location": _pick(ids["locations"], place),
        "status": "in stock",
        "assigned_to": None,
    }


def _deliverable(place: int, at: datetime, ids: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "number": f"DLV{place:07}",
        "name": f"Plan {place}",
        "project": _pick(ids["projects"], place),
        "type": ("document", "drawing", "part")[place % 3],
        "state": str(place % 4),
        "due_date": at + timedelta(days=30),
        "delivered_at": at + timedelta(days=20) if place % 20 else None,
        "accepted_by": None,
    }


_MADE: dict[str, Callable[[int, datetime, dict[str, list[str]]], dict[str, Any]]] = {
    "locations": _location,
    "projects": _project,
    "tickets": _ticket,
    "kw_corp_ticket_tasks": _task,
    "assets": _asset,
    "deliverables": _deliverable,
}


def _links(table: str, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    for place, sys_id in enumerate(ids):
        yield {"system": "erp", "table_name": table, "external_id": f"X-{place}", "sys_id": sys_id, "mod_count": 0}


def _history(table: str, sys_id: str, action: str, changes: str, run_id: str, number: int) -> dict[str, Any]:
    return {
        "table_name": table,
        "sys_id": sys_id,
        "action": action,
        "changes": changes,
        "system": "erp",
        "sys_mod_count": number,
        "run_id": run_id,
        "sys_created_on": NOW - timedelta(days=300),
        "sys_created_by": "bench",
    }


def _creations(table: str, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    for begin in range(0, len(ids), BATCH_RECORDS):
        count = len(ids[begin : begin + BATCH_RECORDS])
        yield _history(table, ids[begin], "create", str(count), FIRST_RUN, 0)


def _edits(tickets: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A run that changed many records, and the last one, which changed a few."""
    changes = json.dumps({"state": ["1", "2"], "assigned_to": ["user1", "user2"]})
    for sys_id in tickets[:EDITS]:
        yield _history("tickets", sys_id, "update", changes, EDITED_RUN, 1)
    for sys_id in tickets[-800:]:
        yield _history("tickets", sys_id, "update", changes, LAST_RUN, 1)


def _log(counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    begun = NOW - timedelta(minutes=50 * (SYNCS + 2))
    for table in TABLES:
        yield _row(FIRST_RUN, "inbound", table, "full", begun, counts[table], counts[table], 0)
    yield _row(EDITED_RUN, "inbound", "tickets", "incremental", begun + timedelta(minutes=10), EDITS, 0, EDITS)
    for number in range(SYNCS):
        direction = "outbound" if number % 2 else "inbound"
        run_id = LAST_RUN if number == SYNCS - 1 else f"kwiksync_erp_{direction}/{number}"
        started = NOW - timedelta(minutes=50 * (SYNCS - number))
        for place, table in enumerate(TABLES):
            at = started + timedelta(seconds=7 * place)
            mode = "verify" if number % 100 == 50 else "incremental"
            yield _row(run_id, "inbound" if run_id == LAST_RUN else direction, table, mode, at, 800, 10, 700)


def _row(
    run_id: str, direction: str, table: str, mode: str, at: datetime, processed: int, created: int, updated: int
) -> dict[str, Any]:
    return {
        "sys_id": f"{hash((run_id, table)) & (1 << 63) - 1:032x}",
        "run_id": run_id,
        "system": "erp",
        "direction": direction,
        "table_name": table,
        "trigger": "schedule",
        "mode": mode,
        "status": "partial" if processed % 9 == 0 else "success",
        "started": at,
        "ended": at + timedelta(seconds=6),
        "processed": processed,
        "created": created,
        "updated": updated,
        "unchanged": processed - created - updated,
        "deleted": 0,
        "failed": 0,
        "pages": processed // 100,
        "api_calls": processed // 100,
        "watermark_after": at.isoformat(),
        "who": "bench",
    }


def _batches(tickets: int) -> Iterator[dict[str, Any]]:
    for number in range(tickets // BATCH_RECORDS):
        yield {
            "run_id": FIRST_RUN,
            "direction": "inbound",
            "table_name": "tickets",
            "number": number,
            "processed": BATCH_RECORDS,
            "created": BATCH_RECORDS,
            "updated": 0,
            "unchanged": 0,
            "deleted": 0,
            "failed": 0,
            "fencing_token": 1,
            "digest": "0" * 64,
            "committed": NOW - timedelta(days=300) + timedelta(seconds=number),
        }


def _errors(ticket: str) -> Iterator[dict[str, Any]]:
    """The newest are open; one of them is a conflict."""
    payload = json.dumps({"ticket_id": "X-1", "ticket_number": None, "priority": "very"})
    for number in range(ERRORS):
        is_conflict = number == OPEN_ERRORS - 2
        told = {"sys_id": ticket, "field": "priority", "base": "1", "hub": "2", "hub_changed_by": "ann", "system": "3"}
        told |= {"hub_changed_on": NOW.isoformat(), "system_changed_on": None, "policy": "manual", "winner": None}
        yield {
            "sys_id": f"{number:032x}",
            "occurred": NOW - timedelta(minutes=number),
            "code": "ERR_009" if is_conflict else ("ERR_006", "ERR_008", "ERR_004")[number % 3],
            "message": "priority: 'very' is none of the values that are known",
            "remedy": "Correct the record at its source.",
            "severity": "error",
            "system": "erp",
            "direction": "inbound",
            "table_name": "tickets" if is_conflict else TABLES[number % 6],
            "field": "priority",
            "external_id": f"X-{number % 20_000}",
            "payload": json.dumps(told) if is_conflict else payload,
            "faults": None,
            "run_id": LAST_RUN if number < 300 else f"kwiksync_erp_inbound/{number // 6}",
            "batch": 1,
            "attempt": 1,
            "resolution": "open" if number < OPEN_ERRORS else "resolved",
        }


def _audit() -> Iterator[dict[str, Any]]:
    for number in range(1_000, AUDITED + 1_000):
        yield {
            "number": number,
            "at": (NOW - timedelta(minutes=AUDITED - number)).isoformat(),
            "who": "bench",
            "action": ("batch.load", "sync.start", "access.refuse")[number % 3],
            "object": "tickets from erp",
            "run_id": LAST_RUN,
            "details": "{}",
            "key_id": "0",
            "previous": "0" * 64,
            "hash": "0" * 64,
        }
