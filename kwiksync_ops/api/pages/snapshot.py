"""The state of the whole for pages that ask every two seconds: what is cheap is read, the rest is kept.

To count millions of records takes tens of milliseconds, and the newest row of each table one query a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from kwiksync_ops.api.context import Context
from kwiksync_ops.api.pages.kept import Kept, all_of
from kwiksync_ops.storage import activity, api_calls, lease, record_search, sync_log
from kwiksync_ops.storage.lease import LeaseState
from kwiksync_ops.storage.record_search import TableCount
from kwiksync_ops.vocabulary import RECORD_TABLES, Mode, SyncStatus

LogRow = Mapping[str, Any]
TableKey = tuple[str, str, str]
"""System, direction, table."""

NEWEST_ROWS = 200


@dataclass(frozen=True)
class Snapshot:
    """`counts` and `errors` are None before they were read the first time. `last` is the newest row of each table."""

    lease: LeaseState | None
    counts: Mapping[str, TableCount] | None
    errors: Mapping[tuple[str, str | None, str], int] | None
    last: Mapping[TableKey, LogRow]

    @property
    def running(self) -> str | None:
        """The run that holds the lease now."""
        return self.lease.run_id if self.lease and self.lease.is_held else None

    @property
    def open_by_code(self) -> dict[str, int]:
        found: Counter[str] = Counter()
        for (_, _, code), count in (self.errors or {}).items():
            found[code] += count
        return dict(sorted(found.items()))

    def open_of(self, system: str, table: str) -> int:
        return sum(count for key, count in (self.errors or {}).items() if key[:2] == (system, table))

    def is_stalled(self, row: LogRow) -> bool:
        """It says running, while its run does not hold the lease: its process is gone."""
        return bool(row["status"] == SyncStatus.RUNNING and row["run_id"] != self.running)

    def last_of(self, table: str) -> LogRow | None:
        """The newest row about a record table, whichever system it was synced with."""
        rows = [row for key, row in self.last.items() if key[2] == table]
        return max(rows, key=lambda row: row["started"], default=None)


class Snapshots:
    """One an app: what it keeps is shared by all who look."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._counts = Kept(self._read_counts)
        self._errors = Kept(self._read_errors)
        self._last = Kept(self._read_last)
        self._ended: LogRow | None = None

    def take(self) -> Snapshot:
        with self._context.hub.read() as connection:
            held = lease.state(connection)
            newest = [dict(row) for row in sync_log.latest(connection, limit=NEWEST_ROWS)]
        self._expire_after(newest)
        counts, errors, last = all_of(self._counts, self._errors, self._last)
        return Snapshot(held, counts, errors, {**(last or {}), **_by_table(newest)})

    def _expire_after(self, newest: Sequence[LogRow]) -> None:
        """Where a sync has ended since the last look, other counts are shown soon, however long it takes to count."""
        ended = max((row for row in newest if row["ended"]), key=lambda row: row["ended"], default=None)
        if ended is not None and ended != self._ended:
            self._ended = ended
            for kept in (self._counts, self._errors):
                kept.expire()

    def calls_used(self, systems: Sequence[str]) -> dict[str, int]:
        """API calls of the last 60 seconds, by system."""
        with self._context.hub.read() as connection:
            return {system: api_calls.used(connection, system) for system in systems}

    def _read_counts(self) -> dict[str, TableCount]:
        with self._context.hub.read() as connection:
            return {found.table: found for found in record_search.count_tables(connection)}

    def _read_errors(self) -> dict[tuple[str, str | None, str], int]:
        with self._context.hub.read() as connection:
            return activity.open_errors(connection)

    def _read_last(self) -> dict[TableKey, LogRow]:
        with self._context.hub.read() as connection:
            return _by_table([dict(row) for row in sync_log.last_by_table(connection)])


def snapshots_of(request: Request) -> Snapshots:
    found: Snapshots = request.app.state.snapshots
    return found


def _by_table(rows: Sequence[LogRow]) -> dict[TableKey, LogRow]:
    """The newest of each; a verification is no sync. Rows of what is no record table do not count."""
    newest: dict[TableKey, LogRow] = {}
    for row in sorted(rows, key=lambda row: row["started"]):
        if row["mode"] != Mode.VERIFY and row["table_name"] in RECORD_TABLES:
            newest[row["system"], row["direction"], row["table_name"]] = row
    return newest
