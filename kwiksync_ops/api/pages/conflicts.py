"""Conflicts: the list of those that wait, and one record with both versions side by side, to be decided by field."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops.api.context import ContextDep
from kwiksync_ops.api.pages.declared import all_systems
from kwiksync_ops.api.pages.filters import one_of
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.record_views import title_of
from kwiksync_ops.api.routes.conflicts import conflict_of
from kwiksync_ops.services import conflicts
from kwiksync_ops.storage import activity
from kwiksync_ops.vocabulary import RECORD_TABLES, Resolution

router = APIRouter(prefix="/conflicts")

LISTED = 200
Text = Annotated[str, Query(max_length=300)]


@router.get("")
def read_conflicts(
    request: Request, context: ContextDep, system: Text = "", table: Text = "", decided: bool = False
) -> HTMLResponse:
    wanted = one_of(table, RECORD_TABLES, "table")
    found = conflicts.list_conflicts(
        context.hub, system=system or None, table=wanted, decided=decided, limit=LISTED + 1
    )
    return show(
        request,
        "conflicts.html",
        title="Conflicts",
        found=found[:LISTED],
        has_more=len(found) > LISTED,
        systems=[each.system for each in all_systems(context)],
        tables=list(RECORD_TABLES),
        asked={"system": system, "table": table, "decided": decided},
        deleted=conflicts.DELETED,
        title_of=title_of,
    )


@router.get("/{sys_id}")
def read_conflict(request: Request, sys_id: str, context: ContextDep) -> HTMLResponse:
    conflict = conflict_of(context, sys_id)
    is_open = conflict.resolution == Resolution.OPEN
    with context.hub.read() as connection:
        labels = activity.labels_of(connection, conflict.table, [conflict.record])
    label = labels.get(conflict.record) or conflict.external_id
    columns = RECORD_TABLES[conflict.table].columns
    return show(
        request,
        "conflict.html",
        title=f"Conflict of {label}",
        label=label,
        conflict=conflict,
        fields=conflicts.conflicts_beside(context.hub, conflict) if is_open else [conflict],
        is_open=is_open,
        choices={column.name: column.labelled_choices for column in columns},
        deleted=conflicts.DELETED,
        title_of=title_of,
    )
