"""At most so many calls in any 60 seconds: the seam between those who call a system and the log that counts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

WINDOW_S = 60.0


class CallLimiter(Protocol):
    calls: int
    """How many calls this limiter let through, failed attempts among them."""

    def call(self) -> AbstractContextManager[None]:
        """Wait for a free call, hold it while the block runs. Every attempt is a call of its own."""
        ...


class Unlimited:
    """No limit: for benchmarks, and for sources that are not called over a network."""

    def __init__(self) -> None:
        self.calls = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        self.calls += 1
        yield
