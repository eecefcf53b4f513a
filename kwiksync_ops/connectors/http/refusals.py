"""An answer that is not 200, as the error that says what to do about it."""

from __future__ import annotations

import json

from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionTimeoutError,
    CustomerKeyError,
    KwikSyncError,
    RateLimitError,
    SystemUnavailableError,
)
from kwiksync_ops.redaction import Redactor

EXCERPT_CHARS = 200
STALE_POSITION = frozenset({400, 404, 410, 416, 422})


def excerpt(answer: Answer, redactor: Redactor) -> str:
    """The beginning of a body, on one line, without secrets."""
    text = redactor.text(answer.body[: EXCERPT_CHARS * 8].decode("utf-8", "backslashreplace"))
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= EXCERPT_CHARS else f"{line[:EXCERPT_CHARS]}…"


def refusal(
    answer: Answer, *, what: str, redactor: Redactor, is_resumed: bool = False, wait_s: float | None = None
) -> KwikSyncError:
    """The error for an answer other than 200.

    Args:
        is_resumed: the call went on from a position that an earlier page gave; the system may have forgotten it.
        wait_s: how long the system asked to wait.
    """
    said = excerpt(answer, redactor)
    told = f"{what}: answered {answer.status}" + (f", {said!r}" if said else "")
    if is_rate_limit(answer):
        return RateLimitError(
            f"{told}.", remedy="Lower limits.calls_per_minute of the system, or sync off-peak.", retry_after_s=wait_s
        )
    if answer.status in (401, 403):
        return _denied(answer, told)
    if answer.status == 408:
        return ConnectionTimeoutError(f"{told}.", remedy="The system gave up waiting; it is tried again.")
    if answer.status >= 500 or answer.status < 400:
        return SystemUnavailableError(f"{told}.", remedy="Ask the system's owner if it lasts.", retry_after_s=wait_s)
    if is_resumed and answer.status in STALE_POSITION:
        return SystemUnavailableError(
            f"{told}; the position to go on from is no longer known.", remedy="The read starts again.", restart=True
        )
    return ConfigurationError(
        f"{told}.",
        remedy="Check the base URL, the table's source and its rest options: the system refuses this request.",
    )


def is_rate_limit(answer: Answer) -> bool:
    """Whether the system was called too often; some say so by 403, and how long to wait."""
    return answer.status == 429 or (answer.status == 403 and "Retry-After" in answer.headers)


def _denied(answer: Answer, told: str) -> KwikSyncError:
    if _names_customer_key(answer):
        return CustomerKeyError(
            f"{told}: the Customer Key was refused.",
            remedy="Ask the system's owner for a valid key and set it as customer_key of the connection.",
        )
    return AuthenticationError(
        f"{told}: the credentials were refused.",
        remedy="Check login, password or token of the connection, the rest option auth, and the account's rights.",
    )


def _names_customer_key(answer: Answer) -> bool:
    """Whether the refusal is about the Customer Key: it carries ERR_001, or names the key in its body or challenge."""
    told = answer.body[:65_536].decode("utf-8", "replace") + answer.headers.get("WWW-Authenticate", "")
    plain = told.lower().replace("_", " ").replace("-", " ")
    return "customer key" in plain or "customerkey" in plain or _error_code(answer) == CustomerKeyError.code


def _error_code(answer: Answer) -> str | None:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    error = document.get("error", document) if isinstance(document, dict) else None
    code = error.get("code") if isinstance(error, dict) else error
    return code if isinstance(code, str) else None
