"""Keep which files of a system were read or put aside, so that each is read once"""

import sqlalchemy as sa
from alembic import op

from kwiksync_ops.storage.models import UtcDateTime
from kwiksync_ops.vocabulary import TABLE_PREFIX

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_FILE_MARK = f"{TABLE_PREFIX}file_mark"


def upgrade() -> None:
    op.create_table(
        _FILE_MARK,
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("table_name", sa.String(80), nullable=False),
        sa.Column("name", sa.String(1000), nullable=False),
        sa.Column("version", sa.String(120), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("is_rejected", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("run_id", sa.String(255), nullable=False),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("system", "table_name", "name", name=op.f(f"pk_{_FILE_MARK}")),
    )


def downgrade() -> None:
    op.drop_table(_FILE_MARK)
