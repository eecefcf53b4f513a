"""Records that a person makes or changes in the hub, with their history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.storage.models import RECORD_HISTORY, RECORDS
from kwiksync_ops.storage.sys_id import new_sys_ids
from kwiksync_ops.vocabulary import Action

BY_HAND = "by hand"
"""The run that an edit belongs to."""

HUB = "kwiksync"
"""The source system of a record that was made in the hub."""


def read(connection: sa.Connection, table: str, sys_id: str) -> sa.RowMapping | None:
    """A record as it stands, locked until the transaction ends where the database can."""
    records = RECORDS[table]
    wanted = records.select().where(records.c.sys_id == sys_id).with_for_update()
    return connection.execute(wanted).mappings().first()


def find(connection: sa.Connection, table: str, sys_id: str) -> sa.RowMapping | None:
    """A record as it stands, not locked."""
    records = RECORDS[table]
    return connection.execute(records.select().where(records.c.sys_id == sys_id)).mappings().first()


def touch(connection: sa.Connection, table: str, sys_id: str, *, now: datetime) -> None:
    """Have the record looked at by the next outbound sync, with no value changed."""
    records = RECORDS[table]
    connection.execute(records.update().where(records.c.sys_id == sys_id).values(sys_updated_on=now))


def exists(connection: sa.Connection, table: str, sys_id: str) -> bool:
    records = RECORDS[table]
    wanted = sa.select(records.c.sys_id).where(records.c.sys_id == sys_id, records.c.sys_deleted_on.is_(None))
    return connection.execute(wanted).first() is not None


def update(
    connection: sa.Connection, table: str, row: sa.RowMapping, values: Mapping[str, Any], *, who: str, now: datetime
) -> dict[str, tuple[Any, Any]]:
    """Give a record new values; what changed, old and new. Nothing is written where nothing does."""
    changes = {name: (row[name], value) for name, value in values.items() if row[name] != value}
    if not changes:
        return {}
    records, mod_count = RECORDS[table], row["sys_mod_count"] + 1
    new = {name: value for name, (_, value) in changes.items()}
    connection.execute(
        records.update()
        .where(records.c.sys_id == row["sys_id"])
        .values(**new, sys_mod_count=mod_count, sys_updated_on=now, sys_updated_by=who)
    )
    _note(connection, table, row["sys_id"], Action.UPDATE, changes, mod_count, who, now)
    return changes


def create(connection: sa.Connection, table: str, values: Mapping[str, Any], *, who: str, now: datetime) -> str:
    """Make a record; its sys_id, which is its external id in the hub, too."""
    (sys_id,) = new_sys_ids(1)
    base = {
        "sys_id": sys_id,
        "external_id": sys_id,
        "source_system": HUB,
        "sys_created_on": now,
        "sys_created_by": who,
        "sys_updated_on": now,
        "sys_updated_by": who,
        "sys_mod_count": 0,
        "active": True,
    }
    connection.execute(RECORDS[table].insert().values(**{**base, **values}))
    _note(connection, table, sys_id, Action.CREATE, None, 0, who, now)
    return sys_id


def _note(
    connection: sa.Connection,
    table: str,
    sys_id: str,
    action: Action,
    changes: Mapping[str, Any] | None,
    mod_count: int,
    who: str,
    now: datetime,
) -> None:
    connection.execute(
        RECORD_HISTORY.insert().values(
            table_name=table,
            sys_id=sys_id,
            action=str(action),
            changes=msgspec.json.encode(changes).decode() if changes else None,
            sys_mod_count=mod_count,
            run_id=BY_HAND,
            sys_created_on=now,
            sys_created_by=who,
        )
    )
