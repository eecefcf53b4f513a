"""Alembic's environment: the connection is handed in by kwiksync_ops.storage.schema."""

from alembic import context

from kwiksync_ops.storage.models import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, user_module_prefix="")
with context.begin_transaction():
    context.run_migrations()
