"""The way out: from records of the hub to what a system takes, by the same six transforms, compiled once a run.

The source fields are columns of a KWikSync table, the target fields are the system's; dots make nested objects.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from kwiksync_ops.batch import Reject
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.checks import compile_checks
from kwiksync_ops.mapping.coercion import Coercion, texts_of
from kwiksync_ops.mapping.compiled import CompiledRule, RecordFaults
from kwiksync_ops.mapping.faults import Column as FieldValues
from kwiksync_ops.mapping.faults import shown
from kwiksync_ops.mapping.moment_writer import compile_moment_writer
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
_MEASURED = (ColumnType.INTEGER, ColumnType.DECIMAL, *_TEMPORAL)
_OPTIONS = ("omit_null", "as_text")
"""Keys of any rule's config: what happens to a value when it is sent, whatever the transform."""


@dataclass(frozen=True)
class Formatted:
    """Payloads in the order of the records, None for a rejected one; a reject for each fault, with its position."""

    payloads: list[Payload | None]
    rejects: list[tuple[int, Reject]] = field(default_factory=list)


@dataclass(frozen=True)
class _Out:
    """A compiled rule; `columns` are those that it depends on. `is_text` sends numbers and truths as text."""

    rule: CompiledRule
    columns: frozenset[str]
    is_text: bool
    omits_null: bool

    def column(self, batch: SourceBatch, faults: RecordFaults) -> FieldValues:
        values = self.rule.column(batch, faults)
        return texts_of(values) if self.is_text else values


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
        batch = SourceBatch([*map(dict, records)], lookups)
        names = [out.rule.target for out in self.rules]
        values = [out.column(batch, faults) for out in self.rules]
        payloads: list[Payload | None] = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        for name in (out.rule.target for out in self.rules if out.omits_null):
            _leave_out_nulls(payloads, name)
        rejects = []
        for index, found in sorted(faults.by_record.items()):
            payloads[index] = None
            for name, label, fault in found:
                rejects.append((index, Reject(fault.code, f"{label} {fault.reason}", name)))
        return Formatted(payloads, rejects)


def _leave_out_nulls(payloads: Sequence[Payload | None], name: str) -> None:
    for payload in payloads:
        if payload is not None and payload[name] is None:
            del payload[name]


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
    options = {key: rule.config.get(key, False) for key in _OPTIONS}
    for key, is_set in options.items():
        if not isinstance(is_set, bool):
            faults.add(f"config.{key}", f"must be true or false, found {shown(is_set)}.")
    config = RuleConfig(_transform_config(rule, faults), faults)
    transform = _compile_transform(RuleContext(rule, column, _AS_IT_IS, faults, config, sandbox), source)
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
    return _Out(compiled, columns, is_text=options["as_text"], omits_null=options["omit_null"])


def _compile_transform(context: RuleContext, source: Column | None) -> CompiledTransform | None:
    is_temporal = source is not None and source.type in _TEMPORAL
    transform = context.rule.transform
    if transform == TransformType.DATE_FORMAT and source is not None and not is_temporal:
        context.faults.add("source_field", f"{source.name} is a column of type {source.type}, not of dates or times.")
    if transform == TransformType.DATE_FORMAT or (transform == TransformType.DIRECT and is_temporal):
        return compile_moment_writer(context)
    return compile_transform(context)


def _transform_config(rule: FieldRule, faults: FaultList) -> Mapping[str, Any]:
    """What the transform itself is to read."""
    config = _turned(rule, faults) if rule.transform == TransformType.VALUE_MAP else rule.config
    return {key: value for key, value in config.items() if key not in _OPTIONS}


def _kind(rule: FieldRule, source: Column | None) -> ColumnType:
    """What a range is measured in: what goes out as it is keeps its type, all else is text, or a number."""
    is_direct = rule.transform == TransformType.DIRECT and source is not None and source.type in _MEASURED
    return source.type if source is not None and is_direct else ColumnType.TEXT


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
