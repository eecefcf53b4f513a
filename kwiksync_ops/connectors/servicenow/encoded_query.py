"""ServiceNow's encoded queries, strictly: the instance leaves out what it does not understand, and so widens a read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

OPERATORS = (
    *("!=", "<=", ">=", "=", "<", ">", "STARTSWITH", "ENDSWITH", "NOT LIKE", "LIKE", "NOT IN"),
    *("INSTANCEOF", "IN", "ISEMPTY", "ISNOTEMPTY", "BETWEEN"),
)
_WITHOUT_VALUE = ("ISEMPTY", "ISNOTEMPTY")
_PAIRS = (("=", "!="), ("<", ">="), (">", "<="), ("LIKE", "NOT LIKE"), ("IN", "NOT IN"), ("ISEMPTY", "ISNOTEMPTY"))
_OPPOSITES = {**dict(_PAIRS), **{other: one for one, other in _PAIRS}}
_SEPARATOR = re.compile(r"(?<!\^)\^(?!\^)")
_TERM = re.compile(
    rf"(?P<field>[a-z0-9_]+(?:\.[a-z0-9_]+)*)(?P<operator>{'|'.join(OPERATORS)})(?P<value>.*)", re.DOTALL
)
_JOINERS = ("NQ", "OR")


def query_faults(query: str) -> list[str]:
    """What is wrong with a query's text; whether its fields exist only the instance knows."""
    return [problem for part in _SEPARATOR.split(query) if (problem := _part_fault(part))]


@dataclass(frozen=True)
class Condition:
    """One condition of a query, with what it can't be: an instance that understands it sees both."""

    text: str
    opposites: tuple[str, ...]

    @property
    def never(self) -> str:
        """No record of any table meets it, unless the instance ignores the condition."""
        return _joined((self.text, self.opposites[0]))

    @property
    def always(self) -> str:
        """Every record meets it, unless the instance answers nothing to a query that it does not understand."""
        return "^OR".join((self.text, *self.opposites))


def conditions(query: str) -> tuple[Condition, ...]:
    """The conditions of a sound query, each once."""
    terms = (_TERM.fullmatch(_without_joiner(part)) for part in _SEPARATOR.split(query))
    return tuple(dict.fromkeys(_condition(*term.groups()) for term in terms if term))


def _condition(field: str, operator: str, value: str) -> Condition:
    """One that has no opposite is proven by its field alone."""
    text, empty = f"{field}{operator}{value}", f"{field}ISEMPTY"
    if operator == "BETWEEN":
        low, _, high = value.partition("@")
        return Condition(text, (f"{field}<{low}", f"{field}>{high}", empty))
    if operator not in _OPPOSITES:
        return Condition(empty, (f"{field}ISNOTEMPTY",))
    value = "" if operator in _WITHOUT_VALUE else value
    opposite = f"{field}{_OPPOSITES[operator]}{value}"
    return Condition(text, (opposite,) if operator in _WITHOUT_VALUE else (opposite, empty))


def narrowed(query: str, *conditions: str) -> str:
    """The query with further conditions, which hold in each of its branches (`^NQ`)."""
    branches = query.split("^NQ") if query else [""]
    return "^NQ".join(_joined((branch, *conditions)) for branch in branches)


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
