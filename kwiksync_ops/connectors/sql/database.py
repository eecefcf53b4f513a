"""A database that is read or written: its connections, each in one transaction, and what its drivers raise."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.address import guard_for
from kwiksync_ops.connectors.sql import drivers
from kwiksync_ops.connectors.sql.address import parse_address, route_to
from kwiksync_ops.connectors.sql.failures import Failures, driver_error
from kwiksync_ops.connectors.sql.options import SqlOptions, SqlTimeouts, merge_options, parse_options
from kwiksync_ops.connectors.sql.values import Kind, Row
from kwiksync_ops.errors import ConfigurationError, KwikSyncError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor

_POSTGRESQL_SETTINGS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "cursor_tuple_fraction": "1",
    "idle_in_transaction_session_timeout": "0",
}
_NOW = {
    "mysql": "SELECT UNIX_TIMESTAMP(SYSDATE(6))",
    "mssql": "SELECT DATEDIFF_BIG(MICROSECOND, '1970-01-01', SYSUTCDATETIME()) / 1000000.0",
}
_MYSQL_KINDS = {
    **dict.fromkeys((1, 2, 3, 8, 9, 13), Kind.INTEGER),
    **dict.fromkeys((0, 4, 5, 246), Kind.NUMBER),
    **dict.fromkeys((15, 249, 250, 251, 252, 253, 254), Kind.TEXT),
    7: Kind.MOMENT,
    10: Kind.DATE,
    12: Kind.WALL,
}
_POSTGRESQL_KINDS = {
    **dict.fromkeys((20, 21, 23), Kind.INTEGER),
    **dict.fromkeys((700, 701, 1700), Kind.NUMBER),
    **dict.fromkeys((25, 1042, 1043), Kind.TEXT),
    1082: Kind.DATE,
    1114: Kind.WALL,
    1184: Kind.MOMENT,
}


_SQLITE_STEPS = 100_000


class _AsItIs(sa.types.UserDefinedType[Any]):
    """A value that the database takes for one of the column's own type, as it does with a literal."""

    cache_ok = True


def bound(value: Any) -> sa.BindParameter[Any]:
    """A value of a statement, for a column of any type."""
    return sa.bindparam(None, value, type_=_AsItIs(), unique=True)


def named(name: str) -> sa.BindParameter[Any]:
    """The place of a value that comes when the statement runs, for many rows."""
    return sa.bindparam(name, type_=_AsItIs())


