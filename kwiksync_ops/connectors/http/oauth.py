"""Access tokens by OAuth 2 (RFC 6749): asked for when needed, kept in memory, renewed shortly before they end."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlencode

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.http.address import AddressGuard
from kwiksync_ops.connectors.http.authentication import SENDABLE
from kwiksync_ops.connectors.http.calls import Call, Caller
from kwiksync_ops.connectors.http.oauth_grant import Grant
from kwiksync_ops.connectors.http.refusals import excerpt, refusal
from kwiksync_ops.connectors.http.session import HttpsSession
from kwiksync_ops.connectors.http.timeouts import Timeouts
from kwiksync_ops.connectors.http.transport import Answer, HttpsTransport
from kwiksync_ops.errors import AuthenticationError, SystemUnavailableError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor

EARLY_S = 60.0
MAX_TOKEN_BYTES = 256 * 1024
MAX_WAIT_S = 120.0

log = logging.getLogger(__name__)


class TokenSource:
    """The `Authorization` of one connection by bearer tokens. See `session.Authorization`.

    A refresh token that the answer replaces is used from then on; it is not written back to the connection.
    """

    def __init__(
        self,
        grant: Grant,
        *,
        guard: AddressGuard,
        ca_file: str | None,
        limiter: CallLimiter,
        clock: Clock,
        redactor: Redactor,
        timeouts: Timeouts | None = None,
    ) -> None:
        """Nothing is called yet.

        Args:
            redactor: learns every token that comes, so that none is ever shown.

        Raises:
            InsecureTransportError: the token URL is not HTTPS.
        """
        guard.base_origin(grant.token_url)
        redactor.learn(grant.client_secret, grant.refresh_token, grant.password)
        self._grant = grant
        self._refresh_token = grant.refresh_token
        self._clock = clock
        self._redactor = redactor
        self._session = HttpsSession(HttpsTransport(guard, clock, ca_file=ca_file), limiter)
        self._caller = Caller(
            self._session,
            clock,
            redactor,
            timeouts=timeouts or Timeouts(),
            max_bytes=MAX_TOKEN_BYTES,
            retry_after_cap_s=MAX_WAIT_S,
        )
        self._token: str | None = None
        self._ends: float | None = None

    def __repr__(self) -> str:
        return f"TokenSource({self._grant!r})"

    @property
    def calls(self) -> int:
        return self._session.calls

    def headers(self, method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        """Raises AuthenticationError where no token is given, and what a call raises that gets no answer."""
        return {"Authorization": f"Bearer {self.token()}"}

    def token(self) -> str:
        """A token that is valid by its own word; see `headers`."""
        is_over = self._ends is not None and self._clock.monotonic() >= self._ends
        if self._token is None or is_over:
            self._ask()
        return cast(str, self._token)

    def is_refused(self, answer: Answer) -> bool:
        return answer.status == 401

    def renew(self) -> bool:
        self._token = None
        return True

    def close(self) -> None:
        self._session.close()

    def _ask(self) -> None:
        shown = self._redactor.url(self._grant.token_url)
        asked = self._clock.monotonic()
        body = urlencode(self._grant.fields(self._refresh_token)).encode()
        call = Call(
            self._grant.token_url,
            what=f"Asking {shown} for a token",
            method="POST",
            headers={"Content-Type": "application/x-www-form-urlencoded", **self._grant.headers()},
            body=body,
        )
        answer, _ = self._caller.answer(call)
        if answer.status != 200:
            raise _denied(answer, call.what, self._redactor)
        self._keep(_told(answer, call.what, self._redactor), asked)

    def _keep(self, told: Mapping[str, Any], asked: float) -> None:
        self._token = told["access_token"]
        self._redactor.learn(self._token)
        lasts_s = _seconds(told.get("expires_in"))
        self._ends = None if lasts_s is None else asked + lasts_s - min(EARLY_S, lasts_s / 10)
        replaced = told.get("refresh_token")
        if self._grant.type == "refresh_token" and isinstance(replaced, str) and replaced != self._refresh_token:
            self._redactor.learn(replaced)
            self._refresh_token = replaced
            log.warning(
                "%s replaced the refresh token; the connection keeps the old one",
                self._redactor.url(self._grant.token_url),
            )


_REMEDIES: Mapping[str, str] = {
    "invalid_client": "Check client_id and client_secret of the connection, and whether the client may send them so.",
    "invalid_grant": "Check login and password; a refresh token has ended, was revoked or replaced: set a new one.",
    "unauthorized_client": "Allow the client this grant type where it is registered, or set another grant_type.",
    "unsupported_grant_type": "Set another grant_type in the connection.",
    "invalid_scope": "Check scope of the connection.",
}


def _denied(answer: Answer, what: str, redactor: Redactor) -> Exception:
    error = _document(answer).get("error")
    if answer.status in (408, 429) or not 400 <= answer.status < 500:
        return refusal(answer, what=what, redactor=redactor)
    remedy = _REMEDIES.get(error) if isinstance(error, str) else None
    return AuthenticationError(
        f"{what}: answered {answer.status}, {excerpt(answer, redactor)!r}: no token was given.",
        remedy=remedy or "Check token_url, grant_type, client and secrets of the connection.",
    )


def _told(answer: Answer, what: str, redactor: Redactor) -> Mapping[str, Any]:
    told = _document(answer)
    token = told.get("access_token")
    if isinstance(told.get("error"), str):
        raise AuthenticationError(
            f"{what}: answered 200 with an error, {excerpt(answer, redactor)!r}.",
            remedy=_REMEDIES.get(told["error"], "Check the fields of the connection."),
        )
    if not isinstance(token, str) or not SENDABLE.fullmatch(token):
        raise SystemUnavailableError(
            f"{what}: answered 200 and gave no token (Content-Type {answer.content_type}).",
            remedy="Check token_url of the connection: it must be the address that issues tokens.",
        )
    kind = told.get("token_type", "bearer")
    if str(kind).lower() != "bearer":
        raise AuthenticationError(
            f"{what}: gave a token of type {str(kind)[:50]!r}; only bearer tokens can be used.",
            remedy="Let the client be given bearer tokens where it is registered.",
        )
    return told


def _document(answer: Answer) -> Mapping[str, Any]:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _seconds(value: Any) -> float | None:
    """How long a token lasts; None where the answer does not say: then until it is refused."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return float(value[:9])
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(min(max(value, 0), 10**9)) if is_number else None
