"""The options `oauth` and `session` as values; what each one means stands in options.schema.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.json_path import Path, parse_path
from kwiksync_ops.connectors.http.oauth_grant import AuthStyle

LOGIN_NAMES = ("login", "password", "token", "client_id", "client_secret")


@dataclass(frozen=True)
class OAuthOptions:
    """What a connection does not say about OAuth 2."""

    token_url: str = ""
    auth_style: AuthStyle = "basic"
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SessionOptions:
    path: str = ""
    body: Any = field(default_factory=dict)
    values: Mapping[str, Path] = field(default_factory=dict)
    base64: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    ended_path: Path = ()
    ended: tuple[str, ...] = ()


def parse_session(options: Mapping[str, Any]) -> SessionOptions:
    """Options that the schema has accepted."""
    parsed = dict(options)
    parsed["values"] = {name: parse_path(path) for name, path in options.get("values", {}).items()}
    parsed["ended_path"] = parse_path(options.get("ended_path", ""))
    parsed["ended"] = tuple(str(value) for value in options.get("ended", ()))
    return SessionOptions(**parsed)


def login_values(credentials: Credentials) -> dict[str, Any]:
    """What a body may name of a connection: it goes to the system, and nowhere else."""
    extra = credentials.extra
    return {
        "login": credentials.login,
        "password": credentials.password,
        "token": credentials.token,
        "client_id": extra.get("client_id"),
        "client_secret": extra.get("client_secret"),
    }
