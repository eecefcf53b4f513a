"""Keep what callers of our REST API need, keys and answers to repeat, and which incidents were told already"""

import sqlalchemy as sa
from alembic import op

from kwiksync_ops.storage.models import UtcDateTime
from kwiksync_ops.vocabulary import TABLE_PREFIX

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ISSUED_KEY = f"{TABLE_PREFIX}issued_key"
_KEPT_ANSWER = f"{TABLE_PREFIX}kept_answer"
_INCIDENT = f"{TABLE_PREFIX}incident"


def upgrade() -> None:
    op.create_table(
        _ISSUED_KEY,
        sa.Column("sys_id", sa.String(32), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("role", sa.String(80), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(16), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=False),
        sa.Column("sys_created_by", sa.String(100), nullable=False),
        sa.Column("expires", UtcDateTime()),
        sa.Column("revoked", UtcDateTime()),
        sa.Column("last_used", UtcDateTime()),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{_ISSUED_KEY}")),
    )
    op.create_index(op.f(f"ix_{_ISSUED_KEY}_name"), _ISSUED_KEY, ["name"])
    op.create_table(
        _KEPT_ANSWER,
        sa.Column("caller", sa.String(120), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("answer", sa.Text()),
        sa.Column("sys_created_on", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("caller", "idempotency_key", name=op.f(f"pk_{_KEPT_ANSWER}")),
    )
    op.create_index(op.f(f"ix_{_KEPT_ANSWER}_sys_created_on"), _KEPT_ANSWER, ["sys_created_on"])
    op.create_table(
        _INCIDENT,
        sa.Column("sys_id", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("opened", UtcDateTime(), nullable=False),
        sa.Column("last_seen", UtcDateTime(), nullable=False),
        sa.Column("times", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("run_id", sa.String(255)),
        sa.Column("told", UtcDateTime()),
        sa.Column("closed", UtcDateTime()),
        sa.PrimaryKeyConstraint("sys_id", name=op.f(f"pk_{_INCIDENT}")),
    )
    op.create_index(op.f(f"ix_{_INCIDENT}_system_kind_subject"), _INCIDENT, ["system", "kind", "subject"])


def downgrade() -> None:
    for table in (_INCIDENT, _KEPT_ANSWER, _ISSUED_KEY):
        op.drop_table(table)
