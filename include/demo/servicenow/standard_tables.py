"""The tables that every instance of the double has: those of the platform, and those that KWikSync's tables map to."""

from __future__ import annotations

from servicenow.schema import (
    BOOLEAN,
    CREATED,
    DATE,
    DATE_TIME,
    DECIMAL,
    INTEGER,
    JOURNAL,
    LIST,
    Column,
    Table,
    reference,
)

PRIORITIES = {"1": "1 - Critical", "2": "2 - High", "3": "3 - Moderate", "4": "4 - Low", "5": "5 - Planning"}
URGENCIES = {"1": "1 - High", "2": "2 - Medium", "3": "3 - Low"}
TASK_STATES = {
    "-5": "Pending",
    "1": "Open",
    "2": "Work in Progress",
    "3": "Closed Complete",
    "4": "Closed Incomplete",
    "7": "Closed Skipped",
}
INCIDENT_STATES = {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"}
HOLD_REASONS = {"1": "Awaiting Caller", "3": "Awaiting Problem", "4": "Awaiting Vendor", "5": "Awaiting Change"}
ASSET_STATES = {
    "1": "In use",
    "2": "On order",
    "3": "In maintenance",
    "6": "In stock",
    "7": "Retired",
    "8": "Missing",
    "9": "In transit",
}
IMPORT_STATES = {
    "pending": "Pending",
    "inserted": "Inserted",
    "updated": "Updated",
    "ignored": "Ignored",
    "error": "Error",
}
EXTERNAL_ID = Column("u_external_id", label="External ID", max_length=100)
CORRELATION = (
    Column("correlation_id", label="Correlation ID", max_length=100),
    Column("correlation_display", label="Correlation display", max_length=100),
)

DICTIONARY = (
    Table(
        "sys_db_object",
        (
            Column("name", label="Name", max_length=80, is_display=True),
            Column("label", label="Label", max_length=80),
            reference("super_class", "sys_db_object", label="Extends table"),
            Column("is_extendable", BOOLEAN, "Extensible"),
        ),
        "Tables",
    ),
    Table(
        "sys_glide_object",
        (Column("name", max_length=40, is_display=True), Column("label", max_length=80)),
        "Field class",
    ),
    Table(
        "sys_dictionary",
        (
            Column("name", label="Table", max_length=80),
            Column("element", label="Column name", max_length=80, is_display=True),
            Column("column_label", label="Column label", max_length=80),
            reference("internal_type", "sys_glide_object", label="Type"),
            Column("max_length", INTEGER, "Max length"),
            reference("reference", "sys_db_object", label="Reference"),
            Column("mandatory", BOOLEAN, "Mandatory"),
            Column("read_only", BOOLEAN, "Read only"),
            Column("unique", BOOLEAN, "Unique"),
            Column("display", BOOLEAN, "Display"),
            Column("default_value", label="Default value", max_length=512),
            Column("active", BOOLEAN, "Active", default="true"),
        ),
        "Dictionary Entry",
    ),
    Table(
        "sys_choice",
        (
            Column("name", label="Table", max_length=80),
            Column("element", label="Element", max_length=80),
            Column("value", label="Value", max_length=60),
            Column("label", label="Label", max_length=80, is_display=True),
            Column("language", label="Language", max_length=3, default="en"),
            Column("sequence", INTEGER, "Sequence"),
            Column("inactive", BOOLEAN, "Inactive"),
        ),
        "Choice",
    ),
)

PLATFORM = (
    Table(
        "sys_properties",
        (Column("name", max_length=100, is_display=True), Column("value", max_length=4_000), Column("type")),
        "System Property",
    ),
    Table(
        "sys_journal_field",
        (
            Column("name", max_length=80),
            Column("element", max_length=80),
            Column("element_id", label="Element ID", max_length=32),
            Column("value", max_length=4_000),
        ),
        "Journal Entry",
        stamps=CREATED,
    ),
    Table(
        "sys_audit_delete",
        (
            Column("tablename", label="Table name", max_length=80),
            Column("documentkey", label="Document key", max_length=32),
            Column("display_value", label="Display value", max_length=255, is_display=True),
        ),
        "Deleted Record",
    ),
    Table(
        "sys_user",
        (
            Column("user_name", label="User ID"),
            Column("name", label="Name", max_length=151, is_display=True),
            Column("first_name", max_length=50),
            Column("last_name", max_length=50),
            Column("email", label="Email", max_length=100),
            Column("phone", max_length=40),
            Column("title", max_length=60),
            Column("employee_number", max_length=40),
            Column("active", BOOLEAN, default="true"),
            Column("time_zone", label="Time zone"),
            reference("location", "cmn_location"),
            reference("company", "core_company"),
            reference("manager", "sys_user"),
            EXTERNAL_ID,
        ),
        "User",
        is_extensible=True,
        is_audited=True,
    ),
    Table(
        "sys_user_group",
        (
            Column("name", max_length=80, is_display=True),
            Column("description", max_length=1_000),
            Column("active", BOOLEAN, default="true"),
            reference("manager", "sys_user"),
        ),
        "Group",
    ),
    Table(
        "core_company",
        (
            Column("name", max_length=80, is_display=True),
            Column("customer", BOOLEAN),
            Column("vendor", BOOLEAN),
            Column("city", max_length=50),
            Column("country", max_length=40),
            EXTERNAL_ID,
        ),
        "Company",
        is_extensible=True,
    ),
    Table(
        "cmn_location",
        (
            Column("name", max_length=100, is_display=True),
            Column("full_name", max_length=255),
            Column("street", max_length=255),
            Column("city", max_length=50),
            Column("state", label="State / Province", max_length=40),
            Column("zip", label="Zip / Postal Code", max_length=40),
            Column("country", max_length=40),
            Column("latitude", DECIMAL),
            Column("longitude", DECIMAL),
            Column("phone", max_length=40),
            Column("time_zone"),
            reference("parent", "cmn_location"),
            reference("company", "core_company"),
            EXTERNAL_ID,
        ),
        "Location",
        is_audited=True,
    ),
)

TASK = Table(
    "task",
    (
        Column("number", max_length=40, is_display=True),
        Column("short_description", max_length=160),
        Column("description", max_length=4_000),
        Column("active", BOOLEAN, default="true"),
        Column("state", INTEGER, choices=TASK_STATES, default="1"),
        Column("priority", INTEGER, choices=PRIORITIES, default="4"),
        Column("urgency", INTEGER, choices=URGENCIES, default="3"),
        Column("impact", INTEGER, choices=URGENCIES, default="3"),
        reference("parent", "task"),
        reference("assigned_to", "sys_user"),
        reference("assignment_group", "sys_user_group", label="Assignment group"),
        reference("opened_by", "sys_user", label="Opened by"),
        reference("closed_by", "sys_user", label="Closed by"),
        reference("location", "cmn_location"),
        reference("company", "core_company"),
        reference("sys_domain", "sys_user_group", label="Domain"),
        Column("sys_domain_path", label="Domain Path", max_length=255, is_read_only=True),
        Column("opened_at", DATE_TIME, "Opened"),
        Column("closed_at", DATE_TIME, "Closed"),
        Column("due_date", DATE_TIME, "Due date"),
        Column("watch_list", LIST, "Watch list", 4_000, "sys_user"),
        Column("work_notes", JOURNAL, "Work notes", 4_000),
        Column("comments", JOURNAL, "Additional comments", 4_000),
        Column("close_notes", label="Close notes", max_length=4_000),
        *CORRELATION,
        EXTERNAL_ID,
    ),
    "Task",
    number_prefix="TASK",
    is_extensible=True,
    is_audited=True,
)

TASKS = (
    TASK,
    Table(
        "incident",
        (
            Column("state", INTEGER, "Incident state", choices=INCIDENT_STATES, default="1"),
            reference("caller_id", "sys_user", label="Caller"),
            Column("category", choices={"inquiry": "Inquiry / Help", "software": "Software", "hardware": "Hardware"}),
            Column("subcategory"),
            Column("hold_reason", INTEGER, "On hold reason", choices=HOLD_REASONS),
            Column("severity", INTEGER, choices=URGENCIES, default="3"),
            Column("close_code", label="Resolution code"),
            Column("resolved_at", DATE_TIME, "Resolved"),
            reference("resolved_by", "sys_user", label="Resolved by"),
            Column("reopen_count", INTEGER, "Reopen count", default="0"),
        ),
        "Incident",
        "task",
        "INC",
        is_audited=True,
    ),
    Table(
        "planned_task",
        (
            Column("start_date", DATE_TIME, "Planned start date"),
            Column("end_date", DATE_TIME, "Planned end date"),
            Column("percent_complete", DECIMAL, "Percent complete"),
            reference("top_task", "planned_task", label="Top task"),
        ),
        "Planned task",
        "task",
        is_audited=True,
    ),
    Table(
        "pm_project",
        (
            reference("project_manager", "sys_user", label="Project manager"),
            Column("phase", choices={"initiating": "Initiating", "planning": "Planning", "executing": "Executing"}),
            Column("budget_cost", DECIMAL, "Planned cost"),
        ),
        "Project",
        "planned_task",
        "PRJ",
        is_audited=True,
    ),
    Table("pm_project_task", (), "Project Task", "planned_task", "PRJTASK", is_audited=True),
)

ASSETS = (
    Table(
        "alm_asset",
        (
            Column("asset_tag", label="Asset tag", max_length=100),
            Column("display_name", label="Display name", max_length=255, is_display=True),
            Column("serial_number", label="Serial number", max_length=100),
            Column("install_status", INTEGER, "State", choices=ASSET_STATES, default="1"),
            Column("substatus", label="Substate"),
            Column("quantity", INTEGER, default="1"),
            Column("cost", DECIMAL),
            Column("purchase_date", DATE, "Purchased"),
            Column("install_date", DATE_TIME, "Installed"),
            Column("comments", max_length=4_000),
            reference("assigned_to", "sys_user"),
            reference("location", "cmn_location"),
            reference("company", "core_company"),
            EXTERNAL_ID,
        ),
        "Asset",
        is_extensible=True,
        is_audited=True,
    ),
    Table("alm_hardware", (), "Hardware", "alm_asset", is_audited=True),
)

IMPORTS = (
    Table("sys_multi_import_set", (Column("state", max_length=40),), "Multi Import Set"),
    Table(
        "sys_import_set",
        (
            Column("number", is_display=True),
            Column("table_name", label="Table name", max_length=80),
            Column("state", choices={"loaded": "Loaded", "processed": "Processed"}),
            reference("multi_import_set", "sys_multi_import_set", label="Multi import set"),
        ),
        "Import Set",
        number_prefix="ISET",
    ),
    Table(
        "sys_import_set_row",
        (
            reference("sys_import_set", "sys_import_set", label="Set"),
            Column("sys_import_row", INTEGER, "Row"),
            Column("sys_import_state", label="State", choices=IMPORT_STATES),
            Column("sys_import_state_comment", label="Comment", max_length=1_000),
            Column("sys_target_table", label="Target table", max_length=80),
            Column("sys_target_sys_id", label="Target record", max_length=32),
            Column("sys_transform_map", label="Transform map", max_length=80),
        ),
        "Import Set Row",
        is_extensible=True,
    ),
)

STANDARD_TABLES = (*DICTIONARY, *PLATFORM, *TASKS, *ASSETS, *IMPORTS)
