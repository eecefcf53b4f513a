"""From the values of a delivery to what a column takes, and what it is to hold then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from kwiksync_ops.connectors.sql.options import BytesForm, SqlOptions
from kwiksync_ops.connectors.sql.relation import ColumnInfo, Relation
from kwiksync_ops.connectors.sql.values import Kind, bytes_of_text
from kwiksync_ops.errors import ConfigurationError

_json = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Bound:
    """A value as the driver takes it, and the JSON value that a read gives back once it is stored."""

    value: Any
    expected: Any


@dataclass(frozen=True)
class Binder:
    """Binds the values of one table's columns."""

    relation: Relation
    backend: str
    form: BytesForm
    zone: ZoneInfo

    @classmethod
    def of(cls, relation: Relation, backend: str, options: SqlOptions) -> Binder:
        return cls(relation, backend, options.bytes, ZoneInfo(options.timezone))

    def row(self, payload: Mapping[str, Any]) -> dict[str, Bound]:
        """The columns of a payload.

        Raises:
            ConfigurationError: the table has no such column.
            ValueError: a value is not one of its column.
        """
        return {name: self._bound(self.relation.column(name, "target of a mapping"), payload[name]) for name in payload}

    def key(self, column: ColumnInfo, text: str) -> Any:
        """An id of a record as its column takes it. Raises ValueError where it can't be one."""
        return int(text) if column.kind == Kind.INTEGER or _is_integer(column) else self._bound(column, text).value

    def _bound(self, column: ColumnInfo, value: Any) -> Bound:
        if value is None:
            return Bound(None, None)
        try:
            return self._bound_to(column, value)
        except ValueError as exc:
            raise ValueError(f"{column.name}: {str(value)[:100]!r} {exc}") from exc

    def _bound_to(self, column: ColumnInfo, value: Any) -> Bound:
        if isinstance(value, str):
            return self._text(column, value)
        if isinstance(value, (dict, list)):
            return self._nested(column, value)
        if isinstance(value, bool):
            return self._truth(column, value)
        if isinstance(column.type, sa.Boolean) and value in (0, 1):
            return self._truth(column, bool(value))
        if isinstance(column.type, sa.String):
            return Bound(str(value), str(value))
        if isinstance(value, Decimal):
            return Bound(self._decimal(value), value)
        return Bound(value, value)

    def _text(self, column: ColumnInfo, value: str) -> Bound:
        if "\0" in value:
            raise ValueError("holds a NUL character")
        if isinstance(column.type, (sa.LargeBinary, sa.types._Binary)):
            return Bound(bytes_of_text(value, self.form), value)
        if column.kind in (Kind.MOMENT, Kind.WALL):
            return self._time(column, value)
        return Bound(value, value)

    def _time(self, column: ColumnInfo, value: str) -> Bound:
        """A time with an offset goes into a column without zone as wall time; text that is no time goes as it is."""
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return Bound(value, value)
        if column.kind == Kind.WALL:
            wall = moment.astimezone(self.zone).replace(tzinfo=None) if moment.tzinfo else moment
            return Bound(self._wall_text(column, wall), wall.isoformat())
        aware = (moment if moment.tzinfo else moment.replace(tzinfo=self.zone)).astimezone(UTC)
        is_plain = self.backend == "mysql"  # its sessions are in UTC, and MariaDB takes no offset
        return Bound((aware.replace(tzinfo=None) if is_plain else aware).isoformat(" "), aware.isoformat())

    def _wall_text(self, column: ColumnInfo, wall: datetime) -> str:
        is_coarse = isinstance(column.type, mssql.DATETIME) or type(column.type) is sa.DATETIME
        if self.backend == "mssql" and is_coarse:
            return wall.isoformat("T", "milliseconds")
        return wall.isoformat("T" if self.backend == "mssql" else " ")

    def _nested(self, column: ColumnInfo, value: Any) -> Bound:
        if isinstance(column.type, sa.ARRAY) and isinstance(value, list):
            return Bound(value, value)
        text = _json.encode(value).decode()
        return Bound(text, value if isinstance(column.type, sa.JSON) and self.backend != "sqlite" else text)

    def _truth(self, column: ColumnInfo, value: bool) -> Bound:
        if isinstance(column.type, sa.String):
            return Bound("true" if value else "false", "true" if value else "false")
        is_number = column.kind in (Kind.INTEGER, Kind.NUMBER)
        return Bound(int(value) if is_number else value, value)

    def _decimal(self, value: Decimal) -> Any:
        """SQLite's driver takes no decimals; as text they get the kind of number that the column has."""
        return str(value) if self.backend == "sqlite" else value


def _is_integer(column: ColumnInfo) -> bool:
    return isinstance(column.type, sa.Integer)


def check_unique(inspector: sa.Inspector, name: str, schema: str | None, column: str, source: str) -> None:
    """Raises ConfigurationError where more than one row can have a value of the column."""
    keys: list[list[Any]] = [inspector.get_pk_constraint(name, schema)["constrained_columns"]]
    keys += [each["column_names"] for each in inspector.get_unique_constraints(name, schema)]
    indexes = inspector.get_indexes(name, schema, include_auto_indexes=True)  # SQLite's, of its constraints
    keys += [each["column_names"] for each in indexes if each.get("unique") and not _is_partial(each)]
    if [column] not in keys:
        raise ConfigurationError(
            f"The column {column} of {source} has no unique index: a write could change more than one row.",
            remedy="Give it one, or name the table's key; records are written by key and correlation_column.",
        )


def _is_partial(index: Mapping[str, Any]) -> bool:
    return any(name.endswith("_where") and rule is not None for name, rule in index.get("dialect_options", {}).items())
