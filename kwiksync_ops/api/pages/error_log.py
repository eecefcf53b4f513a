"""The Error Log: what could not be taken, with its record, the rule that refused it, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops import errors as product_errors
from kwiksync_ops.api.context import Context, ContextDep
from kwiksync_ops.api.pages.declared import all_systems
from kwiksync_ops.api.pages.filters import PAGE_ROWS, cursor_of, day_end, day_start, one_of, read_cursor, read_day
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.errors import ConfigurationError, ConflictError, KwikSyncError
from kwiksync_ops.mapping.documents import mapping_document
from kwiksync_ops.services.configuration import applied_mapping
from kwiksync_ops.services.errors import ErrorFilter, ErrorRow, find_errors, search_errors
from kwiksync_ops.vocabulary import RECORD_TABLES, Direction, Resolution

router = APIRouter(prefix="/error-log")

Text = Annotated[str, Query(max_length=300)]
ALL = "all"


@dataclass(frozen=True)
class Fault:
    """A fault of a record; `value` is what the record has there, `rule` the mapping's rule for the field."""

    code: str
    field: str | None
    message: str
    value: Any = None
    rule: dict[str, Any] | None = None


@router.get("")
def read_error_log(
    request: Request,
    context: ContextDep,
    system: Text = "",
    table: Text = "",
    code: Text = "",
    resolution: Text = Resolution.OPEN.value,
    run: Text = "",
    record: Text = "",
    from_: Annotated[str, Query(alias="from", max_length=20)] = "",
    to: Text = "",
    cursor: Text = "",
) -> HTMLResponse:
    is_all = resolution in ("", ALL)
    wanted = ErrorFilter(
        system=system or None,
        table=one_of(table, RECORD_TABLES, "table"),
        code=code or None,
        run_id=run or None,
        resolution=None if is_all else Resolution(str(one_of(resolution, list(Resolution), "status"))),
        external_id=record or None,
        since=day_start(read_day(from_)),
        until=day_end(read_day(to)),
        after=read_cursor(cursor),
    )
    rows = search_errors(context.hub, wanted, limit=PAGE_ROWS + 1)
    asked = {"system": system, "table": table, "code": code, "run": run, "record": record, "from": from_, "to": to}
    return show(
        request,
        "error_log.html",
        title="Error Log",
        rows=rows[:PAGE_ROWS],
        more=cursor_of(rows[PAGE_ROWS - 1], "occurred") if len(rows) > PAGE_ROWS else "",
        systems=[each.system for each in all_systems(context)],
        tables=list(RECORD_TABLES),
        codes=CODES,
        resolutions=list(Resolution),
        asked={**asked, "resolution": ALL if is_all else resolution},
    )


@router.get("/{sys_id}")
def read_error(request: Request, sys_id: str, context: ContextDep) -> HTMLResponse:
    try:
        (row,) = find_errors(context.hub, [sys_id])
    except ConfigurationError as exc:
        raise NotFoundError(exc.message, remedy="The Error Log lists what there is.") from exc
    return show(
        request,
        "error.html",
        title=f"{row['code']} {row['external_id'] or ''}".strip(),
        row=row,
        faults=_faults(context, row),
        is_conflict=row["code"] == ConflictError.code,
        can_replay=_can_replay(row),
    )


def _codes() -> list[str]:
    kinds = (kind for kind in vars(product_errors).values() if isinstance(kind, type))
    return sorted({kind.code for kind in kinds if issubclass(kind, KwikSyncError)})


CODES = _codes()


def _faults(context: Context, row: ErrorRow) -> list[Fault]:
    rules = _rules(context, row)
    payload = row["payload"] if isinstance(row["payload"], dict) else {}
    told: Sequence[dict[str, Any]] = row["faults"] or [
        {"code": row["code"], "field": row["field"], "message": row["message"]}
    ]
    return [_fault(fault, rules, payload) for fault in told]


def _fault(fault: dict[str, Any], rules: Sequence[dict[str, Any]], payload: dict[str, Any]) -> Fault:
    field = fault.get("field")
    rule = next((rule for rule in rules if field in (rule["target_field"], rule["source_field"])), None)
    value = payload.get(rule["source_field"] if rule else field or "")
    return Fault(fault["code"], field, fault["message"], value, rule)


def _rules(context: Context, row: ErrorRow) -> list[dict[str, Any]]:
    """The rules of the table's active mapping; none where there is none any more."""
    if row["table_name"] not in RECORD_TABLES:
        return []
    try:
        with context.hub.read() as connection:
            mapping = applied_mapping(connection, row["system"], row["table_name"], row["direction"])
    except ConfigurationError:
        return []
    found: list[dict[str, Any]] = mapping_document(mapping)["fields"]
    return found


def _can_replay(row: ErrorRow) -> bool:
    is_record = row["table_name"] in RECORD_TABLES and isinstance(row["payload"], dict)
    is_open = row["resolution"] == Resolution.OPEN and row["code"] != ConflictError.code
    return is_open and is_record and row["direction"] == Direction.INBOUND
