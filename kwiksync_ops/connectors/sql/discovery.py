"""What a database tells about itself: tables and views, columns, keys and references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import FieldInfo, ObjectInfo, Sample, Sending, first_page
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.sql.database import Database, Session
from kwiksync_ops.connectors.sql.relation import Relation, find_relation, table_name, table_names
from kwiksync_ops.connectors.sql.source import SqlSource, describe
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import ColumnType

_OF_THE_SYSTEM = frozenset(
    {
        "information_schema",
        "pg_catalog",
        "pg_toast",
        "mysql",
        "performance_schema",
        "sys",
        "guest",
        "INFORMATION_SCHEMA",
    }
)


class SqlDiscovery:
    """One database, asked by its catalog. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._database = Database(credentials, options, limiter)
        self._source = SqlSource(credentials, options, limiter, clock)

    def check(self) -> str:
        return describe(self._database)

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """Tables and views of the default schema, and those of others with their schema's name."""
        with self._session({}) as session:
            inspector = sa.inspect(session.connection)
            own = inspector.default_schema_name
            found = [ObjectInfo(_source_name(None, name)) for name in table_names(session)]
            if session.backend in ("postgresql", "mssql"):
                others = [
                    schema for schema in inspector.get_schema_names() if schema != own and not _is_of_system(schema)
                ]
                found += [
                    ObjectInfo(_source_name(schema, name)) for schema in others for name in table_names(session, schema)
                ]
        return found

    def options(self, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        return dict(given)

    def fields(self, name: str, options: Mapping[str, Any]) -> Sequence[FieldInfo]:
        with self._session(options, name) as session:
            relation = find_relation(session, name)
            keys, references = (set[str](), {}) if relation.is_query else _constraints(session, name)
            generated = set[str]() if relation.is_query else _generated(session, name)
        return [
            FieldInfo(
                name=column.name,
                type=None if column.type is None else _type_of(column.type),
                required=not column.nullable,
                is_key=column.name in keys,
                references=references.get(column.name),
                is_generated=column.name in generated,
            )
            for column in relation.columns.values()
        ]

    def sample(self, name: str, records: int, options: Mapping[str, Any]) -> Sample:
        with self._session(options, name) as session:
            relation = find_relation(session, name)
            keys = set() if relation.is_query else _constraints(session, name)[0]
        request = ReadRequest(name, _any_key(relation, keys), page_records=records, options=options)
        return first_page(self._source, request)

    def push(self, name: str, sending: Sending, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """A table is written by a key that its rows have alone; a view or a query is not."""
        with self._session(options, name) as session:
            is_table = not find_relation(session, name).is_query and _is_table(session, name)
            keys = _constraints(session, name)[0] if is_table else set()
        if sending.key not in keys:
            what = f"no column {sending.key} that names a row alone" if is_table else "no rows of its own"
            raise ConfigurationError(
                f"{name} has {what}, so that nothing is written to it.",
                remedy="Name a table and its primary key, or connect it inbound.",
            )
        return {"actions": list(sending.actions)}

    def close(self) -> None:
        self._source.close()
        self._database.close()

    def _session(self, options: Mapping[str, Any], name: str = "") -> Any:
        wanted = self._database.options(name, options) if options else self._database.own
        return self._database.session(wanted, f"Asking {self._database.address} about {name or 'its tables'}")


def _any_key(relation: Relation, keys: set[str]) -> str:
    return next((name for name in relation.columns if name in keys), next(iter(relation.columns)))


def _constraints(session: Session, source: str) -> tuple[set[str], dict[str, str]]:
    """Columns that name a row alone, and the tables that others refer to."""
    schema, name = table_name(source)
    inspector = sa.inspect(session.connection)
    groups: list[list[Any]] = [inspector.get_pk_constraint(name, schema)["constrained_columns"]]
    if not groups[0]:
        groups += [each["column_names"] for each in inspector.get_indexes(name, schema) if each.get("unique")]
    keys = {group[0] for group in groups if len(group) == 1 and group[0]}
    references = {
        each["constrained_columns"][0]: _source_name(each["referred_schema"], each["referred_table"])
        for each in inspector.get_foreign_keys(name, schema)
        if len(each["constrained_columns"]) == 1
    }
    return keys, references


def _generated(session: Session, source: str) -> set[str]:
    """Columns that the database fills: by a default, as an identity, or as a rowid."""
    schema, name = table_name(source)
    inspector = sa.inspect(session.connection)
    columns = inspector.get_columns(name, schema)
    made = ("default", "identity", "computed")
    found = {
        each["name"] for each in columns if any(each.get(what) for what in made) or each.get("autoincrement") is True
    }
    key = inspector.get_pk_constraint(name, schema)["constrained_columns"]
    is_rowid = session.backend == "sqlite" and len(key) == 1
    return found | {each["name"] for each in columns if is_rowid and each["name"] in key and _is_rowid(each["type"])}


def _is_rowid(type_: Any) -> bool:
    return type(type_) is sa.INTEGER


def _is_table(session: Session, source: str) -> bool:
    schema, name = table_name(source)
    return name in sa.inspect(session.connection).get_table_names(schema)


def _source_name(schema: str | None, name: str) -> str:
    """A table as `source` names it."""
    parts = [part for part in (schema, name) if part]
    quoted = [f'"{part.replace(chr(34), chr(34) * 2)}"' if _is_odd(part) else part for part in parts]
    return ".".join(quoted)


def _is_odd(part: str) -> bool:
    return any(sign in part for sign in '."[]')


def _is_of_system(schema: str) -> bool:
    return schema in _OF_THE_SYSTEM or schema.startswith(("pg_temp", "pg_toast", "db_"))


def _type_of(type_: Any) -> ColumnType | None:
    match type_:
        case sa.Boolean() | mssql.BIT():
            return ColumnType.BOOLEAN
        case mysql.TINYINT() if type_.display_width == 1:
            return ColumnType.BOOLEAN
        case sa.Integer():
            return ColumnType.INTEGER
        case sa.Numeric():
            return ColumnType.DECIMAL
        case sa.DateTime() | mssql.DATETIMEOFFSET():
            return ColumnType.DATETIME
        case sa.Date():
            return ColumnType.DATE
        case sa.Text():
            return ColumnType.TEXT
        case sa.String():
            return ColumnType.STRING
    return None


open_discovery = SqlDiscovery
