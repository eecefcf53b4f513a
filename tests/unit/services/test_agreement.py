"""The digest of a side: no order, nothing that cancels out, and another number for any change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kwiksync_ops.services.agreement import Digest, record_hash

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(max_size=20),
    st.dates(),
    st.datetimes(timezones=st.just(UTC)),
    st.decimals(allow_nan=False, allow_infinity=False, places=2),
)
ROWS = st.dictionaries(st.text(min_size=1, max_size=10), st.tuples(VALUES, VALUES), max_size=20)


def digest(rows: list[tuple[str, tuple[Any, ...]]]) -> str:
    total = Digest()
    for key, values in rows:
        total.add(record_hash(key, values))
    return str(total)


@given(ROWS, st.randoms())
def test_the_order_of_the_records_does_not_matter(rows: dict[str, Any], random: Any) -> None:
    shuffled = list(rows.items())
    random.shuffle(shuffled)
    assert digest(shuffled) == digest(list(rows.items()))


@given(ROWS, st.text(min_size=1, max_size=10), st.tuples(VALUES, VALUES))
def test_a_record_more_gives_another_digest(rows: dict[str, Any], key: str, values: tuple[Any, ...]) -> None:
    before = list(rows.items())
    assert digest([*before, (key, values)]) != digest(before)
    assert digest([*before, (key, values), (key, values)]) != digest(before), "two of a kind do not cancel out"


@given(st.text(min_size=1), VALUES, VALUES)
def test_another_value_gives_another_hash_and_an_equal_one_the_same(key: str, one: Any, other: Any) -> None:
    is_same = type(one) is type(other) and one == other
    assert (record_hash(key, (one,)) == record_hash(key, (other,))) == is_same


@given(st.text(min_size=1), VALUES, VALUES)
def test_values_that_change_places_give_another_hash(key: str, one: Any, other: Any) -> None:
    is_same = type(one) is type(other) and one == other
    assert (record_hash(key, (one, other)) == record_hash(key, (other, one))) == is_same


def test_one_value_has_one_hash_however_a_database_spells_it() -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert record_hash("1", (Decimal("1.50"),)) == record_hash("1", (Decimal("1.5"),))
    assert record_hash("1", (Decimal("0.000000"),)) == record_hash("1", (Decimal("-0"),))
    assert record_hash("1", (noon,)) == record_hash("1", (noon.astimezone(timezone(timedelta(hours=5))),))
    assert record_hash("1", (None,)) != record_hash("1", ("",))
    assert record_hash("1", (date(2026, 1, 1),)) != record_hash("1", (datetime(2026, 1, 1, tzinfo=UTC),))


def test_nothing_at_all_agrees_with_nothing() -> None:
    assert str(Digest()) == "0" * 64
