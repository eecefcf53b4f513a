"""Find records by their number and by what they refer to at once, however many there are"""

from alembic import op

from kwiksync_ops.vocabulary import TABLE_PREFIX

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_FIELDS = {
    "projects": ("number", "location"),
    "tickets": ("number", "project", "location"),
    "kw_corp_ticket_tasks": ("number", "ticket"),
    "assets": ("asset_tag", "location"),
    "deliverables": ("number", "project"),
}


def upgrade() -> None:
    for table, field in _each():
        op.create_index(op.f(f"ix_{table}_{field}_sys_id"), table, [field, "sys_id"])


def downgrade() -> None:
    for table, field in _each():
        op.drop_index(op.f(f"ix_{table}_{field}_sys_id"), table)


def _each() -> list[tuple[str, str]]:
    return [(TABLE_PREFIX + table, field) for table, fields in _FIELDS.items() for field in fields]
