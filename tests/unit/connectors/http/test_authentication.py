from __future__ import annotations

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.authentication import Scheme, authentication_headers, scheme_for
from kwiksync_ops.errors import AuthenticationError, CustomerKeyError, KwikSyncError

URL = "https://erp.example"


def headers_of(credentials: Credentials, scheme: Scheme, *, customer_key_required: bool = False) -> dict[str, str]:
    return authentication_headers(
        credentials,
        scheme,
        api_key_header="X-API-Key",
        customer_key_header="X-Customer-Key",
        customer_key_required=customer_key_required,
    )


@pytest.mark.parametrize(
    ("credentials", "scheme", "headers"),
    [
        (Credentials(URL), "none", {}),
        (Credentials(URL, token="t0k"), "bearer", {"Authorization": "Bearer t0k"}),
        (Credentials(URL, password="t0k"), "bearer", {"Authorization": "Bearer t0k"}),
        (Credentials(URL, token="t0k"), "api_key", {"X-API-Key": "t0k"}),
        (Credentials(URL, login="ü", password="p:w"), "basic", {"Authorization": "Basic w7w6cDp3"}),
        (Credentials(URL, customer_key="ck"), "none", {"X-Customer-Key": "ck"}),
    ],
)
def test_each_scheme_has_its_header(credentials: Credentials, scheme: Scheme, headers: dict[str, str]) -> None:
    assert headers_of(credentials, scheme) == headers


@pytest.mark.parametrize("scheme", ["bearer", "basic", "api_key"])
def test_missing_credentials_are_an_authentication_error(scheme: Scheme) -> None:
    with pytest.raises(AuthenticationError, match=f"auth: {scheme} needs"):
        headers_of(Credentials(URL, login="user"), scheme)


def test_a_missing_customer_key_is_told_where_it_is_required() -> None:
    with pytest.raises(CustomerKeyError, match="no Customer Key to send"):
        headers_of(Credentials(URL), "none", customer_key_required=True)


@pytest.mark.parametrize("secret", ["line\nend", "canary\r\nX-Evil: 1", "naïve-canary", " canary", "canary\n"])
def test_a_secret_that_no_header_can_carry_is_told_and_not_shown(secret: str) -> None:
    for credentials in (Credentials(URL, token=secret), Credentials(URL, customer_key=secret, token="t")):
        with pytest.raises(KwikSyncError, match="no header can carry") as caught:
            headers_of(credentials, "bearer")
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("credentials", "scheme"),
    [
        (Credentials(URL, login="u", password="p", token="t"), "bearer"),
        (Credentials(URL, login="u", password="p"), "basic"),
        (Credentials(URL, password="an-api-token"), "bearer"),
        (Credentials(URL, password="p", extra={"grant_type": "client_credentials"}), "oauth2"),
        (Credentials(URL, login="u"), "none"),
        (Credentials(URL), "none"),
    ],
)
def test_the_connection_tells_the_scheme_where_none_is_set(credentials: Credentials, scheme: Scheme) -> None:
    assert scheme_for(credentials) == scheme


def test_credentials_show_no_secret() -> None:
    credentials = Credentials("https://u:canary@h/?token=canary", "u", "canary-p", "canary-t", "canary-k")
    assert "canary" not in repr(credentials)
    assert "canary" not in f"{credentials}"
