"""ServiceNow's encoded queries: `active=true^priorityIN1,2^ORstate=6^ORDERBYDESCsys_updated_on`.

A part that is invalid (an unknown field or operator, a date that is none) is left out, and the query goes on without
it, as an instance does. `EncodedQuery.invalid` says which parts that were.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from servicenow.records import Records, Row
from servicenow.related_query import Related, split
from servicenow.schema import DATE_TIME, LIST, NUMBERS, Column, Schema
from servicenow.values import is_day, is_moment, is_valid_operand, number_of, to_utc

Test = Callable[[Row], bool]
Getter = Callable[[Row], str]
Key = str | Decimal

OPERATORS = (
    *("=", "!=", "<", "<=", ">", ">=", "STARTSWITH", "ENDSWITH", "LIKE", "NOT LIKE", "NOTLIKE", "CONTAINS"),
    *("DOES NOT CONTAIN", "IN", "NOT IN", "NOTIN", "ISEMPTY", "ISNOTEMPTY", "BETWEEN", "ANYTHING", "EMPTYSTRING"),
    *("SAMEAS", "NSAMEAS", "INSTANCEOF"),
)
PATH = r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*"
CONDITION = re.compile(
    rf"({PATH})({'|'.join(re.escape(name) for name in sorted(OPERATORS, key=len, reverse=True))})(.*)", re.DOTALL
)
OWN_FIELD = re.compile(r"^[a-z][a-z0-9_]*")
SEPARATOR = re.compile(r"(?<!\^)\^(?!\^)")
DATE_SCRIPT = re.compile(r"javascript:gs\.dateGenerate\('([\d-]+)','([\d:]+)'\)")
ALIASES = {"NOTLIKE": "NOT LIKE", "DOES NOT CONTAIN": "NOT LIKE", "CONTAINS": "LIKE", "NOTIN": "NOT IN"}


@dataclass(frozen=True)
class Asker:
    """Who asks: what `gs.getUserID()` and `gs.getUserName()` are; `zone` is that of the dates, empty for UTC."""

    sys_id: str = ""
    name: str = ""
    zone: str = ""
    is_case_sensitive: bool = True


@dataclass
class EncodedQuery:
    """Groups of which one must hold; in a group each of its alternatives' lists must hold.

    `fields` are those of the table itself that it asks for.
    """

    groups: list[list[list[Test]]] = field(default_factory=lambda: [[]])
    order: list[tuple[Callable[[Row], Key], bool]] = field(default_factory=list)
    invalid: list[str] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)

    def matches(self, row: Row) -> bool:
        return any(all(any(test(row) for test in tests) for tests in group) for group in self.groups)

    def select(self, rows: Iterable[Row]) -> list[Row]:
        """The rows that match, in order."""
        selected = [row for row in rows if self.matches(row)]
        for key, is_descending in reversed(self.order):
            selected.sort(key=key, reverse=is_descending)
        return selected


class Compiler:
    """Makes queries on a table out of their text."""

    def __init__(self, schema: Schema, records: Records, table: str, asker: Asker) -> None:
        self._schema, self._records, self._table, self._asker = schema, records, table, asker

    def compile(self, text: str) -> EncodedQuery:
        query = EncodedQuery()
        text, related = split(text)
        for part in SEPARATOR.split(text):
            self._add(query, part.replace("^^", "^"))
        for asked in related:
            self._add_related(query, asked)
        query.groups = [group for group in query.groups if group] or [[]]
        return query

    def _add_related(self, query: EncodedQuery, asked: Related) -> None:
        if not self._schema.walk(asked.table, asked.field) or not self._schema.walk(self._table, asked.own_field):
            query.invalid.append(asked.text)
            return
        inner = Compiler(self._schema, self._records, asked.table, self._asker).compile(asked.query)
        counts = Counter(row[asked.field] for row in self._records.all(asked.table) if inner.matches(row))
        query.groups[-1].append([lambda row: asked.holds(counts[row[asked.own_field]])])

    def _add(self, query: EncodedQuery, part: str) -> None:
        if part in ("", "EQ"):
            return
        for prefix, is_descending in (("ORDERBYDESC", True), ("ORDERBY", False)):
            if part.startswith(prefix):
                self._add_order(query, part.removeprefix(prefix), is_descending)
                return
        if part.startswith("NQ"):
            query.groups.append([])
        is_alternative = part.startswith("OR")
        condition = part.removeprefix("NQ").removeprefix("OR")
        test = self._test(condition)
        query.fields |= set(OWN_FIELD.findall(condition) if test else ())
        if test is None:
            query.invalid.append(part)
        elif is_alternative and query.groups[-1]:
            query.groups[-1][-1].append(test)
        else:
            query.groups[-1].append([test])

    def _add_order(self, query: EncodedQuery, path: str, is_descending: bool) -> None:
        columns = self._schema.walk(self._table, path)
        if columns:
            query.fields.add(columns[0].name)
            query.order.append((sort_key(self.getter(path), columns[-1]), is_descending))
        else:
            query.invalid.append(path)

    def getter(self, path: str) -> Getter:
        """What a dotted path finds in a row of the table."""
        columns = self._schema.walk(self._table, path)
        if len(columns) == 1:
            return lambda row: row.get(path, "")

        def walk(row: Row) -> str:
            for column in columns[:-1]:
                target = self._records.find(column.reference, row.get(column.name, ""))
                if target is None:
                    return ""
                row = target
            return row.get(columns[-1].name, "")

        return walk

    def _test(self, part: str) -> Test | None:
        match = CONDITION.fullmatch(part)
        columns = self._schema.walk(self._table, match[1]) if match else ()
        if match is None or not columns:
            return None
        path, operator, operand = match.groups()
        return self._condition(path, columns[-1], ALIASES.get(operator, operator), operand)

    def _condition(self, path: str, column: Column, operator: str, operand: str) -> Test | None:
        get = self.getter(path)
        if operator in ("SAMEAS", "NSAMEAS"):
            return self._same_as(get, operand, is_same=operator == "SAMEAS")
        if operator == "INSTANCEOF":
            family = self._schema.family(operand) if operand in self._schema else ()
            return (lambda row: get(row) in family) if family else None
        values = self._operands(column, operator, operand)
        if values is None:
            return None
        if operator in ("<", "<=", ">", ">=", "BETWEEN"):
            return _comparison(get, column, operator, values)
        if self._asker.is_case_sensitive:
            return _text_test(get, column, operator, values)
        return _text_test(lambda row: get(row).casefold(), column, operator, [value.casefold() for value in values])

    def _same_as(self, get: Getter, path: str, *, is_same: bool) -> Test | None:
        if not self._schema.walk(self._table, path):
            return None
        other = self.getter(path)
        return lambda row: (get(row) == other(row)) is is_same

    def _operands(self, column: Column, operator: str, text: str) -> list[str] | None:
        """The values to compare with; None when the column can't be compared with them."""
        separators = {"IN": ",", "NOT IN": ",", "BETWEEN": "@"}
        texts = text.split(separators[operator]) if operator in separators else [text]
        if operator == "BETWEEN" and len(texts) != 2:
            return None
        values = [self._operand(column, operator, value) for value in texts]
        return [value for value in values if value is not None] if None not in values else None

    def _operand(self, column: Column, operator: str, text: str) -> str | None:
        value = self._scripted(text)
        if value is None:
            return None
        compared = operator in ("=", "!=", "<", "<=", ">", ">=", "BETWEEN", "IN", "NOT IN")
        if compared and value not in ("", "NULL") and not is_valid_operand(column, value):
            return None
        if column.type == DATE_TIME and is_day(value):
            value = f"{value} 00:00:00"
        is_local = column.type == DATE_TIME and self._asker.zone and is_moment(value)
        return to_utc(value, self._asker.zone) if is_local else value

    def _scripted(self, text: str) -> str | None:
        if not text.startswith("javascript:"):
            return text
        known = {"gs.getUserID()": self._asker.sys_id, "gs.getUserName()": self._asker.name}
        script = text.removeprefix("javascript:").rstrip(";")
        generated = DATE_SCRIPT.fullmatch(text)
        return f"{generated[1]} {generated[2]}" if generated else known.get(script)


