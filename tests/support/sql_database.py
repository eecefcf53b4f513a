"""Empty databases of each product that can run here, for the tests of the SQL connector."""

from __future__ import annotations

import atexit
import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from kwiksync_ops.connectors.credentials import Credentials
from tests.support.mariadb import HAS_MARIADB, PASSWORD, USER, MariaDb, running_mariadb
from tests.support.postgresql import running_postgresql

_numbers = itertools.count(1)

PRODUCTS = ("sqlite", "postgresql", *(("mariadb",) if HAS_MARIADB else ()))
"""MariaDB where Debian's package mariadb-server is installed."""


@dataclass(frozen=True)
class SqlDatabase:
    """An empty database: how our connector reaches it, and how its owner does."""

    product: str
    credentials: Credentials
    engine: sa.Engine

    def execute(self, *statements: str) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement.replace("%", "%%") if self.product != "sqlite" else statement)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]


@contextmanager
def open_database(product: str, folder: Path) -> Iterator[SqlDatabase]:
    with _OPEN[product](folder) as database:
        try:
            yield database
        finally:
            database.engine.dispose()


@contextmanager
def _sqlite(folder: Path) -> Iterator[SqlDatabase]:
    file = folder / "system.db"
    with closing(sqlite3.connect(file)) as made:
        made.execute("VACUUM")
    url = f"sqlite:///{file}"
    yield SqlDatabase("sqlite", Credentials(url), sa.create_engine(url, poolclass=NullPool))


@contextmanager
def _postgresql(_: Path) -> Iterator[SqlDatabase]:
    url = sa.make_url(shared_postgresql())
    ours = f"postgresql+psycopg:///{url.database}?host={url.query['host']}"
    credentials = Credentials(ours, login=url.username, allow_hosts=("localhost",))
    database = SqlDatabase("postgresql", credentials, sa.create_engine(url, poolclass=NullPool))
    database.execute("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    yield database


@contextmanager
def _mariadb(_: Path) -> Iterator[SqlDatabase]:
    server, name = shared_mariadb(), f"test_{next(_numbers)}"
    owner = sa.URL.create("mariadb+pymysql", USER, PASSWORD, query={"unix_socket": server.socket})
    engine = sa.create_engine(owner, poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    engine.dispose()
    credentials = Credentials(
        f"mariadb+pymysql://localhost:{server.port}/{name}",
        login=USER,
        password=PASSWORD,
        ca_file=server.ca_file,
        allow_hosts=("localhost",),
    )
    yield SqlDatabase("mariadb", credentials, sa.create_engine(owner.set(database=name), poolclass=NullPool))


_OPEN: dict[str, Callable[[Path], AbstractContextManager[SqlDatabase]]] = {
    "sqlite": _sqlite,
    "postgresql": _postgresql,
    "mariadb": _mariadb,
}


@cache
def shared_postgresql() -> str:
    """The URL of a server that all tests of this process share; it ends with the process."""
    return _until_exit(running_postgresql)


@cache
def shared_mariadb() -> MariaDb:
    return _until_exit(running_mariadb)


def _until_exit(start: Callable[[Path], AbstractContextManager[Any]]) -> Any:
    stack = ExitStack()
    atexit.register(stack.close)
    folder = stack.enter_context(TemporaryDirectory(prefix="kwiksync-sql-"))
    return stack.enter_context(start(Path(folder)))
