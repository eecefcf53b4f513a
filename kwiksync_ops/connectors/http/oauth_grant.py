"""How a connection asks for access tokens."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args
from urllib.parse import quote_plus, urljoin

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.errors import AuthenticationError

GrantType = Literal["client_credentials", "password", "refresh_token"]
AuthStyle = Literal["basic", "body"]

_NEEDS: Mapping[GrantType, tuple[str, ...]] = {
    "client_credentials": ("client_id", "client_secret"),
    "password": ("login", "password"),
    "refresh_token": ("refresh_token", "client_id"),
}


@dataclass(frozen=True, repr=False)
class Grant:
    """How tokens are asked for. `params` are further fields of the request, such as `audience` or `resource`."""

    type: GrantType
    token_url: str
    client_id: str = ""
    client_secret: str = ""
    auth_style: AuthStyle = "basic"
    login: str = ""
    password: str = ""
    refresh_token: str = ""
    scope: str = ""
    params: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Grant({self.type!r}, {self.token_url!r}, …)"

    def fields(self, refresh_token: str) -> dict[str, str]:
        """The request's body. A client without a secret names itself there, whatever is configured."""
        own: dict[str, str] = {}
        if self.type == "password":
            own = {"username": self.login, "password": self.password}
        elif self.type == "refresh_token":
            own = {"refresh_token": refresh_token}
        scope = {"scope": self.scope} if self.scope else {}
        return {"grant_type": self.type, **own, **scope, **self.params, **self._client_fields()}

    def headers(self) -> dict[str, str]:
        """Basic authentication of the client; both of its parts are encoded (RFC 6749, 2.3.1)."""
        if not self.client_secret or self.auth_style != "basic":
            return {}
        joined = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}"
        return {"Authorization": f"Basic {base64.b64encode(joined.encode()).decode()}"}

    def _client_fields(self) -> dict[str, str]:
        client = {"client_id": self.client_id} if self.client_id else {}
        if not self.client_secret:
            return client
        return {**client, "client_secret": self.client_secret} if self.auth_style == "body" else {}


def grant_of(
    credentials: Credentials,
    *,
    token_url: str = "",
    auth_style: AuthStyle = "basic",
    params: Mapping[str, str] | None = None,
) -> Grant:
    """The grant that a connection's fields describe.

    Without a `grant_type` a refresh token means `refresh_token`, login and password mean `password`, and a client
    alone means `client_credentials`.

    Args:
        token_url: where the connection names no `token_url` of its own; either may be relative to the base URL.
        auth_style: whether client id and secret go as Basic authentication, or in the body.

    Raises:
        AuthenticationError: the connection lacks what the grant needs.
    """
    extra = credentials.extra
    url = extra.get("token_url") or token_url
    grant = Grant(
        type=_grant_type(credentials),
        token_url=urljoin(credentials.base_url, url) if url else "",
        client_id=extra.get("client_id", ""),
        client_secret=extra.get("client_secret", ""),
        auth_style=auth_style,
        login=credentials.login or "",
        password=credentials.password or "",
        refresh_token=extra.get("refresh_token", ""),
        scope=extra.get("scope", ""),
        params=params or {},
    )
    lacking = [name for name in ("token_url", *_NEEDS[grant.type]) if not getattr(grant, name)]
    if lacking:
        raise AuthenticationError(
            f"OAuth 2 by {grant.type} needs {', '.join(lacking)}, which the connection lacks.",
            remedy="Complete the system's connection.",
        )
    return grant


def _grant_type(credentials: Credentials) -> GrantType:
    named = credentials.extra.get("grant_type")
    if named:
        if named not in get_args(GrantType):
            raise AuthenticationError(
                f"The connection's grant_type {named!r} is not known.",
                remedy=f"Set one of: {', '.join(get_args(GrantType))}.",
            )
        return cast(GrantType, named)
    if credentials.extra.get("refresh_token"):
        return "refresh_token"
    return "password" if credentials.login and credentials.password else "client_credentials"
