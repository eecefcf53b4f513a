"""Which source field fits which column, how well, and why: by names, types and values of a sample.

Scores go from 0 to 1. From `SURE` on, a proposal may be taken as it is; below `ENOUGH` none is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kwiksync_ops.mapping.proposals.columns import ClosedSet, closed_set, column_names, table_names
from kwiksync_ops.mapping.proposals.names import Words, best_similarity, similarity, telling_words, words_of
from kwiksync_ops.mapping.proposals.positions import detect_position
from kwiksync_ops.mapping.proposals.profile import FieldProfile
from kwiksync_ops.mapping.rules import FieldRule, Validation
from kwiksync_ops.vocabulary import TABLE_PREFIX, Column, ColumnType, RecordTable, TransformType

ENOUGH, SURE = 0.55, 0.8
_SAME_VALUES = 0.9
_OVERLAP = 0.3
"""Share of a sample's values that must be among the known keys of another table for a reference to be likely."""
_SHORT_TEXT = 100
_MOST_WORDS = 60
_RANGES = {
    "percent_complete": (0, 100),
    "latitude": (-90, 90),
    "longitude": (-180, 180),
}
_TIMES = frozenset({ColumnType.DATE, ColumnType.DATETIME})
_TEXTS = frozenset({ColumnType.STRING, ColumnType.TEXT})


@dataclass(frozen=True)
class KnownKeys:
    """Keys of the records of a table, as far as they were read.

    Attributes:
        name: the source object that they are of.
        columns: what else of the table is filled from it.
        is_complete: there are no others.
    """

    name: str
    keys: frozenset[str]
    columns: frozenset[str] = frozenset()
    is_complete: bool = False


@dataclass(frozen=True)
class MatchContext:
    """What a match may look at beside the field.

    Attributes:
        keys: by table, for those that the same system feeds.
        noun: words of the source object's name: `ticket_number` of tickets is a number.
        timezone: of times that name no zone.
        is_complete: the sample holds all records, so that there are no other words than those in it.
    """

    keys: Mapping[str, KnownKeys] = field(default_factory=dict)
    noun: Words = ()
    timezone: str = "UTC"
    is_complete: bool = False


@dataclass(frozen=True)
class FieldMatch:
    """A proposed rule. `open_values` are those for which it has no counterpart, and that would be rejected."""

    rule: FieldRule
    score: float
    reason: str
    examples: tuple[str, ...] = ()
    open_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Evidence:
    """What the values say for or against a match; `alone` is the score that they are enough for, whatever the name."""

    bonus: float = 0.0
    reason: str = ""
    alone: float = 0.0


def propose_rules(
    table: RecordTable, fields: Sequence[FieldProfile], context: MatchContext, *, key: str = ""
) -> list[FieldMatch]:
    """The best rule for each column that has one, in the order of the columns; the key of the source comes first.

    A field fills one column; the key may beside `external_id` fill another one, and a position fills two.
    """
    others = [profile for profile in fields if profile.name != key]
    scored = [
        match
        for column in _columns(table)
        for match in candidates(table, column, others if column.references else fields, context)
    ]
    chosen: dict[str, FieldMatch] = {}
    used: dict[str, str] = {}
    for match in sorted(scored, key=lambda found: -found.score):
        source, target = match.rule.source_field, match.rule.target_field
        is_position = target in ("latitude", "longitude") and used.get(source) in ("latitude", "longitude")
        if target not in chosen and (source not in used or is_position):
            chosen[target] = match
            used[source] = target
    keys = [_key_match(profile) for profile in fields if profile.name == key]
    return [*keys, *(chosen[column.name] for column in _columns(table) if column.name in chosen)]


def candidates(
    table: RecordTable, column: Column, fields: Sequence[FieldProfile], context: MatchContext
) -> list[FieldMatch]:
    """Every field that may fill the column, the best first."""
    found = (_match(table, column, profile, context) for profile in fields)
    return sorted((match for match in found if match), key=lambda match: -match.score)


def table_likeness(table: str, name: str) -> float:
    """How much an object's name means a table, 0 to 1."""
    words = words_of(name)
    return max((similarity(words, known) * weight for known, weight in table_names(table).items()), default=0.0)


def rule_for(
    table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext
) -> tuple[FieldRule, tuple[str, ...]]:
    """How a field becomes a column, whatever its score; and the values that this has no counterpart for."""
    transform, config, open_values = _transform(table, column, profile, context)
    rule = FieldRule(
        profile.name,
        column.name,
        transform,
        config=config,
        validation=_validation(column, profile),
        null_values=profile.fillers,
    )
    return rule, open_values


def _columns(table: RecordTable) -> list[Column]:
    active = table.column("active")
    return [*table.columns, *([active] if active else [])]


def _key_match(profile: FieldProfile) -> FieldMatch:
    rule = FieldRule(
        profile.name,
        "external_id",
        TransformType.DIRECT,
        validation=Validation(required=True),
        null_values=profile.fillers,
    )
    return FieldMatch(rule, 1.0, "it identifies the record", tuple(profile.examples))


