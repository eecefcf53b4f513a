"""Calls that are signed with a shared secret (HMAC): what is signed, how, and in which headers, as a file says."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.authentication import SENDABLE
from kwiksync_ops.connectors.http.template import filled_text
from kwiksync_ops.connectors.time_format import format_time
from kwiksync_ops.errors import AuthenticationError

if TYPE_CHECKING:  # its library is heavy, and options are read while DAGs are parsed
    from kwiksync_ops.connectors.http.transport import Answer

Encoding = Literal["hex", "base64", "text"]

CALL_NAMES = ("method", "url", "host", "path", "query", "path_query", "body", "body_hash", "timestamp", "nonce")
CREDENTIAL_NAMES = ("login", "client_id", "token")
TEXT_NAMES = (*CALL_NAMES, *CREDENTIAL_NAMES)
HEADER_NAMES = (*TEXT_NAMES, "signature")


@dataclass(frozen=True)
class SigningOptions:
    """What each one means stands in rest/options.schema.json, under `hmac`."""

    text: str = "${timestamp}\n${method}\n${path_query}\n${body}"
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"X-Timestamp": "${timestamp}", "X-Signature": "${signature}"}
    )
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    key_encoding: Encoding = "text"
    timestamp: str = "epoch"


class HmacSigning:
    """The `Authorization` of one connection by its `hmac_secret`. See `session.Authorization`."""

    calls = 0

    def __init__(self, options: SigningOptions, credentials: Credentials, clock: Clock) -> None:
        """Raises AuthenticationError where the connection has no secret, or one that is not encoded as is said."""
        self._options = options
        self._key = _key(credentials.extra.get("hmac_secret"), options.key_encoding)
        self._clock = clock
        self._who = {
            "login": credentials.login,
            "client_id": credentials.extra.get("client_id"),
            "token": credentials.token,
        }

    def headers(self, method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        values = {**self._who, **self._call_values(method, url, body or b"")}
        signature = hmac.digest(self._key, filled_text(self._options.text, values).encode(), self._options.algorithm)
        values["signature"] = self._encoded(signature)
        headers = {name: filled_text(text, values) for name, text in self._options.headers.items()}
        unfit = next((name for name, value in headers.items() if value and not SENDABLE.fullmatch(value)), None)
        if unfit:
            raise AuthenticationError(
                f"The header {unfit} would hold characters that no header can carry.",
                remedy="Check hmac.headers, and the fields of the connection that they name.",
            )
        return headers

    def is_refused(self, answer: Answer) -> bool:
        return False

    def renew(self) -> bool:
        return False

    def close(self) -> None: ...

    def _call_values(self, method: str, url: str, body: bytes) -> dict[str, str | None]:
        from requests.utils import requote_uri

        sent = requote_uri(url)
        parts = urlsplit(sent)
        path = parts.path or "/"
        digest = _digest(body, self._options.algorithm)
        return {
            "method": method,
            "url": sent,
            "host": parts.netloc,
            "path": path,
            "query": parts.query,
            "path_query": f"{path}?{parts.query}" if parts.query else path,
            "body": body.decode("utf-8", "surrogateescape"),
            "body_hash": self._encoded(digest),
            "timestamp": format_time(self._clock.now(), self._options.timestamp, ZoneInfo("UTC")),
            "nonce": uuid.uuid4().hex,
        }

    def _encoded(self, digest: bytes) -> str:
        return digest.hex() if self._options.encoding == "hex" else base64.b64encode(digest).decode()


def _digest(body: bytes, algorithm: str) -> bytes:
    import hashlib

    return hashlib.new(algorithm, body).digest()


def _key(secret: str | None, encoding: Encoding) -> bytes:
    if not secret:
        raise AuthenticationError(
            "auth: hmac needs hmac_secret, which the connection lacks.", remedy="Complete the system's connection."
        )
    try:
        if encoding == "hex":
            return bytes.fromhex(secret)
        return base64.b64decode(secret, validate=True) if encoding == "base64" else secret.encode()
    except (ValueError, binascii.Error) as exc:
        raise AuthenticationError(
            f"The connection's hmac_secret is not {encoding}, as hmac.key_encoding says.",
            remedy="Set the secret again, or correct hmac.key_encoding.",
        ) from exc
