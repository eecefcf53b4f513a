"""The Customer Keys that we issued: only a keyed hash of each is stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from kwiksync_ops.storage.models import ISSUED_KEY

_COLUMNS = ISSUED_KEY.c


@dataclass(frozen=True)
class IssuedKey:
    """A row of `issued_key`. `key_id` names the secret key that made the hash; `expires` is the end of its grace."""

    sys_id: str
    name: str
    role: str
    hash: str = field(repr=False)
    key_id: str
    created_on: datetime
    created_by: str
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None

    def is_valid(self, now: datetime) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)


def add(connection: sa.Connection, key: IssuedKey) -> None:
    connection.execute(
        ISSUED_KEY.insert().values(
            sys_id=key.sys_id,
            name=key.name,
            role=key.role,
            hash=key.hash,
            key_id=key.key_id,
            sys_created_on=key.created_on,
            sys_created_by=key.created_by,
        )
    )


def find(connection: sa.Connection, sys_id: str) -> IssuedKey | None:
    row = connection.execute(ISSUED_KEY.select().where(_COLUMNS.sys_id == sys_id)).one_or_none()
    return _issued(row) if row else None


def list_keys(connection: sa.Connection, name: str | None = None) -> Sequence[IssuedKey]:
    """All keys, or those of one customer, by name, the newest first."""
    wanted = ISSUED_KEY.select().order_by(_COLUMNS.name, _COLUMNS.sys_created_on.desc(), _COLUMNS.sys_id)
    if name is not None:
        wanted = wanted.where(_COLUMNS.name == name)
    return [_issued(row) for row in connection.execute(wanted)]


def expire(connection: sa.Connection, sys_ids: Sequence[str], at: datetime) -> None:
    """They are valid until then, and never longer than they were before."""
    sooner = sa.or_(_COLUMNS.expires.is_(None), _COLUMNS.expires > at)
    connection.execute(ISSUED_KEY.update().where(_COLUMNS.sys_id.in_(sys_ids), sooner).values(expires=at))


def revoke(connection: sa.Connection, sys_ids: Sequence[str], at: datetime) -> None:
    connection.execute(ISSUED_KEY.update().where(_COLUMNS.sys_id.in_(sys_ids)).values(revoked=at))


def note_use(connection: sa.Connection, sys_id: str, at: datetime) -> None:
    connection.execute(ISSUED_KEY.update().where(_COLUMNS.sys_id == sys_id).values(last_used=at))


def rehash(connection: sa.Connection, sys_id: str, before: str, after: str, key_id: str) -> None:
    """Compare and set: what another process changed meanwhile stays."""
    same = (_COLUMNS.sys_id == sys_id, _COLUMNS.hash == before)
    connection.execute(ISSUED_KEY.update().where(*same).values(hash=after, key_id=key_id))


def _issued(row: sa.Row[tuple[object, ...]]) -> IssuedKey:
    return IssuedKey(
        sys_id=row.sys_id,
        name=row.name,
        role=row.role,
        hash=row.hash,
        key_id=row.key_id,
        created_on=row.sys_created_on,
        created_by=row.sys_created_by,
        expires=row.expires,
        revoked=row.revoked,
        last_used=row.last_used,
    )
