"""Create the hub"""

import sqlalchemy as sa
from alembic import op

from kwiksync_ops.storage.models import ExactDecimal, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "x_kwr_kwiksync_api_call",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_x_kwr_kwiksync_api_call")),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_api_call_system_at"), "x_kwr_kwiksync_api_call", ["system", "at"], unique=False
    )
    op.create_table(
        "x_kwr_kwiksync_assets",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("source_system", sa.String(length=40), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=True),
        sa.Column("sys_created_by", sa.String(length=100), nullable=True),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=True),
        sa.Column("sys_updated_by", sa.String(length=100), nullable=True),
        sa.Column("sys_mod_count", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("asset_tag", sa.String(length=80), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("category", sa.String(length=255), nullable=True),
        sa.Column("serial_number", sa.String(length=255), nullable=True),
        sa.Column("quantity", sa.BigInteger(), nullable=True),
        sa.Column("minimum_quantity", sa.BigInteger(), nullable=True),
        sa.Column("location", sa.String(length=32), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=True),
        sa.Column("assigned_to", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_assets")),
        sa.UniqueConstraint(
            "source_system", "external_id", name=op.f("uq_x_kwr_kwiksync_assets_source_system_external_id")
        ),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_assets_sys_updated_on_sys_id"),
        "x_kwr_kwiksync_assets",
        ["sys_updated_on", "sys_id"],
        unique=False,
    )
    op.create_table(
        "x_kwr_kwiksync_audit",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.String(length=40), nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=80), nullable=False),
        sa.Column("object", sa.String(length=255), nullable=False),
        sa.Column("run_id", sa.String(length=255), nullable=True),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_x_kwr_kwiksync_audit")),
    )
    op.create_table(
        "x_kwr_kwiksync_batch",
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("direction", sa.String(length=20), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("processed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("deleted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("fencing_token", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("committed", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "direction", "table_name", "number", name=op.f("pk_x_kwr_kwiksync_batch")),
    )
    op.create_table(
        "x_kwr_kwiksync_checkpoint",
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("direction", sa.String(length=20), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("watermark_at", sa.String(length=40), nullable=True),
        sa.Column("watermark_id", sa.String(length=255), nullable=True),
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("resume", sa.Text(), nullable=True),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("system", "direction", "table_name", name=op.f("pk_x_kwr_kwiksync_checkpoint")),
    )
    op.create_table(
        "x_kwr_kwiksync_configuration",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("value_type", sa.String(length=40), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=False),
        sa.Column("sys_updated_by", sa.String(length=100), nullable=False),
        sa.Column("sys_mod_count", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_x_kwr_kwiksync_configuration")),
    )
    op.create_table(
        "x_kwr_kwiksync_customer_key",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=False),
        sa.Column("sys_created_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_customer_key")),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_customer_key_system"), "x_kwr_kwiksync_customer_key", ["system"], unique=False
    )
    op.create_table(
        "x_kwr_kwiksync_deliverables",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("source_system", sa.String(length=40), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=True),
        sa.Column("sys_created_by", sa.String(length=100), nullable=True),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=True),
        sa.Column("sys_updated_by", sa.String(length=100), nullable=True),
        sa.Column("sys_mod_count", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("number", sa.String(length=80), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("project", sa.String(length=32), nullable=True),
        sa.Column("type", sa.String(length=80), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=True),
        sa.Column("due_date", UtcDateTime(), nullable=True),
        sa.Column("delivered_at", UtcDateTime(), nullable=True),
        sa.Column("accepted_by", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_deliverables")),
        sa.UniqueConstraint(
            "source_system", "external_id", name=op.f("uq_x_kwr_kwiksync_deliverables_source_system_external_id")
        ),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_deliverables_sys_updated_on_sys_id"),
        "x_kwr_kwiksync_deliverables",
        ["sys_updated_on", "sys_id"],
        unique=False,
    )
    op.create_table(
        "x_kwr_kwiksync_error_log",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("occurred", UtcDateTime(), nullable=False),
        sa.Column("code", sa.String(length=10), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=True),
        sa.Column("severity", sa.String(length=20), nullable=False),
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=True),
        sa.Column("field", sa.String(length=80), nullable=True),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.Column("faults", sa.Text(), nullable=True),
        sa.Column("stack_trace", sa.Text(), nullable=True),
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("batch", sa.Integer(), nullable=True),
        sa.Column("attempt", sa.Integer(), server_default="1", nullable=False),
        sa.Column("resolution", sa.String(length=20), nullable=False),
        sa.Column("resolved_on", UtcDateTime(), nullable=True),
        sa.Column("resolved_by", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_error_log")),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_error_log_occurred"), "x_kwr_kwiksync_error_log", ["occurred"], unique=False
    )
    op.create_index(op.f("ix_x_kwr_kwiksync_error_log_run_id"), "x_kwr_kwiksync_error_log", ["run_id"], unique=False)
    op.create_index(
        op.f("ix_x_kwr_kwiksync_error_log_system_table_name_external_id"),
        "x_kwr_kwiksync_error_log",
        ["system", "table_name", "external_id"],
        unique=False,
    )
    op.create_table(
        "x_kwr_kwiksync_field_mapping",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("direction", sa.String(length=20), nullable=False),
        sa.Column("source_table", sa.String(length=255), nullable=False),
        sa.Column("source_field", sa.String(length=255), nullable=False),
        sa.Column("target_table", sa.String(length=80), nullable=False),
        sa.Column("target_field", sa.String(length=80), nullable=False),
        sa.Column("transform_type", sa.String(length=40), nullable=False),
        sa.Column("transform_config", sa.Text(), nullable=False),
        sa.Column("validation", sa.Text(), nullable=False),
        sa.Column("null_values", sa.Text(), nullable=False),
        sa.Column("default_value", sa.Text(), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=False),
        sa.Column("sys_created_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_field_mapping")),
        sa.UniqueConstraint(
            "system",
            "direction",
            "target_table",
            "version",
            "target_field",
            name=op.f("uq_x_kwr_kwiksync_field_mapping_system_direction_target_table_version_target_field"),
        ),
    )
    op.create_table(
        "x_kwr_kwiksync_kw_corp_ticket_tasks",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("source_system", sa.String(length=40), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=True),
        sa.Column("sys_created_by", sa.String(length=100), nullable=True),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=True),
        sa.Column("sys_updated_by", sa.String(length=100), nullable=True),
        sa.Column("sys_mod_count", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("number", sa.String(length=80), nullable=True),
        sa.Column("ticket", sa.String(length=32), nullable=True),
        sa.Column("short_description", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=True),
        sa.Column("assigned_to", sa.String(length=255), nullable=True),
        sa.Column("due_date", UtcDateTime(), nullable=True),
        sa.Column("completed_at", UtcDateTime(), nullable=True),
        sa.Column("work_notes", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_kw_corp_ticket_tasks")),
        sa.UniqueConstraint(
            "source_system",
            "external_id",
            name=op.f("uq_x_kwr_kwiksync_kw_corp_ticket_tasks_source_system_external_id"),
        ),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_kw_corp_ticket_tasks_sys_updated_on_sys_id"),
        "x_kwr_kwiksync_kw_corp_ticket_tasks",
        ["sys_updated_on", "sys_id"],
        unique=False,
    )
    op.create_table(
        "x_kwr_kwiksync_locations",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("source_system", sa.String(length=40), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=True),
        sa.Column("sys_created_by", sa.String(length=100), nullable=True),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=True),
        sa.Column("sys_updated_by", sa.String(length=100), nullable=True),
        sa.Column("sys_mod_count", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("street", sa.String(length=255), nullable=True),
        sa.Column("city", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=255), nullable=True),
        sa.Column("zip", sa.String(length=40), nullable=True),
        sa.Column("country", sa.String(length=255), nullable=True),
        sa.Column("region", sa.String(length=255), nullable=True),
        sa.Column("latitude", ExactDecimal(6), nullable=True),
        sa.Column("longitude", ExactDecimal(6), nullable=True),
        sa.Column("customer", sa.String(length=255), nullable=True),
        sa.Column("status", sa.String(length=40), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_locations")),
        sa.UniqueConstraint(
            "source_system", "external_id", name=op.f("uq_x_kwr_kwiksync_locations_source_system_external_id")
        ),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_locations_sys_updated_on_sys_id"),
        "x_kwr_kwiksync_locations",
        ["sys_updated_on", "sys_id"],
        unique=False,
    )
    op.create_table(
        "x_kwr_kwiksync_outbox",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("record_sys_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=False),
        sa.Column("confirmed", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_outbox")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_x_kwr_kwiksync_outbox_idempotency_key")),
    )
    op.create_table(
        "x_kwr_kwiksync_projects",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("source_system", sa.String(length=40), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=True),
        sa.Column("sys_created_by", sa.String(length=100), nullable=True),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=True),
        sa.Column("sys_updated_by", sa.String(length=100), nullable=True),
        sa.Column("sys_mod_count", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("number", sa.String(length=80), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=True),
        sa.Column("short_description", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=True),
        sa.Column("priority", sa.String(length=40), nullable=True),
        sa.Column("start_date", sa.Date(), nullable=True),
        sa.Column("end_date", sa.Date(), nullable=True),
        sa.Column("customer", sa.String(length=255), nullable=True),
        sa.Column("location", sa.String(length=32), nullable=True),
        sa.Column("percent_complete", ExactDecimal(2), nullable=True),
        sa.Column("manager", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_projects")),
        sa.UniqueConstraint(
            "source_system", "external_id", name=op.f("uq_x_kwr_kwiksync_projects_source_system_external_id")
        ),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_projects_sys_updated_on_sys_id"),
        "x_kwr_kwiksync_projects",
        ["sys_updated_on", "sys_id"],
        unique=False,
    )
    op.create_table(
        "x_kwr_kwiksync_record_history",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("action", sa.String(length=20), nullable=False),
        sa.Column("changes", sa.Text(), nullable=True),
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=False),
        sa.Column("sys_created_by", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_x_kwr_kwiksync_record_history")),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_record_history_run_id"), "x_kwr_kwiksync_record_history", ["run_id"], unique=False
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_record_history_sys_id"), "x_kwr_kwiksync_record_history", ["sys_id"], unique=False
    )
    op.create_table(
        "x_kwr_kwiksync_record_link",
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=True),
        sa.Column("hash_in", sa.LargeBinary(length=16), nullable=True),
        sa.Column("hash_out", sa.LargeBinary(length=16), nullable=True),
        sa.PrimaryKeyConstraint("system", "table_name", "external_id", name=op.f("pk_x_kwr_kwiksync_record_link")),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_record_link_sys_id"), "x_kwr_kwiksync_record_link", ["sys_id"], unique=False
    )
    op.create_table(
        "x_kwr_kwiksync_sync_lease",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("run_id", sa.String(length=255), nullable=True),
        sa.Column("until", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_x_kwr_kwiksync_sync_lease")),
    )
    op.create_table(
        "x_kwr_kwiksync_sync_log",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.String(length=255), nullable=False),
        sa.Column("system", sa.String(length=40), nullable=False),
        sa.Column("direction", sa.String(length=20), nullable=False),
        sa.Column("table_name", sa.String(length=80), nullable=False),
        sa.Column("trigger", sa.String(length=20), nullable=False),
        sa.Column("mode", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=20), nullable=False),
        sa.Column("started", UtcDateTime(), nullable=False),
        sa.Column("ended", UtcDateTime(), nullable=True),
        sa.Column("processed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("created", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("updated", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("deleted", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failed", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pages", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("api_calls", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("watermark_before", sa.Text(), nullable=True),
        sa.Column("watermark_after", sa.Text(), nullable=True),
        sa.Column("mapping_version", sa.Integer(), nullable=True),
        sa.Column("error_code", sa.String(length=10), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_sync_log")),
        sa.UniqueConstraint(
            "run_id", "direction", "table_name", name=op.f("uq_x_kwr_kwiksync_sync_log_run_id_direction_table_name")
        ),
    )
    op.create_index(op.f("ix_x_kwr_kwiksync_sync_log_started"), "x_kwr_kwiksync_sync_log", ["started"], unique=False)
    op.create_table(
        "x_kwr_kwiksync_tickets",
        sa.Column("sys_id", sa.String(length=32), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=False),
        sa.Column("source_system", sa.String(length=40), nullable=False),
        sa.Column("sys_created_on", UtcDateTime(), nullable=True),
        sa.Column("sys_created_by", sa.String(length=100), nullable=True),
        sa.Column("sys_updated_on", UtcDateTime(), nullable=True),
        sa.Column("sys_updated_by", sa.String(length=100), nullable=True),
        sa.Column("sys_mod_count", sa.BigInteger(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=True),
        sa.Column("number", sa.String(length=80), nullable=True),
        sa.Column("short_description", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=True),
        sa.Column("priority", sa.String(length=40), nullable=True),
        sa.Column("category", sa.String(length=255), nullable=True),
        sa.Column("assigned_to", sa.String(length=255), nullable=True),
        sa.Column("project", sa.String(length=32), nullable=True),
        sa.Column("location", sa.String(length=32), nullable=True),
        sa.Column("opened_at", UtcDateTime(), nullable=True),
        sa.Column("due_date", UtcDateTime(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("sys_id", name=op.f("pk_x_kwr_kwiksync_tickets")),
        sa.UniqueConstraint(
            "source_system", "external_id", name=op.f("uq_x_kwr_kwiksync_tickets_source_system_external_id")
        ),
    )
    op.create_index(
        op.f("ix_x_kwr_kwiksync_tickets_sys_updated_on_sys_id"),
        "x_kwr_kwiksync_tickets",
        ["sys_updated_on", "sys_id"],
        unique=False,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_x_kwr_kwiksync_tickets_sys_updated_on_sys_id"), table_name="x_kwr_kwiksync_tickets")
    op.drop_table("x_kwr_kwiksync_tickets")
    op.drop_index(op.f("ix_x_kwr_kwiksync_sync_log_started"), table_name="x_kwr_kwiksync_sync_log")
    op.drop_table("x_kwr_kwiksync_sync_log")
    op.drop_table("x_kwr_kwiksync_sync_lease")
    op.drop_index(op.f("ix_x_kwr_kwiksync_record_link_sys_id"), table_name="x_kwr_kwiksync_record_link")
    op.drop_table("x_kwr_kwiksync_record_link")
    op.drop_index(op.f("ix_x_kwr_kwiksync_record_history_sys_id"), table_name="x_kwr_kwiksync_record_history")
    op.drop_index(op.f("ix_x_kwr_kwiksync_record_history_run_id"), table_name="x_kwr_kwiksync_record_history")
    op.drop_table("x_kwr_kwiksync_record_history")
    op.drop_index(op.f("ix_x_kwr_kwiksync_projects_sys_updated_on_sys_id"), table_name="x_kwr_kwiksync_projects")
    op.drop_table("x_kwr_kwiksync_projects")
    op.drop_table("x_kwr_kwiksync_outbox")
    op.drop_index(op.f("ix_x_kwr_kwiksync_locations_sys_updated_on_sys_id"), table_name="x_kwr_kwiksync_locations")
    op.drop_table("x_kwr_kwiksync_locations")
    op.drop_index(
        op.f("ix_x_kwr_kwiksync_kw_corp_ticket_tasks_sys_updated_on_sys_id"),
        table_name="x_kwr_kwiksync_kw_corp_ticket_tasks",
    )
    op.drop_table("x_kwr_kwiksync_kw_corp_ticket_tasks")
    op.drop_table("x_kwr_kwiksync_field_mapping")
    op.drop_index(
        op.f("ix_x_kwr_kwiksync_error_log_system_table_name_external_id"), table_name="x_kwr_kwiksync_error_log"
    )
    op.drop_index(op.f("ix_x_kwr_kwiksync_error_log_run_id"), table_name="x_kwr_kwiksync_error_log")
    op.drop_index(op.f("ix_x_kwr_kwiksync_error_log_occurred"), table_name="x_kwr_kwiksync_error_log")
    op.drop_table("x_kwr_kwiksync_error_log")
    op.drop_index(
        op.f("ix_x_kwr_kwiksync_deliverables_sys_updated_on_sys_id"), table_name="x_kwr_kwiksync_deliverables"
    )
    op.drop_table("x_kwr_kwiksync_deliverables")
    op.drop_index(op.f("ix_x_kwr_kwiksync_customer_key_system"), table_name="x_kwr_kwiksync_customer_key")
    op.drop_table("x_kwr_kwiksync_customer_key")
    op.drop_table("x_kwr_kwiksync_configuration")
    op.drop_table("x_kwr_kwiksync_checkpoint")
    op.drop_table("x_kwr_kwiksync_batch")
    op.drop_table("x_kwr_kwiksync_audit")
    op.drop_index(op.f("ix_x_kwr_kwiksync_assets_sys_updated_on_sys_id"), table_name="x_kwr_kwiksync_assets")
    op.drop_table("x_kwr_kwiksync_assets")
    op.drop_index(op.f("ix_x_kwr_kwiksync_api_call_system_at"), table_name="x_kwr_kwiksync_api_call")
    op.drop_table("x_kwr_kwiksync_api_call")
