from __future__ import annotations

import pytest

from kwiksync_ops.connectors.servicenow.encoded_query import (
    conditions,
    is_one_of,
    narrowed,
    query_faults,
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


@pytest.mark.parametrize(
    ("query", "never", "always"),
    [
        ("state=2", "state=2^state!=2", "state=2^ORstate!=2^ORstateISEMPTY"),
        ("u_due<=x", "u_due<=x^u_due>x", "u_due<=x^ORu_due>x^ORu_dueISEMPTY"),
        ("stateIN1,2", "stateIN1,2^stateNOT IN1,2", "stateIN1,2^ORstateNOT IN1,2^ORstateISEMPTY"),
        ("parentISEMPTY", "parentISEMPTY^parentISNOTEMPTY", "parentISEMPTY^ORparentISNOTEMPTY"),
        ("stateBETWEEN1@3", "stateBETWEEN1@3^state<1", "stateBETWEEN1@3^ORstate<1^ORstate>3^ORstateISEMPTY"),
        ("nameSTARTSWITHa", "nameISEMPTY^nameISNOTEMPTY", "nameISEMPTY^ORnameISNOTEMPTY"),
    ],
)
def test_a_condition_is_proven_by_what_it_can_not_be(query: str, never: str, always: str) -> None:
    (condition,) = conditions(query)
    assert (condition.never, condition.always) == (never, always)


def test_each_condition_of_a_query_is_named_once() -> None:
    query = "active=true^caller_id.locationISEMPTY^NQactive=true^ORnumberLIKEa^^b"
    assert [each.text for each in conditions(query)] == ["active=true", "caller_id.locationISEMPTY", "numberLIKEa^^b"]


def test_a_condition_is_added_to_every_branch() -> None:
    assert narrowed("a=1^NQb=2", "c>3", "ORDERBYc") == "a=1^c>3^ORDERBYc^NQb=2^c>3^ORDERBYc"
    assert narrowed("", "c>3") == "c>3"


def test_a_list_of_values_escapes_what_has_a_meaning_in_queries() -> None:
    assert is_one_of("name", ["a^b", "c"]) == "nameINa^^b,c"
