"""Which field fits which column, and why."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from kwiksync_ops.mapping.proposals.matching import (
    ENOUGH,
    SURE,
    FieldMatch,
    KnownKeys,
    MatchContext,
    candidates,
    propose_rules,
    rule_for,
)
from kwiksync_ops.mapping.proposals.names import words_of
from kwiksync_ops.mapping.proposals.profile import Declared, profile_records
from kwiksync_ops.vocabulary import RECORD_TABLES, TransformType
from tests.support.mappings import map_records

LOCATIONS = KnownKeys("sites", frozenset({"L1", "L2", "L3"}), frozenset({"name", "customer"}))


def proposed(
    records: list[dict[str, Any]], table: str = "tickets", context: MatchContext | None = None, **declared: Declared
) -> dict[str, FieldMatch]:
    """The proposals by column."""
    fields = profile_records(records, declared)
    return {m.rule.target_field: m for m in propose_rules(RECORD_TABLES[table], fields, context or MatchContext())}


def sources(*args: Any, **kwargs: Any) -> dict[str, str]:
    return {column: match.rule.source_field for column, match in proposed(*args, **kwargs).items()}


def test_columns_are_filled_by_the_fields_that_mean_them() -> None:
    record = {
        "Subject": "Lamp",
        "Status": "New",
        "Prio": "High",
        "Technician": "Ann",
        "OpenedDate": "2026-01-02T03:04Z",
    }
    assert sources([record]) == {
        "short_description": "Subject",
        "state": "Status",
        "priority": "Prio",
        "assigned_to": "Technician",
        "opened_at": "OpenedDate",
    }


def test_the_key_comes_first_and_may_not_fill_another_column() -> None:
    fields = profile_records([{"id": "A1", "number": "N1"}, {"id": "A2", "number": "N2"}])
    first, second = propose_rules(RECORD_TABLES["tickets"], fields, MatchContext(), key="id")
    assert (first.rule.source_field, first.rule.target_field, first.rule.validation.required) == (
        "id",
        "external_id",
        True,
    )
    assert (second.rule.source_field, second.rule.target_field) == ("number", "number")


def test_a_field_fills_only_the_column_that_it_fits_best() -> None:
    assert sources([{"due_date": "2026-01-02"}], "deliverables") == {"due_date": "due_date"}


def test_a_value_that_the_column_can_not_hold_is_not_proposed_whatever_its_name() -> None:
    assert sources([{"due_date": "soon", "quantity": "many"}]) == {}
    assert sources([{"quantity": "many", "latitude": "north"}], "assets") == {}
    assert sources([{"city": "2026-01-02"}], "locations") == {}


def test_a_field_without_a_value_is_proposed_by_its_name_with_less_certainty() -> None:
    with_value, without = proposed([{"city": "Oslo"}], "locations"), proposed([{"city": None}], "locations")
    assert without["city"].score < with_value["city"].score
    assert "no record" in without["city"].reason


def test_the_label_that_people_see_counts_like_the_name() -> None:
    match = proposed([{"u_fld_17": "Oslo"}], "locations", u_fld_17=Declared(label="City"))["city"]
    assert match.rule.source_field == "u_fld_17"
    assert "label" in match.reason


def test_words_become_the_values_that_they_mean_and_others_are_left_open() -> None:
    records = [{"status": word} for word in ("OPEN", "IN_PROGRESS", "CLOSED", "PURPLE")]
    match = proposed(records, context=MatchContext(is_complete=True))["state"]
    assert match.rule.transform is TransformType.VALUE_MAP
    assert match.rule.config == {"mappings": {"OPEN": "1", "IN_PROGRESS": "2", "CLOSED": "7"}}
    assert match.open_values == ("PURPLE",)
    assert "3 of its 4 values mean a state" in match.reason


def test_a_sample_that_is_not_all_leaves_room_for_words_that_it_does_not_have() -> None:
    config = proposed([{"status": "OPEN"}], "locations")["status"].rule.config
    assert config["mappings"]["OPEN"] == "active"
    assert config["mappings"]["SUSPENDED"] == "on_hold"


def test_values_that_are_the_columns_own_pass_as_they_are() -> None:
    assert proposed([{"priority": "1"}, {"priority": "3"}])["priority"].rule.transform is TransformType.DIRECT


def test_the_systems_choices_are_mapped_by_their_labels() -> None:
    choices = {"10": "New", "20": "In Progress", "30": "Closed"}
    match = proposed([{"state": "10"}], state=Declared(choices=choices))["state"]
    assert match.rule.config == {"mappings": {"10": "1", "20": "2", "30": "7"}}


def test_values_alone_are_enough_for_a_state() -> None:
    records = [{"fld3": word} for word in ("new", "in progress", "resolved", "closed")]
    assert proposed(records)["state"].score >= ENOUGH


@pytest.mark.parametrize(
    ("column", "value", "transform", "config"),
    [
        ("opened_at", "2026-01-02T03:04:05Z", TransformType.DIRECT, {}),
        ("opened_at", "2026-01-02 03:04:05", TransformType.DIRECT, {}),
        ("opened_at", "13/1/2026 03:04", TransformType.DATE_FORMAT, {"source_format": "D/M/YYYY HH:mm"}),
        ("opened_at", 1394956800, TransformType.DATE_FORMAT, {"source_format": "epoch"}),
    ],
)
def test_a_moment_is_read_in_the_notation_that_was_found(
    column: str, value: Any, transform: TransformType, config: dict[str, str]
) -> None:
    rule = proposed([{column: value}])[column].rule
    assert rule.transform is transform
    assert config.items() <= dict(rule.config).items()
    batch = map_records([{"id": "A", column: value}], rule)
    assert batch.rejects == []


def test_a_day_with_a_time_becomes_the_day() -> None:
    rule = proposed([{"start_date": "2026-01-02T23:00:00Z"}], "projects")["start_date"].rule
    batch = map_records([{"id": "A", "start_date": "2026-01-02T23:00:00Z"}], rule, table="projects")
    assert [str(value) for value in batch.rows[0][1:]] == ["2026-01-02"]


def test_times_that_name_no_zone_are_in_the_given_one() -> None:
    context = MatchContext(timezone="Europe/Berlin")
    rule = proposed([{"opened_at": "2026-01-02 03:04:05"}], context=context)["opened_at"].rule
    batch = map_records([{"id": "A", "opened_at": "2026-01-02 03:04:05"}], rule)
    assert batch.rows[0][1].isoformat() == "2026-01-02T02:04:05+00:00"
    zoned = proposed([{"opened_at": "2026-01-02T03:04:05Z"}], context=context)["opened_at"].rule
    assert zoned.transform is TransformType.DIRECT


def test_a_reference_is_known_by_its_values_and_looked_up() -> None:
    context = MatchContext({"locations": LOCATIONS})
    match = proposed([{"where": "L1"}, {"where": "L2"}, {"where": "X"}], context=context)["location"]
    assert match.rule.transform is TransformType.LOOKUP
    assert match.rule.config["lookup_table"] == "x_kwr_kwiksync_locations"
    assert "67% of its values are keys of sites" in match.reason


def test_a_reference_whose_values_are_no_keys_is_proposed_only_where_there_may_be_others() -> None:
    records = [{"location": "Oslo"}, {"location": "Rome"}]
    some, all_ = LOCATIONS, replace(LOCATIONS, is_complete=True)
    found = proposed(records, context=MatchContext({"locations": some}))["location"]
    assert found.score < SURE
    assert "0% of its values" in found.reason
    assert "location" not in proposed(records, context=MatchContext({"locations": all_}))


def test_a_reference_to_a_table_that_the_system_does_not_feed_is_not_proposed() -> None:
    assert "location" not in proposed([{"location_id": "L1"}])


def test_a_reference_that_the_system_declares_needs_no_values() -> None:
    context = MatchContext({"locations": LOCATIONS})
    declared = {"cust_site": Declared(references="sites")}
    match = proposed([{"cust_site": "L9"}], context=context, **declared)["location"]
    assert "the system says" in match.reason


def test_a_customer_by_the_id_of_a_location_is_what_that_location_names() -> None:
    context = MatchContext({"locations": LOCATIONS})
    rule = proposed([{"customer_id": "L1"}], "projects", context)["customer"].rule
    assert rule.transform is TransformType.LOOKUP
    assert rule.config["return_field"] == "customer"
    assert proposed([{"customer_id": "C77"}], "projects", context)["customer"].rule.transform is TransformType.DIRECT


def test_a_short_description_is_a_short_text_and_a_long_one_is_the_description() -> None:
    short = [{"description": "Lamp is broken", "symptom": "dark"}]
    assert sources(short) == {"short_description": "description", "description": "symptom"}
    long = [{"description": "The lamp. " * 40, "title": "Lamp"}]
    assert sources(long) == {"short_description": "title", "description": "description"}


def test_a_position_in_one_text_fills_latitude_and_longitude() -> None:
    for text, latitude, longitude in (
        ("5230N 01324E", "52.500000", "13.400000"),
        ("52.5, 13.4", "52.500000", "13.400000"),
    ):
        found = proposed([{"coordinates": text}], "locations")
        batch = map_records(
            [{"id": "A", "coordinates": text}], found["latitude"].rule, found["longitude"].rule, table="locations"
        )
        assert [str(value) for value in batch.rows[0][1:]] == [latitude, longitude]


def test_digits_that_the_column_does_not_hold_are_rounded() -> None:
    value = Decimal("52.123456789")
    rule = proposed([{"latitude": value}], "locations")["latitude"].rule
    batch = map_records([{"id": "A", "latitude": value}], rule, table="locations")
    assert str(batch.rows[0][1]) == "52.123457"


def test_numbers_out_of_range_are_no_latitude() -> None:
    assert "latitude" not in proposed([{"y": 5_000_000}], "locations")


def test_candidates_are_ranked_and_reasoned() -> None:
    fields = profile_records([{"title": "a", "name": "b", "state": "New"}])
    table = RECORD_TABLES["projects"]
    column = table.column("name")
    assert column is not None
    found = candidates(table, column, fields, MatchContext())
    assert [match.rule.source_field for match in found] == ["name", "title"]
    assert all(match.reason for match in found)


def test_a_field_that_a_person_chose_becomes_a_rule_whatever_its_score() -> None:
    (field,) = profile_records([{"fld9": "13/1/2026 10:00"}])
    table = RECORD_TABLES["tickets"]
    column = table.column("due_date")
    assert column is not None
    rule, open_values = rule_for(table, column, field, MatchContext(noun=words_of("tickets")))
    assert rule.config["source_format"] == "D/M/YYYY HH:mm"
    assert open_values == ()
