"""The faulty records of the sample, so that a sync has something to reject: what is wrong with each.

Most faults are planted; those of the sources themselves are listed too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from erp_history import Record

ALWAYS, NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Fault:
    """In the versions of `id` that begin from `since` up to `until`, `field` holds `value`."""

    table: str
    id: str
    field: str
    value: Any
    why: str
    since: datetime = ALWAYS
    until: datetime = NEVER

    def as_json(self) -> dict[str, Any]:
        return {"table": self.table, "id": self.id, "field": self.field, "value": self.value, "why": self.why}


OUT_OF_RANGE = "a longitude beyond 180 degrees, as UN/LOCODE itself has it"
FIRST_WAVE = datetime(2016, 3, 24, 18, 40, tzinfo=UTC)

FAULTS = (
    Fault("locations", "DESLJ", "location_name", "", "a location without a name"),
    Fault("locations", "CALLF", "coordinates", "4358N 80058W", OUT_OF_RANGE),
    Fault("locations", "MERIJ", "coordinates", "4231N 19158E", OUT_OF_RANGE),
    Fault("projects", "P-LEW-17294-1", "end_date", "2016-11-30", "a date that is not in the ERP's own format"),
    Fault("tickets", "T-0005100", "project_id", "P-UNKNOWN-1", "a project that does not exist"),
    Fault("tickets", "T-0002265", "state", "-100", "a state that the incident log has and nobody explains"),
    Fault("tickets", "T-0003938", "state", "-100", "the same, right again when the ticket is closed", until=FIRST_WAVE),
    Fault("tickets", "T-0004157", "state", "-100", "the same, from when the ticket is closed", since=FIRST_WAVE),
    Fault("assets", "A-00042", "quantity", -3, "a quantity below zero"),
    Fault("deliverables", "D-GSC-16234-1-1", "due_date", "02/30/2016 17:00", "a day that no calendar has"),
)


_BY_RECORD: dict[tuple[str, str], list[Fault]] = {}
for _fault in FAULTS:
    _BY_RECORD.setdefault((_fault.table, _fault.id), []).append(_fault)


def faulty_ids(table: str) -> frozenset[str]:
    return frozenset(fault.id for fault in FAULTS if fault.table == table)


def faults_of(table: str, record_id: str, moment: datetime) -> list[Fault]:
    """The faults of the version of a record that begins at the moment."""
    return [fault for fault in _BY_RECORD.get((table, record_id), ()) if fault.since <= moment < fault.until]


def with_faults(table: str, record_id: str, moment: datetime, record: Record) -> Record:
    return record | {fault.field: fault.value for fault in faults_of(table, record_id, moment)}
