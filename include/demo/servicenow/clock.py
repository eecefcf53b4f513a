"""The instance's time: UTC in whole seconds, as every date-time of its records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FORMAT = "%Y-%m-%d %H:%M:%S"


def text_of(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(FORMAT)


class Clock:
    """Runs with the machine's until it is stopped, and only goes where it is told to from then on."""

    def __init__(self) -> None:
        self._stopped_at: datetime | None = None

    def now(self) -> datetime:
        return (self._stopped_at or datetime.now(UTC)).replace(microsecond=0)

    def text(self) -> str:
        return text_of(self.now())

    def stop_at(self, moment: datetime) -> None:
        self._stopped_at = moment.astimezone(UTC)

    def advance(self, seconds: float) -> None:
        self.stop_at((self._stopped_at or datetime.now(UTC)) + timedelta(seconds=seconds))
