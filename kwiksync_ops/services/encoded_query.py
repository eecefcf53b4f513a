"""ServiceNow's encoded queries (`state=1^priorityIN1,2^ORDERBYnumber`) over the hub's records.

Where an instance ignores a part that it does not understand, and so widens the read, here that is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.records import check_fields, check_sign, find_column, parse_value
from kwiksync_ops.storage.record_search import AnyOf, Condition, Operator, Sort
from kwiksync_ops.vocabulary import Column, RecordTable

MAX_PARTS = 100
_PART = re.compile(
    r"(?P<field>[a-z0-9_]+?)(?P<operator>ISNOTEMPTY|ISEMPTY|STARTSWITH|ENDSWITH|NOT LIKE|LIKE|NOT IN|IN|BETWEEN"
    r"|!=|<=|>=|=|<|>)(?P<value>.*)",
    re.DOTALL,
)
_PARTS = re.compile(r"(?:[^^]|\^\^)+")
"""What is between carets; two together are one in a value."""

_SIGNS: Mapping[str, Operator] = {
    **{sign: sign for sign in ("=", "!=", "<", "<=", ">", ">=")},
    "LIKE": "~",
    "NOT LIKE": "!~",
    "STARTSWITH": "^",
    "ENDSWITH": "$",
}


@dataclass(frozen=True)
class EncodedQuery:
    """`sort` is the first ORDERBY of the query, if it has one."""

    conditions: tuple[Condition | AnyOf, ...] = ()
    sort: Sort | None = None


def parse_query(table: RecordTable, text: str) -> EncodedQuery:
    """The query of a table.

    Raises:
        ConfigurationError: a part of it is not understood, names no field of the table, or holds no value of it.
    """
    groups: list[list[Condition | AnyOf]] = [[]]
    sort: Sort | None = None
    parts = [part.replace("^^", "^") for part in _PARTS.findall(text)]
    if len(parts) > MAX_PARTS:
        raise ConfigurationError(f"The query has {len(parts)} parts.", remedy=f"At most {MAX_PARTS} are taken.")
    for part in parts:
        if part.startswith("ORDERBY"):
            sort = sort or _sort(table, part)
        elif part.startswith("NQ"):
            _check_before(groups[-1], part)
            groups.append([_condition(table, part.removeprefix("NQ"))])
        elif part.startswith("OR"):
            _add_alternative(groups[-1], _condition(table, part.removeprefix("OR")), part)
        elif part != "EQ":
            groups[-1].append(_condition(table, part))
    if len(groups) == 1:
        return EncodedQuery(tuple(groups[0]), sort)
    return EncodedQuery((AnyOf(tuple(map(tuple, groups))),), sort)


def _sort(table: RecordTable, part: str) -> Sort:
    is_descending = part.startswith("ORDERBYDESC")
    name = part.removeprefix("ORDERBYDESC" if is_descending else "ORDERBY")
    check_fields(table, [name])
    return Sort(name, is_descending)


def _check_before(group: list[Condition | AnyOf], part: str) -> None:
    """No condition at all is fulfilled by every record, so an alternative to it would be all of them."""
    if not group:
        raise ConfigurationError(f"^{part} has nothing before it.", remedy="Write a condition first: a=1^ORa=2.")


def _add_alternative(group: list[Condition | AnyOf], condition: Condition | AnyOf, part: str) -> None:
    _check_before(group, part)
    before = group.pop()
    known = before.groups if isinstance(before, AnyOf) else ((before,),)
    group.append(AnyOf((*known, (condition,))))


def _condition(table: RecordTable, part: str) -> Condition | AnyOf:
    match = _PART.fullmatch(part)
    if match is None:
        raise ConfigurationError(
            f"{part!r} is no part of an encoded query.",
            remedy="Write field, operator, value, such as state=1 or numberSTARTSWITHTKT, with ^ between the parts.",
        )
    name, sign, value = match["field"], match["operator"], match["value"]
    return _BY_SIGN.get(sign, _compared)(table, find_column(table, name), sign, value)


def _compared(table: RecordTable, column: Column, sign: str, text: str) -> Condition:
    operator = _SIGNS[sign]
    value = parse_value(column, text)
    check_sign(table, column, "~" if operator in ("~", "!~", "^", "$") else operator, value)
    return Condition(column.name, operator, value)


def _listed(_table: RecordTable, column: Column, sign: str, text: str) -> Condition:
    values = tuple(parse_value(column, each) for each in text.split(",") if each)
    if not values:
        raise ConfigurationError(f"{column.name}{sign} lacks values.", remedy="Write them with commas between: 1,2.")
    return Condition(column.name, "in" if sign == "IN" else "not in", values)


def _empty(_table: RecordTable, column: Column, sign: str, text: str) -> Condition:
    if text:
        raise ConfigurationError(f"{column.name}{sign} takes no value, and has {text!r}.", remedy="Leave it out.")
    return Condition(column.name, "=" if sign == "ISEMPTY" else "!=", None)


def _between(table: RecordTable, column: Column, sign: str, text: str) -> AnyOf:
    low, at, high = text.partition("@")
    if not at:
        raise ConfigurationError(f"{column.name}{sign} needs two values.", remedy="Write them with @ between: 1@5.")
    return AnyOf(((_compared(table, column, ">=", low), _compared(table, column, "<=", high)),))


_BY_SIGN: Mapping[str, Callable[[RecordTable, Column, str, str], Condition | AnyOf]] = {
    "IN": _listed,
    "NOT IN": _listed,
    "ISEMPTY": _empty,
    "ISNOTEMPTY": _empty,
    "BETWEEN": _between,
}
