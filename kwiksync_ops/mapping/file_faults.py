"""What a mapping file's schema can't say. Values of a wrong type are passed over: the schema has named them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from kwiksync_ops.declared.fault import DeclaredFile, Fault, KeyPath, did_you_mean
from kwiksync_ops.vocabulary import (
    BASE_COLUMNS,
    MAPPABLE_BASE_COLUMNS,
    RECORD_TABLES,
    RecordTable,
    TransformType,
    short_name,
)


def rule_faults(file: DeclaredFile) -> Iterator[Fault]:
    value = file.value if isinstance(file.value, dict) else {}
    table = RECORD_TABLES.get(str(value.get("target_table")))
    rules = value.get("fields")
    rules = [rule if isinstance(rule, dict) else {} for rule in rules] if isinstance(rules, list) else []
    for index, rule in enumerate(rules):
        at: KeyPath = ("fields", index)
        yield from _target_faults(file, at, rule, table)
        yield from _lookup_faults(file, at, rule)
        yield from _validation_faults(file, at, rule)
    yield from _double_target_faults(file, rules)
    yield from _identity_faults(file, rules)


def _target_faults(file: DeclaredFile, at: KeyPath, rule: dict[str, Any], table: RecordTable | None) -> Iterator[Fault]:
    target = rule.get("target_field")
    if table is None or not isinstance(target, str):
        return
    key = (*at, "target_field")
    mappable = sorted(MAPPABLE_BASE_COLUMNS) + [column.name for column in table.columns]
    if target in mappable:
        return
    if any(target == column.name for column in BASE_COLUMNS):
        yield file.fault(key, f"{target!r} is kept by the hub itself. Remove the rule.")
    else:
        yield _unknown_column(file, key, target, table.name, mappable)


def _unknown_column(file: DeclaredFile, key: KeyPath, name: str, table: str, columns: list[str]) -> Fault:
    hint = did_you_mean(name, columns) or f" It has {', '.join(columns)}."
    return file.fault(key, f"{table} has no column {name!r}.{hint}")


def _lookup_faults(file: DeclaredFile, at: KeyPath, rule: dict[str, Any]) -> Iterator[Fault]:
    config = rule.get("config")
    if rule.get("transform") != TransformType.LOOKUP or not isinstance(config, dict):
        return
    table = RECORD_TABLES.get(short_name(str(config.get("lookup_table"))))
    if table is None:
        return
    columns = [column.name for column in (*BASE_COLUMNS, *table.columns)]
    for name in ("match_field", "return_field"):
        column = config.get(name)
        if isinstance(column, str) and column not in columns:
            yield _unknown_column(file, (*at, "config", name), column, table.name, columns)


def _validation_faults(file: DeclaredFile, at: KeyPath, rule: dict[str, Any]) -> Iterator[Fault]:
    validation = rule.get("validation")
    if not isinstance(validation, dict):
        return
    key = (*at, "validation")
    for low, high in (("min_length", "max_length"), ("minimum", "maximum")):
        if _is_above(validation.get(low), validation.get(high)):
            yield file.fault((*key, low), f"is above {high}, so that no value could be valid. Swap them.")
    try:
        re.compile(str(validation.get("pattern")))
    except re.error as exc:
        yield file.fault((*key, "pattern"), f"is not a regular expression: {exc}.")


def _is_above(low: Any, high: Any) -> bool:
    if not isinstance(low, int | str) or not isinstance(high, int | str):
        return False
    try:
        return Decimal(low) > Decimal(high)
    except InvalidOperation:
        # Dates as text; in the order of the calendar they are in that of the alphabet too.
        return str(low) > str(high)


def _double_target_faults(file: DeclaredFile, rules: list[dict[str, Any]]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for index, rule in enumerate(rules):
        target = rule.get("target_field")
        key: KeyPath = ("fields", index, "target_field")
        if not isinstance(target, str):
            continue
        if target in seen:
            problem = f"{target!r} is filled twice, first in line {seen[target]}. Remove one; one that is not active counts too."
            yield file.fault(key, problem)
        seen.setdefault(target, file.lines.get(key, 0))


def _identity_faults(file: DeclaredFile, rules: list[dict[str, Any]]) -> Iterator[Fault]:
    filled = {rule.get("target_field") for rule in rules if rule.get("active", True) is True}
    if rules and "external_id" not in filled:
        yield file.fault(("fields",), "no active rule fills external_id, by which a record is known. Add one.")
