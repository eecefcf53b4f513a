"""A page that comes again is a loop, and a record that comes again counts once."""

from __future__ import annotations

import pytest

from kwiksync_ops.connectors.http.page_watch import DistinctCount, LoopWatch


def test_same_cursor_twice_is_a_loop() -> None:
    watch = LoopWatch()
    watch.note_state({"cursor": "a"})
    watch.note_state({"cursor": "b"})
    with pytest.raises(ValueError, match="page loop"):
        watch.note_state({"cursor": "a"})


def test_same_records_twice_are_a_loop_and_empty_pages_are_not() -> None:
    watch = LoopWatch()
    watch.note_content(())
    watch.note_content(())
    watch.note_content(("a", "b"))
    watch.note_content(("b", "a"))
    with pytest.raises(ValueError, match="page loop"):
        watch.note_content(("a", "b"))


def test_distinct_keys_are_counted_exactly() -> None:
    count = DistinctCount(before=10)
    for start in range(0, 50_000, 700):
        count.add(f"R{number}" for number in range(start, start + 1_000))
    assert count.distinct() == 10 + 49_700 + 1_000
    assert count.received == 10 + 72_000
