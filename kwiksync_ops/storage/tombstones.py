"""Tombstones: a deleted record keeps its row, with `sys_deleted_on` set, so that other systems can be told of it.

A deletion that came from a system is one that hub and system agree on: it is not sent back there, while it stays
pending for the other systems that know the record. What that system last sent is forgotten, so that the record comes
back should the system send it again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.storage.bulk import among, insert_rows
from kwiksync_ops.storage.history import HISTORY_COLUMNS, Author
from kwiksync_ops.storage.models import RECORD_HISTORY, RECORD_LINK, RECORDS
from kwiksync_ops.vocabulary import Action


def bury(
    connection: sa.Connection,
    table: str,
    sys_ids: Collection[str],
    *,
    system: str | None,
    run_id: str,
    who: str,
    now: datetime,
) -> int:
    """Delete records, in the caller's transaction; how many. Those that are deleted already are left as they are.

    Args:
        system: where the deletion came from; None where a person deleted in the hub.
    """
    found = _standing(connection, table, sys_ids, is_buried=False)
    entries = [
        (table, sys_id, Action.DELETE, _json(sys_deleted_on=(None, now), active=(active, False)), count + 1)
        for sys_id, count, active, _ in found
    ]
    buried = _change(connection, entries, {"sys_deleted_on": now, "active": False}, (system, run_id, who, now))
    if system is not None and sys_ids:
        _agree(connection, table, sys_ids, system)
    return buried


def revive(
    connection: sa.Connection,
    table: str,
    sys_ids: Collection[str],
    *,
    system: str | None,
    run_id: str,
    who: str,
    now: datetime,
) -> list[str]:
    """Bring deleted records back, active, in the caller's transaction; which were. Links are the caller's matter."""
    found = _standing(connection, table, sys_ids, is_buried=True)
    entries = [
        (table, sys_id, Action.UPDATE, _json(sys_deleted_on=(deleted_on, None), active=(active, True)), count + 1)
        for sys_id, count, active, deleted_on in found
    ]
    _change(connection, entries, {"sys_deleted_on": None, "active": True}, (system, run_id, who, now))
    return [row[0] for row in found]


def unlink(connection: sa.Connection, table: str, sys_ids: Collection[str], *, system: str) -> None:
    """Forget that the system knows these records, so that they are created there again."""
    if sys_ids:
        connection.execute(RECORD_LINK.delete().where(*_links_of(connection, table, sys_ids, system)))


class TakenVersion(Protocol):
    """What the hub last took of a record from a system: `storage.records` reads it from the link."""

    @property
    def sys_id(self) -> str: ...
    @property
    def version(self) -> str | None: ...
    @property
    def hash_in(self) -> bytes | None: ...
    @property
    def mod_count(self) -> int | None: ...


def revive_incoming(
    connection: sa.Connection, batch: MappedBatch, links: Mapping[str, TakenVersion], author: Author
) -> set[str]:
    """Bring back the buried records that the system sends again; which were.

    A record that was deleted in the hub, or by another system, and that this system has not changed since, stays
    deleted: the system has not heard of it yet.
    """
    buried = _buried(connection, batch.table, [link.sys_id for link in links.values()])
    if not buried:
        return set()
    fingerprints = batch.fingerprints or [None] * len(batch.rows)
    returning = [
        link.sys_id
        for row, version, content in zip(batch.rows, batch.versions, fingerprints, strict=True)
        if (link := links.get(row[0])) and link.sys_id in buried
        if _returns(link, version, content, buried[link.sys_id])
    ]
    revived = revive(
        connection,
        batch.table,
        returning,
        system=author.system,
        run_id=author.run_id,
        who=author.who,
        now=author.now,
    )
    return set(revived)


def _returns(link: TakenVersion, version: str | None, content: bytes | None, mod_count: int) -> bool:
    if link.version and version and version < link.version:
        return False
    is_same = link.hash_in is not None and link.hash_in == content
    return link.mod_count == mod_count or not is_same


def _buried(connection: sa.Connection, table: str, sys_ids: Collection[str]) -> dict[str, int]:
    if not sys_ids:
        return {}
    records = RECORDS[table]
    found = connection.execute(
        sa.select(records.c.sys_id, records.c.sys_mod_count).where(
            among(connection, records.c.sys_id, sys_ids), records.c.sys_deleted_on.is_not(None)
        )
    )
    return {row[0]: row[1] for row in found.all()}


def _standing(
    connection: sa.Connection, table: str, sys_ids: Collection[str], *, is_buried: bool
) -> list[tuple[str, int, bool | None, datetime | None]]:
    """sys_id, modification count, active and deletion time of those that are deleted, or of those that are not."""
    if not sys_ids:
        return []
    records = RECORDS[table]
    deleted_on = records.c.sys_deleted_on
    rows = connection.execute(
        sa.select(records.c.sys_id, records.c.sys_mod_count, records.c.active, deleted_on)
        .where(among(connection, records.c.sys_id, sys_ids), (deleted_on.is_not if is_buried else deleted_on.is_)(None))
        .order_by(records.c.sys_id)
        .with_for_update()
    )
    return [(row[0], row[1], row[2], row[3]) for row in rows.all()]


def _change(
    connection: sa.Connection,
    entries: Sequence[tuple[str, str, Action, str, int]],
    values: dict[str, Any],
    author: tuple[str | None, str, str, datetime],
) -> int:
    if not entries:
        return 0
    system, run_id, who, now = author
    records = RECORDS[entries[0][0]]
    changed = connection.execute(
        records.update()
        .where(among(connection, records.c.sys_id, [entry[1] for entry in entries]))
        .values(**values, sys_updated_on=now, sys_updated_by=who, sys_mod_count=records.c.sys_mod_count + 1)
    )
    insert_rows(
        connection,
        RECORD_HISTORY,
        HISTORY_COLUMNS,
        [(*entry[:2], entry[2].value, entry[3], system, entry[4], run_id, now, who) for entry in entries],
    )
    return changed.rowcount


def _agree(connection: sa.Connection, table: str, sys_ids: Collection[str], system: str) -> None:
    records = RECORDS[table]
    count = sa.select(records.c.sys_mod_count).where(records.c.sys_id == RECORD_LINK.c.sys_id).scalar_subquery()
    connection.execute(
        RECORD_LINK.update()
        .where(*_links_of(connection, table, sys_ids, system))
        .values(mod_count=count, version=None, hash_in=None, hash_out=None, etag=None)
    )


def _links_of(
    connection: sa.Connection, table: str, sys_ids: Collection[str], system: str
) -> tuple[sa.ColumnElement[bool], ...]:
    is_one = among(connection, RECORD_LINK.c.sys_id, sys_ids)
    return RECORD_LINK.c.system == system, RECORD_LINK.c.table_name == table, is_one


def _json(**changes: tuple[Any, Any]) -> str:
    return msgspec.json.encode(changes).decode()
