"""The running ERP: its records, its clock, and how often it was called."""

from __future__ import annotations

import json
import time
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from erp_edits import Edit, Edits
from erp_faults import FAULTS, Fault
from erp_fields import FORMS
from erp_history import History, Record, Version
from erp_tables import TABLES

BUSY_WINDOW_S = 60.0


class Shown:
    """A table's records at one moment, sorted by change time and key."""

    def __init__(self, versions: list[Version]) -> None:
        self.versions = versions
        self.by_id = {version.id: version for version in versions}

    def put(self, version: Version) -> None:
        self.drop(version.id)
        self.by_id[version.id] = version
        insort(self.versions, version, key=lambda known: known.position)

    def drop(self, record_id: str) -> None:
        version = self.by_id.pop(record_id, None)
        if version:
            del self.versions[bisect_left(self.versions, version.position, key=lambda known: known.position)]


class Erp:
    """Shows every table as it is at the clock's moment, with what was written to it."""

    def __init__(self, histories: Mapping[str, History], now: datetime) -> None:
        self.histories = histories
        self.calls = CallLog()
        self._edits = {table.name: Edits(table, histories[table.name]) for table in TABLES}
        self._now = now
        self._shown: dict[str, Shown] = {}

    @property
    def now(self) -> datetime:
        return self._now

    def records(self, table: str) -> list[Version]:
        """The table's records, sorted by change time and key."""
        return self._table(table).versions

    def find(self, table: str, record_id: str) -> Version | None:
        return self._table(table).by_id.get(record_id)

    def deletions(self, table: str) -> list[Version]:
        """What was deleted from the table: its key and `deleted_at`, sorted by time and key."""
        return self._edits[table].deletions(self._now)

    def create(self, table: str, fields: Record, who: str) -> Version:
        """Sound fields are expected, as in `change`; what they leave open, the ERP fills in."""
        edits = self._edits[table]
        record = FORMS[table].new_record(edits.highest_id(), self._now, fields)
        return self.change(table, record[self.histories[table].key], record, who)

    def change(self, table: str, record_id: str, fields: Record, who: str) -> Version:
        stamped = fields | {"updated_by": who} if table == "tickets" else fields
        self._edits[table].add(record_id, Edit(self._now, stamped))
        version = self._edits[table].version(record_id, self._now)
        if version is None:
            raise LookupError(f"{table} has no {record_id}")
        self._table(table).put(version)
        return version

    def delete(self, table: str, record_id: str) -> None:
        self._edits[table].add(record_id, Edit(self._now, {}, is_delete=True))
        self._table(table).drop(record_id)

    def move_clock(self, moment: datetime) -> dict[str, int]:
        """Set the clock; returns how many records of each table changed on the way (none when it goes back)."""
        changed = {name: history.changed(self._now, moment) for name, history in self.histories.items()}
        self._now, self._shown = moment, {}
        return {name: sum(1 for record_id in ids if self.find(name, record_id)) for name, ids in changed.items()}

    def faults(self) -> list[dict[str, Any]]:
        """The faulty records that the tables show at this moment."""
        return [fault.as_json() for fault in FAULTS if self._shows(fault)]

    def _shows(self, fault: Fault) -> bool:
        version = self.find(fault.table, fault.id)
        return version is not None and json.loads(version.body)[fault.field] == fault.value

    def _table(self, table: str) -> Shown:
        if table not in self._shown:
            self._shown[table] = Shown(self._edits[table].versions(self._now))
        return self._shown[table]


class CallLog:
    """Counts the calls to the API, and the most that came within any 60 seconds."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._by_path: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()
        self._busiest = 0

    def add(self, path: str, status: int) -> None:
        now = time.monotonic()
        self._moments.append(now)
        self._by_path[path] += 1
        self._by_status[str(status)] += 1
        recent = len(self._moments) - bisect_left(self._moments, now - BUSY_WINDOW_S)
        self._busiest = max(self._busiest, recent)

    def summary(self) -> dict[str, Any]:
        return {
            "calls": len(self._moments),
            "by_path": dict(self._by_path),
            "by_status": dict(self._by_status),
            "busiest_60_s": self._busiest,
        }
