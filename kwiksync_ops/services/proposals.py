"""What a system's objects could feed: a KWikSync table for each, its key, its cursor, and a rule for each column."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.proposals.identity import FieldProposal, propose_cursor, propose_key
from kwiksync_ops.mapping.proposals.matching import (
    FieldMatch,
    KnownKeys,
    MatchContext,
    propose_rules,
    rule_for,
    table_likeness,
)
from kwiksync_ops.mapping.proposals.names import words_of
from kwiksync_ops.mapping.proposals.profile import FieldProfile
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.discovery import Inspected
from kwiksync_ops.services.preview import Preview, preview
from kwiksync_ops.system_spec.spec import CursorSpec, TableSpec
from kwiksync_ops.vocabulary import MAPPABLE_BASE_COLUMNS, RECORD_TABLES, Column, RecordTable, short_name

PREVIEW_RECORDS = 10
LIKELY = 0.4
"""From this score on an object is proposed for a table."""
_NAME_SHARE, _FIELDS_ALONE = 0.6, 0.6
_MAX_REFERENCE = 32
_LONG_ID, _SAME_FIELDS = 16, 0.8
_WISHED = "as you said"


@dataclass(frozen=True)
class TableChoice:
    """A KWikSync table for an object: how well it fits, 0 to 1, and why."""

    object: str
    table: str
    score: float
    reason: str


@dataclass(frozen=True)
class Wishes:
    """What a person says, over what is proposed. All but `timezone` go by the KWikSync table.

    Attributes:
        cursors: a field, or nothing for none.
        fields: by (table, column) the source field, or nothing to leave the column empty.
        timezone: of times that name no zone.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    cursors: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[tuple[str, str], str] = field(default_factory=dict)
    timezone: str = "UTC"

    def of_table(self, table: str) -> dict[str, str]:
        """The fields, by column."""
        return {column: source for (own, column), source in self.fields.items() if own == table}


@dataclass(frozen=True)
class TableProposal:
    """How an object becomes a table. `key` is None where no field can identify its records."""

    inspected: Inspected
    choice: TableChoice
    key: FieldProposal | None
    cursor: FieldProposal | None
    matches: tuple[FieldMatch, ...]
    timezone: str = "UTC"

    @property
    def table(self) -> str:
        return self.choice.table

    @property
    def unused(self) -> list[FieldProfile]:
        """The fields that nothing is made of."""
        used = {match.rule.source_field for match in self.matches}
        cursor = self.cursor.field.name if self.cursor else None
        return [field for field in self.inspected.fields if field.name not in used and field.name != cursor]

    @property
    def empty_columns(self) -> list[str]:
        filled = {match.rule.target_field for match in self.matches}
        return [column.name for column in RECORD_TABLES[self.table].columns if column.name not in filled]

    def table_spec(self) -> TableSpec:
        return TableSpec(
            table=self.table,
            source=self.inspected.info.name,
            key=self.key.field.name if self.key else "",
            cursor=self.cursor_spec(),
        )

    def cursor_spec(self) -> CursorSpec | None:
        if self.cursor is None:
            return None
        notation = self.cursor.field.notation
        zone = "UTC" if notation and notation.has_zone else self.timezone
        return CursorSpec(self.cursor.field.name, notation.format if notation else "iso", zone)

    def mapping(self, system: str) -> TableMapping:
        """The rules, with what means "no value" in any of the fields meaning it in all."""
        nulls = tuple(sorted({text for match in self.matches for text in match.rule.null_values}))
        rules = (replace(match.rule, null_values=nulls, order=at) for at, match in enumerate(self.matches))
        return TableMapping(system, self.inspected.noun, self.table, tuple(rules))


def choose_tables(objects: Sequence[Inspected], wanted: Mapping[str, str] | None = None) -> list[TableChoice]:
    """A table for each object that is like one; those of `wanted` as they are told. No two objects feed one table."""
    told = dict(wanted or {})
    choices = [TableChoice(name, table, 1.0, _WISHED) for name, table in told.items()]
    likely = [
        _choice(inspected, table) for inspected in objects if inspected.info.name not in told for table in RECORD_TABLES
    ]
    by_name = {inspected.info.name: inspected for inspected in objects}
    for choice in sorted(likely, key=lambda found: -found.score):
        taken = {chosen.object for chosen in choices} | {chosen.table for chosen in choices}
        if choice.score < LIKELY or taken & {choice.object, choice.table}:
            continue
        chosen = [by_name[each.object] for each in choices]
        if not any(_are_same_records(by_name[choice.object], other) for other in chosen):
            choices.append(choice)
    return choices


