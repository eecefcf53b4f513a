"""Where mapped values come from: the columns of a batch of source records, and the hub for lookups."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Any, Protocol

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.mapping.coercion import is_storable
from kwiksync_ops.mapping.faults import Column

MAX_LOOKUP_LENGTH = 65_536


class LookupSource(Protocol):
    """The hub, as a mapping sees it. It is asked once a rule and batch."""

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        """`return_field` of the records of a table whose `match_field` is among the values, by that value."""
        ...


class SourceBatch:
    """A batch of source records, read by column; a column that several rules need is read once."""

    def __init__(self, records: Sequence[SourceRecord], lookups: LookupSource) -> None:
        self.records = records
        self._lookups = lookups
        self._columns: dict[str, Column] = {}

    def column(self, field: str) -> Column:
        """The field's value of each record, None where there is none; a dot leads into nested records."""
        if field not in self._columns:
            self._columns[field] = _read_column(self.records, field)
        return self._columns[field]

    def find(self, table: str, match_field: str, return_field: str, values: Collection[Any]) -> Mapping[str, str]:
        """As LookupSource; values that no database can hold are not asked for."""
        texts = _askable([value for value in values if type(value) is str])
        return self._lookups.find(table, match_field, return_field, texts) if texts else {}


def _askable(texts: list[str]) -> list[str]:
    joined = "".join(texts)
    if len(joined) <= MAX_LOOKUP_LENGTH and is_storable(joined):
        return texts
    return [text for text in texts if len(text) <= MAX_LOOKUP_LENGTH and is_storable(text)]


def _read_column(records: Sequence[SourceRecord], field: str) -> Column:
    try:
        return list(map(itemgetter(field), records))
    except KeyError:
        path = field.split(".")
        if len(path) == 1:
            return [record.get(field) for record in records]
        return [record[field] if field in record else _at(record, path) for record in records]


def _at(record: SourceRecord, path: list[str]) -> Any:
    value: Any = record
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


Read = Callable[[SourceBatch], Column]


def compile_read(field: str, null_values: Sequence[Any]) -> Read:
    """Reads a field; values that mean "no value" become None. `null_values` are JSON scalars."""
    if not null_values:
        return lambda batch: batch.column(field)
    texts = {null for null in null_values if isinstance(null, str)}
    keys = {_scalar_key(null) for null in null_values}
    return lambda batch: _without_nulls(batch.column(field), texts, keys)


def _without_nulls(values: Column, texts: set[str], keys: set[tuple[str, Any]]) -> Column:
    if len(texts) == len(keys):
        try:
            if texts.isdisjoint(values):
                return values
            return [None if value in texts else value for value in values]
        except TypeError:
            pass  # a list or an object among the values
    return [None if _scalar_key(value) in keys else value for value in values]


def _scalar_key(value: Any) -> tuple[str, Any]:
    """JSON's equality: 1 and 1.0 are one value, true is another."""
    if isinstance(value, (bool, str)):
        return type(value).__name__, value
    is_number = isinstance(value, (int, float)) or (isinstance(value, Decimal) and value.is_finite())
    return ("number", value) if is_number else ("other", id(value))
