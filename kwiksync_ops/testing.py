"""Doubles for tests: they keep their contracts without waiting, a network or a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

MANUAL_START = datetime(2026, 1, 15, 12, tzinfo=UTC)


class ManualClock:
    """A clock that stands still until it is told to move; `sleep` moves it, and `slept` lists how far each time."""

    def __init__(self, start: datetime = MANUAL_START) -> None:
        self._start = start
        self._elapsed_s = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed_s)

    def monotonic(self) -> float:
        return self._elapsed_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._elapsed_s += seconds