class Database:
    """One database, as a connection and the options of a system name it. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, *, writes: bool = False
    ) -> None:
        self._options = options
        self._credentials = credentials
        self._limiter = limiter
        self.writes = writes
        self.calls = 0
        self.own = parse_options(options)
        self.address = parse_address(credentials.base_url)
        self.redactor = Redactor(credentials.secrets)
        self.failures = Failures(self.address, self.redactor)
        self._engines: dict[SqlTimeouts, sa.Engine] = {}
        self._allowed = _hosts(credentials, self.own)

    def __repr__(self) -> str:
        return f"Database({str(self.address)!r})"

    def options(self, source: str, table: Mapping[str, Any]) -> SqlOptions:
        """The system's options with those of a table over them.

        Raises:
            ConfigurationError: they are not valid, or the table opens addresses that the system does not.
        """
        options = parse_options(merge_options(self._options, table))
        if options.allow_hosts != self.own.allow_hosts:
            raise ConfigurationError(
                f"The table of {source} sets allow_hosts.",
                remedy="Set it in the sql options of the system: it holds for all of it.",
            )
        return options

    @contextmanager
    def session(self, options: SqlOptions, what: str, *, calls: int = 0) -> Iterator[Session]:
        """A connection in a transaction, which is rolled back in the end unless it was committed.

        Args:
            calls: so many statements are waited for before it begins, and none within it: locks are held in there.

        Raises:
            KwikSyncError: in place of what the driver raises, here or within the block.
        """
        for _ in range(calls):
            with self.call():
                pass
        with self.failing(what):
            with self.call():
                connection = self._engine(options).connect()
            try:
                session = Session(self, connection, options, is_prepaid=calls > 0)
                session.begin()
                yield session
            finally:
                with suppress(SQLAlchemyError):
                    connection.rollback()
                with suppress(SQLAlchemyError):
                    connection.close()

    @contextmanager
    def call(self) -> Iterator[None]:
        """One statement, or the opening of a connection: what counts as a call of the system."""
        self.calls += 1
        with self._limiter.call():
            yield

    @contextmanager
    def failing(self, what: str) -> Iterator[None]:
        try:
            yield
        except KwikSyncError:
            raise
        except (SQLAlchemyError, self.driver_error, OSError) as exc:
            raise self.failures.of(exc, what) from driver_error(exc)

    def close(self) -> None:
        for engine in self._engines.values():
            engine.dispose()

    @cached_property
    def driver_error(self) -> type[Exception]:
        found: type[Exception] = self.address.dialect_url.get_dialect().import_dbapi().Error
        return found

    def _engine(self, options: SqlOptions) -> sa.Engine:
        """Without a pool: a connection ends with its session. What it asks of the database at first is asked once."""
        if options.timeouts not in self._engines:
            self._engines[options.timeouts] = self._new_engine(options)
        return self._engines[options.timeouts]

    def _new_engine(self, options: SqlOptions) -> sa.Engine:
        wanted = drivers.Wanted(self._credentials, options.timeouts, self.writes)

        def connect() -> Any:
            route = route_to(self.address, self._allowed, has_ca_file=self._credentials.ca_file is not None)
            return drivers.connect(self.address, route, wanted)

        return sa.create_engine(self.address.dialect_url, creator=connect, poolclass=NullPool)


class Session:
    """One connection in one transaction. `run` and `stream` give the driver's own rows."""

    def __init__(
        self, database: Database, connection: sa.Connection, options: SqlOptions, *, is_prepaid: bool = False
    ) -> None:
        self._is_prepaid = is_prepaid
        self.database = database
        self.connection = connection
        self.options = options
        self.backend = "mysql" if database.address.backend == "mariadb" else database.address.backend
        self.now: datetime | None = None
        self._cursors = 0

    @property
    def dialect(self) -> sa.Dialect:
        return self.connection.dialect

    def begin(self) -> None:
        """Start the transaction, its settings and its limits; `now` is the database's time then."""
        match self.backend:
            case "postgresql":
                self._begin_postgresql()
            case "sqlite":
                if self.database.writes:
                    self.connection.exec_driver_sql("BEGIN IMMEDIATE")
            case "mysql":
                self._begin_mysql()
            case _:
                self.now = _moment(self.connection.exec_driver_sql(_NOW[self.backend]).scalar_one())

    def _begin_mysql(self) -> None:
        if self.database.writes:
            self.connection.execution_options(isolation_level="READ COMMITTED")
        else:
            self.connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            self.connection.rollback()
        self.now = _moment(self.connection.exec_driver_sql(_NOW["mysql"]).scalar_one())

    def _begin_postgresql(self) -> None:
        is_writer, timeouts = self.database.writes, self.options.timeouts
        self.connection.execution_options(
            isolation_level="READ COMMITTED" if is_writer else "REPEATABLE READ", postgresql_readonly=not is_writer
        )
        settings = {
            **_POSTGRESQL_SETTINGS,
            "statement_timeout": f"{timeouts.statement_s * 1000:.0f}",
            "lock_timeout": f"{timeouts.lock_s * 1000:.0f}",
        }
        changed = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in settings.items())
        first = f"SELECT extract(epoch FROM now()), {changed}"  # noqa: S608  # names and numbers of ours
        row = self.connection.exec_driver_sql(first).one()
        self.now = _moment(row[0])
        if is_writer:
            self.connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")

    def run(self, statement: sa.Executable) -> tuple[list[str], list[Kind], list[Row]]:
        """All rows of a statement, with the names and kinds of their columns."""
        cursor = self._execute(statement, is_streamed=False)
        try:
            return _names(cursor), self.kinds(cursor), list(map(tuple, cursor.fetchall()))
        finally:
            cursor.close()

    def stream(self, statement: sa.Executable, size: int) -> Iterator[tuple[list[Kind], list[Row]]]:
        """The rows of a statement, so many at once, with the kinds of their columns. None is no page."""
        cursor = self._execute(statement, is_streamed=True)
        kinds, rows = self.kinds(cursor), [()] * size
        try:
            while len(rows) == size and (rows := cursor.fetchmany(size)):
                yield kinds, list(rows)
        finally:
            self._end(cursor, is_read=len(rows) < size)

    def kinds(self, cursor: Any) -> list[Kind]:
        """What the columns hold, where the driver says it."""
        known = {"postgresql": _POSTGRESQL_KINDS, "mysql": _MYSQL_KINDS}.get(self.backend, {})
        return [known.get(column[1], Kind.OTHER) for column in cursor.description]

    def _execute(self, statement: sa.Executable, *, is_streamed: bool) -> Any:
        text, values = compiled(statement, self.dialect)
        cursor = self._cursor(is_streamed=is_streamed)
        self._cursors += 1
        if self.backend == "sqlite":
            self._limit_sqlite()
        with nullcontext() if self._is_prepaid else self.database.call():
            cursor.execute(text, values)
        return cursor

    def _limit_sqlite(self) -> None:
        """SQLite keeps no time: it asks us now and then whether it is to go on."""
        raw: Any = self.connection.connection.dbapi_connection
        end = time.monotonic() + self.options.timeouts.statement_s
        raw.set_progress_handler(lambda: time.monotonic() > end, _SQLITE_STEPS)

    def _end(self, cursor: Any, *, is_read: bool) -> None:
        """Close a cursor. MySQL's would first read all that is left, so its connection is given up."""
        if self.backend == "mysql" and not is_read:
            cursor._result.unbuffered_active = False
            self.connection.connection.dbapi_connection._force_close()  # type: ignore[union-attr]  # it is pymysql's
            self.connection.invalidate()
            return
        with suppress(self.database.driver_error):
            cursor.close()

    def _cursor(self, *, is_streamed: bool) -> Any:
        raw: Any = self.connection.connection.dbapi_connection
        if is_streamed and self.backend == "postgresql":
            return raw.cursor(f"kwiksync_{self._cursors}")
        if is_streamed and self.backend == "mysql":
            from pymysql.cursors import SSCursor  # type: ignore[import-untyped]  # it ships no types

            return raw.cursor(SSCursor)
        return raw.cursor()


def compiled(statement: sa.Executable, dialect: sa.Dialect) -> tuple[str, Mapping[str, Any] | Sequence[Any]]:
    """A statement as its driver takes it."""
    found = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]  # every statement can
    values = found.params
    positions = getattr(found, "positiontup", None)
    return str(found), values if positions is None else tuple(values[name] for name in positions)


def _hosts(credentials: Credentials, options: SqlOptions) -> tuple[str, ...]:
    hosts = (*credentials.allow_hosts, *options.allow_hosts)
    try:
        guard_for(hosts)
    except ValueError as exc:
        raise ConfigurationError(
            f"allow_hosts is not valid: {exc}.", remedy="Correct it in the connection's form."
        ) from exc
    return hosts


def _names(cursor: Any) -> list[str]:
    return [column[0] for column in cursor.description]


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC)
