"""Compare the texts of keys and indexes byte by byte on PostgreSQL, as SQLite does"""

import sqlalchemy as sa
from alembic import op

from kwiksync_ops.vocabulary import TABLE_PREFIX

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _collate("C")


def downgrade() -> None:
    _collate("default")


def _collate(collation: str) -> None:
    """The table stays as it is, its indexes are made again."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    for table, columns in _keys(sa.inspect(connection)).items():
        changes = [f'ALTER {name} TYPE VARCHAR({length}) COLLATE "{collation}"' for name, length in columns.items()]
        op.execute(f"ALTER TABLE {table} {', '.join(changes)}")


def _keys(inspector: sa.Inspector) -> dict[str, dict[str, int]]:
    """The length of each text in a key or an index, by table and column."""
    tables = (name for name in inspector.get_table_names() if name.startswith(TABLE_PREFIX))
    return {table: keys for table in tables if (keys := _keys_of(inspector, table))}


def _keys_of(inspector: sa.Inspector, table: str) -> dict[str, int]:
    keys = {*inspector.get_pk_constraint(table)["constrained_columns"]}
    keys |= {name for index in inspector.get_indexes(table) for name in index["column_names"] if name}
    texts = {column["name"]: column["type"] for column in inspector.get_columns(table)}
    lengths = ((name, getattr(texts[name], "length", None)) for name in sorted(keys))
    return {name: length for name, length in lengths if length}
