"""One call over HTTPS: guarded, timed, bounded, and every way to fail told apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import requests
import urllib3.exceptions

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.http.address import AddressGuard, origin_of
from kwiksync_ops.connectors.http.body import ACCEPT_ENCODING, read_body
from kwiksync_ops.connectors.http.certificates import tls_context, tls_failure
from kwiksync_ops.connectors.http.connection import Deadline, GuardedAdapter
from kwiksync_ops.connectors.http.timeouts import Timeouts
from kwiksync_ops.errors import (
    ConfigurationError,
    ConnectionLostError,
    ConnectionTimeoutError,
    KwikSyncError,
    SystemUnavailableError,
)

USER_AGENT = "KWikSync"
PIECE = 64 * 1024
MAX_ERROR_BODY = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """What came back. `url` is where from; `headers` find their names in any case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "none")


class HttpsTransport:
    """A keep-alive session with one system. Knows no credentials: the caller gives the headers of each call."""

    def __init__(self, guard: AddressGuard, clock: Clock, *, ca_file: str | None) -> None:
        self._guard = guard
        self._deadline = Deadline(clock)
        self._session = requests.Session()
        self._session.trust_env = False  # no .netrc that replaces the Authorization header, no proxy around the guard
        self._session.verify = ca_file or True
        self._session.headers.clear()
        self._session.headers["User-Agent"] = USER_AGENT
        self._session.mount("https://", GuardedAdapter(guard, self._deadline, ssl_context=tls_context(ca_file)))
        self._session.mount("http://", GuardedAdapter(guard, self._deadline))

    def get(self, url: str, *, what: str, headers: Mapping[str, str], timeouts: Timeouts, max_bytes: int) -> Answer:
        """The answer to a GET. See `send`."""
        return self.send("GET", url, what=what, headers=headers, timeouts=timeouts, max_bytes=max_bytes)

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
        """The answer, whatever its status; redirects are not followed. `what` names the call in errors.

        Raises:
            ConnectionLostError: broken in the middle.
            ConnectionTimeoutError: one of the three time limits.
            SystemUnavailableError: not reachable, not trusted, or its body can't be read.
            InsecureTransportError: the address may not be called.

        An error whose `facts["unsent"]` is true was raised before anything of the request went out.
        """
        self._deadline.start(timeouts.total_s)
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers={"Accept": "application/json", "Accept-Encoding": ACCEPT_ENCODING, **headers},
                timeout=(min(timeouts.connect_s, timeouts.total_s), timeouts.read_s),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = _body_of(response, max_bytes)
                return Answer(url, response.status_code, response.headers, body)
        except KwikSyncError as exc:
            raise type(exc)(f"{what}: {exc.message}", remedy=exc.remedy, unsent=True) from exc
        except requests.exceptions.SSLError as exc:
            failure = tls_failure(exc, what=what, origin=origin_of(url), guard=self._guard)
            failure.facts["unsent"] = "CERTIFICATE_VERIFY_FAILED" in str(exc)  # others may break a call that went out
            raise failure from exc
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as exc:
            raise self._failure(exc, what, timeouts) from exc

    def close(self) -> None:
        self._session.close()

    def _failure(self, error: Exception, what: str, timeouts: Timeouts) -> KwikSyncError:
        if isinstance(error, requests.exceptions.ConnectTimeout):
            return ConnectionTimeoutError(
                f"{what}: no connection within {timeouts.connect_s:g} s.",
                remedy="Check that the system is up and that no firewall stands between.",
                unsent=True,
            )
        if self._deadline.is_over():
            return ConnectionTimeoutError(
                f"{what}: the answer was not complete within {timeouts.total_s:g} s.",
                remedy="Ask for fewer records a page (pagination.page_size), or raise timeouts.total_s.",
            )
        if _has_timed_out(error):
            return ConnectionTimeoutError(
                f"{what}: nothing came for {timeouts.read_s:g} s.",
                remedy="The system is overloaded or slow; if that is usual, raise timeouts.read_s.",
            )
        if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
            return ConfigurationError(f"{what}: the URL can't be used.", remedy="Check the base URL and the source.")
        if _is_refused(error):
            text = f"{what}: no connection: {_plain_reason(error)}."
            return SystemUnavailableError(text, remedy="Check the system.", unsent=True)
        if isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError, OSError)):
            return ConnectionLostError(
                f"{what}: the connection broke before the answer was complete.",
                remedy="The network or the system cut it off; it is tried again.",
            )
        return SystemUnavailableError(f"{what}: {error}.", remedy="The page was refused whole; nothing of it was used.")


def _body_of(response: requests.Response, max_bytes: int) -> bytes:
    encoding = response.headers.get("Content-Encoding", "")
    pieces = _pieces(response.raw)
    if response.ok:
        return read_body(pieces, encoding, max_bytes=max_bytes)
    try:
        return read_body(pieces, encoding, max_bytes=MAX_ERROR_BODY)
    except ValueError:
        return b""


def _pieces(raw: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    while piece := raw.read(PIECE, decode_content=False):
        yield piece


def _has_timed_out(error: Exception) -> bool:
    return isinstance(
        error, (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    ) or isinstance(error.__context__, TimeoutError)


def _is_refused(error: Exception) -> bool:
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def _plain_reason(error: Exception) -> str:
    """The operating system's word (`Connection refused`), not the library's chain of representations."""
    cause = getattr(error.args[0], "reason", None)
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__
    return (cause.strerror or str(cause)) if cause is not None else "the system can't be reached"
