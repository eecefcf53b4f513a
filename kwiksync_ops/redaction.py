"""No secret leaves by a message, a log line, a payload or a URL."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit, urlunsplit

MASK = "[redacted]"
MIN_SECRET_LENGTH = 6
MIN_TELLING_LENGTH = 12
MAX_DEPTH = 40

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(
    {"passwd", "pwd", "passphrase", "secret", "authorization", "cookie", "credential", "credentials", "jwt"}
)
_SECRET_ENDINGS = frozenset(
    {"apikey", "customerkey", "accesskey", "privatekey", "encryptionkey", "fernetkey", "signingkey", "accountkey"}
    | {"subscriptionkey", "sharedkey", "authkey", "sessionid", "jsessionid", "signature", "sig", "token", "auth"}
)
_PAGING_WORDS = frozenset({"page", "next", "cursor", "continuation", "skip", "sync", "delta"})

_HEADER_LINE = re.compile(r"(?im)\b((?:proxy-)?authorization|(?:set-)?cookie)(\s*:\s*)(?![\"'])[^\r\n]+")
_SCHEME = re.compile(
    r"\b((?i:bearer|basic|digest|negotiate))\s+"
    r"(?=[\w+/.~=-]*(?:[0-9+/=_-]|[a-z][A-Z])|[A-Za-z]{16})[\w+/.~=-]{6,}"
)
_NAME = re.compile(r"(?<![\w.-])(?P<quote>\\?[\"']?)(?P<name>[A-Za-z][\w.-]*+)(?P=quote)\s*+[:=]\s*+")
_VALUE = re.compile(
    r"(?P<mark>\\\")(?:(?!\\\").)*+|(?P<double>\")(?:[^\"\\]|\\.)*+|(?P<single>')(?:[^'\\]|\\.)*+|[^\s,;&\"'}\])<>\\]+",
    re.DOTALL,
)
_OPAQUE = re.compile(
    r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*|\bgAAAAA[\w-]{20,}=*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_USER_INFO = re.compile(r"(?<=://)[^/\s?#@]+@")


@lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Whether a header, parameter or field of this name holds a secret: `X-Customer-Key`, `apiKey`, `client_secret`.

    Paging tokens (`next_page_token`) are not secrets, nor is a plain `key`.
    """
    words = tuple(word.lower() for word in _WORD.findall(name))
    if "password" in name.lower() or _SECRET_WORDS.intersection(words):
        return True
    if words[-1:] == ("token",):
        return not _PAGING_WORDS.intersection(words)
    return not _SECRET_ENDINGS.isdisjoint(("".join(words[-1:]), "".join(words[-2:])))


class Redactor:
    """Masks what looks like a secret, and the given secrets wherever they stand, in each form they may take."""

    def __init__(self, secrets: Iterable[str | None] = ()) -> None:
        self._forms = _forms_of(secret for secret in secrets if secret and len(secret) >= MIN_SECRET_LENGTH)

    def __repr__(self) -> str:
        return f"Redactor({len(self._forms)} forms)"

    def learn(self, *secrets: str | None) -> None:
        """From now on these are secrets too."""
        found = _forms_of(secret for secret in secrets if secret and len(secret) >= MIN_SECRET_LENGTH)
        self._forms = tuple(sorted({*self._forms, *found}, key=len, reverse=True))

    def holds_secret(self, text: str) -> bool:
        """Whether one of the given secrets stands in the text; short ones may stand there by chance and don't count."""
        return any(form in text for form in self._forms if len(form) >= MIN_TELLING_LENGTH)

    def text(self, text: str) -> str:
        """Free text: a message, a traceback, a piece of a body."""
        text = _USER_INFO.sub(f"{MASK}@", _OPAQUE.sub(MASK, self._known(text)))
        text = _HEADER_LINE.sub(rf"\1\2{MASK}", text)
        return _mask_pairs(_SCHEME.sub(rf"\1 {MASK}", text))

    def url(self, url: str) -> str:
        """Without user information and fragment; parameters that hold secrets are masked."""
        try:
            parts = urlsplit(self._known(url))
        except ValueError:
            return self.text(url)
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit((parts.scheme, host, parts.path, _mask_pairs(_OPAQUE.sub(MASK, parts.query)), ""))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {name: MASK if is_secret_name(name) else self._known(value) for name, value in headers.items()}

    def payload(self, value: Any) -> Any:
        """A JSON value, copied: fields with a secret's name are masked, and the given secrets in any text."""
        return self._payload(value, MAX_DEPTH)

    def _payload(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._known(value)
        if isinstance(value, (Mapping, list, tuple)) and depth == 0:
            return MASK
        if isinstance(value, Mapping):
            return {
                self._known(str(name)): MASK
                if is_secret_name(str(name)) and content not in (None, "")
                else self._payload(content, depth - 1)
                for name, content in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._payload(item, depth - 1) for item in value]
        return value

    def _known(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        return text


def _forms_of(secrets: Iterable[str]) -> tuple[str, ...]:
    """Each secret as it is, in a URL, in JSON and in Base64; longest first, so that none leaves a rest of another."""
    forms: set[str] = set()
    for secret in secrets:
        encoded = base64.b64encode(secret.encode("utf-8", "surrogatepass")).decode()
        forms |= {secret, quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace"), encoded}
        forms |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    return tuple(sorted(forms, key=len, reverse=True))


def _mask_pairs(text: str) -> str:
    """Values of names that say so: `name=value`, `name: value`, `"name": "value"`, in a URL, JSON or a repr."""
    kept: list[str] = []
    done = at = 0
    while name := _NAME.search(text, at):
        at = name.end()
        value = _VALUE.match(text, at) if is_secret_name(name["name"]) else None
        if value and not text.startswith((MASK, "null"), at):
            mark = value["mark"] or value["double"] or value["single"] or ""
            kept += (text[done:at], mark, MASK)
            done = at = value.end()
    return "".join((*kept, text[done:]))
