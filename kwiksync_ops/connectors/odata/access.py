"""What reading and writing an OData service have in common: its options, its session, its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.address import AddressGuard, guard_for
from kwiksync_ops.connectors.http.authentication import Scheme, authentication_headers, scheme_for
from kwiksync_ops.connectors.http.calls import Call, Caller
from kwiksync_ops.connectors.http.oauth import TokenSource
from kwiksync_ops.connectors.http.oauth_grant import grant_of
from kwiksync_ops.connectors.http.refusals import excerpt, refusal
from kwiksync_ops.connectors.http.retry_after import retry_after_s
from kwiksync_ops.connectors.http.session import Authorization, HttpsSession
from kwiksync_ops.connectors.http.transport import Answer, HttpsTransport
from kwiksync_ops.connectors.odata.edm import Version
from kwiksync_ops.connectors.odata.error_body import in_words
from kwiksync_ops.connectors.odata.metadata import EntitySet, Service, parse_metadata
from kwiksync_ops.connectors.odata.options import ODataOptions, parse_options
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.errors import AuthenticationError, ConfigurationError, KwikSyncError, SystemUnavailableError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor

CSRF = "X-CSRF-Token"
_QUERY_SAFE = "'(),:=*"


class ODataAccess:
    """The services of one system over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self.base_url = credentials.base_url
        self.redactor = Redactor(credentials.secrets)
        self.own = parse_options(options)
        self._options = options
        self._credentials = credentials
        self._clock = clock
        guard = guard_for(
            (*credentials.allow_hosts, *self.own.allow_hosts), insecure_loopback=self.own.allow_insecure_loopback
        )
        guard.base_origin(credentials.base_url)
        self._authentication(self.own)
        transport = HttpsTransport(guard, clock, ca_file=credentials.ca_file)
        self._session = HttpsSession(transport, limiter, self._authorization(guard, limiter, clock))
        self._services: dict[str, Service] = {}
        self._csrf: dict[str, str] = {}

    @property
    def calls(self) -> int:
        return self._session.calls

    def options(self, source: str, table: Mapping[str, Any]) -> ODataOptions:
        """The options of a table over those of the system.

        Raises:
            ConfigurationError: they are not valid, or change what holds for all of the system.
        """
        options = parse_options({**self._options, **table})
        for name in ("allow_hosts", "allow_insecure_loopback", "auth", "oauth"):
            if getattr(options, name) != getattr(self.own, name):
                raise ConfigurationError(
                    f"The table of {source} sets {name}.",
                    remedy="Set it in the odata options of the system: it holds for all of it.",
                )
        return options

    def headers(self, options: ODataOptions, version: Version) -> dict[str, str]:
        """Headers of a call that reads or writes records."""
        own = {**options.headers, **self._authentication(options)}
        if version == "v2":
            return {"Accept": "application/json", "MaxDataServiceVersion": "2.0", **own}
        return {"Accept": json_type(options, version), "OData-Version": "4.0", "OData-MaxVersion": "4.0", **own}

    def service(self, root: str, options: ODataOptions) -> Service:
        """What the service at `root` says of itself; asked once.

        Raises:
            SystemUnavailableError: what came is no metadata.
        """
        if root not in self._services:
            answer = self._metadata(root, options)
            if answer.status != 200:
                raise self.refused(answer, f"The metadata of {self.shown(root)}")
            self._services[root] = self._parsed(answer, root)
        return self._services[root]

    def look_at(self, root: str) -> tuple[Service | None, int]:
        """The service at `root`, or None where there is none, and the status of the answer."""
        answer = self._metadata(root, self.own)
        if answer.status in (404, 405):
            return None, answer.status
        if answer.status != 200:
            raise self.refused(answer, f"Checking {self.shown(root)}")
        return self._parsed(answer, root), answer.status

    def entity_set(self, source: str, options: ODataOptions) -> tuple[str, Service, EntitySet]:
        """The root of the service, the service, and the entity set that `source` names.

        Raises:
            ConfigurationError: the service has no such entity set.
        """
        path, _, name = source.strip("/").rpartition("/")
        root = join_url(self.base_url, path)
        service = self.service(root, options)
        if name not in service.sets:
            hint = did_you_mean(name, service.sets) or f" There are: {', '.join(sorted(service.sets)[:20])}."
            raise ConfigurationError(
                f"{self.shown(root)} has no entity set {name!r}.{hint}", remedy="Correct the table's source."
            )
        return root, service, service.sets[name]

    def caller(self, options: ODataOptions, headers: Mapping[str, str]) -> Caller:
        return Caller(
            self._session,
            self._clock,
            self.redactor,
            headers=headers,
            timeouts=options.timeouts,
            max_bytes=options.limits.max_page_bytes,
            retry_after_cap_s=options.retry_after_cap_s,
        )

    def send(
        self, method: str, root: str, path: str, options: ODataOptions, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """One call that may change something. SAP refuses it without a token against forgery, and applies nothing:
        the token is fetched then, and the call sent once more.

        Raises:
            AuthenticationError: the service asks for such a token and gives none.
        """
        url = join_url(root, path)
        what = f"{method} {self.shown(url)}"

        def attempt() -> Answer:
            token = {CSRF: self._csrf[root]} if root in self._csrf else {}
            return self._session.send(
                method,
                url,
                what=what,
                headers={**headers, **token},
                timeouts=options.timeouts,
                max_bytes=options.limits.max_page_bytes,
                body=body,
            )

        answer = attempt()
        if answer.status == 403 and answer.headers.get(CSRF, "").lower() == "required":
            try:
                self._csrf[root] = self._fetch_csrf(root, options)
            except KwikSyncError as exc:
                exc.facts["unsent"] = True
                raise
            answer = attempt()
        return answer

    def refused(self, answer: Answer, what: str, *, is_resumed: bool = False) -> Exception:
        wait_s = retry_after_s(answer.headers, self._clock.now())
        return refusal(in_words(answer), what=what, redactor=self.redactor, is_resumed=is_resumed, wait_s=wait_s)

    def said(self, answer: Answer) -> str:
        return excerpt(in_words(answer), self.redactor)

    def shown(self, url: str) -> str:
        return self.redactor.url(url)

    def close(self) -> None:
        self._session.close()

    def _fetch_csrf(self, root: str, options: ODataOptions) -> str:
        what = f"A token against forgery from {self.shown(root)}"
        headers = {**options.headers, **self._authentication(options), CSRF: "Fetch"}
        answer, _ = self.caller(options, headers).answer(Call(f"{root.rstrip('/')}/", what=what))
        if answer.status != 200:
            raise self.refused(answer, what)
        token = answer.headers.get(CSRF, "")
        if token.lower() in ("", "required", "fetch"):
            raise AuthenticationError(
                f"{what}: the service asks for one, and gives none.",
                remedy="Ask the system's owner to allow writing for the account, or the service's CSRF protection.",
            )
        self.redactor.learn(token)
        return token

    def _metadata(self, root: str, options: ODataOptions) -> Answer:
        headers = {**options.headers, **self._authentication(options), "Accept": "application/xml"}
        url = with_query(join_url(root, "$metadata"), {**options.params})
        call = Call(url, what=f"The metadata of {self.shown(root)}")
        answer, _ = self.caller(options, headers).answer(call)
        return answer

    def _parsed(self, answer: Answer, root: str) -> Service:
        try:
            return parse_metadata(answer.body)
        except ValueError as exc:
            raise SystemUnavailableError(
                f"The metadata of {self.shown(root)} can't be used: {self.redactor.text(str(exc))}. "
                f"Content-Type {answer.content_type}.",
                remedy="Check the base URL and the table's source: together they lead to a service's entity set.",
            ) from exc

    def _authentication(self, options: ODataOptions) -> dict[str, str]:
        return authentication_headers(
            self._credentials,
            self._scheme(options),
            api_key_header="",
            customer_key_header=options.customer_key_header,
            customer_key_required=options.customer_key_required,
        )

    def _authorization(self, guard: AddressGuard, limiter: CallLimiter, clock: Clock) -> Authorization | None:
        if self._scheme(self.own) != "oauth2":
            return None
        oauth = self.own.oauth
        return TokenSource(
            grant_of(self._credentials, token_url=oauth.token_url, auth_style=oauth.auth_style, params=oauth.params),
            guard=guard,
            ca_file=self._credentials.ca_file,
            limiter=limiter,
            clock=clock,
            redactor=self.redactor,
            timeouts=self.own.timeouts,
        )

    def _scheme(self, options: ODataOptions) -> Scheme:
        return options.auth or scheme_for(self._credentials)


def json_type(options: ODataOptions, version: Version) -> str:
    """The media type of a body; version 4 is asked for decimals as strings, which version 2 always has."""
    exact = version == "v4" and options.decimals == "string"
    return "application/json;IEEE754Compatible=true" if exact else "application/json"


def join_url(base_url: str, path: str) -> str:
    """A path below a URL, whose own path and query are kept."""
    parts = urlsplit(base_url)
    joined = f"{parts.path.rstrip('/')}/{path.lstrip('/')}" if path else parts.path
    return urlunsplit((parts.scheme, parts.netloc, joined, parts.query, ""))


def with_query(url: str, params: Mapping[str, Any]) -> str:
    """The URL with parameters behind its own. A blank is %20: a plus is one for some services only."""
    parts = urlsplit(url)
    own = (f"{quote(name, safe='$')}={quote(_param(value), safe=_QUERY_SAFE)}" for name, value in params.items())
    return urlunsplit((*parts[:3], "&".join(filter(None, (parts.query, *own))), ""))


def _param(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
