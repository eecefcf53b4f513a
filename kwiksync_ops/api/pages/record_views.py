"""How each record table is shown in its list: which columns, which filters are at hand, and what is drawn of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from kwiksync_ops.api.pages.drawings import is_late
from kwiksync_ops.vocabulary import Column, RecordTable

Drawing = Literal["", "map", "timeline", "stock"]


@dataclass(frozen=True)
class Preset:
    """Filters behind one link; `{today}` in them is the day."""

    title: str
    filters: tuple[str, ...]

    def at(self, day: date) -> tuple[str, ...]:
        return tuple(text.format(today=day.isoformat()) for text in self.filters)


@dataclass(frozen=True)
class TableView:
    """The first of `columns` leads to the record. `due` names the day that is to be kept, and what says that it was.

    `sort` is for a table that is small enough to be sorted by anything.
    """

    columns: tuple[str, ...]
    choices: tuple[str, ...]
    presets: tuple[Preset, ...] = ()
    sort: str = ""
    due: tuple[str, str] | None = None
    drawn: Drawing = ""


VIEWS: Mapping[str, TableView] = {
    "locations": TableView(
        ("name", "street", "city", "state", "country", "customer", "status", "sys_updated_on"),
        ("country", "region", "status"),
        (Preset("Not on the map", ("latitude=",)),),
        "name",
        drawn="map",
    ),
    "projects": TableView(
        ("number", "name", "state", "priority", "customer", "percent_complete"),
        ("state", "priority"),
        (
            Preset("Late", ("end_date<{today}", "percent_complete!=100")),
            Preset("Running now", ("start_date<={today}", "end_date>={today}")),
        ),
        "-start_date",
        drawn="timeline",
    ),
    "tickets": TableView(
        ("number", "short_description", "state", "priority", "assigned_to", "project", "location", "due_date"),
        ("state", "priority", "category"),
        (Preset("Overdue", ("due_date<{today}", "closed_at=")), Preset("Not closed", ("closed_at=",))),
        due=("due_date", "closed_at"),
    ),
    "kw_corp_ticket_tasks": TableView(
        ("number", "short_description", "ticket", "state", "assigned_to", "due_date", "completed_at"),
        ("state",),
        (Preset("Overdue", ("due_date<{today}", "completed_at=")), Preset("Not completed", ("completed_at=",))),
        due=("due_date", "completed_at"),
    ),
    "assets": TableView(
        ("asset_tag", "name", "category", "location", "quantity", "minimum_quantity", "status", "assigned_to"),
        ("category", "status"),
        (Preset("Below minimum", ("quantity<minimum_quantity",)), Preset("None in stock", ("quantity=0",))),
        "asset_tag",
        drawn="stock",
    ),
    "deliverables": TableView(
        ("number", "name", "project", "type", "state", "due_date", "delivered_at", "accepted_by"),
        ("type", "state"),
        (Preset("Overdue", ("due_date<{today}", "delivered_at=")), Preset("Not delivered", ("delivered_at=",))),
        due=("due_date", "delivered_at"),
    ),
}


NOUNS = {
    "locations": "location",
    "projects": "project",
    "tickets": "ticket",
    "kw_corp_ticket_tasks": "task",
    "assets": "asset",
    "deliverables": "deliverable",
}


def lateness(view: TableView, row: Mapping[str, Any], now: datetime) -> str:
    """`overdue`, `late` of what is past its end and not complete, or nothing."""
    if view.due is None:
        return "late" if view.drawn == "timeline" and is_late(row, now.date()) else ""
    due, done = (row[name] for name in view.due)
    return "overdue" if due is not None and done is None and due < now else ""


def title_of(column: Column | str) -> str:
    """`asset_tag` as `Asset tag`, `sys_updated_on` as `Updated on`."""
    name = column if isinstance(column, str) else column.name
    return name.removeprefix("sys_").replace("_", " ").capitalize()


def columns_of(table: RecordTable, names: tuple[str, ...]) -> list[Column]:
    return [column for name in names if (column := table.column(name))]
