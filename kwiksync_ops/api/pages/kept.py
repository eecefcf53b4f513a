"""A value that is costly to read and may be a little old: read in the background, shown from memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Generic, TypeVar

from kwiksync_ops.errors import KwikSyncError

T = TypeVar("T")

log = logging.getLogger(__name__)

FRESH_S = 2.0
COST_FACTOR = 10
"""A read that takes a second is made every ten at most: it never takes more than a tenth of a core."""
FIRST_WAIT_S = 0.05

_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="kwiksync-pages")


class Kept(Generic[T]):
    """Only the first look waits, and not long: it gets None where the value is not there by then."""

    def __init__(self, read: Callable[[], T], fresh_s: float = FRESH_S) -> None:
        self._read = read
        self._fresh_s = fresh_s
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
            wait([reading], FIRST_WAIT_S)
        return self._value

    def _renew(self) -> None:
        begun = time.monotonic()
        try:
            self._value = self._read()
        except KwikSyncError as exc:
            log.warning("a page's value could not be read: %s", exc)
        finally:
            ended = time.monotonic()
            with self._lock:
                self._fresh_until = ended + max(self._fresh_s, COST_FACTOR * (ended - begun))
                self._reading = None
