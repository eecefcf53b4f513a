"""The validation rules beside `required`: pattern, length, range, reference; each over a whole column.

Patterns are matched by an engine whose time grows with the length of the text alone (Rust's regex), so that no pattern
can hang a sync. It has no look-around and no back-references.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from pydantic_core import CoreSchema, SchemaError, SchemaValidator

from kwiksync_ops import vocabulary
from kwiksync_ops.mapping.coercion import compile_coercion, decimal_of, texts_of
from kwiksync_ops.mapping.faults import Column, Fault, invalid, shown
from kwiksync_ops.mapping.rule_config import FaultList, suggestion
from kwiksync_ops.mapping.rules import Validation
from kwiksync_ops.mapping.source import SourceBatch
from kwiksync_ops.vocabulary import RECORD_TABLES, ColumnType

Check = Callable[[Column, SourceBatch], Iterable[tuple[int, Fault]]]
"""From the typed values of a column, None among them, to the positions that break the rule. None breaks none."""

_Test = Callable[[Any], Fault | None]
_NUMERIC = (ColumnType.INTEGER, ColumnType.DECIMAL)
_TEXT = (ColumnType.STRING, ColumnType.TEXT)
_TEMPORAL = (ColumnType.DATE, ColumnType.DATETIME)


def compile_checks(
    validation: Validation, column: vocabulary.Column, faults: FaultList, *, sys_ids_of: str | None = None
) -> tuple[Check, ...]:
    """The checks that a validation asks for. `sys_ids_of` is the table whose sys_ids the values are known to be."""
    checks = (
        _pattern(validation, faults),
        _length(validation, faults),
        _range(validation, column, faults),
        _reference(validation, faults, sys_ids_of),
    )
    return tuple(check for check in checks if check is not None)


def _each(test: _Test) -> Check:
    def check(values: Column, _batch: SourceBatch) -> Iterator[tuple[int, Fault]]:
        for index, value in enumerate(values):
            if value is not None and (fault := test(value)) is not None:
                yield index, fault

    return check


def _each_text(breaks: Callable[[Column], list[int]], explain: Callable[[str], str]) -> Check:
    """A check of values as text; `breaks` finds the positions of those that break the rule."""

    def check(values: Column, _batch: SourceBatch) -> Iterator[tuple[int, Fault]]:
        texts = texts_of(values)
        return ((index, invalid(explain(texts[index]))) for index in breaks(texts))

    return check


def _pattern(validation: Validation, faults: FaultList) -> Check | None:
    pattern = validation.pattern
    if pattern is None:
        return None
    try:
        SchemaValidator({"type": "str", "pattern": pattern})  # alone first: a stray ) must not close the group below
        whole: CoreSchema = {"type": "str", "pattern": rf"\A(?:{pattern})\z"}
        matches = SchemaValidator(whole).isinstance_python
        all_match = SchemaValidator(
            {"type": "list", "items_schema": {"type": "nullable", "schema": whole}}
        ).isinstance_python
    except SchemaError as exc:
        reason = str(exc).rpartition("error: ")[2].strip().rpartition("\n")[2].removeprefix("SchemaError: ").strip()
        faults.add("validation.pattern", f"{pattern!r} can't be used: {reason.rstrip('.')}.")
        return None

    def breaks(texts: Column) -> list[int]:
        if all_match(texts):
            return []
        return [index for index, text in enumerate(texts) if text is not None and not matches(text)]

    return _each_text(breaks, lambda text: f"does not match the pattern {pattern}: {shown(text)}.")


def _length(validation: Validation, faults: FaultList) -> Check | None:
    if validation.min_length is None and validation.max_length is None:
        return None
    low, high = validation.min_length or 0, validation.max_length
    most = sys.maxsize if high is None else high
    if low < 0 or most < low:
        faults.add("validation.min_length", f"{low} to {most} is no range of lengths.")

    def breaks(texts: Column) -> list[int]:
        sizes = set(map(len, filter(None, texts)))
        if all(texts) and low <= min(sizes, default=low) and max(sizes, default=low) <= most:
            return []
        return [index for index, text in enumerate(texts) if text is not None and not low <= len(text) <= most]

    def explain(text: str) -> str:
        wanted = f"at least {low:,} are asked for" if len(text) < low else f"at most {high:,} are allowed"
        return f"has {len(text):,} characters; {wanted}: {shown(text)}."

    return _each_text(breaks, explain)


def _range(validation: Validation, column: vocabulary.Column, faults: FaultList) -> Check | None:
    if validation.minimum is None and validation.maximum is None:
        return None
    measure = _measure(column)
    if measure is None:
        faults.add("validation.minimum", f"{column.name} is a column of type {column.type}, which has no range.")
        return None
    low, high = (
        _bound(key, bound, measure, faults)
        for key, bound in (("minimum", validation.minimum), ("maximum", validation.maximum))
    )
    if low is not None and high is not None and low > high:
        faults.add("validation.minimum", f"{low} is above the maximum {high}.")

    def test(value: Any) -> Fault | None:
        size = measure(value)
        if isinstance(size, Fault):
            return size
        if low is not None and size < low:
            return invalid(f"is below the minimum {low}: {shown(value)}.")
        return invalid(f"is above the maximum {high}: {shown(value)}.") if high is not None and size > high else None

    return _each(test)


def _measure(column: vocabulary.Column) -> Callable[[Any], Decimal | date | Fault] | None:
    """What a range compares: numbers, also those in a text column, days, or moments."""
    if column.type in _NUMERIC or column.type in _TEXT:
        return decimal_of
    return compile_coercion(column).convert if column.type in _TEMPORAL else None


def _bound(key: str, bound: Any, measure: Callable[[Any], Any], faults: FaultList) -> Any:
    if bound is None:
        return None
    size = measure(bound)
    if isinstance(size, Fault):
        faults.add(f"validation.{key}", size.reason)
        return None
    return size


def _reference(validation: Validation, faults: FaultList, sys_ids_of: str | None) -> Check | None:
    if validation.reference is None:
        return None
    table = vocabulary.short_name(validation.reference)
    if table not in RECORD_TABLES:
        faults.add("validation.reference", f"there is no table {table!r}.{suggestion(table, RECORD_TABLES)}")
        return None
    if table == sys_ids_of:
        return None

    def check(values: Column, batch: SourceBatch) -> Iterator[tuple[int, Fault]]:
        texts = texts_of(values)
        known = batch.find(table, "sys_id", "sys_id", set(texts))
        for index, text in enumerate(texts):
            if text is not None and text not in known:
                yield index, invalid(f"refers to no record of {table}: no sys_id is {shown(text)}; sync {table} first.")

    return check
