"""One transaction at a time does a named thing."""

from __future__ import annotations

import sqlalchemy as sa


def serialize(connection: sa.Connection, name: str) -> None:
    """Wait for others that do the same, until this transaction ends. In SQLite a write transaction is alone already."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("select pg_advisory_xact_lock(hashtext(:name))"), {"name": name})
