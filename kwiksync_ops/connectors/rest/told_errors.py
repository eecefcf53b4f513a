"""Errors that an answer with status 200 tells."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.connectors.http.json_path import MISSING, value_at
from kwiksync_ops.connectors.rest.options import ErrorCodes, RestOptions
from kwiksync_ops.errors import AuthenticationError, KwikSyncError, RateLimitError, SystemUnavailableError
from kwiksync_ops.redaction import Redactor

MAX_SAID = 300


@dataclass(frozen=True)
class ToldError:
    """What stands at `error_path`; `code` is what stands at `error_codes.path`, as text."""

    code: str
    said: str

    @property
    def message(self) -> str:
        return f"the system tells an error: {self.said}"

    def as_read_error(self, what: str, options: RestOptions) -> KwikSyncError:
        """The error of a read that it ends."""
        text = f"{what}: {self.message}. Nothing of the page was taken."
        codes = options.error_codes
        if self.code in codes.denied:
            return AuthenticationError(text, remedy="Check the connection's credentials and the account's rights.")
        if self.code in codes.later:
            return RateLimitError(text, remedy="Lower limits.calls_per_minute of the system, or sync off-peak.")
        return SystemUnavailableError(
            text, remedy="Compare the request with the table's rest options; if it is right, ask the system's owner."
        )

    def as_status(self, codes: ErrorCodes) -> int:
        """The HTTP status that would have told a write the same."""
        if self.code in codes.conflict:
            return 409
        if self.code in codes.gone:
            return 404
        return 429 if self.code in codes.later else 422


def told_error(document: Any, options: RestOptions, redactor: Redactor) -> ToldError | None:
    """The error in an answer, if it tells one."""
    if options.error_path is None:
        return None
    told = value_at(document, options.error_path)
    if told is MISSING or told is None or told in ("", False, [], {}):
        return None
    code = value_at(document, options.error_codes.path) if options.error_codes.path else MISSING
    text = told if isinstance(told, str) else json.dumps(told, default=str, ensure_ascii=False)
    return ToldError("" if code is MISSING else str(code), redactor.text(text)[:MAX_SAID])
