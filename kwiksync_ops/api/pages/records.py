"""Records: a list of each table, and one record with its history and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from kwiksync_ops.api.context import ContextDep
from kwiksync_ops.api.pages.drawings import scale_of, span_bar, spots_of, stock_bar, stock_top, world_map
from kwiksync_ops.api.pages.filters import PAGE_ROWS
from kwiksync_ops.api.pages.formats import words
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.record_query import SIGNS, Asked, ListQueryDep, conditions_of, in_words, read_asked
from kwiksync_ops.api.pages.record_views import NOUNS, VIEWS, TableView, columns_of, lateness, title_of
from kwiksync_ops.api.pages.snapshot import snapshots_of
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.api.routes.records import cursor_of, place_of, table_of
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services import records
from kwiksync_ops.storage import activity, edits, history, record_search
from kwiksync_ops.storage.history import Entry
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.record_search import AnyOf, Condition, Sort
from kwiksync_ops.vocabulary import BASE_COLUMNS, RECORD_TABLES, Column, RecordTable

router = APIRouter(prefix="/records")

CANDIDATES = 10_000
"""A page looks at no more records than so many for those that fit; the next one goes on from there."""

SORTED_AT_ONCE = 50_000
"""A table of no more records than so many can be sorted by any field within a page's time."""

MAPPED, SAMPLED, RELATED, TOLD = 2_000, 1_000, 5, 100
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """Records of a page; `more` is the cursor of the next one, `looked` how many were looked at without an end."""

    rows: Sequence[Row]
    more: str
    is_cut: bool


@dataclass(frozen=True)
class Related:
    """Records of another table that refer to one by a field; there are more than those where `has_more`."""

    table: str
    field: str
    labels: Mapping[str, str]
    rows: Sequence[Row]
    has_more: bool


@router.get("")
def read_tables(request: Request) -> HTMLResponse:
    return show(
        request, "records.html", title="Records", tables=list(RECORD_TABLES), snapshot=snapshots_of(request).take()
    )


@router.get("/{table}")
def read_list(request: Request, table: str, query: ListQueryDep, context: ContextDep) -> HTMLResponse:
    kind = table_of(table)
    view, asked = VIEWS[kind.name], read_asked(request, query)
    conditions = conditions_of(kind, asked)
    with context.hub.read() as connection:
        is_small = not record_search.holds_more(connection, kind.name, SORTED_AT_ONCE)
        sort = _sort(kind, view, asked, conditions, is_small=is_small)
        found = _find(connection, kind, asked, conditions, sort, query.cursor, None if is_small else CANDIDATES)
        values = record_search.seen_values(connection, kind.name, view.choices, newest=SAMPLED)
        labels = _labels(connection, columns_of(kind, view.columns), found.rows)
        drawn = _map(connection, conditions) if view.drawn == "map" else None
    return show(
        request,
        "record_list.html",
        title=words(kind.name),
        noun=NOUNS[kind.name],
        table=kind.name,
        tables=list(RECORD_TABLES),
        view=view,
        columns=columns_of(kind, view.columns),
        fields=[column for column in (*kind.columns, *BASE_COLUMNS) if column.name != "sys_deleted_on"],
        found=found,
        looked=query.looked + CANDIDATES,
        cursor=query.cursor,
        asked=asked,
        sort=sort,
        sortable={column.name for column in (*kind.columns, *BASE_COLUMNS)}
        if is_small
        else record_search.indexed_fields(kind.name),
        choices={
            column.name: _choices(column, values[column.name], asked.chosen.get(column.name))
            for column in columns_of(kind, view.choices)
        },
        presets=[(preset.title, preset.at(context.clock.now().date())) for preset in view.presets],
        signs=SIGNS,
        told={text: in_words(kind, text) for text in asked.filters},
        labels=labels,
        count=_count(request, kind.name),
        drawn=drawn,
        spans=_spans(found.rows, context.clock.now().date()) if view.drawn == "timeline" else {},
        scale=scale_of(found.rows) if view.drawn == "timeline" else None,
        stock=_stock(found.rows) if view.drawn == "stock" else {},
        late={row["sys_id"]: lateness(view, row, context.clock.now()) for row in found.rows},
        title_of=title_of,
    )


