"""Rules that a mapping does not have yet, for columns and fields that it leaves out: how good they are, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.mapping.proposals.matching import FieldMatch, KnownKeys, MatchContext, candidates
from kwiksync_ops.mapping.proposals.names import words_of
from kwiksync_ops.mapping.proposals.profile import FieldProfile, profile_records
from kwiksync_ops.mapping.rules import FieldRule, TableMapping
from kwiksync_ops.mapping.source import LookupSource
from kwiksync_ops.vocabulary import RECORD_TABLES, Column, TransformType

MOST_OF_A_COLUMN = 2
Rules = Sequence[Mapping[str, Any]]
"""Rules as documents: those of a draft, that may be faulty."""


def suggest_inbound(
    table: str, source_table: str, rules: Rules, records: Sequence[SourceRecord], lookups: LookupSource
) -> list[FieldMatch]:
    """For each column that no rule fills, the fields of the records that may: first those that no rule reads."""
    record_table = RECORD_TABLES[table]
    filled = {rule.get("target_field") for rule in rules}
    read = {name for rule in rules for name in fields_read(rule)}
    profiles = profile_records(records)
    context = MatchContext(_known_keys(record_table.references, profiles, lookups), words_of(source_table))
    columns: list[Column] = [column for column in record_table.columns if column.name not in filled]
    found: list[FieldMatch] = []
    for column in columns:
        matches = candidates(record_table, column, profiles, context)
        matches.sort(key=lambda match: (match.rule.source_field in read, -match.score))
        found += matches[:MOST_OF_A_COLUMN]
    return found


def suggest_outbound(inbound: TableMapping, rules: Rules) -> list[FieldMatch]:
    """What the way in reads of a field, for the columns that the way out does not send yet."""
    written = {rule.get("target_field") for rule in rules}
    read = {name for rule in rules for name in fields_read(rule)}
    return [
        FieldMatch(rule, 1.0, f"the way in reads {rule.source_field} from it")
        for rule in _turned(inbound)
        if rule.target_field not in written and rule.source_field not in read
    ]


def fields_read(rule: Mapping[str, Any]) -> list[str]:
    """The source fields that a rule names."""
    config = rule.get("config")
    parts = config.get("fields") if isinstance(config, dict) and rule.get("transform") == "concatenate" else None
    return [str(name) for name in (parts if isinstance(parts, list) else [rule.get("source_field", "")]) if name]


def _known_keys(
    tables: frozenset[str], profiles: Sequence[FieldProfile], lookups: LookupSource
) -> dict[str, KnownKeys]:
    """Of the values of the sample those that are keys of records that the hub has."""
    texts = {text for profile in profiles for text in profile.counts}
    return {table: KnownKeys(table, frozenset(lookups.find(table, "external_id", "sys_id", texts))) for table in tables}


def _turned(inbound: TableMapping) -> Iterator[FieldRule]:
    """The rules of the way in that can be turned round."""
    for rule in inbound.rules:
        config = _turned_config(rule)
        if rule.active and config is not None and rule.target_field != "external_id":
            yield FieldRule(rule.target_field, rule.source_field, rule.transform, config)


def _turned_config(rule: FieldRule) -> dict[str, Any] | None:
    config = rule.config
    match rule.transform:
        case TransformType.DIRECT:
            return {}
        case TransformType.VALUE_MAP:
            return {"mappings": config["mappings"], "reverse": True}
        case TransformType.DATE_FORMAT:
            zone = {"timezone": config["timezone"]} if "timezone" in config else {}
            return {"target_format": config["source_format"], **zone}
        case TransformType.LOOKUP if (config["match_field"], config["return_field"]) == ("external_id", "sys_id"):
            return {"lookup_table": config["lookup_table"], "match_field": "sys_id", "return_field": "external_id"}
        case _:
            return None


def without_common_nulls(rule: FieldRule, common: Sequence[Any]) -> FieldRule:
    """The rule without words of its own for "no value", where the mapping has them for all."""
    return replace(rule, null_values=()) if set(rule.null_values) <= set(common) else rule
