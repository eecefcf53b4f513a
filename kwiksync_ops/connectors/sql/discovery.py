"""What a database declares: its tables and views, their columns, keys and references."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import FieldInfo, ObjectInfo, Sample, first_page
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.sql.database import Database, Session
from kwiksync_ops.connectors.sql.relation import find_relation, table_name, table_names
from kwiksync_ops.connectors.sql.source import SqlSource
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import ColumnType

_TYPES: tuple[tuple[type[Any], ColumnType], ...] = (
    (sa.Boolean, ColumnType.BOOLEAN),
    (mysql.BIT, ColumnType.BOOLEAN),
    (sa.Integer, ColumnType.INTEGER),
    (sa.Numeric, ColumnType.DECIMAL),
    (sa.DateTime, ColumnType.DATETIME),
    (sa.Date, ColumnType.DATE),
    (sa.Text, ColumnType.TEXT),
    (sa.String, ColumnType.STRING),
)
_PLAIN_NAME = re.compile(r'[^."\[\]]+')


class SqlDiscovery:
    """One database. Each question has a connection of its own, in a transaction that can't write."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._database = Database(credentials, options, limiter)
        self._source = SqlSource(credentials, options, limiter, clock)
        self._columns: dict[str, list[FieldInfo]] = {}

    def check(self) -> str:
        return self._source.check()

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """Tables and views of the schema that `catalogue` names, or of the database's default one."""
        schema = catalogue or None
        with self._database.session(self._database.own, "Listing the tables") as session:
            return [ObjectInfo(source_name(schema, name)) for name in table_names(session, schema)]

    def fields(self, name: str, options: Mapping[str, Any]) -> Sequence[FieldInfo]:
        if name not in self._columns:
            wanted = self._database.options(name, options)
            with self._database.session(wanted, f"Looking at {name}") as session:
                self._columns[name] = _fields(session, name)
        return self._columns[name]

    def options(self, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return given

    def sample(self, name: str, records: int, options: Mapping[str, Any]) -> Sample:
        """The first rows by the table's key; by its first column where it has none."""
        columns = self.fields(name, options)
        key = next((column.name for column in columns if column.is_key), columns[0].name)
        return first_page(self._source, ReadRequest(name, key, page_records=records, options=options))

    def close(self) -> None:
        self._source.close()
        self._database.close()


def source_name(schema: str | None, name: str) -> str:
    """A table's name as a system's file has it: `sales.orders`, `"a.b"`."""
    return ".".join(_quoted(part) for part in (schema, name) if part)


def _quoted(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _fields(session: Session, name: str) -> list[FieldInfo]:
    """Those of a table with what is declared of them; of a query their names."""
    relation = find_relation(session, name)
    if relation.is_query:
        return [FieldInfo(column) for column in relation.columns]
    schema, table = table_name(name)
    inspector = sa.inspect(session.connection)
    key = _key(inspector, schema, table)
    foreign = _references(inspector, schema, table)
    return [
        FieldInfo(
            name=column["name"],
            type=_column_type(column["type"]),
            label=column.get("comment") or "",
            required=not column["nullable"],
            is_key=column["name"] == key,
            references=foreign.get(column["name"]),
        )
        for column in inspector.get_columns(table, schema)
    ]


def _key(inspector: sa.Inspector, schema: str | None, table: str) -> str | None:
    """The column that is the primary key, alone."""
    columns = inspector.get_pk_constraint(table, schema)["constrained_columns"]
    return columns[0] if len(columns) == 1 else None


def _references(inspector: sa.Inspector, schema: str | None, table: str) -> dict[str, str]:
    """The table that a column refers to, for references of one column."""
    keys = inspector.get_foreign_keys(table, schema)
    return {
        key["constrained_columns"][0]: source_name(key["referred_schema"], key["referred_table"])
        for key in keys
        if len(key["constrained_columns"]) == 1
    }


def _column_type(declared: Any) -> ColumnType | None:
    is_truth = isinstance(declared, mysql.TINYINT) and declared.display_width == 1
    if is_truth:
        return ColumnType.BOOLEAN
    return next((kind for known, kind in _TYPES if isinstance(declared, known)), None)


open_discovery = SqlDiscovery
