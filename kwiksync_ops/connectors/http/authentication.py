"""The headers that say who calls."""

from __future__ import annotations

import base64
import re
from typing import Literal

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.errors import AuthenticationError, CustomerKeyError

Scheme = Literal["none", "bearer", "basic", "api_key", "oauth2", "hmac", "session"]

BY_CALL: frozenset[Scheme] = frozenset({"oauth2", "hmac", "session"})
"""Schemes whose headers a `session.Authorization` makes for each call."""

SENDABLE = re.compile(r"[!-~]([ -~]*[!-~])?")


def scheme_for(credentials: Credentials) -> Scheme:
    """What a connection that names no scheme means: an OAuth client, else a bearer token, else a login for Basic.

    A password without a login is a token: Airflow has no other encrypted field for one.
    """
    extra = credentials.extra
    if extra.get("grant_type") or extra.get("refresh_token") or (extra.get("client_id") and not credentials.token):
        return "oauth2"
    if credentials.token or (credentials.password and not credentials.login):
        return "bearer"
    return "basic" if credentials.password else "none"


def authentication_headers(
    credentials: Credentials,
    scheme: Scheme,
    *,
    api_key_header: str,
    customer_key_header: str,
    customer_key_required: bool = False,
) -> dict[str, str]:
    """Headers of every call, but for what a `session.Authorization` adds.

    Raises:
        AuthenticationError: the connection lacks what the scheme needs, or it can't stand in a header.
        CustomerKeyError: the same for the Customer Key.
    """
    headers = _scheme_headers(credentials, scheme, api_key_header)
    if credentials.customer_key:
        if not SENDABLE.fullmatch(credentials.customer_key):
            raise CustomerKeyError(
                "The Customer Key holds characters that no header can carry.",
                remedy="Set the key again; copy no line end.",
            )
        headers[customer_key_header] = credentials.customer_key
    elif customer_key_required:
        raise CustomerKeyError(
            "There is no Customer Key to send.", remedy="Set the customer_key of the system's connection."
        )
    return headers


def _scheme_headers(credentials: Credentials, scheme: Scheme, api_key_header: str) -> dict[str, str]:
    if scheme == "none" or scheme in BY_CALL:
        return {}
    if scheme == "basic":
        if not credentials.login or not credentials.password:
            raise _lacking("a login and a password", scheme)
        joined = f"{credentials.login}:{credentials.password}".encode()
        return {"Authorization": f"Basic {base64.b64encode(joined).decode()}"}
    token = credentials.token or credentials.password
    if not token:
        raise _lacking("a token", scheme)
    if not SENDABLE.fullmatch(token):
        raise AuthenticationError(
            "The connection's token holds characters that no header can carry.",
            remedy="Set the token again; copy no line end.",
        )
    return {"Authorization": f"Bearer {token}"} if scheme == "bearer" else {api_key_header: token}


def _lacking(what: str, scheme: Scheme) -> AuthenticationError:
    return AuthenticationError(
        f"auth: {scheme} needs {what}, which the connection lacks.", remedy="Complete the system's connection."
    )
