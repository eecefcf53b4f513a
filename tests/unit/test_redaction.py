from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from kwiksync_ops.redaction import MASK, Redactor, is_secret_name

CANARY = "s3cr3t/cänary+value=="


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Proxy-Authorization",
        "X-Customer-Key",
        "customer_key",
        "customerKey",
        "apiKey",
        "APIKey",
        "x-api-key",
        "client_secret",
        "access_token",
        "token",
        "Set-Cookie",
        "password",
        "db_password_old",
        "PGPASSWORD",
        "private_key",
        "JSESSIONID",
        "sig",
    ],
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "key", "external_id", "primary_key", "page_token", "nextPageToken", "author", "monkey", "tokens", "secretary"],
)
def test_other_names_are_left_alone(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        quote(CANARY, safe=""),
        base64.b64encode(CANARY.encode()).decode(),
        json.dumps(CANARY),
        json.dumps(CANARY, ensure_ascii=False),
    ],
)
def test_a_known_secret_is_masked_in_each_form(form: str) -> None:
    redactor = Redactor([CANARY])
    text = redactor.text(f"it said {form} to us")
    assert MASK in text
    assert form.strip('"') not in text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Authorization: Bearer abc.def", f"Authorization: {MASK}"),
        ("sent Bearer abcdef-123456 twice", f"sent Bearer {MASK} twice"),
        ("Basic dXNlcjpwYXNz is basic", f"Basic {MASK} is basic"),
        ("Cookie: a=1; session=2\nHost: x", f"Cookie: {MASK}\nHost: x"),
        ('{"api_key": "abc def", "id": 7}', f'{{"api_key": "{MASK}", "id": 7}}'),
        ("{'password': 'it''s'}", f"{{'password': '{MASK}''s'}}"),
        ('"{\\"token\\": \\"abc\\"}"', None),
        ("https://h/p?api_key=abc&page=2", f"https://h/p?api_key={MASK}&page=2"),
        ("postgresql://user:pass@host/db", f"postgresql://{MASK}@host/db"),
        ("password=hunter2, retry", f"password={MASK}, retry"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc_def", f"jwt {MASK}"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", MASK),
        ('{"password": null}', '{"password": null}'),
        ("no secret here: basic information, key: 7", "no secret here: basic information, key: 7"),
    ],
)
def test_what_looks_like_a_secret_is_masked_in_text(text: str, masked: str | None) -> None:
    result = Redactor().text(text)
    assert result == masked if masked is not None else "abc" not in result


def test_masking_again_changes_nothing() -> None:
    once = Redactor([CANARY]).text(f"token={CANARY} password='x' Bearer abc123")
    assert Redactor([CANARY]).text(once) == once


def test_urls_lose_user_information_fragment_and_secret_parameters() -> None:
    url = "https://u:p@erp.example/api?page=2&access_token=abc#frag"
    assert Redactor().url(url) == f"https://erp.example/api?page=2&access_token={MASK}"


def test_headers_are_masked_by_name_and_by_value() -> None:
    headers = {"X-Customer-Key": "k", "X-Echo": f"got {CANARY}", "Accept": "json"}
    assert Redactor([CANARY]).headers(headers) == {"X-Customer-Key": MASK, "X-Echo": f"got {MASK}", "Accept": "json"}


def test_payloads_are_masked_at_any_depth_and_not_changed() -> None:
    payload = {"id": 1, "auth": {"token": "abc"}, "list": [{"password": "x"}, f"has {CANARY}"], "api_key": None}
    masked = Redactor([CANARY]).payload(payload)
    assert masked == {"id": 1, "auth": MASK, "list": [{"password": MASK}, f"has {MASK}"], "api_key": None}
    assert payload["list"][0] == {"password": "x"}  # type: ignore[index]


def test_a_payload_without_end_is_cut() -> None:
    deep: object = "x"
    for _ in range(5_000):
        deep = [deep]
    assert MASK in json.dumps(Redactor().payload(deep))


def test_short_passwords_do_not_eat_the_text() -> None:
    assert Redactor(["a", "test"]).text("a test") == "a test"


def test_a_redactor_shows_nothing_itself() -> None:
    assert CANARY not in repr(Redactor([CANARY]))


def test_long_text_is_masked_in_linear_time() -> None:
    assert Redactor().text("a" * 300_000) == "a" * 300_000
    assert Redactor().text('"' * 100_000) == '"' * 100_000


def test_a_secret_that_came_later_is_masked_from_then_on() -> None:
    redactor = Redactor(["first-secret"])
    redactor.learn("later-secret", None, "abc")
    assert redactor.text("first-secret later-secret abc") == "[redacted] [redacted] abc"
    assert redactor.holds_secret("x later-secret x")
