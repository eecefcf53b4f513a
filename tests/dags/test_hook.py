"""The connection type in Airflow: what its form's fields become, and what the button Test says."""

from __future__ import annotations

import json
import sqlite3
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.operators import hooks
from kwiksync_ops.operators.hooks import KwikSyncHook
from tests.conftest import StartServer
from tests.support.https_server import Response, json_response
from tests.support.odata_server import ROOT, ODataServer, ODataService
from tests.support.odata_server import Settings as ODataSettings
from tests.support.servicenow import PASSWORD, USER, Instance, start_instance
from tests.support.sftp_server import LOGIN as SFTP_LOGIN
from tests.support.sftp_server import PASSWORD as SFTP_PASSWORD
from tests.support.sftp_server import RunningSftpServer


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


@contextmanager
def folder(tmp_path: Path, authority: trustme.CA) -> Iterator[dict[str, Any]]:
    (tmp_path / "assets_1.csv").write_text("id\n1\n")
    yield {"host": tmp_path.as_uri()}


@contextmanager
def sftp_folder(tmp_path: Path, authority: trustme.CA) -> Iterator[dict[str, Any]]:
    (tmp_path / "assets_1.csv").write_text("id\n1\n")
    with closing(RunningSftpServer(tmp_path)) as server:
        extra = {"host_keys": server.host_keys}
        yield {"host": server.url(), "login": SFTP_LOGIN, "password": SFTP_PASSWORD, "extra": extra}


@contextmanager
def database(tmp_path: Path, authority: trustme.CA) -> Iterator[dict[str, Any]]:
    with closing(sqlite3.connect(tmp_path / "crm.db")) as connection:
        connection.execute("CREATE TABLE assets (id INTEGER PRIMARY KEY)")
    yield {"host": f"sqlite:///{tmp_path / 'crm.db'}"}


@contextmanager
def odata_service(tmp_path: Path, authority: trustme.CA) -> Iterator[dict[str, Any]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with closing(ODataServer(context, ODataService("v4", ODataSettings()))) as server:
        yield {"host": server.url(ROOT), "password": "a-token-of-ours"}


@contextmanager
def servicenow_instance(tmp_path: Path, authority: trustme.CA) -> Iterator[dict[str, Any]]:
    with start_instance(authority, Instance()) as running:
        yield {"host": running.url, "login": USER, "password": PASSWORD}


@pytest.mark.parametrize(
    ("hook", "system", "said"),
    [
        (hooks.FilesHook, folder, "1 files, the newest is assets_1.csv"),
        (hooks.FilesHook, sftp_folder, "1 files, the newest is assets_1.csv"),
        (hooks.SqlHook, database, "assets"),
        (hooks.ODataHook, odata_service, "Tickets"),
        (hooks.ServiceNowHook, servicenow_instance, USER),
    ],
)
def test_the_button_says_what_it_found_in_a_system_of_each_kind(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    certificate_authority: trustme.CA,
    ca_file: str,
    hook: type[KwikSyncHook],
    system: Callable[[Path, trustme.CA], AbstractContextManager[dict[str, Any]]],
    said: str,
) -> None:
    with system(tmp_path, certificate_authority) as fields:
        allowed = {"allow_hosts": ["127.0.0.1", "localhost"], "ca_file": ca_file}
        connection = {"conn_type": hook.conn_type, **fields, "extra": {**allowed, **fields.get("extra", {})}}
        monkeypatch.setenv("AIRFLOW_CONN_KWIKSYNC_CRM", json.dumps(connection))
        is_ok, text = hook("kwiksync_crm").test_connection()
    assert is_ok, text
    assert said in text
    assert text.endswith(".")
    assert str(fields.get("password")) not in text


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
