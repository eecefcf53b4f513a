"""Which field identifies a record, and which one tells when it last changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kwiksync_ops.mapping.proposals.names import Words, similarity, words_of
from kwiksync_ops.mapping.proposals.profile import FieldProfile
from kwiksync_ops.vocabulary import ColumnType

MAX_KEY_LENGTH = 255
_ENOUGH = 0.5
_KEY_NAMES = {"id": 1.0, "sys_id": 1.0, "external id": 0.95, "object id": 0.9, "number": 0.8, "code": 0.75, "key": 0.75}
_CURSOR_NAMES = {
    "updated at": 1.0,
    "last updated at": 1.0,
    "sys updated on": 1.0,
    "system modstamp": 1.0,
    "last change date time": 1.0,
    "modified": 0.95,
    "last modified": 1.0,
    "version date": 0.7,
}


@dataclass(frozen=True)
class FieldProposal:
    """A field for a purpose, with a score from 0 to 1 and why."""

    field: FieldProfile
    score: float
    reason: str


def propose_key(fields: Sequence[FieldProfile], noun: Words) -> list[FieldProposal]:
    """The fields that may identify a record, the best first. A value that comes twice, or is missing, rules one out."""
    found = (_key(field, noun, place) for place, field in enumerate(fields))
    return sorted((proposal for proposal in found if proposal), key=lambda proposal: -proposal.score)


def propose_cursor(fields: Sequence[FieldProfile]) -> list[FieldProposal]:
    """The fields that may tell when a record last changed, the best first."""
    found = (_cursor(field) for field in fields)
    return sorted((proposal for proposal in found if proposal), key=lambda proposal: -proposal.score)


def _key(field: FieldProfile, noun: Words, place: int) -> FieldProposal | None:
    is_told = field.declared.is_key
    is_possible = (field.is_unique or (is_told and not field.counts)) and field.longest <= MAX_KEY_LENGTH
    if not is_possible or field.is_time or field.type in (ColumnType.DECIMAL, ColumnType.TEXT, ColumnType.BOOLEAN):
        return None
    if is_told:
        return FieldProposal(field, 1.0, "the system says that it is the key")
    words = words_of(field.name)
    own = tuple(word for word in words if word not in noun) or ("id",)
    named = max(similarity(own, words_of(name)) * weight for name, weight in _KEY_NAMES.items())
    first = 0.05 if place == 0 else 0.0
    score = min((0.4 + 0.55 * named if named >= _ENOUGH else 0.35) + first, 1.0)
    reason = "a value in each record, never the same twice"
    return FieldProposal(field, round(score, 2), f"{reason}, and named like a key" if named >= _ENOUGH else reason)


def _cursor(field: FieldProfile) -> FieldProposal | None:
    if not field.is_time or field.filled < field.total:
        return None
    words = words_of(field.name.rpartition(".")[2])
    named = max(similarity(words, words_of(name)) * weight for name, weight in _CURSOR_NAMES.items())
    if named < _ENOUGH or "by" in words or not {"change", "modstamp", "version"} & set(words):
        return None
    is_day = field.type is ColumnType.DATE
    reason = "it tells when a record changed, and is never empty"
    doubt = ", but only the day" if is_day else ""
    return FieldProposal(field, round(named * (0.6 if is_day else 1.0), 2), reason + doubt)
