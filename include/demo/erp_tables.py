"""The ERP's six tables, made from the sample in data/."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from erp_faults import faulty_ids, with_faults
from erp_history import FIRST_MOMENT, Change, History, Row, Version, iso, make_version, ticket_minute
from erp_projects import deliverable_changes, make_plan, project_changes
from erp_sites import asset_changes, head_offices, location_changes
from erp_tickets import read_events, resolvers, task_changes, ticket_changes

DATA = Path(__file__).parent / "data"


def _epoch(moment: datetime) -> int:
    return int(moment.timestamp())


@dataclass(frozen=True)
class Table:
    """A table's key, and the field in which its records tell when they last changed."""

    name: str
    key: str
    changed_field: str = "updated_at"
    notation: Callable[[datetime], str | int] = iso


TABLES = (
    Table("locations", "location_id"),
    Table("projects", "project_id"),
    Table("tickets", "ticket_id", notation=ticket_minute),
    Table("tasks", "task_id"),
    Table("assets", "asset_id"),
    Table("deliverables", "deliverable_id", "changed_at", _epoch),
)


def read_csv(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))


def read_json(path: Path) -> Any:
    with gzip.open(path, "rt", encoding="utf-8") as text:
        return json.load(text)


def read_histories(data: Path = DATA) -> dict[str, History]:
    """Every version of every record. Records refer to others that are without fault and exist from the start on."""
    changes = _read_changes(data)
    return {table.name: History(table.key, _versions(table, changes[table.name])) for table in TABLES}


def _read_changes(data: Path) -> dict[str, Iterable[Change]]:
    places, things = read_csv(data / "locations.csv.gz"), read_csv(data / "assets.csv.gz")
    catalogue, events = read_json(data / "projects.json.gz"), read_events(read_csv(data / "incident_events.csv.gz"))
    sites = [row["locode"] for row in places if row["locode"] not in faulty_ids("locations")]
    customers = [office for office in head_offices(places) if office in sites]
    sound = [project for project in catalogue if make_plan(project).id not in faulty_ids("projects")]
    running = [plan.id for plan in map(make_plan, sound) if plan.entered_at < FIRST_MOMENT]
    return {
        "locations": location_changes(places),
        "projects": project_changes(catalogue, sites, customers, resolvers(events)),
        "tickets": ticket_changes(events, running, sites),
        "tasks": task_changes(events),
        "assets": asset_changes(things, sites),
        "deliverables": deliverable_changes(sound),
    }


def _versions(table: Table, changes: Iterable[Change]) -> Iterator[Version]:
    for moment, record in changes:
        record_id = record[table.key]
        stamped = with_faults(table.name, record_id, moment, record) | {table.changed_field: table.notation(moment)}
        yield make_version(moment, record_id, stamped)
