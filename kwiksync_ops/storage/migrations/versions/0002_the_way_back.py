"""Keep what the outbound way needs: tombstones, what each system last agreed to, and an outbox of deliveries"""

import sqlalchemy as sa
from alembic import op

from kwiksync_ops.storage.models import UtcDateTime
from kwiksync_ops.vocabulary import RECORD_TABLES, TABLE_PREFIX

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_OUTBOX = f"{TABLE_PREFIX}outbox"
_SEEN_KEY = f"{TABLE_PREFIX}seen_key"
_NEW_COLUMNS = (
    ("record_link", "mod_count", sa.Integer()),
    ("record_link", "etag", sa.String(255)),
    ("record_history", "system", sa.String(40)),
    ("record_history", "sys_mod_count", sa.Integer()),
)


def upgrade() -> None:
    for table in RECORD_TABLES.values():
        op.add_column(table.sql_name, sa.Column("sys_deleted_on", UtcDateTime()))
    for table_name, name, kind in _NEW_COLUMNS:
        op.add_column(f"{TABLE_PREFIX}{table_name}", sa.Column(name, kind))
    direction = sa.Column("direction", sa.String(20), nullable=False, server_default="inbound")
    op.add_column(f"{TABLE_PREFIX}error_log", direction)
    op.drop_table(_OUTBOX)
    op.create_table(
        _OUTBOX,
        sa.Column("sys_id", sa.String(32), nullable=False),
        sa.Column("run_id", sa.String(255), nullable=False),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("table_name", sa.String(80), nullable=False),
        sa.Column("record_sys_id", sa.String(32), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.String(255)),
        sa.Column("action", sa.String(20), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("hash_out", sa.LargeBinary(16), nullable=False),
        sa.Column("is_partial", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("idempotency_key", sa.String(64), nullable=False),
        sa.Column("etag", sa.String(255)),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("job", sa.Text()),
        sa.Column("error_code", sa.String(10)),
        sa.Column("message", sa.Text()),
        sa.Column("sys_created_on", UtcDateTime(), nullable=False),
        sa.Column("sent", UtcDateTime()),
        sa.Column("confirmed", UtcDateTime()),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{_OUTBOX}")),
        sa.UniqueConstraint("idempotency_key", name=op.f(f"uq_{_OUTBOX}_idempotency_key")),
    )
    op.create_table(
        _SEEN_KEY,
        sa.Column("run_id", sa.String(255), nullable=False),
        sa.Column("table_name", sa.String(80), nullable=False),
        sa.Column("external_id", sa.String(255), nullable=False),
        sa.Column("at", sa.String(40)),
        sa.PrimaryKeyConstraint("run_id", "table_name", "external_id", name=op.f(f"pk_{_SEEN_KEY}")),
    )
    op.create_index(op.f(f"ix_{_OUTBOX}_system_table_name_state"), _OUTBOX, ["system", "table_name", "state"])
    op.create_index(op.f(f"ix_{_OUTBOX}_record_sys_id"), _OUTBOX, ["record_sys_id"])


def downgrade() -> None:
    op.drop_table(_SEEN_KEY)
    for table in RECORD_TABLES.values():
        op.drop_column(table.sql_name, "sys_deleted_on")
    op.drop_column(f"{TABLE_PREFIX}error_log", "direction")
    for table_name, name, _ in _NEW_COLUMNS:
        op.drop_column(f"{TABLE_PREFIX}{table_name}", name)