def sort_key(get: Getter, column: Column) -> Callable[[Row], Key]:
    if column.type not in NUMBERS:
        return get
    smallest = Decimal("-Infinity")

    def key(row: Row) -> Key:
        number = number_of(get(row))
        return smallest if number is None else number

    return key


def _comparison(get: Getter, column: Column, operator: str, values: list[str]) -> Test:
    """An empty value is neither less nor more than anything."""
    is_number = column.type in NUMBERS
    bounds = [(number_of(value) if is_number else value) for value in values]

    def test(row: Row) -> bool:
        text = get(row)
        value = number_of(text) if is_number else text
        return text != "" and value is not None and _compares(value, operator, bounds)

    return test


def _compares(value: Key, operator: str, bounds: list[Key | None]) -> bool:
    low, high = bounds[0], bounds[-1]
    if low is None or high is None or isinstance(low, str) is not isinstance(value, str):
        return False
    if operator == "BETWEEN":
        return low <= value <= high  # type: ignore[operator]  # both are of the value's type
    order = (value > low) - (value < low)  # type: ignore[operator]  # as above
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[operator]


def _text_test(get: Getter, column: Column, operator: str, values: list[str]) -> Test | None:
    """What is empty is unlike every value: the negations hold for it."""
    value = values[0]
    is_empty = value in ("", "null", "NULL") and operator in ("=", "!=")
    members = set(values)
    is_list = column.type == LIST

    def contains(row: Row) -> bool:
        return value in (get(row).split(",") if is_list else get(row))

    tests: dict[str, Test] = {
        "=": (lambda row: get(row) == "") if is_empty else (lambda row: get(row) == value),
        "!=": (lambda row: get(row) != "") if is_empty else (lambda row: get(row) != value),
        "STARTSWITH": lambda row: get(row).startswith(value),
        "ENDSWITH": lambda row: get(row).endswith(value),
        "LIKE": contains,
        "NOT LIKE": lambda row: not contains(row),
        "IN": lambda row: get(row) in members,
        "NOT IN": lambda row: get(row) not in members,
        "ISEMPTY": lambda row: get(row) == "",
        "ISNOTEMPTY": lambda row: get(row) != "",
        "EMPTYSTRING": lambda row: get(row) == "",
        "ANYTHING": lambda row: True,
    }
    return tests.get(operator)
