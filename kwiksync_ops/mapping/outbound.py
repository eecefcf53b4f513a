"""The way out: from records of the hub to what a system takes, by the same six transforms, compiled once a run.

The source fields are columns of a KWikSync table, the target fields are the system's; dots make nested objects.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import NoneType
from typing import Any
from zoneinfo import ZoneInfo

from kwiksync_ops.batch import Reject
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.checks import compile_checks
from kwiksync_ops.mapping.coercion import Coercion
from kwiksync_ops.mapping.compiled import CompiledRule, RecordFaults
from kwiksync_ops.mapping.faults import shown
from kwiksync_ops.mapping.moments import compile_moments
from kwiksync_ops.mapping.notation import NotationWriter
from kwiksync_ops.mapping.rule_config import FaultList, MappingFault, RuleConfig, suggestion
from kwiksync_ops.mapping.rule_context import CompiledTransform, RuleContext
from kwiksync_ops.mapping.rules import FieldRule, TableMapping
from kwiksync_ops.mapping.sandbox import Sandbox
from kwiksync_ops.mapping.source import LookupSource, SourceBatch
from kwiksync_ops.mapping.transforms import compile_transform
from kwiksync_ops.vocabulary import BASE_COLUMNS, RECORD_TABLES, Column, ColumnType, RecordTable, TransformType

Payload = dict[str, Any]
"""Target fields by name, dots and all, to JSON values."""

_AS_IT_IS = Coercion(frozenset({NoneType}), lambda value: value, bool)
_TEMPORAL = (ColumnType.DATE, ColumnType.DATETIME)
_MEASURED = (ColumnType.INTEGER, ColumnType.DECIMAL)


@dataclass(frozen=True)
class Formatted:
    """Payloads in the order of the records, None for a rejected one; a reject for each fault, with its position."""

    payloads: list[Payload | None]
    rejects: list[tuple[int, Reject]] = field(default_factory=list)


@dataclass(frozen=True)
class _Out:
    rule: CompiledRule
    columns: frozenset[str]


@dataclass(frozen=True)
class CompiledOutbound:
    """An outbound mapping, compiled. `columns` are those of the hub that it reads, in the order of the table."""

    table: str
    columns: tuple[str, ...]
    rules: tuple[_Out, ...]

    def fields_of(self, columns: Collection[str]) -> frozenset[str]:
        """The target fields that depend on any of these columns."""
        wanted = set(columns)
        return frozenset(out.rule.target for out in self.rules if out.columns & wanted)

    def apply(self, records: Sequence[Mapping[str, Any]], lookups: LookupSource) -> Formatted:
        """Format records: values by column, as the hub has them."""
        faults = RecordFaults()
        batch = SourceBatch([_json_record(record) for record in records], lookups)
        names = [out.rule.target for out in self.rules]
        values = [out.rule.column(batch, faults) for out in self.rules]
        payloads: list[Payload | None] = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        rejects = []
        for index, found in sorted(faults.by_record.items()):
            payloads[index] = None
            for name, label, fault in found:
                rejects.append((index, Reject(fault.code, f"{label} {fault.reason}", name)))
        return Formatted(payloads, rejects)


def nested(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload as it is sent: `caller.name` is `name` within `caller`."""
    document: dict[str, Any] = {}
    for name, value in payload.items():
        *path, last = name.split(".")
        place = document
        for key in path:
            place = place.setdefault(key, {})
        place[last] = value
    return document


def compile_outbound(mapping: TableMapping) -> CompiledOutbound:
    """The mapping as functions over a batch.

    Raises:
        ConfigurationError: the mapping is faulty; `faults` lists everything that is wrong.
    """
    compiled, faults = _compile(mapping)
    if faults or compiled is None:
        raise ConfigurationError(
            f"The outbound mapping {mapping.system}.{mapping.source_table} (version {mapping.version}) is faulty:",
            faults=tuple(map(str, faults)),
            remedy="Correct the mapping, then run kwiksync plan.",
        )
    return compiled


def outbound_faults(mapping: TableMapping) -> list[MappingFault]:
    """Everything that is wrong with an outbound mapping, with the place of each fault."""
    return _compile(mapping)[1]


def _compile(mapping: TableMapping) -> tuple[CompiledOutbound | None, list[MappingFault]]:
    table = RECORD_TABLES.get(mapping.source_table)
    if table is None:
        problem = f"there is no table {mapping.source_table!r}.{suggestion(mapping.source_table, RECORD_TABLES)}"
        return None, [MappingFault(None, "source_table", problem)]
    sandbox, rules, faults, seen = Sandbox(), [], list[MappingFault](), dict[str, int]()
    for position, rule in enumerate(mapping.rules):
        found = FaultList(
            position, f"rule {position + 1} ({rule.source_field or rule.transform} -> {rule.target_field})"
        )
        if rule.active:
            _check_target(rule, position, seen, found)
            out = _compile_rule(table, rule, sandbox, found)
            rules += [out] if out else []
        faults += found.faults
    if not any(rule.active for rule in mapping.rules):
        faults.append(MappingFault(None, "fields", "no rule is active, so that nothing would be sent."))
    read = {name for out in rules for name in out.columns}
    columns = tuple(column.name for column in _columns(table) if column.name in read)
    return CompiledOutbound(table.name, columns, tuple(rules)), faults


def _columns(table: RecordTable) -> tuple[Column, ...]:
    return (*BASE_COLUMNS, *table.columns)


