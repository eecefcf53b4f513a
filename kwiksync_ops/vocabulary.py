"""The product's words: its tables, columns, closed sets and limits. One word for one thing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TABLE_PREFIX = "x_kwr_kwiksync_"
RETRY_DELAYS_S = (60, 300, 900)
CALLS_PER_MINUTE = 60
BATCH_RECORDS = 1_000
LEASE_S = 60


class Direction(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"


class Mode(StrEnum):
    """What a run does; `verify` compares, and is no way to sync."""

    FULL = "full"
    INCREMENTAL = "incremental"
    PREVIEW = "preview"
    VERIFY = "verify"


SYNC_MODES = (Mode.FULL, Mode.INCREMENTAL, Mode.PREVIEW)


class Repair(StrEnum):
    """Which side of a comparison is put right, by what the other one has."""

    HUB = "hub"
    SYSTEM = "system"


class Verdict(StrEnum):
    """What a comparison says of a record.

    `missing` in the hub; `extra` there, since the system has it no more; `newer` at the system than what the hub last
    took; `edited` in the hub, and not sent yet; `rejected`: it can't be mapped, so that nothing can be compared.
    """

    EQUAL = "equal"
    MISSING = "missing"
    EXTRA = "extra"
    DIFFERENT = "different"
    NEWER = "newer"
    EDITED = "edited"
    REJECTED = "rejected"


class Role(StrEnum):
    """Who may do what: a user reads and writes records and starts syncs, an admin does everything."""

    ADMIN = "x_kwr_kwiksync.admin"
    USER = "x_kwr_kwiksync.user"


class Trigger(StrEnum):
    SCHEDULE = "schedule"
    UI = "ui"
    REST = "rest"
    CLI = "cli"
    REPLAY = "replay"


class SyncStatus(StrEnum):
    RUNNING = "running"
    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class Action(StrEnum):
    """What happens to a record, in the hub or at a system."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class DeliveryState(StrEnum):
    """Where a row of the outbox stands.

    `sending` was written before the call: found after a crash, it says that the system may have got it.
    `sent` waits for its confirmation; `unconfirmed` for a person (ERR_013); `refused` by the system for good.
    `again`: the next run formats and sends it anew, since the record had changed at the system too, or a person asked
    for it. `superseded`: by a newer delivery of its record.
    """

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    AGAIN = "again"
    UNCONFIRMED = "unconfirmed"
    SUPERSEDED = "superseded"


class ConflictPolicy(StrEnum):
    """Who wins where hub and system changed the same field of a record since they last agreed."""

    NEWEST_WINS = "newest_wins"
    HUB_WINS = "hub_wins"
    SYSTEM_WINS = "system_wins"
    MANUAL = "manual"


class Severity(StrEnum):
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Resolution(StrEnum):
    OPEN = "open"
    REPLAYED = "replayed"
    RESOLVED = "resolved"


class TransformType(StrEnum):
    DIRECT = "direct"
    VALUE_MAP = "value_map"
    DATE_FORMAT = "date_format"
    CONCATENATE = "concatenate"
    LOOKUP = "lookup"
    SCRIPT = "script"


class ColumnType(StrEnum):
    STRING = "string"
    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Column:
    """A column of a record table. `references` is the short name of the table that a reference points to.

    `choices` are values with the words for them, in the order of a list to choose from; another value may stand there.
    """

    name: str
    type: ColumnType = ColumnType.STRING
    max_length: int | None = 255
    references: str | None = None
    scale: int | None = None
    choices: tuple[tuple[str, str], ...] = ()

    def choice(self, value: object) -> str | None:
        """`Resolved (6)`, `1 - Critical`; None for what is none of the choices."""
        return self.labelled_choices.get(str(value))

    @property
    def labelled_choices(self) -> dict[str, str]:
        """By value, `Resolved (6)`: the value always stands in its words."""
        return {
            value: label if label.startswith(f"{value} ") else f"{label} ({value})" for value, label in self.choices
        }


@dataclass(frozen=True)
class RecordTable:
    """One of the six record tables: its short name and its natural columns (base columns come beside them)."""

    name: str
    columns: tuple[Column, ...]

    @property
    def sql_name(self) -> str:
        return TABLE_PREFIX + self.name

    @property
    def references(self) -> frozenset[str]:
        return frozenset(column.references for column in self.columns if column.references)

    def column(self, name: str) -> Column | None:
        return next((column for column in (*BASE_COLUMNS, *self.columns) if column.name == name), None)


def _text(name: str) -> Column:
    return Column(name, ColumnType.TEXT, 65_536)


def _typed(name: str, column_type: ColumnType) -> Column:
    return Column(name, column_type, None)


def _decimal(name: str, scale: int) -> Column:
    return Column(name, ColumnType.DECIMAL, None, scale=scale)


def _reference(name: str, table: str) -> Column:
    return Column(name, ColumnType.REFERENCE, 32, table)


def _chosen(name: str, choices: tuple[tuple[str, str], ...]) -> Column:
    return Column(name, max_length=40, choices=choices)


