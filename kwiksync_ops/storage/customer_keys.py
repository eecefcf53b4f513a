"""The Customer Keys that are sent to systems: encrypted before they come here, one active a system."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from kwiksync_ops.storage.models import CUSTOMER_KEY


@dataclass(frozen=True)
class StoredKey:
    """A row of `customer_key`. `key_id` names the secret key that made the token."""

    sys_id: str
    system: str
    key_id: str
    token: str = field(repr=False)
    active: bool
    created_on: datetime
    created_by: str


def active_key(connection: sa.Connection, system: str) -> StoredKey | None:
    """The newest active key of a system."""
    wanted = CUSTOMER_KEY.select().where(CUSTOMER_KEY.c.system == system, CUSTOMER_KEY.c.active)
    newest = wanted.order_by(CUSTOMER_KEY.c.sys_created_on.desc(), CUSTOMER_KEY.c.sys_id).limit(1)
    row = connection.execute(newest).one_or_none()
    return _stored(row) if row else None


def list_keys(connection: sa.Connection) -> Sequence[StoredKey]:
    """All keys, by system, the newest first."""
    columns = CUSTOMER_KEY.c
    ordered = CUSTOMER_KEY.select().order_by(columns.system, columns.sys_created_on.desc(), columns.sys_id)
    return [_stored(row) for row in connection.execute(ordered)]


def replace(connection: sa.Connection, key: StoredKey) -> StoredKey | None:
    """Make it the only active key of its system; the one that was active before."""
    before = active_key(connection, key.system)
    connection.execute(CUSTOMER_KEY.update().where(CUSTOMER_KEY.c.system == key.system).values(active=False))
    connection.execute(
        CUSTOMER_KEY.insert().values(
            sys_id=key.sys_id,
            system=key.system,
            key_id=key.key_id,
            token=key.token,
            active=key.active,
            sys_created_on=key.created_on,
            sys_created_by=key.created_by,
        )
    )
    return before


def rewrap(connection: sa.Connection, key: StoredKey, token: str, key_id: str) -> None:
    """Compare and set: a token that was replaced meanwhile stays."""
    same = (CUSTOMER_KEY.c.sys_id == key.sys_id, CUSTOMER_KEY.c.token == key.token)
    connection.execute(CUSTOMER_KEY.update().where(*same).values(token=token, key_id=key_id))


def _stored(row: sa.Row[tuple[object, ...]]) -> StoredKey:
    return StoredKey(
        sys_id=row.sys_id,
        system=row.system,
        key_id=row.key_id,
        token=row.token,
        active=row.active,
        created_on=row.sys_created_on,
        created_by=row.sys_created_by,
    )
