"""What is read or written: a table, a view or a query, with its columns as the database declares them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.exc import NoSuchTableError
from sqlalchemy.sql import quoted_name

from kwiksync_ops.connectors.sql.database import Session
from kwiksync_ops.connectors.sql.options import bare_text, named_params
from kwiksync_ops.connectors.sql.values import Kind
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import ConfigurationError

_PART = re.compile(r'"((?:[^"]|"")+)"|\[([^\]]+)\]|([^."\[\]]+)')
_NAME = re.compile(rf"(?:{_PART.pattern})(?:\.(?:{_PART.pattern}))*")
_MSSQL_TIMES = (mssql.DATETIMEOFFSET, sa.DateTime)


@dataclass(frozen=True)
class ColumnInfo:
    """`expression` is what a statement selects for the column; `type` what the database declares."""

    name: str
    kind: Kind
    type: Any
    nullable: bool
    expression: sa.ColumnElement[Any]


@dataclass(frozen=True)
class Relation:
    """`is_query`: nothing is declared of its columns but their names and kinds."""

    name: str
    source: sa.FromClause
    columns: Mapping[str, ColumnInfo]
    is_query: bool = False

    def column(self, name: str, role: str) -> ColumnInfo:
        """Raises ConfigurationError, with the name that was meant."""
        if name not in self.columns:
            raise ConfigurationError(
                f"{self.name} has no column {name!r}, the {role}.{did_you_mean(name, self.columns)}",
                remedy=f"It has: {', '.join(list(self.columns)[:50])}.",
            )
        return self.columns[name]

    def chosen(self, names: Iterable[str]) -> list[ColumnInfo]:
        """The columns to read: all, or these."""
        wanted = [self.column(name, "one to read") for name in dict.fromkeys(names)]
        return wanted or list(self.columns.values())


def table_name(source: str) -> tuple[str | None, str]:
    """Schema and name of a table: `sales.orders`, `Order Details`, `"my schema"."a.b"`.

    Raises:
        ConfigurationError: it is no name.
    """
    text = source.strip()
    if not _NAME.fullmatch(text):
        raise ConfigurationError(
            f"{source!r} is not the name of a table.",
            remedy='Write it as schema.table; a name with dots in double quotes: "a.b".',
        )
    parts = [(quoted or bracketed or bare).replace('""', '"') for quoted, bracketed, bare in _PART.findall(text)]
    return ".".join(parts[:-1]) or None, parts[-1]


def find_relation(session: Session, source: str) -> Relation:
    """The table or query of a read, looked up in the database.

    Raises:
        ConfigurationError: there is no such table.
    """
    return _query(session, source) if session.options.query else find_table(session, source)


def find_table(session: Session, source: str) -> Relation:
    """Raises ConfigurationError where there is no such table."""
    schema, name = table_name(source)
    try:
        declared = sa.inspect(session.connection).get_columns(name, schema)
    except NoSuchTableError:
        raise _no_table(session, source, schema, name) from None
    columns = [sa.column(each["name"], each["type"]) for each in declared]
    table = sa.table(name, *columns, schema=schema)
    found = {
        each["name"]: _column(session.backend, table.c[each["name"]], each["type"], nullable=each["nullable"])
        for each in declared
    }
    return Relation(source, table, found)


def table_names(session: Session, schema: str | None = None) -> list[str]:
    """Tables and views of a schema, in order."""
    inspector = sa.inspect(session.connection)
    return sorted({*inspector.get_table_names(schema), *inspector.get_view_names(schema)})


def _no_table(session: Session, source: str, schema: str | None, name: str) -> ConfigurationError:
    names = table_names(session, schema)
    where = f"schema {schema}" if schema else "the database's default schema"
    return ConfigurationError(
        f"There is no table {source!r} in {session.database.address}, or the user may not see it."
        f"{did_you_mean(name, names)}",
        remedy=f"In {where} there are: {', '.join(names[:30]) or 'none'}. Names are told apart by case.",
    )


def _query(session: Session, source: str) -> Relation:
    source_query = _subquery(session)
    empty = sa.select(sa.text("*")).select_from(source_query).where(sa.false())
    names, kinds, _ = session.run(empty)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigurationError(
            f"The query of {source} has two columns {twice[0]!r}.", remedy="Name one of them otherwise: … AS name."
        )
    columns: dict[str, Any] = {name: sa.column(quoted_name(name, quote=True)) for name in names}
    found = {name: ColumnInfo(name, kind, None, True, columns[name]) for name, kind in zip(names, kinds, strict=True)}
    return Relation(source, source_query, found, is_query=True)


def _subquery(session: Session) -> sa.FromClause:
    """The query in brackets. Its :names are bound, and no other colon means anything."""
    options = session.options
    query = options.query or ""
    text = sa.text(_escaped(query, named_params(query))).bindparams(**options.params)
    return sa.TextualSelect(text, []).subquery("kwiksync_query")


def _escaped(query: str, names: frozenset[str]) -> str:
    bare = bare_text(query)
    parts = []
    for at, sign in enumerate(query):
        is_name = bare[at] == ":" and any(bare.startswith(f":{name}", at) for name in names)
        parts.append("\\:" if sign == ":" and not is_name else sign)
    return "".join(parts)


def _column(backend: str, column: sa.ColumnClause[Any], type_: Any, *, nullable: bool) -> ColumnInfo:
    kind = kind_of(backend, type_)
    expression: sa.ColumnElement[Any] = column
    if backend == "mssql" and isinstance(type_, _MSSQL_TIMES):
        # As text: the driver would cut 100 ns, and the key to go on after must be exact.
        expression = sa.func.convert(sa.text("VARCHAR(34)"), column, sa.text("121")).label(column.name)
    return ColumnInfo(column.name, kind, type_, nullable, expression)


def kind_of(backend: str, type_: Any) -> Kind:
    """What a column of a declared type holds. SQLite declares, and keeps what it likes."""
    if backend == "sqlite":
        return Kind.OTHER
    match type_:
        case mysql.TIMESTAMP() | mssql.DATETIMEOFFSET():
            return Kind.MOMENT
        case sa.DateTime():
            return Kind.MOMENT if type_.timezone else Kind.WALL
        case sa.Date():
            return Kind.DATE
        case sa.Integer():
            return Kind.INTEGER
        case sa.Numeric():
            return Kind.NUMBER
        case sa.String():
            return Kind.TEXT
    return Kind.OTHER
