"""The sql options: every fault at once, and what they become."""

from __future__ import annotations

from typing import Any

import pytest

from kwiksync_ops.connectors.sql.options import SqlTimeouts, merge_options, named_params, option_faults, parse_options
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.vocabulary import Action


def test_no_options_are_the_defaults() -> None:
    options = parse_options({})
    assert (options.query, options.streaming, options.bytes, options.push) == (None, None, "base64", None)
    assert options.timeouts == SqlTimeouts(10, 300, 10)


def test_options_become_values() -> None:
    options = parse_options(
        {"columns": ["id"], "timeouts": {"lock_s": 3}, "push": {"actions": ["create"], "version_column": "version"}}
    )
    assert options.columns == ("id",)
    assert options.timeouts.lock_s == 3
    assert options.push is not None
    assert (options.push.actions, options.push.version_column) == ((Action.CREATE,), "version")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "  with q as (select 1) select * from q",
        "select ';' as a, \"(\" from t -- ) ;\n where a::date > now() /* ; */",
        "SELECT * FROM [a;b] WHERE x = ')'",
    ],
)
def test_a_query_may_hold_anything_in_quotes_and_comments(query: str) -> None:
    assert option_faults({"query": query}) == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"query": "DELETE FROM t"}, "neither SELECT nor WITH"),
        ({"query": "SELECT 1; DROP TABLE t"}, "holds a ;"),
        ({"query": "SELECT 1) x --"}, "brackets"),
        ({"query": "SELECT 1) q WHERE (1=1"}, "brackets"),
        ({"query": "SELECT :a"}, ":a"),
        ({"query": "SELECT 1", "params": {"a": 1}}, "not used"),
        ({"query": "SELECT 1", "push": {}}, "is read"),
        ({"timezone": "Europe/Berlim"}, "no time zone"),
        ({"allow_hosts": ["10.0.0.0/99"]}, "10.0.0.0/99"),
        ({"streming": True}, "streaming"),
        ({"push": {"actions": ["upsert"]}}, "upsert"),
        ({"params": {"a": 1}}, "query"),
        ({"push": {"records": 1001}}, "1000"),
        ({"query": "SELECT 1 FROM t WHERE u = 'postgresql://me:secret-word@db/erp'"}, "secret"),
    ],
)
def test_a_faulty_option_is_told(options: dict[str, Any], told: str) -> None:
    (fault,) = option_faults(options)
    assert told in fault


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_options({"query": "DROP TABLE t;", "timezone": "Nowhere"})
    assert len(caught.value.faults) == 3


def test_a_table_overrides_its_system_key_by_key() -> None:
    merged = merge_options(
        {"timeouts": {"lock_s": 1, "connect_s": 2}, "bytes": "hex"}, {"timeouts": {"lock_s": 5}, "push": {}}
    )
    assert merged == {"timeouts": {"lock_s": 5, "connect_s": 2}, "bytes": "hex", "push": {}}


def test_names_of_a_query_are_not_casts_times_or_quoted() -> None:
    assert named_params("select :one, a::date, '12:30 :two', \":three\", 12:30 -- :four\n where x > :_five") == {
        "one",
        "_five",
    }
