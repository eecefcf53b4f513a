from __future__ import annotations

from typing import Any

import pytest

from kwiksync_ops.connectors.http.identity import Identity

TICKETS = Identity(("id",), ("at",))


def test_the_same_version_has_the_same_mark_and_another_has_not() -> None:
    first, again, newer = TICKETS.marks(
        [{"id": "a", "at": 1, "x": 1}, {"id": "a", "at": 1, "x": 2}, {"id": "a", "at": 2}]
    )
    assert first == again != newer


def test_keys_ignore_the_version() -> None:
    first, newer, other = TICKETS.keys([{"id": "a", "at": 1}, {"id": "a", "at": 2}, {"id": "b", "at": 1}])
    assert first == newer != other


@pytest.mark.parametrize("record", [{"at": 1}, {"id": None, "at": 1}])
def test_records_without_a_key_are_told_apart_by_what_they_hold(record: dict[str, Any]) -> None:
    records = [{**record, "x": 1}, {**record, "x": 2}]
    assert len(set(TICKETS.keys(records))) == len(set(TICKETS.marks(records))) == 2


def test_keys_that_are_no_scalars_and_nested_paths_work() -> None:
    nested = Identity(("id", "value"))
    assert len(set(nested.marks([{"id": {"value": "a"}}, {"id": {"value": "b"}}, {"id": {"value": ["c"]}}]))) == 3
    assert len(set(TICKETS.marks([{"id": ["a"], "at": 1}, {"id": {}, "at": 1}]))) == 2
