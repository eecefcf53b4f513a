"""What is wrong with one value of one record, kept in the value's place until the batch is through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kwiksync_ops.errors import MappingError, MissingFieldError, ValidationError

SHOWN_LENGTH = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """`reason` says what is wrong and what to do; it goes on from the field's name: `is not a date: …`."""

    code: str
    reason: str


Column = list[Any]
"""One value a record, in the order of the batch: a value, None, or the Fault that stands in its place."""


def kinds_of(values: Column) -> set[type]:
    """The types in a column. A column of texts alone is told by joining it, four times as fast as by looking."""
    try:
        "".join(values)
    except TypeError:
        return set(map(type, values))
    return {str} if values else set()


def unmappable(reason: str) -> Fault:
    return Fault(MappingError.code, reason)


def missing(reason: str) -> Fault:
    return Fault(MissingFieldError.code, reason)


def invalid(reason: str) -> Fault:
    return Fault(ValidationError.code, reason)


def shown(value: Any) -> str:
    """A value as it stands in a message: short, on one line, with nothing that a database or terminal chokes on."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value.bit_length() > 256:
        return f"a whole number of {value.bit_length()} bits"
    text = repr(value[:SHOWN_LENGTH]) if isinstance(value, str) else str(value)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"
