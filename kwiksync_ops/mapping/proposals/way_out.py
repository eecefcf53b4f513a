"""The way out, by turning round what is proposed for the way in: a rule for each field that can get its value back.

What loses something on its way in, or can't be computed backwards, is left out, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kwiksync_ops.mapping.proposals.columns import closed_set
from kwiksync_ops.mapping.proposals.matching import FieldMatch
from kwiksync_ops.mapping.proposals.profile import FieldProfile
from kwiksync_ops.mapping.rules import FieldRule, Validation
from kwiksync_ops.vocabulary import TABLE_PREFIX, Column, ColumnType, RecordTable, TransformType

_TIMES = (ColumnType.DATE, ColumnType.DATETIME)
_AS_TEXT = 0.7
"""What is left of a score where a system that has numbers gets text: many take it, some don't."""


@dataclass(frozen=True)
class WayOut:
    """`matches` are from a column (`source_field`) to a field; `left_out` says of a field why it is not sent.

    The `open_values` of a match are those that the column has and the system has no word for.
    """

    matches: tuple[FieldMatch, ...]
    left_out: Mapping[str, str]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(match.rule.target_field for match in self.matches)


@dataclass(frozen=True)
class _Turned:
    transform: TransformType
    config: Mapping[str, Any]
    reason: str
    share: float = 1.0
    open_values: tuple[str, ...] = ()


def turn_round(
    table: RecordTable,
    matches: Sequence[FieldMatch],
    fields: Mapping[str, FieldProfile],
    timezone: str,
    *,
    kept: Mapping[str, str],
) -> WayOut:
    """Rules for the fields that the way in reads.

    Args:
        fields: what is known of the source's fields, by name.
        timezone: of times that name no zone.
        kept: fields that are not ours to write, with the reason.
    """
    turned: list[FieldMatch] = []
    left_out: dict[str, str] = {}
    for match in matches:
        name, column = match.rule.source_field, table.column(match.rule.target_field)
        if name in kept:
            left_out[name] = kept[name]
        if name in kept or column is None or column.name == "external_id":
            continue
        own = _turned(table, column, match, fields[name], timezone)
        if isinstance(own, str):
            left_out.setdefault(name, own)
        elif name not in (each.rule.target_field for each in turned):
            turned.append(_match(match, column, fields[name], own))
    sent = {match.rule.target_field for match in turned}
    return WayOut(tuple(turned), {name: reason for name, reason in left_out.items() if name not in sent})


def _match(match: FieldMatch, column: Column, profile: FieldProfile, own: _Turned) -> FieldMatch:
    rule = FieldRule(
        column.name,
        profile.name,
        own.transform,
        config=own.config,
        validation=Validation(required=profile.declared.required),
    )
    return FieldMatch(rule, round(match.score * own.share, 2), own.reason, match.examples, own.open_values)


def _turned(
    table: RecordTable, column: Column, match: FieldMatch, profile: FieldProfile, timezone: str
) -> _Turned | str:
    """The rule turned round, or why it can't be."""
    match match.rule.transform:
        case TransformType.LOOKUP:
            return _reference(column, profile)
        case TransformType.VALUE_MAP:
            return _words(table, column, match.rule, profile)
        case TransformType.DIRECT | TransformType.DATE_FORMAT:
            return _moment(column, profile, timezone) if column.type in _TIMES else _plain(table, column, profile)
    return "it is computed on its way in, and nothing computes it back"


def _reference(column: Column, profile: FieldProfile) -> _Turned | str:
    if not column.references:
        return "it is a value of the record that the field refers to"
    config = {
        "lookup_table": TABLE_PREFIX + column.references,
        "match_field": "sys_id",
        "return_field": "external_id",
    }
    reason, share = _sent_as(profile, "the id that the system has for the record")
    return _Turned(TransformType.LOOKUP, config, reason, share)


def _words(table: RecordTable, column: Column, rule: FieldRule, profile: FieldProfile) -> _Turned:
    """For each value the word that is seen most; guessed words are taken on the way in, and never sent."""
    known = [*profile.counts, *(word for word in profile.declared.choices if word not in profile.counts)]
    words: dict[str, str] = {}
    for word in known:
        value = rule.config["mappings"].get(word)
        if value is not None:
            words.setdefault(value, word)
    values = closed_set(table.name, column.name)
    unknown = tuple(sorted(values.values.difference(words))) if values else ()
    reason = f"its words turned round, {len(words)} of {len(words) + len(unknown)} values have one"
    typed = {value: _as_it_came(word, profile) for value, word in words.items()}
    return _Turned(TransformType.VALUE_MAP, {"mappings": typed}, reason, open_values=unknown)


def _as_it_came(word: str, profile: FieldProfile) -> str | int:
    return int(word) if profile.type is ColumnType.INTEGER and not profile.is_text else word


def _moment(column: Column, profile: FieldProfile, timezone: str) -> _Turned | str:
    notation = profile.notation
    if notation is None:
        return _Turned(TransformType.DIRECT, {}, "as it came")
    if column.type is ColumnType.DATE and notation.has_time:
        return "its time of day does not come in"
    target = notation.format
    if target == "iso":
        if notation.has_zone or not notation.has_time:
            return _Turned(TransformType.DIRECT, {}, "ISO, in UTC" if notation.has_time else "ISO")
        gap = "T" if any("T" in text for text in profile.examples) else " "
        target = f"YYYY-MM-DD{gap}HH:mm:ss"
    has_zone = timezone != "UTC" and notation.has_time and not notation.has_zone
    zone = {"timezone": timezone} if has_zone else {}
    return _Turned(TransformType.DATE_FORMAT, {"target_format": target, **zone}, f"written as {target}")


def _plain(table: RecordTable, column: Column, profile: FieldProfile) -> _Turned:
    if column.type in (ColumnType.INTEGER, ColumnType.DECIMAL, ColumnType.BOOLEAN):
        config = {"as_text": True} if profile.is_text and profile.counts else {}
        return _Turned(TransformType.DIRECT, config, "as it came")
    values = closed_set(table.name, column.name)
    if values and profile.counts and profile.type is ColumnType.INTEGER and not profile.is_text:
        numbers = {value: int(value) for value in sorted(values.values) if value.isdecimal()}
        return _Turned(TransformType.VALUE_MAP, {"mappings": numbers}, "as it came, as a number")
    reason, share = _sent_as(profile, "as it came")
    return _Turned(TransformType.DIRECT, {}, reason, share)


def _sent_as(profile: FieldProfile, reason: str) -> tuple[str, float]:
    is_number = profile.is_number and not profile.is_text
    return (f"{reason}, a number as text", _AS_TEXT) if is_number else (reason, 1.0)


def with_change_time(way: WayOut, field: str) -> WayOut:
    """The way out with the hub's change time, for systems that want one from who writes."""
    rule = FieldRule("sys_updated_on", field, TransformType.DIRECT)
    match = FieldMatch(rule, 1.0, "the system wants a change time, and sets none itself")
    return replace(way, matches=(*way.matches, match))
