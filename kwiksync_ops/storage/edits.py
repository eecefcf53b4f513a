"""Records that a person makes or changes in the hub, with their history."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.redaction import Redactor
from kwiksync_ops.storage.bulk import among
from kwiksync_ops.storage.models import RECORD_HISTORY, RECORDS
from kwiksync_ops.storage.sys_id import new_sys_ids
from kwiksync_ops.vocabulary import RECORD_TABLES, Action

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


def old_values(connection: sa.Connection, table: str, sys_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """What those that are not deleted hold, by sys_id, for the audit of their deletion: no secrets, nothing empty.

    They are locked until the transaction ends where the database can.
    """
    if not sys_ids:
        return {}
    records = RECORDS[table]
    names = ("external_id", "active", *(column.name for column in RECORD_TABLES[table].columns))
    rows = connection.execute(
        sa.select(records.c.sys_id, *(records.c[name] for name in names))
        .where(among(connection, records.c.sys_id, sys_ids), records.c.sys_deleted_on.is_(None))
        .order_by(records.c.sys_id)
        .with_for_update()
    )
    redact = Redactor().payload
    return {
        row[0]: redact({name: row._mapping[name] for name in names if row._mapping[name] is not None}) for row in rows
    }


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
