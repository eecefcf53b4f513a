"""Whether the hub can be worked with, asked without changing anything."""

from __future__ import annotations

import sqlalchemy as sa

from kwiksync_ops.storage import audit, schema
from kwiksync_ops.storage.audit import AuditFault
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, SYNC_LEASE


def describe(hub: Hub) -> str:
    """The database's kind, version and place, without a password.

    Raises:
        HubError: it can't be reached.
    """
    with hub.read() as connection:
        number = ".".join(map(str, connection.dialect.server_version_info or ()))
    name = "SQLite" if hub.is_sqlite else "PostgreSQL"
    return f"{name} {number}, {hub.engine.url.render_as_string(hide_password=True)}"


def location(connection: sa.Connection, table: str) -> tuple[str, str]:
    """The namespace and the name of a table, as OpenLineage has them; without a login."""
    url = connection.engine.url
    if connection.dialect.name == "sqlite":
        return f"sqlite:{url.database}", table
    schema_name = connection.execute(sa.select(sa.func.current_schema())).scalar_one()
    return f"postgres://{url.host or 'localhost'}:{url.port or 5432}", f"{url.database}.{schema_name}.{table}"


def require_writable(hub: Hub) -> None:
    """Raises HubError where a transaction that writes is refused."""
    nothing = SYNC_LEASE.update().where(SYNC_LEASE.c.id == -1).values(token=SYNC_LEASE.c.token)
    hub.write(lambda connection: connection.execute(nothing))


def schema_drift(hub: Hub) -> list[str]:
    """How the database differs from this version's schema, a line each."""
    with hub.read() as connection:
        return schema.drift(connection)


def audit_fault(hub: Hub) -> AuditFault | None:
    """The first row of the audit trail that is not as it was written."""
    with hub.read() as connection:
        return audit.verify(connection, hub.audit_keys)


def audit_rows(hub: Hub) -> int:
    with hub.read() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(AUDIT)).scalar_one()