def _check_target(rule: FieldRule, position: int, seen: dict[str, int], faults: FaultList) -> None:
    name = rule.target_field
    if not name or not all(name.split(".")):
        faults.add("target_field", f"{name!r} is not a field name; dots lead into nested objects: caller.name.")
    for other, place in seen.items():
        if name == other:
            faults.add("target_field", f"{name} is filled by rule {place + 1} already.")
        elif f"{name}.".startswith(f"{other}.") or f"{other}.".startswith(f"{name}."):
            faults.add("target_field", f"{name} and {other} (rule {place + 1}) can't both be: one is within the other.")
    seen.setdefault(name, position)


def _compile_rule(table: RecordTable, rule: FieldRule, sandbox: Sandbox, faults: FaultList) -> _Out | None:
    columns = _columns_read(table, rule, faults)
    source = table.column(rule.source_field)
    column = Column(rule.target_field, _kind(rule, source), None)
    is_value_map = rule.transform == TransformType.VALUE_MAP
    config = RuleConfig(_turned(rule, faults) if is_value_map else rule.config, faults)
    context = RuleContext(rule, column, _AS_IT_IS, faults, config, sandbox)
    if rule.transform == TransformType.DATE_FORMAT:
        transform = _compile_date(context, source)
    else:
        transform = compile_transform(context)
    checks = compile_checks(rule.validation, column, faults)
    if transform is None or faults.faults:
        return None
    label = f"{rule.target_field} (from {rule.source_field})" if rule.source_field else rule.target_field
    compiled = CompiledRule(
        target=rule.target_field,
        label=label,
        transform=transform.run,
        coercion=None,
        default=rule.default,
        is_required=rule.validation.required,
        checks=checks,
    )
    return _Out(compiled, columns)


def _kind(rule: FieldRule, source: Column | None) -> ColumnType:
    """What a range is measured in: a number that goes out as it is stays one, all else is text."""
    is_number = rule.transform == TransformType.DIRECT and source is not None and source.type in _MEASURED
    return source.type if source is not None and is_number else ColumnType.TEXT


def _columns_read(table: RecordTable, rule: FieldRule, faults: FaultList) -> frozenset[str]:
    """The columns that a rule depends on; a script sees the whole record."""
    known = [column.name for column in _columns(table)]
    if rule.transform == TransformType.SCRIPT:
        return frozenset(known)
    parts = rule.config.get("fields") if rule.transform == TransformType.CONCATENATE else None
    names = [name for name in parts if isinstance(name, str)] if isinstance(parts, list) else [rule.source_field]
    for name in names:
        if name not in known:
            key = "source_field" if parts is None else "config.fields"
            faults.add(key, f"{table.name} has no column {name!r}.{suggestion(name, known)}")
    return frozenset(names)


def _turned(rule: FieldRule, faults: FaultList) -> Mapping[str, Any]:
    """`reverse` turns the mappings of the way in round, so that they can be copied from there."""
    config = dict(rule.config)
    is_reverse, prefer = config.pop("reverse", False), config.pop("prefer", ())
    mappings = config.get("mappings")
    if not is_reverse or not isinstance(mappings, dict):
        return config
    words: dict[str, list[str]] = {}
    for word, value in mappings.items():
        words.setdefault(value if isinstance(value, str) else json.dumps(value), []).append(word)
    return {**config, "mappings": {value: _chosen(value, found, prefer, faults) for value, found in words.items()}}


def _chosen(value: str, words: list[str], prefer: Collection[str], faults: FaultList) -> str:
    """The word that goes out for a hub value."""
    wanted = [word for word in words if word in prefer] if len(words) > 1 else words
    if len(wanted) != 1:
        all_words = ", ".join(map(shown, words))
        faults.add("config.mappings", f"{shown(value)} stands for {all_words}; name the one that goes out in prefer.")
    return wanted[0] if wanted else words[0]


def _compile_date(context: RuleContext, source: Column | None) -> CompiledTransform | None:
    """A date or a moment of the hub in the system's notation, moments in the zone that the system thinks in."""
    config = context.config
    target_format, zone = config.text("target_format", "iso"), config.text("timezone", "UTC")
    if source is not None and source.type not in _TEMPORAL:
        context.faults.add("source_field", f"{source.name} is a column of type {source.type}, not of dates or times.")
    try:
        compile_moments("iso", zone)
        write = _writer(target_format, ZoneInfo(zone))
    except (ValueError, OSError) as exc:
        config.fault("timezone" if "zone" in str(exc) else "target_format", f"{exc}.")
        return None
    config.refuse_unknown_keys()
    read = context.read()
    return CompiledTransform(lambda batch: [value if value is None else write(value) for value in read(batch)])


def _writer(target_format: str, zone: ZoneInfo) -> Callable[[str], Any]:
    def moment_of(text: str) -> datetime:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else moment.astimezone(zone)

    match target_format:
        case "iso":
            return lambda text: text if len(text) == _DAY_LENGTH else moment_of(text).isoformat()
        case "epoch":
            return lambda text: int(moment_of(text).timestamp())
        case "epoch_ms":
            return lambda text: round(moment_of(text).timestamp() * 1000)
    writer = NotationWriter(target_format)
    return lambda text: writer.write(moment_of(text))


_DAY_LENGTH = len("2026-01-31")


def _json_record(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, (date, datetime)) else value for name, value in record.items()}