def propose(
    objects: Sequence[Inspected], choices: Iterable[TableChoice], wishes: Wishes | None = None
) -> list[TableProposal]:
    """The tables in load order, each with its rules; references are looked for among the keys of the tables before.

    Raises:
        ConfigurationError: a wish names a table, a column or a field that there is not.
    """
    wanted = wishes or Wishes()
    by_table = {choice.table: choice for choice in choices}
    _check_tables(wanted, by_table)
    by_name = {inspected.info.name: inspected for inspected in objects}
    keys: dict[str, KnownKeys] = {}
    proposals = []
    for table in RECORD_TABLES:
        if choice := by_table.get(table):
            proposal = _proposal(by_name[choice.object], choice, keys, wanted)
            keys[table] = _known_keys(proposal)
            proposals.append(proposal)
    return proposals


def preview_proposal(proposal: TableProposal, system: str, others: Sequence[TableProposal]) -> Preview:
    """Ten records of the sample through the mapping, as a sync would take them."""
    lookups = SampleLookups({other.table: other for other in others})
    records = spread(proposal.inspected.records, PREVIEW_RECORDS)
    return preview(proposal.mapping(system), proposal.table_spec(), records, lookups)


def spread(records: Sequence[Any], number: int) -> list[Any]:
    """So many records from all over the sample, in their order."""
    step = max(len(records) / number, 1.0)
    return [records[int(at * step)] for at in range(min(number, len(records)))]


class SampleLookups:
    """What the hub would find if the sampled records were in it: instead of a `sys_id`, an arrow and the key.

    A key that no sampled record has is taken to be there, unless the sample was complete.
    """

    def __init__(self, proposals: Mapping[str, TableProposal]) -> None:
        self._proposals = proposals
        self._records = {name: _by_key(proposal) for name, proposal in proposals.items()}

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        proposal = self._proposals.get(short_name(table))
        if proposal is None or match_field != "external_id":
            return {}
        records = self._records[proposal.table]
        known = [key for key in values if key in records or not proposal.inspected.is_complete]
        found = {key: self._value(proposal, return_field, records.get(key), key) for key in known}
        return {key: value for key, value in found.items() if value is not None}

    def _value(self, proposal: TableProposal, column: str, record: Any, key: str) -> str | None:
        if column == "sys_id" or record is None:
            return f"→ {key}"[:_MAX_REFERENCE]
        source = next((m.rule.source_field for m in proposal.matches if m.rule.target_field == column), "")
        value = _value_at(record, source)
        return None if value is None else str(value)


def _choice(inspected: Inspected, table: str) -> TableChoice:
    info = inspected.info
    likeness = max(table_likeness(table, inspected.noun), table_likeness(table, info.label) if info.label else 0.0)
    record_table = RECORD_TABLES[table]
    matches = propose_rules(record_table, inspected.fields, _context(inspected, {}, "UTC"))
    wanted = [column for column in record_table.columns if not column.references]
    covered = sum(match.score for match in matches) / len(wanted)
    by_fields = min(covered, 1.0)
    score = max(_NAME_SHARE * likeness + (1 - _NAME_SHARE) * by_fields, _FIELDS_ALONE * by_fields)
    named = f"its name means {table}, " if likeness >= LIKELY else ""
    reason = f"{named}{len(matches)} of {len(wanted)} columns found"
    return TableChoice(info.name, table, round(score, 2), reason)


def _are_same_records(one: Inspected, other: Inspected) -> bool:
    """Whether one is a view of the other, or what it inherits from: keys that both have, of the same name.

    Numbers that count up are the same in unrelated objects; then it takes the same fields too.
    """
    key, other_key = _key(one, None), _key(other, None)
    if key is None or other_key is None or key.field.name != other_key.field.name:
        return False
    keys, others = set(key.field.texts), set(other_key.field.texts)
    are_shared = len(keys & others) * 2 > min(len(keys), len(others))
    names, other_names = ({field.name for field in inspected.fields} for inspected in (one, other))
    are_alike = len(names & other_names) >= _SAME_FIELDS * max(len(names), len(other_names))
    return are_shared and (are_alike or key.field.mean_length >= _LONG_ID)