def _match(table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext) -> FieldMatch | None:
    fit = _type_fit(table, column, profile)
    if fit == 0:
        return None
    name_score, name_reason = _name_score(table, column, profile, context)
    evidence = _evidence(table, column, profile, context)
    score = min(name_score * fit + evidence.bonus, 1.0) if name_score else 0.0
    score = max(score, evidence.alone)
    if score < ENOUGH:
        return None
    rule, open_values = rule_for(table, column, profile, context)
    reasons = [evidence.reason, _type_reason(profile), name_reason if name_score else ""]
    reason = ", ".join(filter(None, reasons))
    return FieldMatch(rule, round(score, 2), reason, tuple(profile.examples), open_values)


def _name_score(table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext) -> tuple[float, str]:
    """By the field's name, or by the label that people see: `the same`, or one that other systems have for it."""
    known = column_names(table.name, column.name)
    best, what = 0.0, ""
    for text, kind in (
        (profile.name.rpartition(".")[2], "name"),
        (profile.name, "name"),
        (profile.declared.label, "label"),
    ):
        for words in {words_of(text), telling_words(text, context.noun)} if text else ():
            for other, weight in known.items():
                if (score := similarity(words, other) * weight) > best:
                    best, what = score, f"{'the same' if weight == 1 and score == 1 else 'such a'} {kind}"
    return best, what


def _type_fit(table: RecordTable, column: Column, profile: FieldProfile) -> float:
    """1 where the values can be the column's, 0 where they can't; between the two where they need not be."""
    kind = profile.type
    if kind is None:
        return 0.8
    if column.type in _TIMES:
        return 1.0 if kind in _TIMES else 0.0
    if column.type is ColumnType.INTEGER:
        return 1.0 if kind is ColumnType.INTEGER else 0.0
    if column.type is ColumnType.DECIMAL:
        return 1.0 if profile.is_number or _position(column, profile) else 0.0
    if column.type is ColumnType.BOOLEAN:
        return 1.0 if kind is ColumnType.BOOLEAN or set(profile.counts) <= {"0", "1"} else 0.0
    if kind in _TIMES or kind is ColumnType.BOOLEAN:
        return 0.0 if kind in _TIMES else 0.5
    return 0.9 if profile.is_number and not closed_set(table.name, column.name) else 1.0


def _type_reason(profile: FieldProfile) -> str:
    notation = profile.notation
    if notation is None:
        return ""
    doubt = "" if notation.is_sure else " (the samples don't tell day from month)"
    return f"dates written as {notation.format}{doubt}"


def _evidence(table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext) -> _Evidence:
    if not profile.counts:
        return _Evidence(-0.1, "no record of the sample has a value")
    if column.references:
        return _reference(column.references, profile, context)
    if _borrowed(table, column, profile, context):
        return _Evidence(0.1, "its values are keys of locations, which name it", alone=0.75)
    if closed_set(table.name, column.name):
        return _words(table, column, profile)
    if _position(column, profile):
        return _Evidence(0.0, "its texts are positions", alone=0.8)
    if profile.declared.references:
        return _Evidence(-0.15, f"it holds ids of {profile.declared.references}")
    return _looks(table, column, profile, context)


def _reference(table: str, profile: FieldProfile, context: MatchContext) -> _Evidence:
    known = context.keys.get(table)
    if known is None:
        return _Evidence(-1.0)
    if profile.declared.references == known.name:
        return _Evidence(0.3, f"the system says that it refers to {known.name}", alone=0.9)
    share = _share_of(profile, known.keys)
    if share >= _OVERLAP:
        reason = f"{share:.0%} of its values are keys of {known.name}"
        return _Evidence(0.2, reason, alone=0.55 + 0.3 * share)
    against = -1.0 if known.is_complete else -0.25
    return _Evidence(against, f"{share:.0%} of its values are among the keys of {known.name} that were read")


def _share_of(profile: FieldProfile, keys: frozenset[str]) -> float:
    return sum(text in keys for text in profile.counts) / len(profile.counts) if profile.counts else 0.0


def _borrowed(table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext) -> bool:
    """The field names a location, and what is wanted is what that location has in the column of the same name."""
    known = context.keys.get("locations")
    has_it = known is not None and column.name == "customer" and column.name in known.columns
    is_own = table.name == "locations"
    return bool(has_it and not is_own and known and _share_of(profile, known.keys) >= _OVERLAP) and bool(
        best_similarity(telling_words(profile.name, context.noun), column_names(table.name, column.name)) >= ENOUGH
    )


def _words(table: RecordTable, column: Column, profile: FieldProfile) -> _Evidence:
    known = closed_set(table.name, column.name)
    if known is None:
        return _Evidence()
    count = len(profile.counts)
    if count > _MOST_WORDS:
        return _Evidence(-0.3, f"{count:,} different values are too many for a {column.name}")
    told = sum(_value_of(known, profile, text) is not None for text in profile.counts)
    share = told / count
    if share < _SAME_VALUES / 2:
        return _Evidence(-0.1, f"{told} of its {count} values mean a {column.name}")
    reason = f"{told} of its {count} values mean a {column.name}" if count > 1 else f"its value means a {column.name}"
    return _Evidence(0.15 * share, reason, alone=0.55 if share >= _SAME_VALUES and count > 2 else 0.0)


