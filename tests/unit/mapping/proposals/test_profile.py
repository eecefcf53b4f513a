"""What a sample tells about a field."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwiksync_ops.mapping.proposals.matching import MatchContext, propose_rules
from kwiksync_ops.mapping.proposals.profile import Declared, FieldProfile, profile_records
from kwiksync_ops.vocabulary import RECORD_TABLES, ColumnType
from tests.support.mappings import map_records


def profile(*values: Any, name: str = "field", declared: Declared | None = None) -> FieldProfile:
    (found,) = profile_records([{name: value} for value in values], {name: declared} if declared else None)
    return found


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ((1, 2), ColumnType.INTEGER),
        (("1", "20"), ColumnType.INTEGER),
        (("01", "02"), ColumnType.STRING),
        ((Decimal("1.5"), 2), ColumnType.DECIMAL),
        ((True, False), ColumnType.BOOLEAN),
        (("yes", "no"), ColumnType.BOOLEAN),
        (("no", "se"), ColumnType.STRING),
        (("no",), ColumnType.STRING),
        (("0", "1"), ColumnType.INTEGER),
        ((Decimal("59.900999999999996"),), ColumnType.DECIMAL),
        (("1234567890123456",), ColumnType.STRING),
        (("a", "b"), ColumnType.STRING),
        (("a\nb",), ColumnType.TEXT),
        (("x" * 300,), ColumnType.TEXT),
        (("2026-01-02",), ColumnType.DATE),
        (("2026-01-02T03:04:05Z",), ColumnType.DATETIME),
        ((datetime(2026, 1, 2, tzinfo=UTC),), ColumnType.DATETIME),
        ((None, None), None),
        ((["a"], {"b": []}), None),
    ],
)
def test_the_type_is_what_all_values_are(values: tuple[Any, ...], kind: ColumnType | None) -> None:
    found = profile_records([{"field": value} for value in values])
    assert (found[0].type if found else None) == kind


def test_digits_are_moments_only_where_the_name_says_so() -> None:
    assert profile(1394956800, name="changed_at").type is ColumnType.DATETIME
    assert profile(1394956800, name="reference").type is ColumnType.INTEGER


def test_texts_that_mean_no_value_are_told_apart() -> None:
    found = profile("?", "", "N/A", "A1", None)
    assert found.fillers == ("", "?", "N/A")
    assert (found.total, found.filled, found.texts) == (5, 1, ["A1"])
    assert not found.is_unique


def test_a_key_has_a_value_in_each_record_and_never_the_same() -> None:
    assert profile("A1", "A2").is_unique
    assert not profile("A1", "A1").is_unique
    assert not profile("A1", None).is_unique


def test_nested_records_are_named_by_their_path_and_lists_are_left_out() -> None:
    fields = profile_records([{"id": 1, "site": {"id": "L1", "geo": {"lat": Decimal("1.5")}}, "tags": ["a"]}])
    assert [field.name for field in fields] == ["id", "site.id", "site.geo.lat"]


def test_a_field_that_no_mapping_can_name_is_left_out() -> None:
    records = [{"": 1, "a\nb": 1, "x" * 256: 1, "id": 1, "n": {"": 1}}]
    assert [field.name for field in profile_records(records)] == ["id", "n."]


def test_an_object_that_is_missing_in_a_record_is_no_field_of_its_own() -> None:
    fields = profile_records([{"site": None}, {"site": {"id": "L1"}}])
    assert [field.name for field in fields] == ["site.id"]


def test_what_the_system_declares_stands_where_the_sample_tells_nothing() -> None:
    declared = Declared(ColumnType.DATE, label="Due", required=True)
    found = profile(None, name="f1", declared=declared)
    assert (found.type, found.declared.label) == (ColumnType.DATE, "Due")
    (empty,) = profile_records([], {"f1": declared})
    assert (empty.total, empty.type) == (0, ColumnType.DATE)
    assert profile("2026-01-02", name="f1", declared=Declared(ColumnType.STRING)).type is ColumnType.DATE


def test_a_field_that_tells_day_from_month_decides_for_its_neighbours() -> None:
    records = [{"opened": "25/3/2016", "closed": "1/4/2016"}, {"opened": "2/3/2016", "closed": "3/4/2016"}]
    notations = [field.notation for field in profile_records(records)]
    assert [notation.format for notation in notations if notation] == ["D/M/YYYY", "D/M/YYYY"]


def test_the_most_frequent_values_come_first() -> None:
    found = profile("b", "a", "a", "c")
    assert found.examples == ["a", "b", "c"]
    assert (found.longest, found.mean_length) == (1, 1.0)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(max_size=12) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the records
@given(st.lists(st.dictionaries(st.sampled_from(["id", "state", "due_date", "opened_at"]), VALUES), max_size=4))
def test_no_record_makes_a_profile_or_a_proposal_fail(records: list[dict[str, Any]]) -> None:
    fields = profile_records(records)
    rules = [match.rule for match in propose_rules(RECORD_TABLES["tickets"], fields, MatchContext())]
    if rules:
        map_records([{"id": "A1"}, *records], *rules)
