"""Field mappings: all of them, the rules of one, and its versions with what differs between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops.api.context import Context, ContextDep
from kwiksync_ops.api.pages.declared import declared_mappings
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.configuration import applied_mapping
from kwiksync_ops.services.configuration_plan import Plan, PlanAction, TablePlan, compare
from kwiksync_ops.services.mapping_diff import diff_mappings
from kwiksync_ops.storage import mappings
from kwiksync_ops.storage.mappings import ActiveEntry, MappingKey
from kwiksync_ops.vocabulary import RECORD_TABLES, Direction, short_name

router = APIRouter(prefix="/mappings")

Way = Annotated[Direction, Query()]
MOST_VERSION = 1_000_000

WORDS = {
    PlanAction.NEW: ("open", "not applied yet"),
    PlanAction.CHANGED: ("warning", "differs from its file"),
    PlanAction.UNCHANGED: ("ok", "as its file"),
    PlanAction.FAULTY: ("faulty", "faulty file"),
    PlanAction.UNDECLARED: ("", "no file"),
}
"""How the hub's mapping and the one of the files stand to each other: the look of its status, and the words."""


@dataclass(frozen=True)
class Listed:
    """A mapping in the list: what is active of it, and what its file says; either may be missing."""

    key: MappingKey
    active: ActiveEntry | None
    plan: TablePlan


@router.get("")
def read_mappings(request: Request, context: ContextDep) -> HTMLResponse:
    declared = declared_mappings(context)
    with context.hub.read() as connection:
        plan = compare(connection, declared)
        entries = mappings.list_active_entries(connection)
    return show(request, "mappings.html", title="Mappings", listed=_listed(plan, entries), plan=plan, words=WORDS)


@router.get("/{system}/{table}")
def read_mapping(
    request: Request,
    system: str,
    table: str,
    context: ContextDep,
    direction: Way = Direction.INBOUND,
    version: Annotated[int | None, Query(ge=1, lt=MOST_VERSION)] = None,
    saved: Annotated[int | None, Query(ge=1, lt=MOST_VERSION)] = None,
) -> HTMLResponse:
    key = MappingKey(system, direction.value, short_name(table))
    mapping = mapping_of(context, key, version)
    with context.hub.read() as connection:
        entries = [entry for entry in mappings.list_active_entries(connection) if entry.key.system == system]
    active = {entry.key: entry for entry in entries}
    return show(
        request,
        "mapping.html",
        title=f"Mapping of {key.table} of {system}",
        key=key,
        mapping=mapping,
        active=active.get(key),
        ways=[way.value for way in Direction if MappingKey(system, way.value, key.table) in active],
        nulls=common_nulls(mapping),
        saved=saved,
    )


@router.get("/{system}/{table}/versions")
def read_versions(
    request: Request,
    system: str,
    table: str,
    context: ContextDep,
    direction: Way = Direction.INBOUND,
    old: Annotated[int | None, Query(ge=1, lt=MOST_VERSION)] = None,
    new: Annotated[int | None, Query(ge=1, lt=MOST_VERSION)] = None,
) -> HTMLResponse:
    key = MappingKey(system, direction.value, short_name(table))
    chosen = mapping_of(context, key, new)
    with context.hub.read() as connection:
        versions = mappings.list_versions(connection, key)
    before = old or next((entry.version for entry in versions if entry.version < chosen.version), chosen.version)
    return show(
        request,
        "mapping_versions.html",
        title=f"Versions of the mapping of {key.table} of {key.system}",
        key=key,
        versions=versions,
        old=before,
        new=chosen.version,
        changes=diff_mappings(mapping_of(context, key, before), chosen),
    )


def mapping_of(context: Context, key: MappingKey, version: int | None = None) -> TableMapping:
    """The active mapping, or a version. Raises NotFoundError where there is none."""
    try:
        with context.hub.read() as connection:
            return applied_mapping(connection, key.system, key.table, key.direction, version)
    except ConfigurationError as exc:
        raise NotFoundError(exc.message, remedy=f"{exc.remedy} The list of mappings tells which there are.") from exc


def common_nulls(mapping: TableMapping) -> tuple[object, ...] | None:
    """What means "no value" in all fields, where it is the same in all."""
    first = mapping.rules[0].null_values
    return first if all(rule.null_values == first for rule in mapping.rules) else None


def _listed(plan: Plan, entries: list[ActiveEntry]) -> list[Listed]:
    active = {entry.key: entry for entry in entries}
    planned = {table.key: table for table in plan.tables}
    of_broken = [key for key in active if key not in planned]
    plans = [*plan.tables, *(TablePlan(key, PlanAction.FAULTY, active[key].version) for key in of_broken)]
    return [
        Listed(table.key, active.get(table.key), table) for table in sorted(plans, key=lambda each: _order(each.key))
    ]


def _order(key: MappingKey) -> tuple[str, int, str]:
    """By system, and there in load order."""
    return key.system, list(RECORD_TABLES).index(key.table), key.direction
