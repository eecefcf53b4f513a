"""The hub's schema: brought up to date by Alembic, and checked before it is used."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import metadata

_LOCK = 2_026_000


def upgrade(hub: Hub) -> tuple[str | None, str]:
    """Bring the schema to this version; from and to which revision. Safe to call twice, and by two at once."""

    def run(connection: sa.Connection) -> tuple[str | None, str]:
        if not hub.is_sqlite:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        before = _revision(connection)
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        return before, _head()

    return hub.write(run)


def require_current(hub: Hub) -> None:
    """Refuse to work on a hub of another version.

    Raises:
        ConfigurationError: the schema is missing, older or newer.
    """
    with hub.read() as connection:
        revision = _revision(connection)
    if revision != _head():
        raise ConfigurationError(
            f"The hub database is at schema {revision or 'none'}, this version of KWikSync needs {_head()}.",
            remedy="Run kwiksync db upgrade.",
        )


def drift(connection: sa.Connection) -> list[str]:
    """How the database differs from the models, a line each."""
    return [str(difference) for difference in compare_metadata(MigrationContext.configure(connection), metadata)]


def _revision(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _head() -> str:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    return head or "none"


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
