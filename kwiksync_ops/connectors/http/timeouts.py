"""How long a call may take."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """To connect, between two pieces of an answer, and for a whole answer."""

    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 120.0
