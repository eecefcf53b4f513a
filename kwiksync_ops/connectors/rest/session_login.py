"""Sessions: a login call gives what every other call then carries, until the system says that it has ended."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.authentication import SENDABLE
from kwiksync_ops.connectors.http.calls import Call, Caller
from kwiksync_ops.connectors.http.json_path import value_at
from kwiksync_ops.connectors.http.refusals import excerpt
from kwiksync_ops.connectors.http.session import HttpsSession
from kwiksync_ops.connectors.http.template import filled, filled_text
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.auth_options import SessionOptions, login_values
from kwiksync_ops.connectors.rest.body import encode_body
from kwiksync_ops.connectors.rest.urls import join_url
from kwiksync_ops.errors import AuthenticationError
from kwiksync_ops.redaction import Redactor

MAX_ERROR_BYTES = 64 * 1024


class SessionLogin:
    """The `Authorization` of one connection by a session. See `http.session.Authorization`.

    Cookies that the login sets are kept by the transport that `session` shares with the system's other calls.
    """

    def __init__(
        self,
        options: SessionOptions,
        credentials: Credentials,
        *,
        session: HttpsSession,
        caller: Caller,
        redactor: Redactor,
    ) -> None:
        self._options = options
        self._credentials = credentials
        self._session = session
        self._caller = caller
        self._redactor = redactor
        self._headers: Mapping[str, str] | None = None

    @property
    def calls(self) -> int:
        return self._session.calls

    def headers(self, method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        """Raises AuthenticationError where the login is refused."""
        if self._headers is None:
            self._headers = self._log_in()
        return self._headers

    def is_refused(self, answer: Answer) -> bool:
        if answer.status == 401:
            return True
        if not self._options.ended or len(answer.body) > MAX_ERROR_BYTES:
            return False
        told = value_at(_document(answer), self._options.ended_path)
        return str(told) in self._options.ended

    def renew(self) -> bool:
        self._headers = None
        return True

    def close(self) -> None: ...

    def _log_in(self) -> dict[str, str]:
        url = join_url(self._credentials.base_url, self._options.path)
        values = login_values(self._credentials)
        call = Call(
            url,
            what=f"Logging in at {self._redactor.url(url)}",
            method="POST",
            headers={"Content-Type": "application/json"},
            body=encode_body(filled(self._options.body, values)),
        )
        answer, _ = self._caller.get(call)
        return self._told_headers(answer, values, call.what)

    def _told_headers(self, answer: Answer, values: dict[str, Any], what: str) -> dict[str, str]:
        document = _document(answer)
        told = {name: value_at(document, path) for name, path in self._options.values.items()}
        lacking = [name for name, value in told.items() if not isinstance(value, (str, int)) or value in ("", False)]
        if lacking:
            raise AuthenticationError(
                f"{what}: the answer has no {', '.join(lacking)}: {excerpt(answer, self._redactor)!r}.",
                remedy="Check login and password of the connection, and session.values of the system's rest options.",
            )
        self._redactor.learn(*(value for value in told.values() if isinstance(value, str)))
        values = {**values, **told}
        for name, text in self._options.base64.items():
            values[name] = base64.b64encode(filled_text(text, values).encode()).decode()
            self._redactor.learn(values[name])
        headers = {name: filled_text(text, values) for name, text in self._options.headers.items()}
        if not all(SENDABLE.fullmatch(value) for value in headers.values()):
            raise AuthenticationError(
                f"{what}: what it gave can stand in no header.", remedy="Check session.values and session.headers."
            )
        return headers


def _document(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
