from __future__ import annotations

import json
from typing import Any

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.servicenow.access import Instance, asked, seconds_to_reset, table_path, told_error
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionTimeoutError,
    InsecureTransportError,
    SystemUnavailableError,
)
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock

DATE = "Thu, 15 Jan 2026 12:00:00 GMT"
NOON = 1_768_478_400
URL = "https://acme.example.com"


def instance(options: dict[str, Any] | None = None, **credentials: Any) -> Instance:
    known = Credentials(URL, **{"login": "kwiksync", "password": "a-long-password", **credentials})
    return Instance(known, options or {}, Unlimited(), ManualClock())


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-RateLimit-Reset": str(NOON + 90), "Date": DATE}, 90),
        ({"X-RateLimit-Reset": str(NOON - 90), "Date": DATE}, 0),
        ({"X-RateLimit-Reset": str(NOON + 90), "Date": DATE, "Retry-After": "5"}, None),
        ({"X-RateLimit-Reset": "soon", "Date": DATE}, None),
        ({"X-RateLimit-Reset": str(NOON + 90)}, None),
        ({}, None),
    ],
)
def test_the_end_of_a_rate_limits_window_says_how_long_to_wait(headers: dict[str, str], seconds: int | None) -> None:
    assert seconds_to_reset(Answer(URL, 429, headers, b"")) == seconds


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"result": []}, None),
        ({"result": {"error": "a field of that name"}}, None),
        ({"error": {"message": "No", "detail": None}, "status": "failure"}, "No"),
        ({"error": {"message": "No", "detail": "why"}}, "No: why"),
        ({"error": {}}, "no reason given"),
        ({"error": "No"}, "No"),
        ({"result": "Transaction cancelled"}, "Transaction cancelled"),
        ([], None),
    ],
)
def test_an_error_is_found_wherever_it_stands(document: Any, told: str | None) -> None:
    assert told_error(json.dumps(document).encode()) == told


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (b'{"result": "Transaction cancelled: too long"}', ConnectionTimeoutError, "Transaction cancelled"),
        (b'{"error": {"message": "Boom a-long-password"}}', SystemUnavailableError, "Boom \\[redacted"),
        (b"<html>We are back soon</html>", SystemUnavailableError, "web page"),
        (b"{}", SystemUnavailableError, "it is odd"),
    ],
)
def test_a_200_that_is_no_result_is_named_for_what_it_is(body: bytes, kind: type[Exception], says: str) -> None:
    error = instance().nonsense(Answer(URL, 200, {"Content-Type": "application/json"}, body), "A call", "it is odd")
    assert type(error) is kind
    with pytest.raises(kind, match=says):
        raise error


def test_names_are_quoted_in_paths_and_queries() -> None:
    assert table_path("a/b", "c?d") == "/api/now/v2/table/a%2Fb/c%3Fd"
    assert asked("/x", {"sysparm_query": "a=b c^d"}) == "/x?sysparm_query=a%3Db%20c%5Ed"
    assert instance().url("/x") == f"{URL}/x"


def test_a_table_may_not_open_addresses_that_the_system_does_not() -> None:
    with pytest.raises(ConfigurationError, match="sets allow_hosts"):
        instance().options("incident", {"allow_hosts": ["10.0.0.1"]})


def test_plain_http_is_refused() -> None:
    with pytest.raises(InsecureTransportError):
        Instance(Credentials("http://acme.example.com", "a", "b"), {}, Unlimited(), ManualClock())


def test_a_login_without_a_password_is_refused_before_any_call() -> None:
    with pytest.raises(AuthenticationError, match="needs a login and a password"):
        instance({"auth": "basic"}, password=None)
