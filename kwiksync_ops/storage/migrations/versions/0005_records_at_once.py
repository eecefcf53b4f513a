"""Find records by their number and by what they refer to at once, however many there are"""

import sqlalchemy as sa
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
_REFERENCES = ("location", "project", "ticket")


def upgrade() -> None:
    for table, field in _each():
        where = sa.column(field).is_not(None) if field in _REFERENCES else None
        name = op.f(f"ix_{table}_{field}_sys_id")
        op.create_index(name, table, [field, "sys_id"], postgresql_where=where, sqlite_where=where)


def downgrade() -> None:
    for table, field in _each():
        op.drop_index(op.f(f"ix_{table}_{field}_sys_id"), table)


def _each() -> list[tuple[str, str]]:
    return [(TABLE_PREFIX + table, field) for table, fields in _FIELDS.items() for field in fields]
