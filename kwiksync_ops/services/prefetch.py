"""The next item is made while the last one is used: in a thread of its own, one ahead, so that memory stays flat."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from queue import Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")

AHEAD = 2


def prefetch(items: Iterator[T]) -> Generator[T]:
    """The items in their order. What the iterator raises is raised here, after the items before it.

    Closed early, it lets the thread end after the item that it is at.
    """
    queue: Queue[tuple[bool, T | BaseException | None]] = Queue(AHEAD)
    stop = Event()

    def produce() -> None:
        try:
            for item in items:
                queue.put((True, item))
                if stop.is_set():
                    return
            queue.put((False, None))
        except BaseException as exc:  # noqa: BLE001  # handed over to the consumer, who raises it
            queue.put((False, exc))

    thread = Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        while True:
            is_item, value = queue.get()
            if is_item:
                yield value  # type: ignore[misc]  # an item
            elif isinstance(value, BaseException):
                raise value
            else:
                return
    finally:
        stop.set()
        while thread.is_alive():
            while not queue.empty():
                queue.get_nowait()
            thread.join(0.01)
