"""The records of a table, as a person or a script asks for them."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import IO, Any, cast

from kwiksync_ops.clock import Clock
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.storage import audit, record_search
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.record_search import AnyOf, Condition, Operator, OtherField
from kwiksync_ops.vocabulary import BASE_COLUMNS, RECORD_TABLES, Column, ColumnType, RecordTable, short_name

BYTE_ORDER_MARK = "\ufeff"
"""Spreadsheets take a CSV file without it for one in the machine's old code page."""

_CONDITION = re.compile(r"\s*(?P<field>\w+)\s*(?P<operator>!=|<=|>=|=|<|>|~)(?P<value>.*)", re.DOTALL)
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
_TEXT_TYPES = {ColumnType.STRING, ColumnType.TEXT, ColumnType.REFERENCE}


def find_record_table(name: str) -> RecordTable:
    """A record table by its short or its full name.

    Raises:
        ConfigurationError: there is no such table.
    """
    table = RECORD_TABLES.get(short_name(name))
    if table is None:
        raise ConfigurationError(
            f"There is no record table {name!r}.{did_you_mean(short_name(name), RECORD_TABLES)}",
            remedy=f"Use one of: {', '.join(RECORD_TABLES)}.",
        )
    return table


def columns_of(table: RecordTable) -> list[str]:
    """All columns, in the order of an export."""
    return [column.name for column in (*BASE_COLUMNS[:1], *table.columns, *BASE_COLUMNS[1:])]


def parse_condition(table: RecordTable, text: str) -> Condition:
    """`state=1`, `quantity>=10`, `name~berlin`; nothing after the sign asks for records without a value.

    Numbers, days and moments can be compared with another field of the record: `quantity<minimum_quantity`.

    Raises:
        ConfigurationError: the field is not one of the table's, or the value not of its type.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise ConfigurationError(
            f"{text!r} is not a condition.", remedy="Write field=value; the signs are = != < <= > >= and ~ (contains)."
        )
    name, sign = match["field"], cast("Operator", match["operator"])
    column, text = find_column(table, name), match["value"].strip()
    value = _other_field(table, column, text) or parse_value(column, text)
    check_sign(table, column, sign, value)
    return Condition(name, sign, value)


SEARCHED = ("number", "asset_tag", "name", "short_description", "city")


def search_condition(table: RecordTable, text: str) -> AnyOf:
    """Records that have the text in what people call them by."""
    names = [name for name in SEARCHED if table.column(name)]
    return AnyOf(tuple((Condition(name, "~", text),) for name in names))


def _other_field(table: RecordTable, column: Column, text: str) -> OtherField | None:
    other = table.column(text)
    return OtherField(text) if other and other.type == column.type and column.type in _PARSERS else None


def find_column(table: RecordTable, name: str) -> Column:
    """A column of the table. Raises ConfigurationError where it has none of that name."""
    column = table.column(name)
    if column is None:
        raise _unknown_field(table, name)
    return column


def check_fields(table: RecordTable, names: Sequence[str]) -> list[str]:
    """The names, each once.

    Raises:
        ConfigurationError: one of them is not a field of the table.
    """
    for name in names:
        if table.column(name) is None:
            raise _unknown_field(table, name)
    return list(dict.fromkeys(names))


@contextmanager
def read_records(
    hub: Hub,
    table: RecordTable,
    conditions: Sequence[Condition] = (),
    *,
    limit: int | None = None,
    deleted: bool = False,
) -> Iterator[Iterator[Mapping[str, Any]]]:
    """The records, the last changed first, as a stream that is read within the block."""
    with hub.read() as connection:
        yield record_search.search(connection, table.name, conditions, limit=limit, deleted=deleted)


def count_records(hub: Hub, table: RecordTable, conditions: Sequence[Condition] = (), *, deleted: bool = False) -> int:
    with hub.read() as connection:
        return record_search.count(connection, table.name, conditions, deleted=deleted)


def note_export(hub: Hub, table: RecordTable, fields: Sequence[str], query: str, *, who: str, clock: Clock) -> None:
    """Records are about to leave as a file: into the audit trail."""
    details = {"fields": list(fields), "query": query[:2_000]}
    hub.write(
        lambda connection: audit.append(
            connection, "records.export", table.name, who=who, now=clock.now(), details=details
        )
    )


def write_csv(file: IO[str], fields: Sequence[str], records: Iterable[Mapping[str, Any]]) -> int:
    """CSV for spreadsheets: byte order mark, CRLF, and no cell that they would run as a formula. How many records."""
    file.write(BYTE_ORDER_MARK)
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow(fields)
    number = 0
    for number, record in enumerate(records, 1):  # noqa: B007  # the last number is the count
        writer.writerow([csv_cell(record[name]) for name in fields])
    return number


def _unknown_field(table: RecordTable, name: str) -> ConfigurationError:
    names = columns_of(table)
    return ConfigurationError(
        f"{table.name} has no field {name!r}.{did_you_mean(name, names)}", remedy=f"Use one of: {', '.join(names)}."
    )


def csv_cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.isoformat()
        case int() | Decimal() | date():
            return str(value)
        case _:
            text = str(value)
            return f"'{text}" if text.startswith(_FORMULA_SIGNS) else text


def check_sign(table: RecordTable, column: Column, sign: str, value: Any) -> None:
    """Raises ConfigurationError where a comparison by this sign makes no sense for the column."""
    if sign == "~" and column.type not in _TEXT_TYPES:
        texts = [each.name for each in table.columns if each.type in _TEXT_TYPES]
        raise ConfigurationError(
            f"{column.name} is not a text, so nothing can be contained in it.",
            remedy=f"Compare it with = < or >; ~ works on {', '.join(texts)}.",
        )
    if value is None and sign not in ("=", "!="):
        raise ConfigurationError(
            f"{column.name}{sign} lacks a value to compare with.",
            remedy=f"Write one, or {column.name}= for records without a value.",
        )


def parse_value(column: Column, text: str) -> Any:
    """A value of the column from its text; None for an empty one. Raises ConfigurationError where it is none."""
    if not text:
        return None
    parse, form = _PARSERS.get(column.type, (str, ""))
    try:
        return parse(text)
    except (ValueError, InvalidOperation) as exc:
        raise ConfigurationError(
            f"{text!r} is not {form}, which {column.name} holds.", remedy=f"Write {column.name}=… as {form}."
        ) from exc


def _integer(text: str) -> int:
    number = int(text)
    if number.bit_length() > 63:
        raise ValueError("beyond what the hub stores")
    return number


def _decimal(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite() or abs(number.adjusted()) > 18:
        raise ValueError("beyond what the hub stores")
    return number


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("beyond the calendar in UTC") from exc


def _boolean(text: str) -> bool:
    try:
        return _BOOLEANS[text.lower()]
    except KeyError as exc:
        raise ValueError("neither true nor false") from exc


_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_PARSERS: Mapping[ColumnType, tuple[Callable[[str], Any], str]] = {
    ColumnType.INTEGER: (_integer, "a whole number"),
    ColumnType.DECIMAL: (_decimal, "a number such as 12.50"),
    ColumnType.DATE: (date.fromisoformat, "a date such as 2026-01-31"),
    ColumnType.DATETIME: (_moment, "a moment such as 2026-01-31T08:30, in UTC where it names no zone"),
    ColumnType.BOOLEAN: (_boolean, "true or false"),
}
