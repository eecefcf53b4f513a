"""Attempts of strangers, by address and minute."""

from __future__ import annotations

from kwiksync_ops.api.strangers import MAX_ADDRESSES, Strangers, is_noted


def test_attempts_are_counted_by_address_until_their_minute_is_over() -> None:
    strangers = Strangers()
    assert [strangers.count("a", now_s) for now_s in (0, 1, 59.9, 60, 61)] == [1, 2, 3, 1, 2]
    assert strangers.count("b", 61) == 1


def test_however_many_attempts_only_a_few_are_noted() -> None:
    assert [number for number in range(1, 100_001) if is_noted(number)] == [1, 10, 100, 1_000, 10_000, 100_000]


def test_no_more_addresses_are_kept_than_fit() -> None:
    strangers = Strangers()
    for number in range(2 * MAX_ADDRESSES + 1):
        strangers.count(str(number), 0)
    assert len(strangers._counted) <= MAX_ADDRESSES
