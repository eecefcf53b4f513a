from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import closing
from queue import SimpleQueue

import pytest

from kwiksync_ops.services.prefetch import Prefetch, quick_turns


class Made:
    """Items from a source that tells when each was begun, and whether it was closed."""

    def __init__(self, count: int = 3) -> None:
        self.begun: SimpleQueue[int] = SimpleQueue()
        self._count = count

    def __iter__(self) -> Iterator[int]:
        for number in range(self._count):
            self.begun.put(number)
            yield number


def test_items_come_in_their_order() -> None:
    with closing(Prefetch(iter(range(100)))) as items:
        assert list(items) == list(range(100))


def test_the_next_item_is_begun_when_its_user_says_so_and_only_once() -> None:
    made = Made()
    with closing(Prefetch(iter(made))) as items:
        used = iter(items)
        assert made.begun.empty()
        assert next(used) == 0
        assert made.begun.get() == 0
        items.begin_next()
        items.begin_next()
        assert made.begun.get(timeout=10) == 1
        assert next(used) == 1
    assert made.begun.empty()


def test_what_is_never_begun_early_comes_all_the_same() -> None:
    made = Made()
    with closing(Prefetch(iter(made))) as items:
        for number in items:
            assert made.begun.get() == number
            assert made.begun.empty()


def test_a_fault_comes_after_the_items_before_it() -> None:
    def faulty() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    with closing(Prefetch(faulty())) as items:
        used = iter(items)
        assert next(used) == 1
        with pytest.raises(ValueError, match="the second"):
            next(used)


@pytest.mark.parametrize("is_begun", [True, False])
def test_closed_early_its_thread_ends(is_begun: bool) -> None:
    items = Prefetch(iter(range(5)))
    assert next(iter(items)) == 0
    if is_begun:
        items.begin_next()
    items.close()
    assert not items._thread.is_alive()


def test_how_threads_take_turns_is_as_before_after_the_block() -> None:
    before = sys.getswitchinterval(), gc.get_threshold()
    with quick_turns():
        assert sys.getswitchinterval() < before[0]
        assert gc.get_threshold()[0] > before[1][0]
    assert (sys.getswitchinterval(), gc.get_threshold()) == before
