"""Attempts of whoever is not known: counted in memory by address, so that a flood of them fills no audit trail."""

from __future__ import annotations

import threading
from dataclasses import dataclass

WINDOW_S = 60.0
MAX_ADDRESSES = 10_000


@dataclass
class _Counted:
    since_s: float
    attempts: int = 0


class Strangers:
    """Of this process."""

    def __init__(self) -> None:
        self._counted: dict[str, _Counted] = {}
        self._lock = threading.Lock()

    def count(self, address: str, now_s: float) -> int:
        """The number of this attempt among those of the address in its minute, which its first one begins."""
        with self._lock:
            found = self._counted.get(address)
            if found is None or found.since_s <= now_s - WINDOW_S:
                if len(self._counted) >= MAX_ADDRESSES:
                    self._forget(now_s)
                found = self._counted[address] = _Counted(now_s)
            found.attempts += 1
            return found.attempts

    def _forget(self, now_s: float) -> None:
        """Those whose minute is over; where none is, all, who are told anew then."""
        self._counted = {name: one for name, one in self._counted.items() if one.since_s > now_s - WINDOW_S}
        if len(self._counted) >= MAX_ADDRESSES:
            self._counted = {}


def is_noted(attempts: int) -> bool:
    """The 1st, 10th, 100th and so on: rows of an address in a minute grow with the length of the number."""
    return str(attempts).rstrip("0") == "1"
