"""The proof: what the hub holds is what the ERP says, told by code that shares nothing with the mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from demo_erp import SampleErp
from kwiksync_ops.storage import record_search
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.vocabulary import RECORD_TABLES

Record = Mapping[str, Any]
NULLS = (None, "", "?")
SYSTEM = "erp"


@dataclass(frozen=True)
class Compared:
    """A table on both sides, without the records that are faulty on purpose. `differences` names the first ones."""

    table: str
    in_erp: int
    faulty: int
    in_hub: int
    fields: int
    differences: tuple[str, ...]


def text(value: Any) -> str | None:
    return None if value in NULLS else str(value)


def number(value: Any) -> float | None:
    return None if value in NULLS else round(float(value), 2)


def moment(notation: str) -> Callable[[Any], datetime | None]:
    return lambda value: None if value in NULLS else datetime.strptime(value, notation).replace(tzinfo=UTC)


def day(value: Any) -> date | None:
    return None if value in NULLS else datetime.strptime(value, "%m/%d/%Y").replace(tzinfo=UTC).date()


def one_of(**words: str) -> Callable[[Any], str | None]:
    return lambda value: None if value in NULLS else words[value.replace(" ", "_")]


def latitude(value: Any) -> float | None:
    return None if value in NULLS else _degrees(value.split()[0], "S")


def longitude(value: Any) -> float | None:
    return None if value in NULLS else _degrees(value.split()[1], "W")


def _degrees(position: str, negative: str) -> float:
    size = int(position[:-3]) + int(position[-3:-1]) / 60
    return round(-size if position.endswith(negative) else size, 2)


ISO, SLASHED, AMERICAN = moment("%Y-%m-%dT%H:%M:%SZ"), moment("%d/%m/%Y %H:%M"), moment("%m/%d/%Y %H:%M")
TICKET_STATES = {
    "New": "1",
    "Active": "2",
    "Awaiting_User_Info": "3",
    "Awaiting_Problem": "4",
    "Resolved": "6",
    "Closed": "7",
}

Field = tuple[str, str, Callable[[Any], Any]]
FIELDS: Mapping[str, tuple[Field, ...]] = {
    "locations": (
        ("location_name", "name", text),
        ("city", "city", text),
        ("zip", "zip", text),
        ("country", "country", text),
        ("coordinates", "latitude", latitude),
        ("coordinates", "longitude", longitude),
        ("customer_name", "customer", text),
        ("status", "status", one_of(OPEN="active", SUSPENDED="on_hold")),
    ),
    "projects": (
        ("project_number", "number", text),
        ("project_name", "name", text),
        ("status", "state", one_of(PLANNED="1", IN_PROGRESS="2", COMPLETED="3", CANCELLED="4", ON_HOLD="5")),
        ("start_date", "start_date", day),
        ("end_date", "end_date", day),
        ("percent_complete", "percent_complete", number),
        ("manager", "manager", text),
        ("location_id", "location", text),
    ),
    "tickets": (
        ("ticket_number", "number", text),
        ("description", "short_description", text),
        ("state", "state", one_of(**TICKET_STATES)),
        ("priority", "priority", lambda value: text(value) and value[0]),
        ("assigned_to", "assigned_to", text),
        ("opened_at", "opened_at", SLASHED),
        ("closed_at", "closed_at", SLASHED),
        ("project_id", "project", text),
        ("location_id", "location", text),
    ),
    "kw_corp_ticket_tasks": (
        ("task_number", "number", text),
        ("summary", "short_description", text),
        ("state", "state", one_of(OPEN="1", WAITING="-5", DONE="3", HANDED_OVER="7")),
        ("due_at", "due_date", ISO),
        ("completed_at", "completed_at", ISO),
        ("ticket_id", "ticket", text),
    ),
    "assets": (
        ("asset_tag", "asset_tag", text),
        ("description", "name", text),
        ("serial_number", "serial_number", text),
        ("quantity", "quantity", number),
        ("keeper", "assigned_to", text),
        ("location_id", "location", text),
    ),
    "deliverables": (
        ("deliverable_number", "number", text),
        ("title", "name", text),
        ("stage", "state", one_of(PLANNED="1", IN_WORK="2", DELIVERED="3", ACCEPTED="4")),
        ("due_date", "due_date", AMERICAN),
        ("delivered_at", "delivered_at", AMERICAN),
        ("project_id", "project", text),
    ),
}
KEYS = {
    "locations": "location_id",
    "projects": "project_id",
    "tickets": "ticket_id",
    "kw_corp_ticket_tasks": "task_id",
    "assets": "asset_id",
    "deliverables": "deliverable_id",
}
ERP_NAMES = {"kw_corp_ticket_tasks": "tasks"}


def compare(erp: SampleErp, hub: Hub) -> list[Compared]:
    """Each table: the same records on both sides, and the same values in the fields above; references resolved."""
    held = {table: _records(hub, table) for table in RECORD_TABLES}
    names = {record["sys_id"]: record["external_id"] for records in held.values() for record in records}
    return [_compare_table(erp, table, held[table], names) for table in RECORD_TABLES]


def _records(hub: Hub, table: str) -> list[Record]:
    with hub.read() as connection:
        return [record for record in record_search.search(connection, table) if record["source_system"] == SYSTEM]


def _compare_table(erp: SampleErp, table: str, held: list[Record], names: Mapping[str, str]) -> Compared:
    erp_name = ERP_NAMES.get(table, table)
    faulty, key = erp.faulty_ids(erp_name), KEYS[table]
    in_erp = {record[key]: record for record in erp.truth(erp_name) if record[key] not in faulty}
    in_hub = {record["external_id"]: record for record in held if record["external_id"] not in faulty}
    differences = [
        *(f"{name} is in the ERP only" for name in sorted(in_erp.keys() - in_hub.keys())),
        *(f"{name} is in the hub only" for name in sorted(in_hub.keys() - in_erp.keys())),
    ]
    for name in in_erp.keys() & in_hub.keys():
        differences.extend(_differences(table, in_erp[name], in_hub[name], names))
    return Compared(table, len(in_erp), len(faulty), len(in_hub), len(FIELDS[table]), tuple(differences))


def _differences(table: str, in_erp: Record, in_hub: Record, names: Mapping[str, str]) -> Iterator[str]:
    for source, target, read in FIELDS[table]:
        wanted, found = read(in_erp[source]), in_hub[target]
        column = RECORD_TABLES[table].column(target)
        if column and column.references:
            found = names.get(found, found)
        if isinstance(wanted, float):
            found = None if found is None else round(float(found), 2)
        if wanted != found:
            yield f"{in_hub['external_id']} {target}: ERP {wanted!r}, hub {found!r}"
