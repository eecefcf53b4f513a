"""A mapping tried on records: before, after and rejects side by side. Nothing is written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.context import Context, ContextDep
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.mappings import Way, mapping_of
from kwiksync_ops.api.pages.posted import Posted, PostedDep
from kwiksync_ops.api.routes.mappings import MAX_SAMPLE, declared_table, tried
from kwiksync_ops.api.routes.systems import credentials_for
from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.errors import KwikSyncError, ValidationError
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.errors import ErrorFilter, search_errors
from kwiksync_ops.services.preview import Preview, PreviewRow, record_rows
from kwiksync_ops.services.sample import live_sample
from kwiksync_ops.storage.mappings import MappingKey
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import Direction

router = APIRouter(prefix="/mappings")

FETCHED = 10
LIVE, REJECTED = "live", "rejected"


@dataclass(frozen=True)
class Desk:
    """What is worked on: a mapping, and what the files say of its system and table."""

    key: MappingKey
    system: SystemSpec
    table: TableSpec


@dataclass(frozen=True)
class Sample:
    """The records to try on, as text. `error` is why there are none."""

    text: str = ""
    records: Sequence[SourceRecord] = ()
    error: KwikSyncError | None = None


@dataclass(frozen=True)
class TriedRecord:
    name: str
    is_taken: bool
    rows: Sequence[PreviewRow]


@dataclass(frozen=True)
class Trial:
    """A preview as it is shown."""

    records: Sequence[TriedRecord] = ()
    error: KwikSyncError | None = None

    @property
    def rejected(self) -> int:
        return sum(not record.is_taken for record in self.records)


@router.get("/{system}/{table}/preview")
def read_preview(
    request: Request, system: str, table: str, context: ContextDep, direction: Way = Direction.INBOUND
) -> HTMLResponse:
    """The active mapping, on what was rejected lately, or outbound on the newest records."""
    desk = desk_of(context, system, table, direction)
    sample = Sample() if desk.key.is_outbound else rejected_sample(context, desk)
    return _show(request, context, desk, sample if sample.error is None else Sample())


@router.post("/{system}/{table}/preview")
def try_active(
    request: Request,
    system: str,
    table: str,
    context: ContextDep,
    form: PostedDep,
    direction: Way = Direction.INBOUND,
) -> HTMLResponse:
    desk = desk_of(context, system, table, direction)
    return _show(request, context, desk, sample_of(context, desk, form))


def _show(request: Request, context: Context, desk: Desk, sample: Sample) -> HTMLResponse:
    mapping = mapping_of(context, desk.key)
    return show(
        request,
        "mapping_preview.html",
        title=f"Preview of the mapping of {desk.key.table} of {desk.key.system}",
        key=desk.key,
        mapping=mapping,
        sample=sample,
        trial=trial_of(context, desk, mapping, sample),
    )


def desk_of(context: Context, system: str, table: str, direction: Direction) -> Desk:
    """Raises NotFoundError for a system or table that no file declares."""
    declared, spec = declared_table(context, system, table)
    return Desk(MappingKey(system, direction.value, spec.table), declared, spec)


def trial_of(context: Context, desk: Desk, mapping: TableMapping, sample: Sample) -> Trial | None:
    """None where there is nothing to try it on yet."""
    if sample.error or not (sample.records or desk.key.is_outbound):
        return None
    try:
        shown = tried(context, desk.system, desk.table, mapping, sample.records, FETCHED)
    except KwikSyncError as exc:
        return Trial(error=exc)
    return Trial(_tried_records(shown))


def _tried_records(shown: Preview) -> list[TriedRecord]:
    numbered = ((record, list(record_rows(shown, number, record))) for number, record in enumerate(shown.records, 1))
    return [TriedRecord(rows[0].record, record.after is not None, rows) for record, rows in numbered]


def sample_of(context: Context, desk: Desk, form: Posted, wanted: str = "") -> Sample:
    """What the form holds, or what it asks for anew: records of the system, or those that were rejected lately."""
    text = form.one("sample")
    match wanted or form.one("do").partition(":")[2]:
        case "live":
            return live(context, desk, text)
        case "rejected":
            return rejected_sample(context, desk)
        case _:
            return read_sample(text)


def live(context: Context, desk: Desk, text: str = "") -> Sample:
    """A few records that the system sends now, by one call. Where it does not answer, what was there stays."""
    try:
        known = credentials_for(context, desk.system)
        records = live_sample(context.hub, desk.system, desk.table, known, FETCHED, context.clock)
    except KwikSyncError as exc:
        return Sample(text, (), exc)
    if not records:
        nothing = ValidationError(f"{desk.key.system} has no record of {desk.table.source}.", remedy="Paste some.")
        return Sample(text, (), nothing)
    return Sample(_text(records), records)


def rejected_sample(context: Context, desk: Desk) -> Sample:
    """The records that were rejected last, as they came."""
    wanted = ErrorFilter(system=desk.key.system, table=desk.key.table, resolution=None)
    rows = search_errors(context.hub, wanted, limit=5 * FETCHED)
    newest = {row["external_id"] or row["sys_id"]: row for row in reversed(rows)}
    payloads = [row["payload"] for row in reversed(newest.values()) if row["direction"] == desk.key.direction]
    records = [payload for payload in payloads if isinstance(payload, dict) and "sys_id" not in payload]
    if not records:
        message = f"No record of {desk.key.table} of {desk.key.system} is in the Error Log."
        return Sample("", (), ValidationError(message, remedy="Ask the system for some, or paste them."))
    return Sample(_text(records[:FETCHED]), records[:FETCHED])


def read_sample(text: str) -> Sample:
    """A list of records, or one, in JSON."""
    if not text.strip():
        return Sample(text)
    try:
        value = json.loads(text, parse_float=Decimal)
        text.encode()
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError) as exc:
        place = f"line {exc.lineno}: {exc.msg}" if isinstance(exc, json.JSONDecodeError) else "no text of this kind"
        return Sample(text, (), ValidationError(f"The records are not JSON: {place}.", remedy=_FORM))
    records = [value] if isinstance(value, dict) else value
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        return Sample(text, (), ValidationError("The records are no list of records.", remedy=_FORM))
    return Sample(text, records[:MAX_SAMPLE])


_FORM = 'Write them so: [{"ticket_number": "T1"}, {"ticket_number": "T2"}].'


def _text(records: Sequence[Any]) -> str:
    """A record a line, as JSON that keeps the digits of numbers."""
    lines = (bytes(json_response(record).body).decode() for record in records)
    return "[\n" + ",\n".join(lines) + "\n]"
