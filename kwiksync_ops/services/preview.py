"""What a mapping would make of sample records, before it goes live. Nothing is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from kwiksync_ops.batch import MappedBatch, Reject, SourceRecord
from kwiksync_ops.mapping.compiler import compile_mapping
from kwiksync_ops.mapping.outbound import compile_outbound
from kwiksync_ops.mapping.rules import FieldRule, TableMapping
from kwiksync_ops.mapping.source import LookupSource
from kwiksync_ops.system_spec.spec import TableSpec

if TYPE_CHECKING:
    import pandas as pd


class PreviewRow(NamedTuple):
    """What one rule makes of a record, and why it can't: `code` and `problem`, which says what to do.

    `before` is the value of the source field; of several, their values by field.
    """

    record: str
    target_field: str | None
    source_fields: tuple[str, ...]
    before: Any
    after: Any
    code: str | None
    problem: str | None


FRAME_COLUMNS = PreviewRow._fields


@dataclass(frozen=True)
class PreviewedRecord:
    """A record as its side has it, and what it would become at the other: `after` is None where it is rejected."""

    before: SourceRecord
    after: Mapping[str, Any] | None
    rejects: tuple[Reject, ...] = ()


@dataclass(frozen=True)
class Preview:
    """`records` stand in the order of the sample."""

    mapping: TableMapping
    records: tuple[PreviewedRecord, ...]

    @property
    def rejected(self) -> int:
        return sum(record.after is None for record in self.records)


def preview(mapping: TableMapping, table: TableSpec, records: Sequence[SourceRecord], lookups: LookupSource) -> Preview:
    """Map and validate each record by itself, as a sync would.

    Raises:
        ConfigurationError: the mapping or the table's cursor is faulty.
    """
    cursor = table.cursor
    compiled = compile_mapping(
        mapping,
        key_field=table.key,
        cursor_field=cursor.field if cursor else None,
        cursor_format=cursor.format if cursor else "iso",
        cursor_timezone=cursor.timezone if cursor else "UTC",
    )
    previewed = (_previewed(record, compiled.apply([record], lookups)) for record in records)
    return Preview(mapping, tuple(previewed))


def preview_outbound(mapping: TableMapping, records: Sequence[Mapping[str, Any]], lookups: LookupSource) -> Preview:
    """Format records of the hub for the system, as a sync would. `after` has dots where the system gets objects.

    Raises:
        ConfigurationError: the mapping is faulty.
    """
    formatted = compile_outbound(mapping).apply(records, lookups)
    rejects: dict[int, list[Reject]] = {}
    for index, reject in formatted.rejects:
        rejects.setdefault(index, []).append(reject)
    previewed = (
        PreviewedRecord(dict(record), payload, tuple(rejects.get(index, ())))
        for index, (record, payload) in enumerate(zip(records, formatted.payloads, strict=True))
    )
    return Preview(mapping, tuple(previewed))


def _previewed(record: SourceRecord, batch: MappedBatch) -> PreviewedRecord:
    after = dict(zip(batch.columns, batch.rows[0], strict=True)) if batch.rows else None
    return PreviewedRecord(record, after, tuple(batch.rejects))


def preview_frame(shown: Preview) -> pd.DataFrame:
    """One row for each record and rule, in the columns of `FRAME_COLUMNS`, all of them objects.

    A fault that belongs to no rule, such as one of the change time, has a row of its own.
    """
    import pandas as pd

    rows = [row for number, record in enumerate(shown.records, 1) for row in record_rows(shown, number, record)]
    return pd.DataFrame(rows, columns=list(FRAME_COLUMNS), dtype=object)


def record_rows(shown: Preview, number: int, record: PreviewedRecord) -> Iterator[PreviewRow]:
    """What becomes of the record, rule by rule, and its faults that belong to no rule; `number` counts from 1."""
    name = _name(record) or f"record {number}"
    rules = [rule for rule in shown.mapping.rules if rule.active]
    for rule in rules:
        after = record.after.get(rule.target_field) if record.after else None
        before = _before(rule, record.before)
        yield PreviewRow(
            name, rule.target_field, rule.source_fields, before, after, *_problem(record, rule.target_field)
        )
    targets = {rule.target_field for rule in rules}
    for field in dict.fromkeys(reject.field for reject in record.rejects if reject.field not in targets):
        yield PreviewRow(name, field, (), None, None, *_problem(record, field))


def _name(record: PreviewedRecord) -> str | None:
    """Its key, as it is known by: outbound it is the record before that has one."""
    before: Any = record.before  # a sample may hold what is no record
    of_rejects = (reject.external_id for reject in record.rejects if reject.external_id)
    found = (record.after or {}).get("external_id") or next(of_rejects, None)
    if found is None and isinstance(before, dict):
        found = before.get("external_id")
    return None if found is None else str(found)


def _before(rule: FieldRule, record: SourceRecord) -> Any:
    if not isinstance(record, dict):
        return None
    if len(rule.source_fields) > 1:
        return {field: _value(record, field) for field in rule.source_fields}
    return _value(record, rule.source_fields[0] if rule.source_fields else rule.source_field)


def _value(record: SourceRecord, field: str) -> Any:
    """As a mapping reads it: a dot leads into nested records."""
    value: Any = record
    for part in (field,) if field in record else field.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _problem(record: PreviewedRecord, field: str | None) -> tuple[str | None, str | None]:
    """The code of a field's first fault, and all that is said about it."""
    found = [reject for reject in record.rejects if reject.field == field]
    return (found[0].code, " ".join(reject.message for reject in found)) if found else (None, None)
