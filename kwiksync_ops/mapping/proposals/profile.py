"""What the values of a source field look like, over a sample: their type, notation, fillers, and how they recur."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.mapping.coercion import text_of
from kwiksync_ops.mapping.faults import Fault
from kwiksync_ops.mapping.proposals.names import words_of
from kwiksync_ops.mapping.proposals.notations import Notation, detect_epoch, detect_notation, tells_day_first
from kwiksync_ops.vocabulary import ColumnType

_UNNAMEABLE = re.compile("[\\x00-\\x1f\\ud800-\\udfff]")
MAX_DEPTH, MAX_NAME = 4, 255
EXAMPLES = 3
NOTATION_TEXTS = 300
_FILLERS = frozenset(
    {"", "?", "??", "-", "--", "n/a", "N/A", "#N/A", "null", "NULL", "None", "nil", "0000-00-00", "0000-00-00 00:00:00"}
)
_TRUTHS = (frozenset({"true", "false"}), frozenset({"yes", "no"}))
_NUMBERS = frozenset({ColumnType.INTEGER, ColumnType.DECIMAL})
_SIGNS = 15
"""Numbers with more digits, or with zeros in front, are codes."""


@dataclass(frozen=True)
class Declared:
    """What a system says about a field. `references` is the source object whose key it holds.

    `is_generated`: the system gives it a value itself, where a new record comes without one.
    """

    type: ColumnType | None = None
    label: str = ""
    required: bool = False
    is_key: bool = False
    references: str | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    is_generated: bool = False


@dataclass(frozen=True)
class FieldProfile:
    """A source field.

    Attributes:
        name: as a mapping names it: dots lead into nested records.
        type: as the system declares it, or as the sample shows; None where no record has a value.
        total: records of the sample; `filled`: how many have a value.
        counts: how often each value comes, as text, the most frequent first.
        fillers: texts that stand for "no value".
    """

    name: str
    type: ColumnType | None
    total: int
    filled: int
    counts: Mapping[str, int]
    declared: Declared = Declared()
    notation: Notation | None = None
    fillers: tuple[str, ...] = ()
    is_text: bool = True

    @property
    def texts(self) -> list[str]:
        return list(self.counts)

    @property
    def examples(self) -> list[str]:
        return self.texts[:EXAMPLES]

    @property
    def is_unique(self) -> bool:
        """A value in every record, and never the same one."""
        return 0 < self.total == self.filled == len(self.counts)

    @property
    def longest(self) -> int:
        return max(map(len, self.counts), default=0)

    @property
    def mean_length(self) -> float:
        return sum(map(len, self.counts)) / len(self.counts) if self.counts else 0.0

    @property
    def decimals(self) -> int:
        """The most digits after the point."""
        return max((len(text.partition(".")[2]) for text in self.counts), default=0)

    @property
    def is_time(self) -> bool:
        return self.type in (ColumnType.DATE, ColumnType.DATETIME)

    @property
    def is_number(self) -> bool:
        return self.type in _NUMBERS


def profile_records(
    records: Sequence[SourceRecord], declared: Mapping[str, Declared] | None = None
) -> list[FieldProfile]:
    """The fields of the records, and those that are declared and have no value in any of them, in their order."""
    known = declared or {}
    columns: dict[str, list[Any]] = {name: [] for name in known}
    for record in records:
        for name, value in _leaves(record):
            columns.setdefault(name, []).append(value)
    nested = {name for name in columns if any(other.startswith(f"{name}.") for other in columns)}
    profiles = [
        profile_values(name, values, len(records), known.get(name))
        for name, values in columns.items()
        if name not in nested
    ]
    return _with_one_day_order(profiles)


def profile_values(name: str, values: Sequence[Any], total: int, declared: Declared | None = None) -> FieldProfile:
    """One field; values that no text column could hold, such as lists, count as none."""
    about = declared or Declared()
    given = [value for value in values if value is not None]
    texts = [text for text in map(text_of, given) if not isinstance(text, Fault)]
    fillers = tuple(sorted({text for text in texts if text in _FILLERS}))
    counts = Counter(text for text in texts if text not in _FILLERS)
    notation = _notation(name, given, list(counts)[:NOTATION_TEXTS], about)
    return FieldProfile(
        name=name,
        type=_type(given, counts, notation, about),
        total=total,
        filled=sum(counts.values()),
        counts=dict(counts.most_common()),
        declared=about,
        notation=notation,
        fillers=fillers,
        is_text=all(isinstance(value, str) for value in given),
    )


def _leaves(record: Mapping[str, Any], prefix: str = "", depth: int = MAX_DEPTH) -> Iterator[tuple[str, Any]]:
    for name, value in record.items():
        path = f"{prefix}{name}"
        if not _is_nameable(path):
            continue
        if isinstance(value, dict) and depth > 1:
            yield from _leaves(value, f"{path}.", depth - 1)
        elif not isinstance(value, (dict, list)):
            yield path, value


def _is_nameable(path: str) -> bool:
    """Whether a mapping can name the field."""
    return 0 < len(path) <= MAX_NAME and not _UNNAMEABLE.search(path)


def _notation(name: str, given: Sequence[Any], texts: Sequence[str], declared: Declared) -> Notation | None:
    if not texts:
        return None
    if any(isinstance(value, date) for value in given):
        moments = [value for value in given if isinstance(value, datetime)]
        return Notation("iso", has_time=bool(moments), has_zone=all(value.tzinfo for value in moments))
    if not all(text.isdigit() for text in texts):
        return detect_notation(texts)
    says_time = "when" in words_of(name) or "change" in words_of(name) or declared.type is ColumnType.DATETIME
    if not says_time:
        return None
    return detect_epoch(texts) or detect_notation(texts)


def _type(
    given: Sequence[Any], counts: Mapping[str, int], notation: Notation | None, declared: Declared
) -> ColumnType | None:
    """What the values are; where they are texts that tell nothing, what the system says."""
    if declared.type not in (None, ColumnType.STRING, ColumnType.TEXT):
        return declared.type
    if notation:
        return ColumnType.DATETIME if notation.has_time else ColumnType.DATE
    if not counts:
        return declared.type
    if all(isinstance(value, bool) for value in given) or _are_truths(counts):
        return ColumnType.BOOLEAN
    if all(map(_is_number, counts)):
        return ColumnType.INTEGER if all("." not in text for text in counts) else ColumnType.DECIMAL
    is_long = any(len(text) > 255 or "\n" in text for text in counts)
    return ColumnType.TEXT if is_long else ColumnType.STRING


def _are_truths(counts: Mapping[str, int]) -> bool:
    """Both words of a pair: `no` alone may be Norway."""
    words = {text.lower() for text in counts}
    return words in _TRUTHS or words <= _TRUTHS[0]


def _is_number(text: str) -> bool:
    digits = text.lstrip("+-")
    is_code = digits.startswith("0") and digits[1:2].isdigit()
    if is_code or (len(digits) > _SIGNS and "." not in digits):
        return False
    try:
        return Decimal(text).is_finite() and text.strip() == text
    except InvalidOperation:
        return False


def _with_one_day_order(profiles: list[FieldProfile]) -> list[FieldProfile]:
    """A system writes all its dates in one order: a field that tells it decides for those that do not."""
    told = {tells_day_first(profile.texts) for profile in profiles if profile.notation} - {None}
    if len(told) != 1:
        return profiles
    day_first = told.pop()
    return [
        replace(profile, notation=detect_notation(profile.texts, day_first=day_first))
        if profile.notation and not profile.notation.is_sure
        else profile
        for profile in profiles
    ]
