from __future__ import annotations

from typing import Any

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.oauth_grant import AuthStyle, Grant, grant_of
from kwiksync_ops.errors import AuthenticationError

CLIENT = {"client_id": "kwik", "client_secret": "s3cret", "token_url": "https://login.example/token"}


def grant(auth_style: AuthStyle = "basic", **extra: str) -> Grant:
    return grant_of(Credentials("https://erp.example/api", extra={**CLIENT, **extra}), auth_style=auth_style)


@pytest.mark.parametrize(
    ("fields", "extra", "expected"),
    [
        ({}, {}, "client_credentials"),
        ({"login": "anna", "password": "p"}, {}, "password"),
        ({}, {"refresh_token": "r"}, "refresh_token"),
        ({"login": "anna", "password": "p"}, {"grant_type": "client_credentials"}, "client_credentials"),
    ],
)
def test_the_fields_that_are_there_tell_the_grant(fields: Any, extra: dict[str, str], expected: str) -> None:
    found = grant_of(Credentials("https://erp.example", extra={**CLIENT, **extra}, **fields))
    assert found.type == expected
    assert found.fields(found.refresh_token)["grant_type"] == expected


def test_a_client_is_authenticated_by_a_header_with_both_parts_encoded() -> None:
    found = grant(client_id="a:b", client_secret="c d+é")
    assert found.headers() == {"Authorization": "Basic YSUzQWI6YytkJTJCJUMzJUE5"}
    assert "client_secret" not in found.fields("")


def test_a_client_is_authenticated_in_the_body_where_that_is_asked_for() -> None:
    found = grant(auth_style="body", scope="read write")
    assert found.headers() == {}
    assert found.fields("") == {
        "grant_type": "client_credentials",
        "client_id": "kwik",
        "client_secret": "s3cret",
        "scope": "read write",
    }


def test_a_client_without_a_secret_names_itself_in_the_body() -> None:
    found = grant(client_secret="", refresh_token="r")
    assert found.headers() == {}
    assert found.fields("r2") == {"grant_type": "refresh_token", "refresh_token": "r2", "client_id": "kwik"}


@pytest.mark.parametrize(
    ("named", "default", "expected"),
    [
        ("https://login.example/token", "oauth_token.do", "https://login.example/token"),
        ("/oauth/token", "", "https://erp.example/oauth/token"),
        ("", "https://erp.example/oauth_token.do", "https://erp.example/oauth_token.do"),
    ],
)
def test_the_connections_token_url_wins_and_may_be_a_path(named: str, default: str, expected: str) -> None:
    credentials = Credentials("https://erp.example/api", extra={**CLIENT, "token_url": named})
    assert grant_of(credentials, token_url=default).token_url == expected


@pytest.mark.parametrize(
    ("extra", "lacking"),
    [
        ({"token_url": ""}, "needs token_url,"),
        ({"client_secret": ""}, "needs client_secret,"),
        ({"grant_type": "password"}, "needs login, password,"),
        ({"grant_type": "refresh_token"}, "needs refresh_token,"),
        ({"grant_type": "authorization_code"}, "'authorization_code' is not known"),
    ],
)
def test_what_the_grant_needs_and_the_connection_lacks_is_named(extra: dict[str, str], lacking: str) -> None:
    with pytest.raises(AuthenticationError, match=lacking):
        grant(**extra)


def test_nothing_secret_is_shown() -> None:
    assert "s3cret" not in repr(grant())
