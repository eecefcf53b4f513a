"""What reading and writing an instance have in common: its options, one guarded session, the errors within a 200."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlencode

from requests.structures import CaseInsensitiveDict

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.address import AddressGuard, guard_for
from kwiksync_ops.connectors.http.authentication import authentication_headers, scheme_for
from kwiksync_ops.connectors.http.calls import Caller
from kwiksync_ops.connectors.http.oauth import TokenSource
from kwiksync_ops.connectors.http.oauth_grant import grant_of
from kwiksync_ops.connectors.http.refusals import excerpt
from kwiksync_ops.connectors.http.retry_after import http_date
from kwiksync_ops.connectors.http.session import HttpsSession
from kwiksync_ops.connectors.http.transport import Answer, HttpsTransport
from kwiksync_ops.connectors.servicenow.options import ServiceNowOptions, parse_options
from kwiksync_ops.errors import ConfigurationError, ConnectionTimeoutError, KwikSyncError, SystemUnavailableError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor

TOKEN_PATH = "/oauth_token.do"  # noqa: S105  # a path, no secret


class Instance:
    """One instance over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self.credentials = credentials
        self.redactor = Redactor(credentials.secrets)
        self.clock = clock
        self.own = parse_options(options)
        self._options = options
        self._scheme = self.own.auth or scheme_for(credentials)
        guard = guard_for(
            (*credentials.allow_hosts, *self.own.allow_hosts), insecure_loopback=self.own.allow_insecure_loopback
        )
        guard.base_origin(credentials.base_url)
        self.headers = {"Accept": "application/json", **self._identification()}
        transport = HttpsTransport(guard, clock, ca_file=credentials.ca_file)
        self.session = _Session(transport, limiter, self._token_source(guard, limiter))

    def options(self, source: str, table: Mapping[str, Any]) -> ServiceNowOptions:
        """The instance's options with those of a table over them.

        Raises:
            ConfigurationError: they are not valid, or the table sets what holds for the whole instance.
        """
        options = parse_options({**self._options, **table})
        for name in ("auth", "allow_hosts", "allow_insecure_loopback"):
            if getattr(options, name) != getattr(self.own, name):
                raise ConfigurationError(
                    f"The table of {source} sets {name}.",
                    remedy="Set it in the servicenow options of the system: it holds for all of it.",
                )
        return options

    def url(self, path: str) -> str:
        return f"{self.credentials.base_url.rstrip('/')}{path}"

    def caller(self, options: ServiceNowOptions) -> Caller:
        return Caller(
            self.session,
            self.clock,
            self.redactor,
            headers=self.headers,
            timeouts=options.timeouts,
            max_bytes=options.limits.max_page_bytes,
            retry_after_cap_s=options.retry_after_cap_s,
        )

    def nonsense(self, answer: Answer, what: str, reason: str) -> KwikSyncError:
        """The error for a 200 that does not hold what was asked for."""
        told = told_error(answer.body)
        if told and "cancel" in told.lower():
            return ConnectionTimeoutError(
                f"{what}: the instance ended the call: {self.redactor.text(told)!r}.",
                remedy="Ask for fewer records a page (page_size), or raise the instance's transaction quota.",
            )
        if told:
            return SystemUnavailableError(
                f"{what}: answered {answer.status} with an error: {self.redactor.text(told)!r}.",
                remedy="Ask the instance's owner if it lasts.",
            )
        is_html = "html" in answer.content_type.lower() or answer.body[:200].lstrip().lower().startswith(b"<")
        fault = "it is a web page (maintenance, hibernation or a log-in?), not JSON" if is_html else reason
        return SystemUnavailableError(
            f"{what}: the answer can't be used: {self.redactor.text(fault)}. Content-Type {answer.content_type}; it "
            f"begins {excerpt(answer, self.redactor)!r}. Nothing of it was taken.",
            remedy="See in a browser whether the instance is up, and check the connection's URL.",
        )

    def close(self) -> None:
        self.session.close()

    def _identification(self) -> dict[str, str]:
        return authentication_headers(self.credentials, self._scheme, api_key_header="", customer_key_header="")

    def _token_source(self, guard: AddressGuard, limiter: CallLimiter) -> TokenSource | None:
        if self._scheme != "oauth2":
            return None
        return TokenSource(
            grant_of(self.credentials, token_url=TOKEN_PATH, auth_style="body"),
            guard=guard,
            ca_file=self.credentials.ca_file,
            limiter=limiter,
            clock=self.clock,
            redactor=self.redactor,
            timeouts=self.own.timeouts,
        )


def table_path(table: str, sys_id: str = "") -> str:
    path = f"/api/now/v2/table/{quote(table, safe='')}"
    return f"{path}/{quote(sys_id, safe='')}" if sys_id else path


def asked(path: str, params: Mapping[str, str]) -> str:
    """A path with its query."""
    return f"{path}?{urlencode(params, quote_via=quote)}" if params else path


def told_error(body: bytes) -> str | None:
    """The error that an answer tells, whatever its status: as `error`, or as a text where the result belongs."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return error_in(document)


def error_in(document: Any) -> str | None:
    if not isinstance(document, dict):
        return None
    error, result = document.get("error"), document.get("result")
    if isinstance(error, dict):
        parts = (error.get("message"), error.get("detail"))
        return ": ".join(str(part) for part in parts if part) or "no reason given"
    return str(error) if error else result if isinstance(result, str) else None


class _Session(HttpsSession):
    """A 429 says in one of two ways how long to wait."""

    def send(self, method: str, url: str, **call: Any) -> Answer:
        answer = super().send(method, url, **call)
        wait_s = seconds_to_reset(answer) if answer.status == 429 else None
        if wait_s is None:
            return answer
        return replace(answer, headers=CaseInsensitiveDict({**answer.headers, "Retry-After": str(wait_s)}))


def seconds_to_reset(answer: Answer) -> int | None:
    """Until the rate limit's window ends, by the instance's own clock; None where `Retry-After` says it."""
    reset = answer.headers.get("X-RateLimit-Reset", "")
    sent = http_date(answer.headers.get("Date"))
    if "Retry-After" in answer.headers or sent is None or not (reset.isascii() and reset.isdigit()):
        return None
    return max(0, int(reset[:12]) - int(sent.timestamp()))