def _proposal(
    inspected: Inspected, choice: TableChoice, keys: Mapping[str, KnownKeys], wishes: Wishes
) -> TableProposal:
    table = RECORD_TABLES[choice.table]
    context = _context(inspected, keys, wishes.timezone)
    key, cursor = _key(inspected, wishes.keys.get(table.name)), _cursor(inspected, wishes.cursors.get(table.name))
    matches = propose_rules(table, inspected.fields, context, key=key.field.name if key else "")
    by_column = {match.rule.target_field: match for match in matches}
    for name, source in wishes.of_table(table.name).items():
        by_column.pop(name, None)
        column = _column(table, name)
        if source:
            by_column[name] = _wished(table, column, _field(inspected, source), context)
    order = ["external_id", *(column.name for column in table.columns), "active"]
    ordered = sorted(by_column.values(), key=lambda match: order.index(match.rule.target_field))
    return TableProposal(inspected, choice, key, cursor, tuple(ordered), wishes.timezone)


def _check_tables(wishes: Wishes, known: Collection[str]) -> None:
    for table in (*wishes.keys, *wishes.cursors, *(table for table, _ in wishes.fields)):
        if table not in known:
            hint = did_you_mean(table, known) or f" There are: {', '.join(known) or 'none'}."
            raise ConfigurationError(f"No object of the system feeds {table!r}.{hint}")


def _key(inspected: Inspected, wanted: str | None) -> FieldProposal | None:
    if wanted is not None:
        return FieldProposal(_field(inspected, wanted), 1.0, _WISHED)
    return next(iter(propose_key(inspected.fields, words_of(inspected.noun))), None)


def _cursor(inspected: Inspected, wanted: str | None) -> FieldProposal | None:
    if wanted is None:
        return next(iter(propose_cursor(inspected.fields)), None)
    if not wanted:
        return None
    found = _field(inspected, wanted)
    if not found.is_time:
        raise ConfigurationError(
            f"{wanted} of {inspected.info.name} holds no dates or times, but {_shown(found)}.",
            remedy="Name a field that tells when a record last changed, or none.",
        )
    return FieldProposal(found, 1.0, _WISHED)


def _column(table: RecordTable, name: str) -> Column:
    mappable = [*(column.name for column in table.columns), *sorted(MAPPABLE_BASE_COLUMNS)]
    found = table.column(name) if name in mappable else None
    if found is None:
        hint = did_you_mean(name, mappable) or f" There are: {', '.join(mappable)}."
        raise ConfigurationError(f"{table.name} has no column {name!r} to fill.{hint}")
    return found


def _wished(table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext) -> FieldMatch:
    rule, open_values = rule_for(table, column, profile, context)
    return FieldMatch(rule, 1.0, _WISHED, tuple(profile.examples), open_values)


def _context(inspected: Inspected, keys: Mapping[str, KnownKeys], timezone: str) -> MatchContext:
    return MatchContext(keys, words_of(inspected.noun), timezone, inspected.is_complete)


def _known_keys(proposal: TableProposal) -> KnownKeys:
    texts = proposal.key.field.texts if proposal.key else ()
    columns = frozenset(match.rule.target_field for match in proposal.matches)
    inspected = proposal.inspected
    return KnownKeys(inspected.info.name, frozenset(texts), columns, inspected.is_complete)


def _by_key(proposal: TableProposal) -> dict[str, Any]:
    if proposal.key is None:
        return {}
    name = proposal.key.field.name
    return {str(_value_at(record, name)): record for record in proposal.inspected.records}


def _field(inspected: Inspected, name: str) -> FieldProfile:
    found = inspected.field(name)
    if found:
        return found
    names = [field.name for field in inspected.fields]
    hint = did_you_mean(name, names) or f" There are: {', '.join(names)}."
    raise ConfigurationError(f"{inspected.info.name} has no field {name!r}.{hint}")


def _value_at(record: Any, field: str) -> Any:
    value: Any = record
    for part in (field,) if field in record else field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _shown(profile: FieldProfile) -> str:
    return ", ".join(map(repr, profile.examples)) or "nothing"
