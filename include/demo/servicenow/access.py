"""Who may call the instance, and what they may see: users, OAuth clients and tokens, and access controls."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from servicenow.clock import Clock
from servicenow.records import Row

REFRESH_LIFETIME = timedelta(days=100)
ADMIN = "admin"
READ, WRITE = "read", "write"


@dataclass(frozen=True)
class User:
    """A user who may log in. `sys_id` is that of the record in `sys_user`; `domain` "global" sees every domain."""

    name: str
    password: str = field(repr=False)
    sys_id: str = ""
    roles: frozenset[str] = frozenset()
    time_zone: str = ""
    domain: str = "global"

    @property
    def is_admin(self) -> bool:
        return ADMIN in self.roles

    @property
    def sees_all_domains(self) -> bool:
        return self.is_admin or "query_no_domain_table_api" in self.roles


@dataclass(frozen=True)
class OAuthClient:
    """An application of the registry; `user` is for whom it acts by client credentials, empty when it may not."""

    client_id: str
    secret: str = field(repr=False)
    user: str = ""


@dataclass(frozen=True)
class Token:
    """A token that the instance gave out, and until when it lets in whom."""

    value: str = field(repr=False)
    user: str
    client_id: str
    expires_at: datetime


class Accounts:
    """Users and clients by name, and the tokens that they hold."""

    def __init__(self, clock: Clock) -> None:
        self.users: dict[str, User] = {}
        self.clients: dict[str, OAuthClient] = {}
        self._clock = clock
        self._access: dict[str, Token] = {}
        self._refresh: dict[str, Token] = {}

    def user_by_password(self, name: str, password: str) -> User | None:
        user = self.users.get(name)
        return user if user and is_same(user.password, password) else None

    def user_of(self, authorization: str) -> User | None:
        """Whom an `Authorization` header lets in."""
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "basic":
            return self.user_by_password(*_basic(value.strip()))
        if scheme.lower() == "bearer":
            token = self._valid(self._access, value.strip())
            return self.users.get(token.user) if token else None
        return None

    def issue_access(self, user: str, client_id: str, lifetime_s: int) -> str:
        return self._issue(self._access, user, client_id, timedelta(seconds=lifetime_s))

    def issue_refresh(self, user: str, client_id: str) -> str:
        return self._issue(self._refresh, user, client_id, REFRESH_LIFETIME)

    def refresh_token(self, value: str) -> Token | None:
        return self._valid(self._refresh, value)

    def revoke_access(self) -> None:
        """Let no access token in any more, as after a change of keys; refresh tokens stay."""
        self._access.clear()

    def revoke_refresh(self) -> None:
        self._refresh.clear()

    def _issue(self, kept: dict[str, Token], user: str, client_id: str, lifetime: timedelta) -> str:
        token = Token(secrets.token_urlsafe(64)[:86], user, client_id, self._clock.now() + lifetime)
        kept[token.value] = token
        return token.value

    def _valid(self, kept: dict[str, Token], value: str) -> Token | None:
        token = kept.get(value)
        return token if token and token.expires_at > self._clock.now() else None


def is_same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _basic(value: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password


RowTest = Callable[[User, Row], bool]


class AccessControls:
    """What users may do. Nothing is denied until it is denied here; who has the role admin may do all."""

    def __init__(self) -> None:
        self._tables: set[tuple[str, str]] = set()
        self._fields: set[tuple[str, str, str]] = set()
        self._rows: dict[tuple[str, str], RowTest] = {}

    def deny_table(self, table: str, action: str = READ) -> None:
        self._tables.add((table, action))

    def deny_field(self, table: str, field: str, action: str = READ) -> None:
        """A field that can't be read is left out of answers, one that can't be written is left as it is."""
        self._fields.add((table, field, action))

    def limit_rows(self, table: str, may: RowTest, action: str = READ) -> None:
        self._rows[table, action] = may

    def may_use_table(self, user: User, table: str, action: str) -> bool:
        return user.is_admin or (table, action) not in self._tables

    def may_use_field(self, user: User, table: str, field: str, action: str) -> bool:
        return user.is_admin or (table, field, action) not in self._fields

    def may_use_row(self, user: User, table: str, row: Row, action: str) -> bool:
        test = self._rows.get((table, action))
        return user.is_admin or test is None or test(user, row)