@router.get("/{table}/new")
def read_new(request: Request, table: str, context: ContextDep) -> HTMLResponse:
    """The form of a record that is not there yet; fields that the address names are filled in."""
    kind = table_of(table)
    row = {column.name: _given(column, request.query_params.get(column.name, "")) for column in kind.columns}
    with context.hub.read() as connection:
        labels = _labels(connection, kind.columns, [row])
    return show(
        request,
        "record_edit.html",
        title=f"New {NOUNS[kind.name]}",
        table=kind.name,
        row={**row, "active": True},
        label="",
        columns=kind.columns,
        labels=labels,
        title_of=title_of,
    )


@router.get("/{table}/{sys_id}")
def read_record(request: Request, table: str, sys_id: str, context: ContextDep) -> HTMLResponse:
    kind = table_of(table)
    with context.hub.read() as connection:
        row = _record(connection, kind, sys_id)
        entries = list(reversed(history.of_record(connection, kind.name, sys_id)))
        labels = _labels(connection, kind.columns, [row, *_told(entries)])
        related = [each for each in _related(connection, kind, sys_id) if each.rows]
    return show(
        request,
        "record.html",
        title=_label(row, 200),
        table=kind.name,
        row=row,
        columns=kind.columns,
        base=[column for column in BASE_COLUMNS if column.name not in ("active", "sys_deleted_on")],
        labels=labels,
        entries=entries[:TOLD],
        has_more_entries=len(entries) > TOLD,
        related=related,
        by_hand=edits.BY_HAND,
        stock=_stock([row])[sys_id] if kind.name == "assets" else None,
        drawn=_one_place(row) if kind.name == "locations" else None,
        late=lateness(VIEWS[kind.name], row, context.clock.now()),
        title_of=title_of,
    )


@router.get("/{table}/{sys_id}/edit")
def read_form(request: Request, table: str, sys_id: str, context: ContextDep) -> HTMLResponse:
    kind = table_of(table)
    with context.hub.read() as connection:
        row = _record(connection, kind, sys_id)
        labels = _labels(connection, kind.columns, [row])
    if row["sys_deleted_on"] is not None:
        raise NotFoundError(f"{_label(row)} was deleted, so it can't be edited.", remedy="An undo brings it back.")
    return show(
        request,
        "record_edit.html",
        title=f"Edit {_label(row)}",
        table=kind.name,
        row=row,
        label=_label(row),
        columns=kind.columns,
        labels=labels,
        title_of=title_of,
    )


def _given(column: Column, text: str) -> Any:
    """Raises ConfigurationError for what is no value of the column."""
    return records.parse_value(column, text[: column.max_length])


def _sort(
    table: RecordTable, view: TableView, asked: Asked, conditions: Sequence[Condition | AnyOf], *, is_small: bool
) -> Sort:
    """Raises ConfigurationError for a field that a table of this size can't be sorted by at once."""
    at_once = record_search.indexed_fields(table.name)
    wanted = asked.sort or (view.sort if is_small else "")
    if not wanted:
        is_looked_up = any(
            isinstance(each, Condition) and each.operator == "=" and each.field in at_once for each in conditions
        )
        return Sort("sys_id") if is_looked_up else Sort()
    (name,) = records.check_fields(table, [wanted.removeprefix("-")])
    if not is_small and name not in at_once:
        raise ConfigurationError(
            f"There are too many {words(table.name).lower()} to sort them by {name} at once.",
            remedy=f"Sort by {', '.join(sorted(at_once))}, or sort the CSV.",
        )
    return Sort(name, wanted.startswith("-"))


def _find(
    connection: Connection,
    table: RecordTable,
    asked: Asked,
    conditions: Sequence[Condition | AnyOf],
    sort: Sort,
    cursor: str,
    candidates: int | None,
) -> Found:
    exact = _exact(connection, table, asked)
    others = [Condition("sys_id", "not in", [row["sys_id"] for row in exact])] if exact else []
    window = record_search.read_window(
        connection,
        table.name,
        [*conditions, *others],
        sort=sort,
        after=place_of(table, sort, cursor),
        limit=PAGE_ROWS + 1,
        candidates=candidates,
    )
    rows = window.rows[:PAGE_ROWS]
    if window.reached:
        value, sys_id = window.reached
        more = cursor_of(sort, {sort.field: value, "sys_id": sys_id})
    else:
        more = cursor_of(sort, rows[-1]) if len(window.rows) > PAGE_ROWS else ""
    return Found(rows if cursor else [*exact, *rows], more, is_cut=window.reached is not None)


