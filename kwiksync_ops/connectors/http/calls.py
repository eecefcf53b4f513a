"""Calls that change nothing: a failed one is sent again within a small bound."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.http.address import same_origin_url
from kwiksync_ops.connectors.http.refusals import is_rate_limit, refusal
from kwiksync_ops.connectors.http.retry_after import UNSAID_WAIT_S, retry_after_s
from kwiksync_ops.connectors.http.session import HttpsSession
from kwiksync_ops.connectors.http.timeouts import Timeouts
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.errors import ConnectionLostError, SystemUnavailableError
from kwiksync_ops.redaction import Redactor

MAX_ATTEMPTS = 3
MAX_REDIRECTS = 3
PASSING_FAILURES = frozenset({502, 503, 504})
REDIRECTS = frozenset({301, 302, 303, 307, 308})

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Call:
    """What to ask, by a method that may be sent twice without harm. `what` names it in errors, without secrets."""

    url: str
    what: str
    is_resumed: bool = False
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


class Caller:
    """Everything between "this page, please" and an answer with status 200, or one clear error.

    `headers` go with every call; those of a `Call` win over them.
    """

    def __init__(
        self,
        session: HttpsSession,
        clock: Clock,
        redactor: Redactor,
        *,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts,
        max_bytes: int,
        retry_after_cap_s: float,
    ) -> None:
        self._session = session
        self._clock = clock
        self._redactor = redactor
        self._headers = headers or {}
        self._timeouts = timeouts
        self._max_bytes = max_bytes
        self._cap_s = retry_after_cap_s

    def get(self, call: Call) -> tuple[Answer, int]:
        """The answer with status 200, and how many calls it took."""
        answer, calls = self.answer(call)
        if answer.status != 200:
            raise self._refusal(answer, call)
        return answer, calls

    def answer(self, call: Call) -> tuple[Answer, int]:
        """The answer after redirects and resends, whatever its status, and how many calls it took."""
        before = self._session.calls
        left_s = self._cap_s
        url = call.url
        for _ in range(MAX_REDIRECTS + 1):
            answer, left_s = self._with_resends(url, call, left_s)
            if answer.status not in REDIRECTS or "Location" not in answer.headers:
                return answer, self._session.calls - before
            url = same_origin_url(answer.headers["Location"], page_url=url, what=f"{call.what}: the redirect")
        raise SystemUnavailableError(
            f"{call.what}: redirected more than {MAX_REDIRECTS} times.", remedy="Set the base URL to where it ends."
        )

    def _with_resends(self, url: str, call: Call, left_s: float) -> tuple[Answer, float]:
        """The answer, and how many of the seconds to wait are left."""
        for is_last in (*[False] * (MAX_ATTEMPTS - 1), True):
            try:
                answer = self._attempt(url, call)
            except ConnectionLostError:
                if is_last:
                    raise
                logger.warning("%s: the connection broke; sent again", call.what)
                continue
            wait_s = self._wait_before_resend(answer)
            if wait_s is None or is_last:
                break
            if wait_s > left_s:
                raise self._refusal(answer, call)
            self._wait(wait_s, answer, call)
            left_s -= wait_s
        return answer, left_s

    def _attempt(self, url: str, call: Call) -> Answer:
        return self._session.send(
            call.method,
            url,
            what=call.what,
            headers={**self._headers, **call.headers},
            timeouts=self._timeouts,
            max_bytes=self._max_bytes,
            body=call.body,
        )

    def _wait_before_resend(self, answer: Answer) -> float | None:
        """Seconds, or None for an answer that is to be taken as it is."""
        asked_s = retry_after_s(answer.headers, self._clock.now())
        if is_rate_limit(answer):
            return UNSAID_WAIT_S if asked_s is None else asked_s
        return (asked_s or 0.0) if answer.status in PASSING_FAILURES else None

    def _wait(self, wait_s: float, answer: Answer, call: Call) -> None:
        logger.warning("%s: answered %s; sent again after %g s", call.what, answer.status, wait_s)
        if wait_s:
            self._clock.sleep(wait_s)

    def _refusal(self, answer: Answer, call: Call) -> Exception:
        return refusal(
            answer,
            what=call.what,
            redactor=self._redactor,
            is_resumed=call.is_resumed,
            wait_s=retry_after_s(answer.headers, self._clock.now()),
        )
