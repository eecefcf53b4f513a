"""`$filter` and `$orderby` of the double: parsed strictly, each literal in the notation of its property's type."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

_TOKEN = re.compile(r"\s*(\(|\)|(?:[A-Za-z]+)?'(?:[^']|'')*'|[^\s()']+)")
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
}
_LITERALS: Mapping[str, Mapping[str, str]] = {
    "v2": {
        "Edm.String": r"'((?:[^']|'')*)'",
        "Edm.DateTime": r"datetime'([0-9T:.-]+)'",
        "Edm.DateTimeOffset": r"datetimeoffset'([0-9T:.+-]+Z?)'",
        "Edm.Guid": r"guid'([0-9a-fA-F-]{36})'",
        "Edm.Decimal": r"(-?[0-9.]+)[mM]",
        "Edm.Int64": r"(-?[0-9]+)L",
        "Edm.Int32": r"(-?[0-9]+)",
        "Edm.Boolean": r"(true|false)",
    },
    "v4": {
        "Edm.String": r"'((?:[^']|'')*)'",
        "Edm.DateTimeOffset": r"([0-9-]+T[0-9:.]+(?:Z|[+-][0-9:]+))",
        "Edm.Date": r"([0-9]{4}-[0-9]{2}-[0-9]{2})",
        "Edm.Guid": r"([0-9a-fA-F-]{36})",
        "Edm.Decimal": r"(-?[0-9.]+)",
        "Edm.Int64": r"(-?[0-9]+)",
        "Edm.Int32": r"(-?[0-9]+)",
        "Edm.Boolean": r"(true|false)",
    },
}

Predicate = Callable[[Mapping[str, Any]], bool]
Types = Mapping[str, str]


def value_of_literal(literal: str, edm_type: str, version: str) -> Any:
    """Raises ValueError for a literal of another type."""
    found = re.fullmatch(_LITERALS[version][edm_type], literal)
    if not found:
        raise ValueError(f"{literal} is no literal of {edm_type} in {version}")
    return value_of_text(found[1].replace("''", "'"), edm_type)


def value_of_text(text: str, edm_type: str) -> Any:
    if edm_type in ("Edm.Int32", "Edm.Int64"):
        return int(text)
    if edm_type == "Edm.Decimal":
        return Decimal(text)
    if edm_type == "Edm.Boolean":
        return text == "true"
    if edm_type in ("Edm.DateTime", "Edm.DateTimeOffset"):
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return text


class Filter:
    """`or` binds less than `and`, as the grammar has it. `takes_or` false: a service as old gateways are."""

    def __init__(self, text: str, types: Types, version: str, *, takes_or: bool = True) -> None:
        self._tokens = [found[1] for found in _TOKEN.finditer(text)]
        if "".join(self._tokens) != re.sub(r"\s+(?=(?:[^']*'[^']*')*[^']*$)", "", text):
            raise ValueError(f"the filter {text} can't be read")
        self._types, self._version, self._takes_or = types, version, takes_or
        self.matches: Predicate = self._any()
        if self._tokens:
            raise ValueError(f"the filter goes on with {self._tokens[0]}")

    def _next(self, wanted: str | None = None) -> str:
        if not self._tokens or (wanted and self._tokens[0] != wanted):
            raise ValueError(f"the filter has no {wanted or 'end'} where one belongs")
        return self._tokens.pop(0)

    def _any(self) -> Predicate:
        parts = [self._all()]
        while self._tokens[:1] == ["or"]:
            if not self._takes_or:
                raise ValueError("or is not supported")
            self._next()
            parts.append(self._all())
        return lambda record: any(part(record) for part in parts)

    def _all(self) -> Predicate:
        parts = [self._one()]
        while self._tokens[:1] == ["and"]:
            self._next()
            parts.append(self._one())
        return lambda record: all(part(record) for part in parts)

    def _one(self) -> Predicate:
        if self._tokens[:1] == ["("]:
            self._next()
            inner = self._any()
            self._next(")")
            return inner
        name, operator, literal = self._next(), self._next(), self._next()
        if name not in self._types or operator not in _COMPARISONS:
            raise ValueError(f"{name} {operator} is no comparison")
        compare = _COMPARISONS[operator]
        wanted = None if literal == "null" else value_of_literal(literal, self._types[name], self._version)

        def matches(record: Mapping[str, Any]) -> bool:
            value = record[name]
            if value is None or wanted is None:
                return operator in ("eq", "ne") and compare(value, wanted)
            return compare(value, wanted)

        return matches
