"""Compiling a mapping once a run, and finding all that is wrong with one before it goes live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kwiksync_ops import vocabulary
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.checks import compile_checks
from kwiksync_ops.mapping.coercion import compile_coercion
from kwiksync_ops.mapping.compiled import KEY, CompiledCursor, CompiledMapping, CompiledRule
from kwiksync_ops.mapping.faults import shown
from kwiksync_ops.mapping.moments import compile_moments
from kwiksync_ops.mapping.rule_config import FaultList, MappingFault, RuleConfig, suggestion
from kwiksync_ops.mapping.rule_context import RuleContext
from kwiksync_ops.mapping.rules import FieldRule, TableMapping
from kwiksync_ops.mapping.sandbox import Sandbox
from kwiksync_ops.mapping.source import LookupSource
from kwiksync_ops.mapping.transforms import compile_transform
from kwiksync_ops.vocabulary import MAPPABLE_BASE_COLUMNS, RECORD_TABLES, RecordTable, TransformType

__all__ = ["CompiledMapping", "LookupSource", "compile_mapping", "mapping_faults", "validate_mapping"]

_SOURCELESS = (TransformType.CONCATENATE, TransformType.SCRIPT)


def compile_mapping(
    mapping: TableMapping,
    *,
    key_field: str,
    cursor_field: str | None = None,
    cursor_format: str = "iso",
    cursor_timezone: str = "UTC",
) -> CompiledMapping:
    """The mapping as functions over a batch.

    Args:
        key_field: the source field that identifies a record in the Error Log where its `external_id` can't be mapped.
        cursor_field: the source field that tells when a record last changed, a path like any source field.

    Raises:
        ConfigurationError: the mapping or the cursor is faulty; `faults` lists everything that is wrong.
    """
    rules, faults = _compile_rules(mapping)
    cursor = _compile_cursor(cursor_field, cursor_format, cursor_timezone, faults)
    if faults:
        raise _mapping_error(mapping, faults)
    rules.sort(key=lambda rule: rule.target != KEY)
    columns = tuple(rule.target for rule in rules)
    table = vocabulary.short_name(mapping.target_table)
    return CompiledMapping(table, columns, tuple(rules), key_field, cursor)


def validate_mapping(mapping: TableMapping) -> tuple[str, ...]:
    """Everything that is wrong with a mapping, a line each; empty where it can go live."""
    return tuple(map(str, mapping_faults(mapping)))


def mapping_faults(mapping: TableMapping) -> list[MappingFault]:
    """As validate_mapping, with the place of each fault."""
    return _compile_rules(mapping)[1]


def _mapping_error(mapping: TableMapping, faults: Sequence[MappingFault]) -> ConfigurationError:
    name = f"{mapping.system}.{vocabulary.short_name(mapping.target_table)}"
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return ConfigurationError(
        f"The mapping {name} (version {mapping.version}) has {count}:",
        faults=tuple(map(str, faults)),
        remedy="Correct the mapping, then run kwiksync plan.",
        system=mapping.system,
        table=mapping.target_table,
    )


def _compile_cursor(field: str | None, format: str, timezone: str, faults: list[MappingFault]) -> CompiledCursor | None:
    if field is None:
        return None
    try:
        return CompiledCursor(field, compile_moments(format, timezone))
    except ValueError as exc:
        faults.append(MappingFault(None, "cursor", f"{exc}."))
        return None


def _compile_rules(mapping: TableMapping) -> tuple[list[CompiledRule], list[MappingFault]]:
    name = vocabulary.short_name(mapping.target_table)
    table = RECORD_TABLES.get(name)
    if table is None:
        problem = f"there is no table {name!r}.{suggestion(name, RECORD_TABLES)}"
        return [], [MappingFault(None, "target_table", problem)]
    sandbox = Sandbox()
    rules: list[CompiledRule] = []
    faults: list[MappingFault] = list(_shape_faults(mapping))
    for position, rule in _active_rules(mapping):
        found = FaultList(position, _rule_label(position, rule))
        compiled = _compile_rule(table, rule, sandbox, found)
        faults.extend(found.faults)
        rules.extend([compiled] if compiled else [])
    return rules, faults


def _active_rules(mapping: TableMapping) -> list[tuple[int, FieldRule]]:
    active = [(position, rule) for position, rule in enumerate(mapping.rules) if rule.active]
    return sorted(active, key=lambda item: item[1].order)


def _shape_faults(mapping: TableMapping) -> Iterator[MappingFault]:
    first: dict[str, int] = {}
    for position, rule in _active_rules(mapping):
        if rule.target_field in first:
            problem = f"{rule.target_field} is filled by rule {first[rule.target_field] + 1} already."
            yield MappingFault(position, "target_field", problem, _rule_label(position, rule))
        first.setdefault(rule.target_field, position)
    if KEY not in first:
        problem = f"no active rule fills {KEY}, by which a record is found again; map the key of the source to it."
        yield MappingFault(None, "rules", problem)


def _compile_rule(table: RecordTable, rule: FieldRule, sandbox: Sandbox, faults: FaultList) -> CompiledRule | None:
    _check_source(rule, faults)
    column = _target_column(table, rule.target_field, faults)
    if column is None:
        return None
    coercion = compile_coercion(column)
    context = RuleContext(rule, column, coercion, faults, RuleConfig(rule.config, faults), sandbox)
    transform = compile_transform(context)
    default = context.constant("default", rule.default)
    sys_ids_of = transform.sys_ids_of if transform else None
    checks = compile_checks(rule.validation, column, faults, sys_ids_of=sys_ids_of)
    if transform is None:
        return None
    return CompiledRule(
        target=column.name,
        label=_reject_label(rule),
        transform=transform.run,
        coercion=None if transform.is_typed else coercion,
        default=default,
        is_required=rule.validation.required and column.name != KEY,  # a key is required in any case
        checks=checks,
    )


def _check_source(rule: FieldRule, faults: FaultList) -> None:
    if not rule.source_field.strip() and rule.transform not in _SOURCELESS:
        faults.add("source_field", "is empty.")
    for value in rule.null_values:
        if isinstance(value, (dict, list)):
            faults.add("null_values", f"takes text, numbers, true and false, found {shown(value)}.")
    if rule.target_field == KEY and rule.default is not None:
        faults.add("default", f"would give all records without a key the same {KEY}. Remove it.")


def _target_column(table: RecordTable, name: str, faults: FaultList) -> vocabulary.Column | None:
    mappable = [*(column.name for column in table.columns), *sorted(MAPPABLE_BASE_COLUMNS)]
    column = table.column(name)
    if column is None:
        faults.add("target_field", f"{table.name} has no field {name!r}.{suggestion(name, mappable)}")
    elif name not in mappable:
        faults.add("target_field", f"{name} is kept by the hub itself. Remove the rule.")
        return None
    return column


def _reject_label(rule: FieldRule) -> str:
    source = _source_label(rule)
    return f"{rule.target_field} (from {source})" if source not in ("", rule.target_field) else rule.target_field


def _source_label(rule: FieldRule) -> str:
    fields = rule.config.get("fields")
    is_list = rule.transform is TransformType.CONCATENATE and isinstance(fields, list)
    return ", ".join(map(str, fields)) if is_list and fields else rule.source_field


def _rule_label(position: int, rule: FieldRule) -> str:
    source = _source_label(rule)
    return (
        f"rule {position + 1} ({source} -> {rule.target_field})"
        if source
        else f"rule {position + 1} ({rule.target_field})"
    )
