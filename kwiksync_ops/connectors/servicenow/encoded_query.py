"""ServiceNow's encoded queries, strictly: the instance leaves out what it does not understand, and so widens a read."""

from __future__ import annotations

import re
from collections.abc import Iterable

OPERATORS = (
    *("!=", "<=", ">=", "=", "<", ">", "STARTSWITH", "ENDSWITH", "NOT LIKE", "LIKE", "NOT IN"),
    *("INSTANCEOF", "IN", "ISEMPTY", "ISNOTEMPTY", "BETWEEN"),
)
_WITHOUT_VALUE = ("ISEMPTY", "ISNOTEMPTY")
_SEPARATOR = re.compile(r"(?<!\^)\^(?!\^)")
_TERM = re.compile(
    rf"(?P<field>[a-z0-9_]+(?:\.[a-z0-9_]+)*)(?P<operator>{'|'.join(OPERATORS)})(?P<value>.*)", re.DOTALL
)
_JOINERS = ("NQ", "OR")


def query_faults(query: str) -> list[str]:
    """What is wrong with a query's text; whether its fields exist only the instance knows."""
    return [problem for part in _SEPARATOR.split(query) if (problem := _part_fault(part))]


def query_fields(query: str) -> tuple[str, ...]:
    """The fields that a sound query names, each once."""
    terms = (_TERM.fullmatch(_without_joiner(part)) for part in _SEPARATOR.split(query))
    return tuple(dict.fromkeys(term["field"] for term in terms if term))


def narrowed(query: str, *conditions: str) -> str:
    """The query with further conditions, which hold in each of its branches (`^NQ`)."""
    branches = query.split("^NQ") if query else [""]
    return "^NQ".join(_joined((branch, *conditions)) for branch in branches)


def contradiction(field: str) -> str:
    """No record of any table meets it, unless the instance ignores the field."""
    return f"{field}ISEMPTY^{field}ISNOTEMPTY"


def is_one_of(field: str, values: Iterable[str]) -> str:
    """No value may have a comma: it would be two."""
    return f"{field}IN{','.join(map(escaped, values))}"


def escaped(value: str) -> str:
    return value.replace("^", "^^")


def _joined(conditions: Iterable[str]) -> str:
    return "^".join(filter(None, conditions))


def _without_joiner(part: str) -> str:
    joiner = next((each for each in _JOINERS if part.startswith(each)), "")
    return part.removeprefix(joiner)


def _part_fault(part: str) -> str | None:
    if part in ("", "EQ"):
        return "a condition is empty: ^ stands between two conditions." if not part else None
    if part.startswith(("ORDERBY", "GROUPBY")):
        return f"{part!r} orders the records, which a read does itself; leave it out."
    term = _TERM.fullmatch(_without_joiner(part))
    if term is None:
        return f"{part!r} is not a field, one of the operators {', '.join(OPERATORS)}, and a value."
    if term["operator"] in _WITHOUT_VALUE and term["value"]:
        return f"{part!r}: {term['operator']} takes no value."
    if term["value"].startswith(("=", "<", ">")):
        return f"{part!r} has two operators."
    return None
