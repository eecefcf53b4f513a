from __future__ import annotations

from typing import Any

import pytest

from kwiksync_ops.connectors.servicenow.options import ServiceNowOptions, option_faults, parse_options
from kwiksync_ops.errors import ConfigurationError


def test_no_options_are_the_defaults() -> None:
    assert parse_options({}) == ServiceNowOptions()


def test_options_become_values() -> None:
    options = parse_options(
        {
            "query": "active=true",
            "fields": ["number", "location.name"],
            "page_size": 500.0,
            "timeouts": {"connect_s": 2},
            "push": {
                "by": "import_set",
                "correlation_field": "u_our_id",
                "references": {"caller_id": {"table": "sys_user", "field": "email"}},
                "import_set": {"table": "u_incidents", "labels": {"u_our_id": "Our id"}},
            },
        }
    )
    assert (options.fields, options.page_size) == (("number", "location.name"), 500)
    assert (options.timeouts.connect_s, options.timeouts.read_s, options.timeouts.total_s) == (2, 50, 120)
    assert options.push is not None
    assert options.push.import_set is not None
    assert options.push.references["caller_id"].field == "email"
    assert options.push.import_set.labels == {"u_our_id": "Our id"}
    assert options.push.journal_fields == ("work_notes", "comments")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"feilds": ["number"]}, "feilds: is an unknown key. Did you mean 'fields'?"),
        ({"fields": ["Number"]}, "fields[0]: 'Number'"),
        ({"page_size": 10_001}, "page_size: 10001 is not valid; expected 10000 or less"),
        ({"query": "active=true^ORDERBYnumber"}, "'ORDERBYnumber' orders the records"),
        ({"query": "active"}, "'active' is not a field, one of the operators"),
        ({"push": {"by": "batches"}}, "push.by: 'batches' is unknown"),
        ({"push": {"records": 1001}}, "push.records: 1001"),
        ({"push": {"by": "import_set"}}, "push.import_set: says which staging table"),
        ({"push": {"import_set": {"table": "u_x"}}}, "push.import_set: is of no use without by: import_set"),
        (
            {"push": {"by": "import_set", "correlation_field": "", "import_set": {"table": "u_x"}}},
            "push.correlation_field: tells the staging rows apart",
        ),
        (
            {"push": {"by": "import_set", "import_set": {"table": "u_x", "labels": {"u_a": "A"}}}},
            "push.import_set.labels: has no label of correlation_id",
        ),
        ({"allow_hosts": ["10.1.0.0/99"]}, "allow_hosts: "),
        ({"query": "u_x=Bearer abcdefghijklmnop"}, "query: looks like a secret"),
    ],
)
def test_each_fault_is_named_with_its_place(options: dict[str, Any], says: str) -> None:
    (fault,) = option_faults(options)
    assert says in fault


def test_faulty_options_raise_with_all_their_faults() -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_options({"query": "active^ORDERBYnumber"})
    assert len(raised.value.faults) == 2
