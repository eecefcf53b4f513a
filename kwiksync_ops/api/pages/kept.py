"""A value that is costly to read and may be a little old: read in the background, shown from memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Generic, TypeVar

from kwiksync_ops.errors import KwikSyncError

T = TypeVar("T")

log = logging.getLogger(__name__)

FRESH_S = 2.0
COST_FACTOR = 10
"""A read that takes a second is made every ten at most: it never takes more than a tenth of a core."""
FIRST_WAIT_S = 0.03

_pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="kwiksync-pages")


class Kept(Generic[T]):
    """Only the first looks wait, and not long: they get None where the value is not there by then."""

    def __init__(self, read: Callable[[], T], fresh_s: float = FRESH_S) -> None:
        self._read = read
        self._fresh_s = fresh_s
        self.value: T | None = None
        self._fresh_until = 0.0
        self._is_expired = False
        self._reading: Future[None] | None = None
        self._lock = threading.Lock()

    def get(self) -> T | None:
        all_of(self)
        return self.value

    def expire(self) -> None:
        """What is kept is known to be old, and what a read that is under way finds may be."""
        with self._lock:
            self._is_expired = True

    def renewed(self) -> Future[None] | None:
        """The read that is under way, begun now where the value is old; None where it is new."""
        with self._lock:
            if self._reading is None and (self._is_expired or time.monotonic() >= self._fresh_until):
                self._is_expired = False
                self._reading = _pool.submit(self._renew)
            return self._reading

    def _renew(self) -> None:
        begun = time.monotonic()
        try:
            self.value = self._read()
        except KwikSyncError as exc:
            log.warning("a page's value could not be read: %s", exc)
        finally:
            ended = time.monotonic()
            with self._lock:
                self._fresh_until = ended + max(self._fresh_s, COST_FACTOR * (ended - begun))
                self._reading = None


def all_of(*kept: Kept[Any]) -> tuple[Any, ...]:
    """The values of several, which are waited for together."""
    readings = [(each, each.renewed()) for each in kept]
    wait([reading for each, reading in readings if reading is not None and each.value is None], FIRST_WAIT_S)
    return tuple(each.value for each in kept)