def _exact(connection: Connection, table: RecordTable, asked: Asked) -> list[Row]:
    """The records whose number is what is searched: told first, wherever they stand in the list."""
    names = [name for name in ("number", "asset_tag") if table.column(name)]
    if not asked.q or asked.chosen or asked.filters or not names:
        return []
    wanted = [Condition(names[0], "in", tuple({asked.q, asked.q.upper()}))]
    return record_search.read_page(connection, table.name, wanted, sort=Sort("sys_id"), limit=PAGE_ROWS)


def _record(connection: Connection, table: RecordTable, sys_id: str) -> Row:
    found = edits.find(connection, table.name, sys_id)
    if found is None:
        raise NotFoundError(
            f"There is no record {sys_id} among the {words(table.name).lower()}.",
            remedy="Search for it in the list.",
        )
    return dict(found)


def _label(row: Row, longest: int = 90) -> str:
    told = [str(row[name]) for name in activity.LABELS if row.get(name)][:2]
    text = " ".join(told) or str(row["external_id"])
    return text if len(text) <= longest else f"{text[:longest].rstrip()}…"


def _labels(connection: Connection, columns: Iterable[Column], rows: Sequence[Row]) -> dict[str, str]:
    """What the records that these refer to are called, by sys_id."""
    wanted: dict[str, set[str]] = {}
    for column in columns:
        if column.references:
            found = {row[column.name] for row in rows if row.get(column.name)}
            wanted.setdefault(column.references, set()).update(found)
    labels: dict[str, str] = {}
    for table, sys_ids in wanted.items():
        labels |= activity.labels_of(connection, table, sys_ids) if sys_ids else {}
    return labels


def _told(entries: Sequence[Entry]) -> list[Row]:
    """The old and the new values of a history, as rows."""
    return [{name: pair[side] for name, pair in entry.changes.items()} for entry in entries[:TOLD] for side in (0, 1)]


def _related(connection: Connection, table: RecordTable, sys_id: str) -> Iterable[Related]:
    for other in RECORD_TABLES.values():
        for column in other.columns:
            if column.references != table.name:
                continue
            wanted = [Condition(column.name, "=", sys_id)]
            rows = record_search.read_page(connection, other.name, wanted, sort=Sort("sys_id"), limit=RELATED + 1)
            labels = {row["sys_id"]: _label(row) for row in rows}
            yield Related(other.name, column.name, labels, rows[:RELATED], len(rows) > RELATED)


def _choices(column: Column, seen: list[str], chosen: str | None) -> dict[str, str]:
    """Values to filter by with their words: those of the column, then others that were seen or are chosen."""
    others = sorted({*seen, *([chosen] if chosen else [])} - column.labelled_choices.keys())
    return column.labelled_choices | {value: value for value in others}


def _count(request: Request, table: str) -> int | None:
    counts = snapshots_of(request).take().counts
    return counts[table].records if counts else None


def _map(connection: Connection, conditions: Sequence[Condition | AnyOf]) -> Markup | None:
    """Those of the records that fit that were made last and have degrees."""
    located: list[Condition | AnyOf] = [Condition("latitude", "!=", None), Condition("longitude", "!=", None)]
    window = record_search.read_window(
        connection,
        "locations",
        [*conditions, *located],
        sort=Sort("sys_id"),
        limit=MAPPED,
        candidates=CANDIDATES,
        columns=("sys_id", "external_id", "name", "latitude", "longitude"),
    )
    places = spots_of(window.rows)
    return world_map(places, named=f"Map of {len(places):,} locations") if places else None


def _one_place(row: Row) -> Markup | None:
    places = spots_of([row])
    return world_map(places, named=f"{places[0].name} on a map") if places else None


def _spans(rows: Sequence[Row], today: date) -> dict[str, Markup]:
    scale = scale_of(rows)
    return {row["sys_id"]: span_bar(row, scale, today) for row in rows} if scale else {}


def _stock(rows: Sequence[Row]) -> dict[str, Markup]:
    top = stock_top(rows)
    return {row["sys_id"]: stock_bar(row, top) for row in rows}
