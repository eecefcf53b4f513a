"""A value that is costly to read and may be a little old: read in the background, shown from memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from typing import Generic, TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)

FRESH_S = 2.0
COST_FACTOR = 20
"""A read that takes a second is made every twenty: it never takes more than a twentieth of a core."""
FIRST_WAIT_S = 0.05

_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kwiksync-pages")


class Kept(Generic[T]):
    """Only the first look waits, and not long: it gets None where the value is not there by then."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._value: T | None = None
        self._fresh_until = 0.0
        self._reading: Future[None] | None = None
        self._lock = threading.Lock()

    def get(self) -> T | None:
        with self._lock:
            if self._reading is None and time.monotonic() >= self._fresh_until:
                self._reading = _pool.submit(self._renew)
            reading = self._reading
        if self._value is None and reading is not None:
            self._wait(reading)
        return self._value

    def _wait(self, reading: Future[None]) -> None:
        try:
            reading.result(FIRST_WAIT_S)
        except NotYetError:
            log.debug("a page did not wait for a value")

    def _renew(self) -> None:
        begun = time.monotonic()
        try:
            self._value = self._read()
        finally:
            ended = time.monotonic()
            self._fresh_until = ended + max(FRESH_S, COST_FACTOR * (ended - begun))
            self._reading = None
