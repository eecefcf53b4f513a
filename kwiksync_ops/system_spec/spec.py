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
class TableSpec:
    """A table of a system: `source` is the system's object (a path for REST), `key` the field that names a record.

    `options` are the system's and the table's own, merged; `mapping` is a path below include/mappings.
    """

    table: str
    source: str
    key: str
    cursor: CursorSpec | None = None
    mapping: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


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