def _position(column: Column, profile: FieldProfile) -> bool:
    return column.name in ("latitude", "longitude") and detect_position(profile.texts) is not None


def _looks(table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext) -> _Evidence:
    """Lengths, ranges and uniqueness, as far as they tell something about a column."""
    has_both = table.column("short_description") is not None and table.column("description") is not None
    is_short = profile.longest <= _SHORT_TEXT
    is_plain = telling_words(profile.name, context.noun) == ("description",)
    if column.name == "description" and has_both:
        return _Evidence(-0.25, "short texts") if is_short and is_plain else _Evidence()
    if column.name == "short_description" and has_both:
        return _Evidence(0.15, "short texts") if is_short else _Evidence(-0.1, "long texts")
    if column.name in ("number", "asset_tag", "serial_number"):
        return _Evidence(0.05, "never the same twice") if profile.is_unique else _Evidence(-0.1)
    if column.name in _RANGES and profile.is_number:
        low, high = _RANGES[column.name]
        inside = all(low <= float(text) <= high for text in profile.counts)
        return (
            _Evidence(0.05, f"all from {low} to {high}") if inside else _Evidence(-0.4, f"not all from {low} to {high}")
        )
    if column.max_length and profile.longest > column.max_length:
        return _Evidence(-0.2, f"up to {profile.longest:,} characters, and {column.max_length:,} fit")
    return _Evidence()


def _transform(
    table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext
) -> tuple[TransformType, dict[str, Any], tuple[str, ...]]:
    if column.references or _borrowed(table, column, profile, context):
        return TransformType.LOOKUP, _lookup(column), ()
    if _position(column, profile):
        return TransformType.SCRIPT, _position_config(column, profile), ()
    if column.type in _TIMES:
        return *_moment(column, profile, context), ()
    if column.type is ColumnType.DECIMAL and profile.decimals > (column.scale or 0):
        return TransformType.SCRIPT, _rounding(column.scale or 0), ()
    words, open_values = _value_map(table, column, profile, context)
    return (TransformType.VALUE_MAP, {"mappings": words}, open_values) if words else (TransformType.DIRECT, {}, ())


def _lookup(column: Column) -> dict[str, Any]:
    table = column.references or "locations"
    wanted = "sys_id" if column.references else column.name
    config = {"lookup_table": TABLE_PREFIX + table, "match_field": "external_id", "return_field": wanted}
    return config if column.references else {**config, "on_missing": "null"}


def _position_config(column: Column, profile: FieldProfile) -> dict[str, Any]:
    notation = detect_position(profile.texts)
    return {"script": notation.script(column.name)} if notation else {}


def _rounding(scale: int) -> dict[str, Any]:
    return {"script": f"(function(value) {{ return value === null ? null : Number(value).toFixed({scale}); }})(value)"}


def _moment(column: Column, profile: FieldProfile, context: MatchContext) -> tuple[TransformType, dict[str, Any]]:
    notation = profile.notation
    is_day = column.type is ColumnType.DATE
    if notation is None:
        return TransformType.DIRECT, {}
    needs_zone = context.timezone != "UTC" and notation.has_time and not notation.has_zone and not is_day
    if notation.format == "iso" and not needs_zone and notation.has_time != is_day:
        return TransformType.DIRECT, {}
    target = "YYYY-MM-DD" if is_day else "YYYY-MM-DD HH:mm:ss"
    zone = {"timezone": context.timezone} if needs_zone else {}
    return TransformType.DATE_FORMAT, {"source_format": notation.format, "target_format": target, **zone}


def _value_map(
    table: RecordTable, column: Column, profile: FieldProfile, context: MatchContext
) -> tuple[dict[str, str] | None, tuple[str, ...]]:
    """The words as the column's values, and those without one; nothing where no words are needed, or can be known."""
    known = closed_set(table.name, column.name)
    labels = profile.declared.choices
    texts = list(dict.fromkeys((*labels, *profile.counts)))
    if known is None or not texts or set(texts) <= known.values or len(texts) > _MOST_WORDS:
        return None, ()
    told = {text: _value_of(known, profile, text) for text in texts}
    words = {text: value for text, value in told.items() if value is not None}
    if not words:
        return None, ()
    others = {} if context.is_complete or labels else known.other_words(words)
    return {**words, **others}, tuple(text for text, value in told.items() if value is None)


def _value_of(known: ClosedSet, profile: FieldProfile, text: str) -> str | None:
    """By the label that people see, else by the word itself."""
    return known.value_of(profile.declared.choices.get(text, "")) or known.value_of(text)


def _validation(column: Column, profile: FieldProfile) -> Validation:
    is_required = profile.declared.required and profile.filled == profile.total > 0
    if column.name not in _RANGES:
        return Validation(required=is_required)
    low, high = _RANGES[column.name]
    return replace(Validation(required=is_required), minimum=low, maximum=high)
