from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from kwiksync_ops.connectors.rest.options import RestOptions, merge_options, option_faults, parse_options
from kwiksync_ops.errors import ConfigurationError


def test_no_options_are_the_defaults() -> None:
    assert parse_options({}) == RestOptions()


def test_options_become_values() -> None:
    options = parse_options(
        {
            "auth": "api_key",
            "records_path": "$.data.items",
            "pagination": {"type": "cursor", "cursor_path": "meta.next", "has_more_path": "meta.more"},
            "timeouts": {"read_s": 7},
            "limits": {"max_depth": 5},
            "allow_hosts": ["erp.internal", "10.0.0.0/8"],
        }
    )
    assert options.records_path == ("data", "items")
    assert (options.pagination.cursor_path, options.pagination.has_more_path) == (("meta", "next"), ("meta", "more"))
    assert (options.timeouts.read_s, options.timeouts.total_s, options.limits.max_depth) == (7, 120, 5)
    assert options.allow_hosts == ("erp.internal", "10.0.0.0/8")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pagintion": {}}, "pagintion: is an unknown key. Did you mean 'pagination'?"),
        ({"auth": "beerer"}, "auth: 'beerer' is unknown"),
        ({"pagination": {}}, "pagination.type: is missing"),
        ({"pagination": {"type": "cursor"}}, "pagination.cursor_path: is missing"),
        ({"pagination": {"type": "next_link"}}, "pagination.next_path: is missing"),
        ({"pagination": {"type": "keyset", "total_path": "n"}}, "none with keyset"),
        ({"pagination": {"type": "offset", "page_size": 0}}, "pagination.page_size"),
        ({"timeouts": {"total_s": -1}}, "timeouts.total_s"),
        ({"api_key_header": "X Key:"}, "api_key_header"),
        ({"headers": {"X-Note": "a\nb"}}, "headers.X-Note"),
        ({"headers": {"Authorization": "Basic x"}}, "headers.Authorization: looks like a secret"),
        ({"params": {"api_key": "x"}}, "params.api_key: looks like a secret"),
        ({"time_format": "YYYY-QQ"}, "time_format: 'YYYY-QQ' has 'Q'"),
        ({"time_format": "--"}, "time_format: '--' names no part of a time"),
        ({"timezone": "Mars/Base"}, "timezone: there is no time zone 'Mars/Base'"),
        ({"allow_hosts": ["10.0.0.0/99"]}, "allow_hosts: '10.0.0.0/99'"),
        ({"records_path": "a..b"}, "records_path"),
        ({"pagination": {"type": "key", "total_header": "X-Total"}}, "none with keyset and key"),
        ({"headers": {"X-Key": "${passwort}"}}, "headers: ${passwort} is not known here"),
        ({"params": {"q": "${sinse}"}}, "params: ${sinse} is not known here"),
        ({"params": {"q": "${password}"}}, "params: ${password} is not known here"),
        ({"request": {"body": {"n": "${size:float}"}}}, "request.body: ${size:float}: 'float' is not one of"),
        ({"request": {"body": {"password": "hunter2"}}}, "request.body.password: looks like a secret"),
        ({"request": {"method": "DELETE"}}, "request.method"),
        ({"auth": "session"}, "auth: is by a login call: say in session how to log in"),
        ({"session": {"body": {}, "headers": {"X-S": "${session}"}}}, "session.headers: ${session} is not known here"),
        ({"hmac": {"text": "${signature}"}}, "hmac.text: ${signature} is not known here"),
        ({"hmac": {"algorithm": "md5"}}, "hmac.algorithm: 'md5' is unknown"),
        ({"oauth": {"auth_style": "header"}}, "oauth.auth_style: 'header' is unknown"),
        ({"error_codes": {"gone": [404]}}, "error_codes.path: is missing"),
    ],
)
def test_what_is_wrong_is_named(options: dict[str, Any], says: str) -> None:
    faults = option_faults(options)
    assert len(faults) == 1
    assert says in faults[0]


def test_what_a_body_asks_for_and_what_codes_mean_become_values() -> None:
    options = parse_options(
        {
            "request": {"body": {"password": "${password}", "first": "${size}"}},
            "error_codes": {"path": "error.0", "gone": [404, "NOT_FOUND"]},
            "session": {
                "body": {},
                "values": {"session": "result.1"},
                "headers": {"Authorization": "Session ${session}"},
            },
        }
    )
    assert options.request.method == "POST"
    assert (options.error_codes.path, options.error_codes.gone) == (("error", "0"), ("404", "NOT_FOUND"))
    assert options.session.values == {"session": ("result", "1")}
    assert parse_options({"request": {"method": "SEARCH", "body": {}}}).request.method == "SEARCH"


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_options({"auth": "x", "timeouts": {"read_s": 0}, "nonsense": 1})
    assert len(caught.value.faults) == 3


def test_a_table_overrides_its_system_key_by_key() -> None:
    system = {"pagination": {"type": "offset", "page_size": 500}, "auth": "basic", "params": {"a": 1}}
    table = {"pagination": {"page_size": 100}, "params": {"b": 2}, "records_path": "x"}
    assert merge_options(system, table) == {
        "pagination": {"type": "offset", "page_size": 100},
        "auth": "basic",
        "params": {"a": 1, "b": 2},
        "records_path": "x",
    }


def test_options_are_read_without_the_libraries_that_call_a_system() -> None:
    program = "import sys, kwiksync_ops.connectors.rest.options; print({'requests', 'urllib3'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
