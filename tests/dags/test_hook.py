"""The connection type in Airflow: what its form's fields become, and what the button Test says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.operators.hooks import KwikSyncHook
from tests.conftest import StartServer
from tests.support.https_server import Response, json_response


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(**fields: Any) -> KwikSyncHook:
        monkeypatch.setenv("AIRFLOW_CONN_KWIKSYNC_CRM", json.dumps({"conn_type": "kwiksync", **fields}))
        return KwikSyncHook("kwiksync_crm")

    return make


def test_the_fields_of_the_form_become_credentials(connect: Any) -> None:
    hook = connect(
        host="https://crm.example.com",
        login="sync",
        password="long-password",
        extra={"ca_file": "/etc/ca.pem", "allow_hosts": ["crm.internal"], "unknown": "is not read"},
    )
    found = hook.credentials("the-customer-key")
    assert (found.base_url, found.login, found.password) == ("https://crm.example.com", "sync", "long-password")
    assert (found.ca_file, found.allow_hosts, found.customer_key) == (
        "/etc/ca.pem",
        ("crm.internal",),
        "the-customer-key",
    )
    assert "long-password" not in repr(found)


def test_the_button_says_what_the_system_answered(connect: Any, https_server: StartServer, ca_file: str) -> None:
    server = https_server()
    server.on("/", json_response({"data": []}))
    hook = connect(
        host=server.url(), password="a-token-of-ours", extra={"ca_file": ca_file, "allow_hosts": ["127.0.0.1"]}
    )
    is_ok, text = hook.test_connection()
    assert is_ok, text
    assert "answered 200" in text
    assert [request.headers["Authorization"] for request in server.requests] == ["Bearer a-token-of-ours"]


def test_the_button_names_a_refusal_and_its_remedy(connect: Any, https_server: StartServer, ca_file: str) -> None:
    server = https_server()
    server.on("/", Response(401, b"{}"))
    hook = connect(
        host=server.url(), password="a-token-of-ours", extra={"ca_file": ca_file, "allow_hosts": ["127.0.0.1"]}
    )
    is_ok, text = hook.test_connection()
    assert not is_ok
    assert "ERR_003" in text
    assert "a-token-of-ours" not in text


@pytest.mark.parametrize(
    ("host", "code"), [("http://crm.example.com", "ERR_016"), ("https://127.0.0.1:9", "ERR_016"), ("", "ERR_014")]
)
def test_an_address_that_may_not_be_called_is_refused(connect: Any, host: str, code: str) -> None:
    is_ok, text = connect(host=host).test_connection()
    assert not is_ok
    assert code in text


def test_a_connection_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no connection 'kwiksync_nowhere'"):
        KwikSyncHook("kwiksync_nowhere").credentials()
