"""Find the newest sync of each table, the open errors and the number of records at once, however many there are"""

import sqlalchemy as sa
from alembic import op

from kwiksync_ops.vocabulary import RECORD_TABLES, TABLE_PREFIX

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_LOGS = {"sync_log": ("system", "direction", "table_name", "started"), "error_log": ("resolution", "occurred")}


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":  # as every text of an index
        op.execute(f'ALTER TABLE {TABLE_PREFIX}sync_log ALTER system TYPE VARCHAR(40) COLLATE "C"')
        op.execute(f'ALTER TABLE {TABLE_PREFIX}error_log ALTER resolution TYPE VARCHAR(20) COLLATE "C"')
    for name, columns in _LOGS.items():
        table = TABLE_PREFIX + name
        op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, columns)
    is_deleted = sa.column("sys_deleted_on").is_not(None)
    for table in _record_tables():
        name = op.f(f"ix_{table}_sys_deleted_on")
        op.create_index(name, table, ["sys_deleted_on"], postgresql_where=is_deleted, sqlite_where=is_deleted)


def downgrade() -> None:
    for table in _record_tables():
        op.drop_index(op.f(f"ix_{table}_sys_deleted_on"), table)
    for name, columns in _LOGS.items():
        table = TABLE_PREFIX + name
        op.drop_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table)


def _record_tables() -> list[str]:
    return [table.sql_name for table in RECORD_TABLES.values()]
