"""What runs, what ran last, and how full the tables are: the Hub's page in one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kwiksync_ops.storage import api_calls, error_log, lease, record_search, sync_log
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.lease import LeaseState
from kwiksync_ops.vocabulary import SyncStatus


@dataclass(frozen=True)
class TableStatus:
    """A record table, and its newest Sync Log row of each system and direction."""

    table: str
    records: int
    updated_on: datetime | None
    last: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Status:
    """`calls` holds, by system, the API calls of the last 60 seconds; `open_errors` open Error Log rows by code."""

    lease: LeaseState | None
    tables: tuple[TableStatus, ...]
    open_errors: Mapping[str, int]
    calls: Mapping[str, int]

    @property
    def running(self) -> str | None:
        """The run that holds the lease now."""
        return self.lease.run_id if self.lease and self.lease.is_held else None

    @property
    def is_syncing(self) -> bool:
        return self.running is not None


def read_status(hub: Hub) -> Status:
    """All of it as of one moment."""
    with hub.read() as connection:
        last = [dict(row) for row in sync_log.last_by_table(connection)]
        systems = sorted({row["system"] for row in last})
        return Status(
            lease=lease.state(connection),
            tables=_tables(connection, last),
            open_errors=error_log.count_open(connection),
            calls={system: api_calls.used(connection, system) for system in systems},
        )


def recent_runs(hub: Hub, limit: int) -> Sequence[Mapping[str, Any]]:
    """The newest Sync Log rows, newest first."""
    with hub.read() as connection:
        return [dict(row) for row in sync_log.latest(connection, limit=limit)]


def run_rows(hub: Hub, run_id: str) -> Sequence[Mapping[str, Any]]:
    """The Sync Log rows of one run."""
    with hub.read() as connection:
        return [dict(row) for row in sync_log.read_run(connection, run_id)]


def status_document(found: Status, log: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The status as JSON says it, on the command line and over REST."""
    lease = found.lease
    return {
        "syncing": found.is_syncing,
        "run_id": found.running,
        "lease": {"token": lease.token, "remaining_s": round(lease.remaining_s, 3)}
        if found.is_syncing and lease
        else None,
        "open_errors": dict(found.open_errors),
        "calls_last_minute": dict(found.calls),
        "tables": [
            {
                "table": table.table,
                "records": table.records,
                "updated_on": table.updated_on,
                "last": [run_document(row) for row in table.last],
            }
            for table in found.tables
        ],
        "runs": [run_document(row) for row in log],
    }


def run_document(row: Mapping[str, Any]) -> dict[str, Any]:
    """A Sync Log row, under the names of the product's columns."""
    named = {"table": row["table_name"], **row}
    return {name: value for name, value in named.items() if name != "table_name"}


def is_stalled(row: Mapping[str, Any], status: Status) -> bool:
    """A row that says running, while its run does not hold the lease: its process is gone."""
    return bool(row["status"] == SyncStatus.RUNNING and row["run_id"] != status.running)


def worst_of(statuses: Iterable[str]) -> str:
    """What a run's rows of the Sync Log come to."""
    found = set(statuses)
    return next((status.value for status in _WORST_FIRST if status in found), SyncStatus.SUCCESS.value)


_WORST_FIRST = (
    SyncStatus.RUNNING,
    SyncStatus.FAILED,
    SyncStatus.CANCELLED,
    SyncStatus.PARTIAL,
    SyncStatus.SUCCESS,
    SyncStatus.SKIPPED,
)


def _tables(connection: Connection, last: Sequence[Mapping[str, Any]]) -> tuple[TableStatus, ...]:
    return tuple(
        TableStatus(
            found.table,
            found.records,
            found.updated_on,
            tuple(row for row in last if row["table_name"] == found.table),
        )
        for found in record_search.count_tables(connection)
    )
