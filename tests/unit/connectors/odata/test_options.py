from __future__ import annotations

import pytest

from kwiksync_ops.connectors.odata.options import option_faults, parse_options
from kwiksync_ops.connectors.target import Repeat
from kwiksync_ops.errors import ConfigurationError


def test_options_become_values_with_their_defaults() -> None:
    options = parse_options(
        {
            "pagination": {"type": "keyset"},
            "select": ["ID", "name"],
            "push": {"batch": {"format": "json"}, "repeat": "upsert"},
            "timeouts": {"read_s": 60},
        }
    )
    assert (options.pagination.type, options.pagination.two_queries, options.select) == (
        "keyset",
        False,
        ("ID", "name"),
    )
    assert options.push is not None
    assert options.push.batch is not None
    assert (options.push.batch.records, options.push.batch.format) == (100, "json")
    assert (options.push.repeat, options.push.actions) == (Repeat.UPSERT, ("create", "update", "delete"))
    assert (options.timeouts.read_s, options.timeouts.connect_s) == (60, 5)
    assert parse_options({}).push is None


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"pagination": {"type": "pages"}}, "pagination.type"),
        ({"pagination": {}}, "pagination.type: is missing"),
        ({"params": {"$top": 5}}, "params"),
        ({"push": {}}, "push"),
        ({"push": {"batch": {"records": 5000}}}, "push.batch.records"),
        ({"push": {"acton": ["create"]}}, "Did you mean 'actions'?"),
        ({"allow_hosts": ["10.0.0.0/99"]}, "allow_hosts"),
        ({"headers": {"Authorization": "Basic c3luYzpwYXNzd29yZC0wMTIz"}}, "headers"),
    ],
)
def test_every_fault_of_the_options_is_told_with_its_place(options: dict[str, object], fault: str) -> None:
    assert any(fault in each for each in option_faults(options))
    with pytest.raises(ConfigurationError, match="odata options are not valid"):
        parse_options(options)
