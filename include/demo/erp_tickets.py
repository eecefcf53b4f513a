"""Tickets, one version for each event of the incident log, and the tasks of the groups that worked on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from erp_history import UNKNOWN, Change, Record, Row, iso, pick, read_ticket_minute, ticket_minute

SLA_HOURS = {"1 - Critical": 4, "2 - High": 8, "3 - Moderate": 120, "4 - Low": 240}
DONE_STATES = frozenset({"Resolved", "Closed"})
TASK_STATES = {"Awaiting User Info": "WAITING", "Awaiting Problem": "WAITING", "Resolved": "DONE", "Closed": "DONE"}


@dataclass(frozen=True)
class Event:
    """An update of an incident; `row` is the incident as it was from then on."""

    at: datetime
    row: Row

    @property
    def number(self) -> str:
        return self.row["number"]

    @property
    def ticket_id(self) -> str:
        return "T-" + self.number.removeprefix("INC")

    @property
    def due_at(self) -> datetime:
        return read_ticket_minute(self.row["opened_at"]) + timedelta(hours=SLA_HOURS[self.row["priority"]])

    @property
    def summary(self) -> str:
        return f"{self.row['category']} / {self.row['subcategory']}".replace(UNKNOWN, "unclassified")


def read_events(rows: Sequence[Row]) -> list[Event]:
    """The events in the order of the replay: by time of the update, then by its count."""
    events = [Event(read_ticket_minute(row["sys_updated_at"]), row) for row in rows]
    return sorted(events, key=lambda event: (event.at, int(event.row["sys_mod_count"])))


def resolvers(events: Sequence[Event]) -> list[str]:
    """The people that incidents were assigned to, the busiest first."""
    counts: dict[str, int] = {}
    for event in events:
        counts[event.row["assigned_to"]] = counts.get(event.row["assigned_to"], 0) + 1
    counts.pop(UNKNOWN, None)
    return sorted(counts, key=lambda person: (-counts[person], person))


def ticket_changes(events: Sequence[Event], projects: Sequence[str], sites: Sequence[str]) -> Iterator[Change]:
    for event in events:
        yield event.at, _ticket(event, projects, sites)


def _linked(choices: Sequence[str], label: str) -> str:
    return UNKNOWN if UNKNOWN in label else choices[pick(len(choices), label)]


def _ticket(event: Event, projects: Sequence[str], sites: Sequence[str]) -> Record:
    row = event.row
    is_done, is_closed = row["incident_state"] in DONE_STATES, row["incident_state"] == "Closed"
    return {
        "ticket_id": event.ticket_id,
        "ticket_number": row["number"],
        "description": event.summary,
        "symptom": row["u_symptom"],
        "contact_type": row["contact_type"],
        "impact": row["impact"],
        "urgency": row["urgency"],
        "priority": row["priority"],
        "category": row["category"],
        "state": row["incident_state"],
        "assignment_group": row["assignment_group"],
        "assigned_to": row["assigned_to"],
        "project_id": _linked(projects, f"{row['category']}|{row['subcategory']}"),
        "location_id": _linked(sites, row["location"]),
        "reassignments": int(row["reassignment_count"]),
        "reopened": int(row["reopen_count"]),
        "opened_by": row["opened_by"],
        "opened_at": row["opened_at"],
        "due_at": ticket_minute(event.due_at),
        "resolution_code": row["closed_code"] if is_done else UNKNOWN,
        "resolved_at": row["resolved_at"] if is_done else UNKNOWN,
        "closed_at": row["closed_at"] if is_closed else UNKNOWN,
        "updated_by": row["sys_updated_by"],
        "revision": int(row["sys_mod_count"]),
    }


def task_changes(events: Sequence[Event]) -> Iterator[Change]:
    """One task for each group that a ticket was with: handed over with the ticket, and done when that is resolved."""
    tasks: dict[str, dict[str, Record]] = {}
    for event in events:
        for group, task in _work_on(event, tasks.get(event.number, {})).items():
            known = tasks.setdefault(event.number, {})
            if known.get(group) != task:
                known[group] = task
                yield event.at, task


def _work_on(event: Event, known: dict[str, Record]) -> dict[str, Record]:
    """The tasks that the event touches: that of the ticket's group now, and those of the groups before."""
    current = event.row["assignment_group"]
    if current == UNKNOWN:
        return {}
    touched = {
        group: task | {"state": "HANDED_OVER", "remarks": f"Handed over to {current}", "completed_at": iso(event.at)}
        for group, task in known.items()
        if group != current and task["state"] not in {"DONE", "HANDED_OVER"}
    }
    touched[current] = _task(event, current, known)
    return touched


def _task(event: Event, group: str, known: dict[str, Record]) -> Record:
    row = event.row
    ordinal = list(known).index(group) + 1 if group in known else len(known) + 1
    is_done = row["incident_state"] in DONE_STATES
    before = known.get(group, {})
    completed_at = before["completed_at"] if before.get("state") == "DONE" else iso(event.at)
    return {
        "task_id": f"{event.ticket_id}/{ordinal:02d}",
        "task_number": f"TASK{event.number.removeprefix('INC')}-{ordinal}",
        "ticket_id": event.ticket_id,
        "summary": f"{group}: {event.summary}",
        "state": TASK_STATES.get(row["incident_state"], "OPEN"),
        "team": group,
        "assignee": None if row["assigned_to"] == UNKNOWN else row["assigned_to"],
        "due_at": iso(event.due_at),
        "completed_at": completed_at if is_done else None,
        "remarks": f"Resolved with {row['closed_code']}" if is_done else "",
    }
