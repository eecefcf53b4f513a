"""Field mappings: the active version of each, changed, tried on records, rolled back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from kwiksync_ops.api.answers import json_response
from kwiksync_ops.api.context import AdminDep, CallerDep, Context, ContextDep
from kwiksync_ops.api.problems import NotFoundError
from kwiksync_ops.errors import ConfigurationError, ValidationError
from kwiksync_ops.mapping.documents import mapping_document
from kwiksync_ops.mapping.files import check_mapping
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services import configuration, preview
from kwiksync_ops.services.sample import hub_sample
from kwiksync_ops.services.systems import find_system, find_table
from kwiksync_ops.storage import mappings
from kwiksync_ops.storage.mappings import MappingKey
from kwiksync_ops.storage.outward_lookups import OutwardLookups
from kwiksync_ops.storage.records import HubLookups
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import Direction

router = APIRouter(prefix="/mappings", tags=["mappings"])

Way = Literal["inbound", "outbound"]
MAX_SAMPLE = 50
Document = Annotated[
    dict[str, Any],
    Body(
        description="A mapping in the form of its file.",
        examples=[
            {
                "source_table": "tickets",
                "target_table": "tickets",
                "fields": [{"source_field": "ticket_number", "target_field": "number", "transform": "direct"}],
            }
        ],
    ),
]


class MappingAnswer(BaseModel):
    system: str
    direction: str
    table: str
    version: int
    mapping: dict[str, Any]


class MappingsAnswer(BaseModel):
    result: list[dict[str, Any]]


class Trial(BaseModel):
    """A mapping, or none to try the active one, and records; outbound it is tried on the hub's newest records."""

    model_config = ConfigDict(extra="forbid")

    mapping: dict[str, Any] | None = None
    records: list[dict[str, Any]] = Field(default=[], max_length=MAX_SAMPLE, examples=[[{"ticket_number": "T1"}]])


class TrialAnswer(BaseModel):
    """Each record before and after; `after` is None where it is rejected, and `rejects` say why."""

    rejected: int
    records: list[dict[str, Any]]


@router.get("", response_model=MappingsAnswer, summary="The mappings that are active")
def list_mappings(context: ContextDep, _caller: CallerDep) -> Response:
    with context.hub.read() as connection:
        active = mappings.list_active_entries(connection)
    return json_response({"result": [{**asdict(entry.key), **_without_key(entry)} for entry in active]})


@router.get("/{system}/{table}", response_model=MappingAnswer, summary="The active mapping of a table, or a version")
def read_mapping(
    system: str,
    table: str,
    context: ContextDep,
    _caller: CallerDep,
    direction: Way = "inbound",
    version: int | None = None,
) -> Response:
    _, spec = declared_table(context, system, table)
    if version is not None and not 0 < version < 1_000_000:
        raise NotFoundError(f"There is no version {version}.", remedy="Versions are counted from 1.")
    return _answer(_applied(context, system, spec.table, direction, version), spec.table)


@router.get("/{system}/{table}/versions", response_model=MappingsAnswer, summary="All versions of a mapping")
def list_versions(
    system: str, table: str, context: ContextDep, _caller: CallerDep, direction: Way = "inbound"
) -> Response:
    _, spec = declared_table(context, system, table)
    with context.hub.read() as connection:
        entries = mappings.list_versions(connection, MappingKey(system, direction, spec.table))
    return json_response({"result": [vars(entry) for entry in entries]})


@router.put(
    "/{system}/{table}", response_model=MappingAnswer, summary="Change a mapping: a new version, active at once"
)
def change_mapping(
    system: str,
    table: str,
    document: Document,
    context: ContextDep,
    admin: AdminDep,
    direction: Way = "inbound",
    seen: Annotated[int | None, Query(ge=1, description="The version you began from: 409 if it is no more.")] = None,
) -> Response:
    _, spec = declared_table(context, system, table)
    mapping = _checked(document, system, spec, direction)
    key = MappingKey(system, direction, spec.table)
    configuration.change_mapping(context.hub, key, mapping, who=admin.name, clock=context.clock, seen=seen)
    return _answer(_applied(context, system, spec.table, direction, None), spec.table)


@router.post("/{system}/{table}/preview", response_model=TrialAnswer, summary="Try a mapping; nothing is written")
def try_mapping(
    system: str, table: str, trial: Trial, context: ContextDep, _caller: CallerDep, direction: Way = "inbound"
) -> Response:
    declared, spec = declared_table(context, system, table)
    if trial.mapping is None:
        mapping = _applied(context, system, spec.table, direction, None)
    else:
        mapping = _checked(trial.mapping, system, spec, direction)
    shown = tried(context, declared, spec, mapping, trial.records)
    return json_response({"rejected": shown.rejected, "records": [_previewed(record) for record in shown.records]})


@router.post("/{system}/{table}/rollback", response_model=MappingAnswer, summary="Make another version the active one")
def roll_back(
    system: str, table: str, version: int, context: ContextDep, admin: AdminDep, direction: Way = "inbound"
) -> Response:
    _, spec = declared_table(context, system, table)
    if not 0 < version < 1_000_000:
        raise NotFoundError(f"There is no version {version}.", remedy="Versions are counted from 1.")
    key = MappingKey(system, direction, spec.table)
    configuration.roll_back(context.hub, key, version, who=admin.name, clock=context.clock)
    return _answer(_applied(context, system, spec.table, direction, None), spec.table)


def tried(
    context: Context,
    system: SystemSpec,
    table: TableSpec,
    mapping: TableMapping,
    records: Sequence[dict[str, Any]],
    limit: int = MAX_SAMPLE,
) -> preview.Preview:
    """What a mapping makes of records; outbound of so many of the hub's newest."""
    if mapping.direction == Direction.OUTBOUND:
        sample = hub_sample(context.hub, table, limit)
        return preview.preview_outbound(mapping, sample, OutwardLookups(context.hub, system.system))
    return preview.preview(mapping, table, records, HubLookups(context.hub, system.system))


def _without_key(entry: mappings.ActiveEntry) -> dict[str, Any]:
    return {name: value for name, value in vars(entry).items() if name != "key"}


def declared_table(context: Context, system: str, table: str) -> tuple[SystemSpec, TableSpec]:
    try:
        found = find_system(context.settings.include, system)
        return found, find_table(found, table)
    except ConfigurationError as exc:
        raise NotFoundError(exc.message, remedy=exc.remedy) from exc


def _applied(context: Context, system: str, table: str, direction: str, version: int | None) -> TableMapping:
    try:
        with context.hub.read() as connection:
            return configuration.applied_mapping(connection, system, table, direction, version)
    except ConfigurationError as exc:
        raise NotFoundError(exc.message, remedy=exc.remedy) from exc


def _checked(document: dict[str, Any], system: str, spec: TableSpec, direction: str) -> TableMapping:
    mapping = check_mapping(document, "mapping", system, direction)
    if mapping.table != spec.table:
        key = "source_table" if direction == Direction.OUTBOUND else "target_table"
        raise ValidationError(f"The mapping is for {mapping.table}, not {spec.table}.", remedy=f"Correct {key}.")
    return mapping


def _answer(mapping: TableMapping, table: str) -> Response:
    return json_response(
        {
            "system": mapping.system,
            "direction": mapping.direction,
            "table": table,
            "version": mapping.version,
            "mapping": mapping_document(mapping),
        }
    )


def _previewed(record: preview.PreviewedRecord) -> dict[str, Any]:
    rejects = [{"code": reject.code, "field": reject.field, "message": reject.message} for reject in record.rejects]
    return {"before": record.before, "after": record.after, "rejects": rejects}
