"""The next item is made while the last one is used: in a thread of its own, one ahead, so that memory stays flat."""

from __future__ import annotations

import gc
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Semaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_TURN_S = 0.0003
_NEW_OBJECTS = 100_000
"""Some pages of records, which hold no cycles: to look for some after every 700 objects costs a tenth of the time."""


@contextmanager
def quick_turns() -> Iterator[None]:
    """In the block a thread that has the database's answer does not wait for the other one for long.

    Python lets it wait for 5 ms, in which the database has nothing to do. It also looks less often for garbage.
    """
    turn_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_TURN_S)
    gc.set_threshold(_NEW_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        sys.setswitchinterval(turn_s)
        gc.set_threshold(*thresholds)


class Prefetch(Generic[T]):
    """Iterates once over the items, in their order.

    The next item is begun when it is asked for, or earlier, when the user of the last one calls `begin_next`: best
    when it is to wait for something for a while, since two threads of Python do not get on together.
    """

    def __init__(self, items: Iterator[T]) -> None:
        self._items = items
        self._made: SimpleQueue[tuple[bool, T | BaseException | None]] = SimpleQueue()
        self._turn = Semaphore(0)
        self._is_begun = self._is_closed = False
        self._thread = Thread(target=self._make, name="prefetch", daemon=True)
        self._thread.start()

    def begin_next(self) -> None:
        """Safe to call twice for an item."""
        if not self._is_begun:
            self._is_begun = True
            self._turn.release()

    def __iter__(self) -> Generator[T]:
        """What the iterator raises is raised here, after the items before it."""
        while True:
            self.begin_next()
            is_item, value = self._made.get()
            self._is_begun = False
            if is_item:
                yield value  # type: ignore[misc]  # an item
            elif isinstance(value, BaseException):
                raise value
            else:
                return

    def close(self) -> None:
        """Let the thread end, after the item that it is at."""
        self._is_closed = True
        self._turn.release()
        self._thread.join()

    def _make(self) -> None:
        try:
            while self._has_turn():
                self._made.put((True, next(self._items)))
        except StopIteration:
            self._made.put((False, None))
        except BaseException as exc:  # noqa: BLE001  # handed over to the consumer, who raises it
            self._made.put((False, exc))

    def _has_turn(self) -> bool:
        self._turn.acquire()
        return not self._is_closed