PRIORITIES = (("1", "1 - Critical"), ("2", "2 - High"), ("3", "3 - Moderate"), ("4", "4 - Low"), ("5", "5 - Planning"))
"""Source: ServiceNow's choices of `priority` of the table `task`."""

TICKET_STATES = (
    ("1", "New"),
    ("2", "In Progress"),
    ("3", "On Hold"),
    ("4", "Awaiting Problem"),
    ("6", "Resolved"),
    ("7", "Closed"),
    ("8", "Canceled"),
)
"""Source: ServiceNow's choices of `state` of the table `incident`; 4 is KWikSync's own, by its standard mapping."""

TASK_STATES = (
    ("-5", "Pending"),
    ("1", "Open"),
    ("2", "Work in Progress"),
    ("3", "Closed Complete"),
    ("4", "Closed Incomplete"),
    ("7", "Closed Skipped"),
)
"""Source: ServiceNow's choices of `state` of the table `task`."""

PROJECT_STATES = (("1", "Planned"), ("2", "In Progress"), ("3", "Completed"), ("4", "Canceled"), ("5", "On Hold"))
"""Source: KWikSync's standard mapping of projects."""

DELIVERABLE_STATES = (("1", "Planned"), ("2", "In Work"), ("3", "Delivered"), ("4", "Accepted"), ("5", "Rejected"))
"""Source: KWikSync's standard mapping of deliverables; 5 is what a customer does not accept."""

SYS_ID_LENGTH = 32

BASE_COLUMNS = (
    Column("sys_id", max_length=SYS_ID_LENGTH),
    Column("external_id"),
    Column("source_system", max_length=40),
    _typed("sys_created_on", ColumnType.DATETIME),
    Column("sys_created_by", max_length=100),
    _typed("sys_updated_on", ColumnType.DATETIME),
    Column("sys_updated_by", max_length=100),
    _typed("sys_mod_count", ColumnType.INTEGER),
    _typed("active", ColumnType.BOOLEAN),
    _typed("sys_deleted_on", ColumnType.DATETIME),
)

MAPPABLE_BASE_COLUMNS = frozenset({"external_id", "active"})
"""Base columns that a mapping may fill; the hub itself keeps the others."""

_RECORD_TABLES = (
    RecordTable(
        "locations",
        (
            Column("name"),
            Column("street"),
            Column("city"),
            Column("state"),
            Column("zip", max_length=40),
            Column("country"),
            Column("region"),
            _decimal("latitude", 6),
            _decimal("longitude", 6),
            Column("customer"),
            Column("status", max_length=40),
        ),
    ),
    RecordTable(
        "projects",
        (
            Column("number", max_length=80),
            Column("name"),
            _text("short_description"),
            _chosen("state", PROJECT_STATES),
            _chosen("priority", PRIORITIES),
            _typed("start_date", ColumnType.DATE),
            _typed("end_date", ColumnType.DATE),
            Column("customer"),
            _reference("location", "locations"),
            _decimal("percent_complete", 2),
            Column("manager"),
        ),
    ),
    RecordTable(
        "tickets",
        (
            Column("number", max_length=80),
            _text("short_description"),
            _text("description"),
            _chosen("state", TICKET_STATES),
            _chosen("priority", PRIORITIES),
            Column("category"),
            Column("assigned_to"),
            _reference("project", "projects"),
            _reference("location", "locations"),
            _typed("opened_at", ColumnType.DATETIME),
            _typed("due_date", ColumnType.DATETIME),
            _typed("closed_at", ColumnType.DATETIME),
        ),
    ),
    RecordTable(
        "kw_corp_ticket_tasks",
        (
            Column("number", max_length=80),
            _reference("ticket", "tickets"),
            _text("short_description"),
            _chosen("state", TASK_STATES),
            Column("assigned_to"),
            _typed("due_date", ColumnType.DATETIME),
            _typed("completed_at", ColumnType.DATETIME),
            _text("work_notes"),
        ),
    ),
    RecordTable(
        "assets",
        (
            Column("asset_tag", max_length=80),
            Column("name"),
            Column("category"),
            Column("serial_number"),
            _typed("quantity", ColumnType.INTEGER),
            _typed("minimum_quantity", ColumnType.INTEGER),
            _reference("location", "locations"),
            Column("status", max_length=40),
            Column("assigned_to"),
        ),
    ),
    RecordTable(
        "deliverables",
        (
            Column("number", max_length=80),
            Column("name"),
            _reference("project", "projects"),
            Column("type", max_length=80),
            _chosen("state", DELIVERABLE_STATES),
            _typed("due_date", ColumnType.DATETIME),
            _typed("delivered_at", ColumnType.DATETIME),
            Column("accepted_by"),
        ),
    ),
)

RECORD_TABLES: dict[str, RecordTable] = {table.name: table for table in _RECORD_TABLES}
"""The record tables by short name, in load order: a table comes after those that it refers to."""


def short_name(table: str) -> str:
    """`x_kwr_kwiksync_tickets` and `tickets` both become `tickets`."""
    return table.removeprefix(TABLE_PREFIX)
