from __future__ import annotations

import pytest

from kwiksync_ops.connectors.servicenow.encoded_query import (
    contradiction,
    is_one_of,
    narrowed,
    query_faults,
    query_fields,
)


@pytest.mark.parametrize(
    "query",
    [
        "active=true",
        "active=true^priorityIN1,2^ORstateBETWEEN1@3",
        "caller_id.locationISEMPTY^NQassigned_toISNOTEMPTY",
        "short_descriptionLIKEa^^b^EQ",
        "sys_class_nameINSTANCEOFcmdb_ci_server",
        "sys_updated_on>=javascript:gs.daysAgoStart(7)",
        "u_2nd_codeNOT IN1,2",
    ],
)
def test_a_sound_query_has_no_faults(query: str) -> None:
    assert query_faults(query) == []


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("active", "is not a field"),
        ("Active=true", "is not a field"),
        ("priorityABOVE3", "is not a field"),
        ("active==true", "has two operators"),
        ("active=true^", "a condition is empty"),
        ("active=true^ORDERBYDESCnumber", "orders the records"),
        ("parentISEMPTY1", "ISEMPTY takes no value"),
    ],
)
def test_a_query_that_an_instance_would_ignore_in_part_is_faulty(query: str, says: str) -> None:
    (fault,) = query_faults(query)
    assert says in fault


def test_each_field_of_a_query_is_named_once() -> None:
    query = "active=true^caller_id.locationISEMPTY^NQactive=false^ORnumberSTARTSWITHINC"
    assert query_fields(query) == ("active", "caller_id.location", "number")


def test_a_condition_is_added_to_every_branch() -> None:
    assert narrowed("a=1^NQb=2", "c>3", "ORDERBYc") == "a=1^c>3^ORDERBYc^NQb=2^c>3^ORDERBYc"
    assert narrowed("", "c>3") == "c>3"


def test_a_list_of_values_escapes_what_has_a_meaning_in_queries() -> None:
    assert is_one_of("name", ["a^b", "c"]) == "nameINa^^b,c"


def test_a_contradiction_names_the_field_twice() -> None:
    assert contradiction("u_x") == "u_xISEMPTY^u_xISNOTEMPTY"
