"""What may be written to the ERP: each field's values, and what a new record begins with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from erp_history import UNKNOWN, Record, read_ticket_minute, ticket_minute
from erp_tickets import SLA_HOURS

IsKnown = Callable[[str, str], bool]
"""Whether a table has a record of that id."""
Rule = Callable[[Any, IsKnown], str]
"""What is wrong with a value; nothing where it may be written."""

STATES = ("New", "Active", "Awaiting User Info", "Awaiting Problem", "Resolved", "Closed")
LEVELS = ("1 - High", "2 - Medium", "3 - Low")
CONTACTS = ("Phone", "Email", "Self service", "Direct opening", "IVR")
DEPLOYMENTS = ("Desktop", "Server", "SaaS", "PaaS", "Other", UNKNOWN)
STATUSES = ("Approved", "Sunsetting", "Pilot", "Proposed", "Exception", "Denied")
MAX_QUANTITY = 1_000_000


@dataclass(frozen=True)
class FieldFault:
    field: str
    message: str


@dataclass(frozen=True)
class Form:
    """A table that can be written to. `prefixes` are those of the fields that hold a new record's number."""

    rules: Mapping[str, Rule]
    required: tuple[str, ...]
    prefixes: Mapping[str, str]
    digits: int
    begin: Callable[[datetime], Record]

    def faults(self, fields: Record, is_known: IsKnown) -> Iterator[FieldFault]:
        for name, value in fields.items():
            rule = self.rules.get(name)
            message = rule(value, is_known) if rule else "is no field that can be written"
            if message:
                yield FieldFault(name, message)

    def missing(self, fields: Record) -> Iterator[FieldFault]:
        yield from (FieldFault(name, "is needed for a new record") for name in self.required if name not in fields)

    def new_record(self, highest_id: str, now: datetime, fields: Record) -> Record:
        number = int(highest_id.rpartition("-")[2]) + 1
        given = {name: f"{prefix}{number:0{self.digits}d}" for name, prefix in self.prefixes.items()}
        return given | dict.fromkeys(self.rules, UNKNOWN) | self.begin(now) | fields


def text(longest: int, *, may_be_unknown: bool = True) -> Rule:
    def find(value: Any, _is_known: IsKnown) -> str:
        if not isinstance(value, str) or not value.strip():
            return f"must be a text{f', or {UNKNOWN}' if may_be_unknown else ''}"
        if value == UNKNOWN and not may_be_unknown:
            return "must not be unknown"
        return f"is longer than {longest} characters" if len(value) > longest else ""

    return find


def one_of(values: tuple[str, ...]) -> Rule:
    return lambda value, _is_known: "" if value in values else f"must be one of {', '.join(values)}; not {value!r}"


def moment(*, may_be_unknown: bool = True) -> Rule:
    def find(value: Any, _is_known: IsKnown) -> str:
        if value == UNKNOWN and may_be_unknown:
            return ""
        return "" if _can_read(read_ticket_minute, value) else f"must be a time as D/M/YYYY HH:mm; not {value!r}"

    return find


def day(value: Any, _is_known: IsKnown) -> str:
    if value == UNKNOWN or _can_read(date.fromisoformat, value):
        return ""
    return f"must be a day as YYYY-MM-DD, or {UNKNOWN}; not {value!r}"


def _can_read(read: Callable[[str], Any], value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(read(value))
    except ValueError:
        return False


def whole(value: Any, _is_known: IsKnown) -> str:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return "" if is_whole and 0 <= value <= MAX_QUANTITY else f"must be a whole number from 0 on; not {value!r}"


def id_of(table: str) -> Rule:
    def find(value: Any, is_known: IsKnown) -> str:
        is_there = isinstance(value, str) and (value == UNKNOWN or is_known(table, value))
        return "" if is_there else f"{value!r} is in none of the {table}"

    return find


def _new_ticket(now: datetime) -> Record:
    lowest = LEVELS[-1]
    levels = {"contact_type": CONTACTS[2], "impact": lowest, "urgency": lowest, "priority": list(SLA_HOURS)[-1]}
    counts = {"reassignments": 0, "reopened": 0, "revision": 0}
    return levels | counts | {"state": STATES[0], "opened_at": ticket_minute(now), "updated_by": UNKNOWN}


def _new_asset(_now: datetime) -> Record:
    return {"quantity": 0, "minimum_quantity": 0, "status": "Proposed"}


FORMS = {
    "tickets": Form(
        {
            "description": text(200, may_be_unknown=False),
            "symptom": text(200),
            "contact_type": one_of(CONTACTS),
            "impact": one_of(LEVELS),
            "urgency": one_of(LEVELS),
            "priority": one_of(tuple(SLA_HOURS)),
            "category": text(80),
            "state": one_of(STATES),
            "assignment_group": text(80),
            "assigned_to": text(80),
            "project_id": id_of("projects"),
            "location_id": id_of("locations"),
            "opened_by": text(80),
            "opened_at": moment(may_be_unknown=False),
            "due_at": moment(),
            "resolution_code": text(40),
            "resolved_at": moment(),
            "closed_at": moment(),
        },
        required=("description",),
        prefixes={"ticket_id": "T-", "ticket_number": "INC"},
        digits=7,
        begin=_new_ticket,
    ),
    "assets": Form(
        {
            "description": text(200, may_be_unknown=False),
            "category": text(80),
            "deployment": one_of(DEPLOYMENTS),
            "serial_number": text(40),
            "quantity": whole,
            "minimum_quantity": whole,
            "location_id": id_of("locations"),
            "status": one_of(STATUSES),
            "approved_until": day,
            "keeper": text(80),
        },
        required=("description",),
        prefixes={"asset_id": "A-", "asset_tag": "GSA-"},
        digits=5,
        begin=_new_asset,
    ),
}
