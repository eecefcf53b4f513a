from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.signing import HmacSigning, SigningOptions
from kwiksync_ops.errors import AuthenticationError
from kwiksync_ops.testing import ManualClock

NOW = "1768478400"
SECRET = "s3cret-key"


def signing(secret: str = SECRET, **options: Any) -> HmacSigning:
    credentials = Credentials("https://erp.example", login="anna", extra={"hmac_secret": secret, "client_id": "kwik"})
    return HmacSigning(SigningOptions(**options), credentials, ManualClock())


def test_time_method_address_and_body_are_signed_unless_said_otherwise() -> None:
    headers = signing().headers("POST", "https://erp.example/api/x?a=1&b=%20", b'{"n":1}')
    text = f'{NOW}\nPOST\n/api/x?a=1&b=%20\n{{"n":1}}'
    expected = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    assert headers == {"X-Timestamp": NOW, "X-Signature": expected}


def test_what_is_signed_how_and_where_it_stands_is_configured() -> None:
    key = base64.b64encode(b"binary \x00 key").decode()
    headers = signing(
        key,
        text="${method}&${host}&${path}&${query}&${body_hash}&${timestamp}",
        headers={"Authorization": "HMAC ${client_id}:${login}:${signature}", "X-Date": "${timestamp}"},
        algorithm="sha512",
        encoding="base64",
        key_encoding="base64",
        timestamp="iso",
    ).headers("GET", "https://erp.example:8443", None)
    digest = base64.b64encode(hashlib.sha512(b"").digest()).decode()
    text = f"GET&erp.example:8443&/&&{digest}&2026-01-15T12:00:00Z"
    signature = base64.b64encode(hmac.new(b"binary \x00 key", text.encode(), hashlib.sha512).digest()).decode()
    assert headers == {"Authorization": f"HMAC kwik:anna:{signature}", "X-Date": "2026-01-15T12:00:00Z"}


def test_the_address_is_signed_as_it_is_sent() -> None:
    plain = signing(text="${path_query}", headers={"X-Signature": "${signature}"})
    assert plain.headers("GET", "https://erp.example/ä b", None) == plain.headers(
        "GET", "https://erp.example/%C3%A4%20b", None
    )


def test_no_two_calls_have_one_nonce() -> None:
    with_nonce = signing(text="${nonce}", headers={"X-Nonce": "${nonce}"})
    assert with_nonce.headers("GET", "https://h/", None) != with_nonce.headers("GET", "https://h/", None)


@pytest.mark.parametrize(
    ("secret", "options", "says"),
    [
        ("", {}, "needs hmac_secret"),
        ("xyz", {"key_encoding": "hex"}, "is not hex"),
        ("x", {"key_encoding": "base64"}, "is not base64"),
    ],
)
def test_a_secret_that_does_not_serve_is_told(secret: str, options: Any, says: str) -> None:
    with pytest.raises(AuthenticationError, match=says):
        signing(secret, **options)


def test_a_header_that_can_not_be_sent_is_told_and_not_shown() -> None:
    with pytest.raises(AuthenticationError, match="X-Text would hold") as caught:
        signing(headers={"X-Text": "${body}"}).headers("POST", "https://h/", b"a\nsecret")
    assert "secret" not in str(caught.value)
