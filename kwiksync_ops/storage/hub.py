"""The hub database: its engine, and transactions that are retried when the database says that it may pass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from kwiksync_ops.clock import Clock, SystemClock
from kwiksync_ops.errors import ConfigurationError, HubError

log = logging.getLogger(__name__)

Connection = sa.Connection
"""A connection to the hub, within a transaction. Services pass it on; only storage speaks SQL."""

T = TypeVar("T")

ATTEMPTS = 6
DRIVERS = ("sqlite", "sqlite+pysqlite", "postgresql+psycopg")
_DEADLOCK_OR_SERIALIZATION = {"40001", "40P01"}
_NOW_S = {
    "postgresql": "cast(extract(epoch from clock_timestamp()) as double precision)",
    "sqlite": "((julianday('now') - 2440587.5) * 86400.0)",
}


class Hub:
    """KWikSync's own database. `write` is one transaction; `read` sees one consistent state."""

    def __init__(self, engine: sa.Engine, audit_keys: tuple[str, ...], clock: Clock) -> None:
        self.engine = engine
        self.audit_keys = audit_keys
        self._clock = clock
        self._meanwhile: Callable[[], None] = _nothing

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        with _hub_errors(self.engine), self.engine.connect() as connection, connection.begin():
            yield connection

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in one transaction and commit it; again from the start, a few times, where the fault may pass.

        `work` must be safe to run again: a commit whose answer was lost is run a second time.

        Raises:
            HubError: the database is locked, full or away.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                with self._connect_to_write() as connection, connection.begin():
                    return work(connection)
            except DBAPIError as exc:
                if attempt == ATTEMPTS or not _may_pass(exc):
                    raise hub_error(exc, self.engine) from exc
                log.warning("The hub refused a transaction (%s), attempt %d of %d", _reason(exc), attempt, ATTEMPTS)
                self._clock.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")  # pragma: no cover

    @contextmanager
    def using_waits(self, meanwhile: Callable[[], None]) -> Iterator[None]:
        """In the block, `meanwhile` is called whenever the database gets much to do and this process waits for it.

        It lets another thread go on, say. Two threads of Python that take turns all the time cost more than they bring.
        """
        self._meanwhile = meanwhile
        try:
            yield
        finally:
            self._meanwhile = _nothing

    def _connect_to_write(self) -> sa.Connection:
        return self.engine.connect().execution_options(
            kwiksync_write=True, kwiksync_audit_keys=self.audit_keys, kwiksync_meanwhile=self._meanwhile
        )

    def close(self) -> None:
        self.engine.dispose()


def open_hub(url: str, audit_keys: tuple[str, ...] = (), clock: Clock | None = None) -> Hub:
    """The hub at a SQLAlchemy URL. Opens no connection yet; makes the folder of a SQLite file.

    `audit_keys` sign the audit chain: the first signs, each can verify.

    Raises:
        ConfigurationError: the URL is not one of SQLite or PostgreSQL.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(parsed, connect_args={"timeout": 30})
        _make_sqlite_durable(engine)
    else:
        engine = sa.create_engine(
            parsed, pool_pre_ping=True, pool_size=3, connect_args={"options": "-c timezone=UTC", "connect_timeout": 10}
        )
    return Hub(engine, audit_keys, clock or SystemClock())


def _nothing() -> None: ...


def use_wait(connection: sa.Connection) -> None:
    """Say that the database gets much to do now, where PostgreSQL does it in a process of its own."""
    if connection.dialect.name == "postgresql":
        connection.get_execution_options().get("kwiksync_meanwhile", _nothing)()


def _parsed(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername not in DRIVERS:
        raise ConfigurationError(
            f"KWIKSYNC_HUB_URL is not the URL of a hub{f': {parsed.drivername}' if parsed else ''}.",
            remedy="Write sqlite:///path/to/hub.db, or postgresql+psycopg://user:password@host/database.",
        )
    return parsed


def now_s(connection: sa.Connection) -> sa.ColumnElement[float]:
    """SQL for the database's own clock, in seconds since 1970."""
    return now_s_in(connection.dialect.name)


def now_s_in(dialect: str) -> sa.ColumnElement[float]:
    """As now_s, for a statement that is made before there is a connection."""
    return sa.literal_column(_NOW_S[dialect], sa.Double())


def hub_error(exc: DBAPIError, engine: sa.Engine) -> HubError:
    where = engine.url.render_as_string(hide_password=True)
    return HubError(
        f"The hub database {where} failed: {_reason(exc)}.",
        remedy="See that it runs, has room on its disk, and is at this version's schema (kwiksync db upgrade).",
    )


@contextmanager
def _hub_errors(engine: sa.Engine) -> Iterator[None]:
    try:
        yield
    except DBAPIError as exc:
        raise hub_error(exc, engine) from exc


def _reason(exc: DBAPIError) -> str:
    return " ".join(str(exc.orig).split())


def _may_pass(exc: DBAPIError) -> bool:
    if exc.connection_invalidated or getattr(exc.orig, "sqlstate", None) in _DEADLOCK_OR_SERIALIZATION:
        return True
    if isinstance(exc, InterfaceError):
        return True
    return isinstance(exc, OperationalError) and "no such" not in str(exc.orig) and "is full" not in str(exc.orig)


def _make_sqlite_durable(engine: sa.Engine) -> None:
    """WAL with a full sync at each commit; a writing transaction takes the lock at its start, so it can't deadlock."""

    @sa.event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-32000"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        is_write = connection.get_execution_options().get("kwiksync_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")
