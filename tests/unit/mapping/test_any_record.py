"""Whatever a system sends: no crash, nothing lost, and only values that every database takes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kwiksync_ops.mapping.compiler import compile_mapping
from kwiksync_ops.mapping.rules import FieldRule, Validation
from kwiksync_ops.vocabulary import TransformType
from tests.support.mappings import KEY_RULE, MemoryLookups, mapping_of

LOOKUP = {"lookup_table": "locations", "match_field": "name", "return_field": "sys_id"}
RULES = (
    KEY_RULE,
    FieldRule("a", "number", TransformType.DIRECT, null_values=("?", 0), validation=Validation(pattern="[^x]*")),
    FieldRule("a", "state", TransformType.VALUE_MAP, {"mappings": {"1": "one", "true": "yes"}, "default": "other"}),
    FieldRule("a", "priority", TransformType.VALUE_MAP, {"mappings": {"1": "one"}}, null_values=(False,)),
    FieldRule("b", "opened_at", TransformType.DATE_FORMAT, {"source_format": "iso", "timezone": "Europe/Berlin"}),
    FieldRule("b", "due_date", TransformType.DIRECT),
    FieldRule("b", "closed_at", TransformType.DATE_FORMAT, {"source_format": "D/M/YYYY H:mm"}),
    FieldRule("", "assigned_to", TransformType.CONCATENATE, {"fields": ["a", "b.c"]}, default="nobody"),
    FieldRule(
        "a", "location", TransformType.LOOKUP, {**LOOKUP, "on_missing": "null"}, Validation(reference="locations")
    ),
    FieldRule("b", "short_description", TransformType.DIRECT, validation=Validation(required=True, max_length=20)),
    FieldRule("b.c", "active", TransformType.DIRECT, default=True),
)
MAPPING = compile_mapping(mapping_of(*RULES), key_field="id", cursor_field="b", cursor_format="iso")
UNORDERED = compile_mapping(mapping_of(*RULES), key_field="id")
QUANTITIES = compile_mapping(
    mapping_of(
        KEY_RULE,
        FieldRule("a", "quantity", TransformType.DIRECT, validation=Validation(minimum=-5)),
        FieldRule("b", "minimum_quantity", TransformType.DIRECT),
        table="assets",
    ),
    key_field="id",
)
LOOKUPS = MemoryLookups({"locations": [{"name": "1", "sys_id": "1" * 32}]})

surrogates = st.text(st.characters(), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**400), max_value=10**400)
    | st.decimals()
    | st.floats()
    | surrogates
    | st.sampled_from(["?", "1", "29/2/2016 1:16", "2026-03-29T02:30:00", "9999-12-31T23:59:59-12:00", "\0", "\ud800"])
    | st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
)
records = st.fixed_dictionaries(
    {}, optional={"id": st.sampled_from(["A", "B", " C", "", None, 1]) | values, "a": values, "b": values}
)


@settings(max_examples=150, deadline=None)
@given(st.lists(records | values, max_size=12))
def test_any_record_is_a_row_a_reject_or_superseded(batch: list[Any]) -> None:
    for mapping in (MAPPING, UNORDERED, QUANTITIES):
        mapped = mapping.apply(batch, LOOKUPS)
        assert mapped.read == len(batch) == len(mapped.rows) + mapped.rejected + mapped.superseded
        assert len(mapped.versions) == len(mapped.rows)
        assert len(mapped.rejects) >= mapped.rejected
        assert bool(mapped.rejects) == (mapped.rejected > 0)
        keys = [row[0] for row in mapped.rows]
        assert len(keys) == len(set(keys))


@settings(max_examples=150, deadline=None)
@given(st.lists(records, max_size=12))
def test_what_is_accepted_fits_every_database(batch: list[Any]) -> None:
    for mapping in (UNORDERED, QUANTITIES):
        for row in mapping.apply(batch, LOOKUPS).rows:
            assert all(is_fit(value) for value in row)


def is_fit(value: Any) -> bool:
    match value:
        case None | bool():
            return True
        case str():
            return "\0" not in value and value.encode().decode() == value and len(value) <= 65_536
        case int():
            return -(2**63) <= value < 2**63
        case datetime():
            return value.tzinfo is UTC
        case _:
            return isinstance(value, Decimal) and value.is_finite()


@settings(deadline=None)
@given(st.lists(records, max_size=8))
def test_the_messages_of_rejects_are_short_and_storable(batch: list[Any]) -> None:
    for reject in MAPPING.apply(batch, LOOKUPS).rejects:
        assert is_fit(reject.message)
        assert len(reject.message) < 400
        assert is_fit(reject.external_id)
        assert reject.code in {"ERR_004", "ERR_006", "ERR_008"}


@settings(deadline=None)
@given(st.lists(records, max_size=8))
def test_each_record_has_the_same_outcome_alone_as_in_its_batch(batch: list[Any]) -> None:
    together = UNORDERED.apply(batch, LOOKUPS)
    alone = [UNORDERED.apply([record], LOOKUPS) for record in batch]
    assert together.rejects == [reject for mapped in alone for reject in mapped.rejects]
    last = {row[0]: row for mapped in alone for row in mapped.rows}
    assert sorted(together.rows, key=repr) == sorted(last.values(), key=repr)
