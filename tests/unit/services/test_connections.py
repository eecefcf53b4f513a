"""Connections as Airflow writes them, read without Airflow."""

from __future__ import annotations

import pytest

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.connections import connection_of, credentials_of, find_connection

JSON_FORM = (
    '{"conn_type": "kwiksync", "host": "https://erp.example.com/api", "login": "sync", "password": "p@ss", '
    '"extra": {"ca_file": "/etc/ca.pem", "allow_hosts": ["erp.example.com"]}}'
)


def test_the_json_form_of_the_environment_is_read() -> None:
    found = find_connection("my_erp", {"AIRFLOW_CONN_MY_ERP": JSON_FORM})
    assert (found.host, found.login, found.password) == ("https://erp.example.com/api", "sync", "p@ss")
    assert found.extra == {"ca_file": "/etc/ca.pem", "allow_hosts": ["erp.example.com"]}
    assert found.origin == "AIRFLOW_CONN_MY_ERP"


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        (
            "kwiksync://sync:p%40ss@https%3A%2F%2Ferp.example.com%2Fapi/?ca_file=%2Fca.pem",
            "https://erp.example.com/api",
        ),
        ("kwiksync://https://sync:p%40ss@erp.example.com:8443/?ca_file=%2Fca.pem", "https://erp.example.com:8443"),
        ("kwiksync://https://sync:p%40ss@erp.example.com/api?ca_file=%2Fca.pem", "https://erp.example.com/api"),
    ],
)
def test_the_uri_forms_of_the_environment_are_read(uri: str, host: str) -> None:
    found = connection_of(uri, "AIRFLOW_CONN_ERP")
    assert (found.host, found.login, found.password) == (host, "sync", "p@ss")
    assert found.extra == {"ca_file": "/ca.pem"}


def test_a_uri_may_hold_its_extra_as_json() -> None:
    found = connection_of("kwiksync://:pw@h/?__extra__=%7B%22allow_hosts%22%3A%5B%2210.0.0.0%2F8%22%5D%7D", "X")
    assert credentials_of("https://h", None, "pw", found.extra, None).allow_hosts == ("10.0.0.0/8",)


@pytest.mark.parametrize("text", ["no connection", '{"host": ', '{"host": "h", "extra": "[1]"}', "k://h:port/"])
def test_what_is_no_connection_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="AIRFLOW_CONN_ERP does not hold a connection") as failure:
        find_connection("erp", {"AIRFLOW_CONN_ERP": text})
    assert text not in str(failure.value)


@pytest.mark.parametrize("hosts", [["a.example", " b.example "], "a.example\nb.example", "a.example, b.example"])
def test_allowed_hosts_are_a_list_or_lines_or_have_commas_between(hosts: object) -> None:
    found = credentials_of("https://h", "", "", {"allow_hosts": hosts, "ca_file": " "}, "key")
    assert found.allow_hosts == ("a.example", "b.example")
    assert (found.login, found.password, found.ca_file, found.customer_key) == (None, None, None, "key")


def test_a_connection_without_a_base_url_says_which_field_to_fill() -> None:
    with pytest.raises(ConfigurationError, match="no base URL") as failure:
        credentials_of(" ", "sync", "pw", {}, None)
    assert "Base URL (host)" in failure.value.remedy
