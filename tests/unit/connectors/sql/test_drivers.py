"""What SQL Server's library is told, which can't be watched at work here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pymssql
import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.sql.address import Address, Route
from kwiksync_ops.connectors.sql.drivers import Wanted, connect
from kwiksync_ops.connectors.sql.options import SqlTimeouts

ADDRESS = Address("mssql", "erp", "db.example.com", 1433)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What pymssql.connect is called with, and the settings that FreeTDS reads then."""
    found: dict[str, Any] = {}

    def connected(**given: Any) -> object:
        found.update(given, settings=Path(os.environ["FREETDSCONF"]).read_text("utf-8"))
        return object()

    monkeypatch.setattr(pymssql, "connect", connected)
    monkeypatch.delenv("FREETDSCONF", raising=False)
    return found


def wanted(*, writes: bool = False, ca_file: str | None = None) -> Wanted:
    credentials = Credentials("mssql://db.example.com/erp", login="me", password="a-password", ca_file=ca_file)
    return Wanted(credentials, SqlTimeouts(5, 60, 3), writes)


def test_sql_server_is_encrypted_and_its_certificate_verified(asked: dict[str, Any]) -> None:
    connect(ADDRESS, Route(("8.8.8.8",), tls=True), wanted(ca_file="/etc/company.pem"))
    assert asked["encryption"] == "require"
    assert "encryption = require" in asked["settings"]
    assert "ca file = /etc/company.pem" in asked["settings"]
    assert "check certificate hostname = yes" in asked["settings"]
    assert "a-password" not in asked["settings"]
    assert "FREETDSCONF" not in os.environ


def test_sql_server_trusts_what_the_machine_trusts_without_a_ca_file(asked: dict[str, Any]) -> None:
    connect(ADDRESS, Route(("8.8.8.8",), tls=True), wanted())
    assert "ca file = system" in asked["settings"]


def test_sql_server_gets_limits_and_is_told_that_we_only_read(asked: dict[str, Any]) -> None:
    connect(ADDRESS, Route(("127.0.0.1",)), wanted())
    assert (asked["timeout"], asked["login_timeout"], asked["read_only"]) == (60, 5, True)
    assert "SET LOCK_TIMEOUT 3000" in asked["conn_properties"]
    assert asked["encryption"] == "off"
    connect(ADDRESS, Route(("127.0.0.1",)), wanted(writes=True))
    assert asked["read_only"] is False


def test_settings_of_others_are_put_back(asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FREETDSCONF", "/etc/freetds.conf")
    connect(ADDRESS, Route(("8.8.8.8",), tls=True), wanted())
    assert os.environ["FREETDSCONF"] == "/etc/freetds.conf"
