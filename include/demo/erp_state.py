"""The running ERP: its records, its clock, and how often it was called."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from erp_faults import Fault, faults_of
from erp_history import History, Version

BUSY_WINDOW_S = 60.0


class Erp:
    """Shows every table as it is at the clock's moment."""

    def __init__(self, histories: Mapping[str, History], now: datetime) -> None:
        self.histories = histories
        self.calls = CallLog()
        self._now = now
        self._current: dict[str, list[Version]] = {}

    @property
    def now(self) -> datetime:
        return self._now

    def records(self, table: str) -> list[Version]:
        """The table's records, sorted by change time and key."""
        if table not in self._current:
            self._current[table] = self.histories[table].at(self._now)
        return self._current[table]

    def move_clock(self, moment: datetime) -> dict[str, int]:
        """Set the clock; returns how many records of each table changed on the way (none when it goes back)."""
        changed = {name: history.count_changed(self._now, moment) for name, history in self.histories.items()}
        self._now, self._current = moment, {}
        return changed

    def faults(self) -> list[dict[str, Any]]:
        """The faulty records that the tables show at this moment."""
        return [fault.as_json() for name in self.histories for fault in self._faults_in(name)]

    def _faults_in(self, table: str) -> Iterator[Fault]:
        for version in self.records(table):
            yield from faults_of(table, version.id, version.changed_at)


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
