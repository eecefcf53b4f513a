"""What include/systems/<system>.yaml and include/mappings/<system>/<table>.json declare, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path
from typing import Any

from kwiksync_ops import vocabulary


@dataclass(frozen=True)
class CursorSpec:
    """The field of a source record that tells when it last changed.

    `format` is `iso`, `epoch`, `epoch_ms`, or the product's notation (`D/M/YYYY H:mm`); `timezone` reads times that
    name no zone.
    """

    field: str
    format: str = "iso"
    timezone: str = "UTC"


@dataclass(frozen=True)
class ConflictSpec:
    """Who wins where both sides changed a field: `policy` for a table, `fields` for single columns of it.

    A column's value is a policy, or `hub` or `system`: the owner, whose value stands even where only the other
    side changed it.
    """

    policy: str = "newest_wins"
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DeletesSpec:
    """How a record that was deleted at the system is noticed.

    Attributes:
        mode: `ignore`; `feed`: the system lists its deletions at `source`, with the record's key in `key` and the
            time in `cursor`; `compare`: after a complete read, what the hub has and the read had not.
        guard: share of the table, 0 to 1, above which nothing is deleted, unless the run is told so.
        mirror: whether a deletion in the hub is sent to the system.
    """

    mode: str = "ignore"
    guard: float = 0.1
    source: str = ""
    key: str = ""
    cursor: CursorSpec | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    mirror: bool = False


@dataclass(frozen=True)
class TableSpec:
    """A table of a system: `source` is the system's object (a path for REST), `key` the field that names a record.

    `options` are the system's and the table's own, merged; `push` are those of its writing, merged the same way.
    `mapping` and `outbound_mapping` are paths below include/mappings.
    """

    table: str
    source: str
    key: str
    cursor: CursorSpec | None = None
    mapping: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    outbound_mapping: str = ""
    push: Mapping[str, Any] = field(default_factory=dict)
    conflict: ConflictSpec = ConflictSpec()
    deletes: DeletesSpec = DeletesSpec()


@dataclass(frozen=True)
class Limits:
    """`error_budget` is the share of a table's records, 0 to 1, that may be rejected before its sync fails."""

    calls_per_minute: int = vocabulary.CALLS_PER_MINUTE
    batch_records: int = vocabulary.BATCH_RECORDS
    error_budget: float = 0.5
    overlap_s: int = 120


@dataclass(frozen=True)
class SyncWindow:
    """When scheduled syncs may start, in the system's time zone. A window may go over midnight."""

    start: time
    end: time

    def contains(self, moment: time) -> bool:
        if self.start <= self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


@dataclass(frozen=True)
class SystemSpec:
    """An external system. `options` belong to its kind's connector; `tables` are in load order."""

    system: str
    kind: str
    connection_id: str
    direction: str
    tables: tuple[TableSpec, ...]
    description: str = ""
    schedule: str | None = None
    timezone: str = "UTC"
    sync_window: SyncWindow | None = None
    limits: Limits = Limits()
    options: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None

    def table(self, name: str) -> TableSpec | None:
        return next((table for table in self.tables if table.table == vocabulary.short_name(name)), None)
