"""Calls to one system: each within the rate limit, each with what says who calls, renewed where it was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from kwiksync_ops.connectors.http.timeouts import Timeouts
from kwiksync_ops.connectors.http.transport import Answer, HttpsTransport
from kwiksync_ops.errors import KwikSyncError
from kwiksync_ops.rate_limit import CallLimiter


class Authorization(Protocol):
    """What says who calls, where it is more than a fixed header: a token that ends, a signature over the call."""

    @property
    def calls(self) -> int:
        """How many calls it took so far to get there, every attempt counted."""
        ...

    def headers(self, method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        """Headers of one call; may call the system, or who issues tokens for it."""
        ...

    def is_refused(self, answer: Answer) -> bool:
        """Whether the system says that it knows the caller no more, and has applied nothing."""
        ...

    def renew(self) -> bool:
        """Forget what the system refused; whether there may be another that it takes."""
        ...

    def close(self) -> None: ...


class HttpsSession:
    """One system over one keep-alive transport. Not for two threads at once."""

    def __init__(
        self, transport: HttpsTransport, limiter: CallLimiter, authorization: Authorization | None = None
    ) -> None:
        self._transport = transport
        self._limiter = limiter
        self._authorization = authorization
        self._calls = 0

    @property
    def calls(self) -> int:
        """How many calls were made so far, every attempt counted, those for tokens among them."""
        return self._calls + (self._authorization.calls if self._authorization else 0)

    def send(
        self,
        method: str,
        url: str,
        *,
        what: str,
        headers: Mapping[str, str],
        timeouts: Timeouts,
        max_bytes: int,
        body: bytes | None = None,
    ) -> Answer:
        """One call, whatever its answer. One that the system refused since the authorization has ended (401) is sent
        once more with another. Raises as `HttpsTransport.send`, and what the authorization raises.
        """

        def attempt() -> Answer:
            own = self._own_headers(method, url, body)
            self._calls += 1
            with self._limiter.call():
                return self._transport.send(
                    method,
                    url,
                    what=what,
                    headers={**headers, **own},
                    timeouts=timeouts,
                    max_bytes=max_bytes,
                    body=body,
                )

        answer = attempt()
        held = self._authorization
        if held and held.is_refused(answer) and held.renew():
            return attempt()
        return answer

    def _own_headers(self, method: str, url: str, body: bytes | None) -> Mapping[str, str]:
        try:
            return self._authorization.headers(method, url, body) if self._authorization else {}
        except KwikSyncError as exc:
            exc.facts["unsent"] = True
            raise

    def close(self) -> None:
        self._transport.close()
        if self._authorization:
            self._authorization.close()
