"""A compiled mapping at work: from a batch of source records to rows, versions and rejects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any

from kwiksync_ops.batch import MappedBatch, Reject, SourceRecord
from kwiksync_ops.errors import ValidationError
from kwiksync_ops.mapping.checks import Check
from kwiksync_ops.mapping.coercion import Coercion, is_storable, text_of
from kwiksync_ops.mapping.faults import Column, Fault, invalid, kinds_of, missing, shown
from kwiksync_ops.mapping.moments import Moments, read_column
from kwiksync_ops.mapping.rule_context import Transform
from kwiksync_ops.mapping.source import LookupSource, SourceBatch

KEY = "external_id"
MAX_KEY_LENGTH = 255


class RecordFaults:
    """The faults of a batch, by the record's position."""

    def __init__(self) -> None:
        self.by_record: dict[int, list[tuple[str, str, Fault]]] = {}

    def add(self, index: int, field: str, label: str, fault: Fault) -> None:
        self.by_record.setdefault(index, []).append((field, label, fault))

    def others(self, count: int) -> list[int]:
        """The positions of the records without a fault."""
        everyone = range(count)
        return [index for index in everyone if index not in self.by_record] if self.by_record else list(everyone)


@dataclass(frozen=True)
class CompiledRule:
    """`coercion` is None where the transform gives the column's type; `default` has it too."""

    target: str
    label: str
    transform: Transform
    coercion: Coercion | None
    default: Any
    is_required: bool
    checks: tuple[Check, ...]

    def column(self, batch: SourceBatch, faults: RecordFaults) -> Column:
        """The typed values of the target column; a record with a fault has None."""
        values = self.transform(batch)
        kinds = kinds_of(values)
        if self.coercion is not None:
            typed = self.coercion.column(values, kinds)
            kinds = kinds if typed is values else kinds_of(typed)
            values = typed
        if NoneType in kinds and self.default is not None:
            values = [self.default if value is None else value for value in values]
        if self.is_required:
            values = _required(values)
            kinds = kinds_of(values)
        if Fault in kinds:
            values = self._set_aside(values, faults)
        for check in self.checks:
            for index, fault in check(values, batch):
                faults.add(index, self.target, self.label, fault)
        return values

    def _set_aside(self, values: Column, faults: RecordFaults) -> Column:
        for index, value in enumerate(values):
            if type(value) is Fault:
                faults.add(index, self.target, self.label, value)
        return [None if type(value) is Fault else value for value in values]


_MISSING = missing("is required and has no value.")
_NO_VERSION = missing("has no value; it tells when a record last changed.")


def _required(values: Column) -> Column:
    if kinds_of(values) == {str} and all(values) and not any(map(str.isspace, values)):
        return values
    return [_MISSING if value is None or (type(value) is str and not value.strip()) else value for value in values]


@dataclass(frozen=True)
class CompiledCursor:
    """The source field that tells when a record last changed."""

    field: str
    moments: Moments

    def versions(self, batch: SourceBatch, faults: RecordFaults) -> list[str | None]:
        """The change times as UTC text of one width, so that they sort as text."""
        read, read_all = self.moments.read_version, self.moments.read_versions
        values = read_column(batch.column(self.field), read, read_all, code=ValidationError.code)
        if kinds_of(values) - {str}:
            for index, value in enumerate(values):
                if type(value) is not str:
                    faults.add(index, self.field, self.field, value or _NO_VERSION)
        return values


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping that was compiled once for a run.

    Attributes:
        table: short name of the target table.
        columns: `external_id`, then the target columns in the order of their rules.
        key_field: the source field that names a record whose `external_id` can't be mapped.
    """

    table: str
    columns: tuple[str, ...]
    rules: tuple[CompiledRule, ...]
    key_field: str
    cursor: CompiledCursor | None = None

    def apply(self, records: Sequence[SourceRecord], lookups: LookupSource) -> MappedBatch:
        """Maps and validates a batch. Of records with one key the newest is taken, of equally new ones the last."""
        objects = _objects(records)
        batch, faults = SourceBatch(objects, lookups), RecordFaults()
        columns = self._columns(batch, faults)
        keys, versions = columns[0], self._versions(batch, faults)
        accepted = faults.others(len(objects))
        kept = _newest(accepted, keys, versions)
        rows = list(zip(*columns, strict=True))
        return MappedBatch(
            table=self.table,
            columns=self.columns,
            rows=rows if len(kept) == len(rows) else [rows[index] for index in kept],
            versions=versions if len(kept) == len(rows) else [versions[index] for index in kept],
            rejects=[*(() if objects is records else _no_objects(records)), *self._rejects(batch, keys, faults)],
            read=len(records),
            superseded=len(accepted) - len(kept),
            indexes=kept if len(objects) == len(records) else _places(records, kept),
        )

    def _columns(self, batch: SourceBatch, faults: RecordFaults) -> list[Column]:
        key_rule, *others = self.rules
        keys = key_rule.column(batch, faults)
        _check_keys(keys, key_rule.label, faults)
        return [keys, *(rule.column(batch, faults) for rule in others)]

    def _versions(self, batch: SourceBatch, faults: RecordFaults) -> list[str | None]:
        return self.cursor.versions(batch, faults) if self.cursor else [None] * len(batch.records)

    def _rejects(self, batch: SourceBatch, keys: Column, faults: RecordFaults) -> Iterator[Reject]:
        for index, found in sorted(faults.by_record.items()):
            named = keys[index] if keys[index] is not None else batch.column(self.key_field)[index]
            for field, label, fault in found:
                yield Reject(fault.code, f"{label} {fault.reason}", field, _key_text(named), batch.records[index])


def _check_keys(keys: Column, label: str, faults: RecordFaults) -> None:
    """Only the key's own column was mapped before: a record with a fault has one for its key."""
    if all(keys) and keys == list(map(str.strip, keys)):
        return
    for index, key in enumerate(keys):
        if key is None or not key.strip():
            if index not in faults.by_record:
                faults.add(index, KEY, label, missing("is the record's key and has no value."))
        elif key != key.strip():
            faults.add(index, KEY, label, invalid(f"is a key with surrounding blanks: {shown(key)}."))


def _newest(accepted: list[int], keys: Column, versions: list[str | None]) -> list[int]:
    """The positions to keep, in their order: one a key."""
    if len(set(keys)) == len(keys) or len({keys[index] for index in accepted}) == len(accepted):
        return accepted
    newest: dict[str, int] = {}
    for index in accepted:
        rival = newest.get(keys[index])
        if rival is None or (versions[index] or "") >= (versions[rival] or ""):
            newest[keys[index]] = index
    return sorted(newest.values())


def _key_text(key: Any) -> str | None:
    """A key as it may stand in the Error Log."""
    text = text_of(key)
    return text[:MAX_KEY_LENGTH] if isinstance(text, str) and is_storable(text) else None


def _places(records: Sequence[Any], kept: Sequence[int]) -> list[int]:
    """Where the objects at these positions stand among all records."""
    places = [place for place, record in enumerate(records) if isinstance(record, dict)]
    return [places[index] for index in kept]


def _objects(records: Sequence[Any]) -> Sequence[SourceRecord]:
    if set(map(type, records)) <= {dict}:
        return records
    return [record for record in records if isinstance(record, dict)]


def _no_objects(records: Sequence[Any]) -> Iterator[Reject]:
    for record in records:
        if not isinstance(record, dict):
            reason = f"A record must be an object of fields, found {shown(record)}."
            yield Reject(ValidationError.code, reason, payload=record)
