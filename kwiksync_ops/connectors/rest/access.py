"""What reading and writing a REST system have in common: its options, its headers, one guarded session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.address import AddressGuard, guard_for
from kwiksync_ops.connectors.http.authentication import BY_CALL, SENDABLE, Scheme, authentication_headers, scheme_for
from kwiksync_ops.connectors.http.calls import Caller
from kwiksync_ops.connectors.http.oauth import TokenSource
from kwiksync_ops.connectors.http.oauth_grant import grant_of
from kwiksync_ops.connectors.http.session import Authorization, HttpsSession
from kwiksync_ops.connectors.http.signing import HmacSigning
from kwiksync_ops.connectors.http.template import filled_text, names_in
from kwiksync_ops.connectors.http.transport import HttpsTransport
from kwiksync_ops.connectors.rest.auth_options import login_values
from kwiksync_ops.connectors.rest.options import RestOptions, merge_options, parse_options
from kwiksync_ops.connectors.rest.session_login import SessionLogin
from kwiksync_ops.errors import AuthenticationError, ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor


class RestAccess:
    """One system over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self.credentials = credentials
        self.redactor = Redactor(credentials.secrets)
        self._options = options
        self._asked: tuple[str, Mapping[str, Any], RestOptions] | None = None
        self.own = parse_options(options)
        guard = guard_for(
            (*credentials.allow_hosts, *self.own.allow_hosts), insecure_loopback=self.own.allow_insecure_loopback
        )
        guard.base_origin(credentials.base_url)
        self.headers(self.own)
        self._limiter = limiter
        self._clock = clock
        transport = HttpsTransport(guard, clock, ca_file=credentials.ca_file)
        self.session = HttpsSession(transport, limiter, self._authorization(guard, transport))

    @property
    def base_url(self) -> str:
        return self.credentials.base_url

    def options(self, source: str, table: Mapping[str, Any]) -> RestOptions:
        """The system's options with those of a table over them.

        Raises:
            ConfigurationError: they are not valid, or the table opens addresses that the system does not.
        """
        if self._asked is None or self._asked[:2] != (source, table):
            self._asked = (source, dict(table), self._table_options(source, table))
        return self._asked[2]

    def _table_options(self, source: str, table: Mapping[str, Any]) -> RestOptions:
        options = parse_options(merge_options(self._options, table))
        allowed = (self.own.allow_hosts, self.own.allow_insecure_loopback)
        if (options.allow_hosts, options.allow_insecure_loopback) != allowed:
            raise ConfigurationError(
                f"The table of {source} sets allow_hosts or allow_insecure_loopback.",
                remedy="Set them in the rest options of the system: they hold for all of it.",
            )
        schemes = {self._scheme(options), self._scheme(self.own)}
        if len(schemes) > 1 and schemes & BY_CALL:
            raise ConfigurationError(
                f"The table of {source} sets auth, and the system has another.",
                remedy="Set it in the rest options of the system: oauth2, hmac and session hold for all of it.",
            )
        return options

    def caller(self, options: RestOptions, session: HttpsSession | None = None) -> Caller:
        """Calls that change nothing, over the system's session where no other is given."""
        return Caller(
            session or self.session,
            self._clock,
            self.redactor,
            headers=self.headers(options),
            timeouts=options.timeouts,
            max_bytes=options.limits.max_page_bytes,
            retry_after_cap_s=options.retry_after_cap_s,
        )

    def body_values(self) -> dict[str, Any]:
        """What a body may name of the connection."""
        return login_values(self.credentials)

    def _authorization(self, guard: AddressGuard, transport: HttpsTransport) -> Authorization | None:
        match self._scheme(self.own):
            case "oauth2":
                return self._token_source(guard)
            case "hmac":
                return HmacSigning(self.own.hmac, self.credentials, self._clock)
            case "session":
                bare = HttpsSession(transport, self._limiter)
                return SessionLogin(
                    self.own.session,
                    self.credentials,
                    session=bare,
                    caller=self.caller(self.own, bare),
                    redactor=self.redactor,
                )
        return None

    def _token_source(self, guard: AddressGuard) -> TokenSource:
        oauth = self.own.oauth
        return TokenSource(
            grant_of(self.credentials, token_url=oauth.token_url, auth_style=oauth.auth_style, params=oauth.params),
            guard=guard,
            ca_file=self.credentials.ca_file,
            limiter=self._limiter,
            clock=self._clock,
            redactor=self.redactor,
            timeouts=self.own.timeouts,
        )

    def _scheme(self, options: RestOptions) -> Scheme:
        return options.auth or scheme_for(self.credentials)

    def headers(self, options: RestOptions) -> dict[str, str]:
        own = authentication_headers(
            self.credentials,
            self._scheme(options),
            api_key_header=options.api_key_header,
            customer_key_header=options.customer_key_header,
            customer_key_required=options.customer_key_required,
        )
        return {**self._fixed_headers(options), **own}

    def _fixed_headers(self, options: RestOptions) -> dict[str, str]:
        """Raises AuthenticationError where one is made of what the connection lacks, or what no header can carry."""
        values = self.body_values()
        fixed = {name: filled_text(text, values) for name, text in options.headers.items()}
        for name, text in options.headers.items():
            if names_in(text) and not SENDABLE.fullmatch(fixed[name]):
                raise AuthenticationError(
                    f"The header {name} can't be made of {text}: the connection lacks it, or it holds characters that "
                    "no header can carry.",
                    remedy="Complete the system's connection; copy no line end.",
                )
        return fixed
