"""Mappings in a line: a rule, a record, and what the hub would get."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kwiksync_ops.batch import MappedBatch, Reject
from kwiksync_ops.mapping.compiler import compile_mapping
from kwiksync_ops.mapping.rules import FieldRule, TableMapping
from kwiksync_ops.vocabulary import TransformType

KEY_RULE = FieldRule("id", "external_id", TransformType.DIRECT)


@dataclass
class MemoryLookups:
    """A hub of dictionaries: `records[table]` lists records. `calls` holds what was asked."""

    records: Mapping[str, Sequence[Mapping[str, str]]] = field(default_factory=dict)
    calls: list[tuple[str, str, str, frozenset[str]]] = field(default_factory=list)

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        self.calls.append((table, match_field, return_field, frozenset(values)))
        records = self.records.get(table, ())
        return {record[match_field]: record[return_field] for record in records if record[match_field] in values}


def mapping_of(*rules: FieldRule, table: str = "tickets") -> TableMapping:
    return TableMapping("erp", "source", table, rules)


def map_records(
    records: Sequence[Any],
    *rules: FieldRule,
    table: str = "tickets",
    lookups: MemoryLookups | None = None,
    **cursor: str,
) -> MappedBatch:
    """The records by these rules; `id` is the key, unless a rule says otherwise."""
    is_keyed = any(rule.target_field == "external_id" for rule in rules)
    mapping = mapping_of(*(rules if is_keyed else (KEY_RULE, *rules)), table=table)
    return compile_mapping(mapping, key_field="id", **cursor).apply(records, lookups or MemoryLookups())


def outcome(batch: MappedBatch) -> Any:
    """Of a batch of one record with one rule beside the key: the value, or its rejects."""
    return batch.rejects or batch.rows[0][1]


def map_value(value: Any, rule: FieldRule, *, table: str = "tickets", lookups: MemoryLookups | None = None) -> Any:
    """What the rule makes of a value, or the rejects."""
    return outcome(map_records([{"id": "A1", rule.source_field: value}], rule, table=table, lookups=lookups))


def reject(value: Any, rule: FieldRule, *, table: str = "tickets", lookups: MemoryLookups | None = None) -> Reject:
    """The one reject of a value."""
    (found,) = map_value(value, rule, table=table, lookups=lookups)
    assert isinstance(found, Reject)
    return found
