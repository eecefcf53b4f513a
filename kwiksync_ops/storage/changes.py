"""What changed in the hub, as a system sees it: by key over an index, at a cost that does not grow with the table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.bulk import among
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.models import RECORD_LINK, RECORDS
from kwiksync_ops.vocabulary import Action


@dataclass(frozen=True)
class Change:
    """A record as it stands after a change, and what the system last agreed to.

    Attributes:
        external_id: the record's id at the system; None where the system does not know it.
        agreed: the record's modification count when hub and system last agreed; None where that is not known.
        hash_out: of the payload that the system last confirmed.
        etag: the version of the record at the system that the hub knows.
    """

    sys_id: str
    changed_at: datetime
    mod_count: int
    is_deleted: bool
    external_id: str | None
    agreed: int | None
    hash_out: bytes | None
    etag: str | None

    @property
    def mark(self) -> Watermark:
        return Watermark(self.changed_at.astimezone(UTC).isoformat(timespec="microseconds"), self.sys_id)

    @property
    def action(self) -> Action:
        if self.is_deleted:
            return Action.DELETE
        return Action.CREATE if self.external_id is None else Action.UPDATE

    @property
    def is_agreed(self) -> bool:
        """Nothing is to be sent: the change came from the system, or is there, or the system never had the record."""
        return self.is_deleted if self.external_id is None else self.agreed == self.mod_count


def read_changes(
    connection: sa.Connection, system: str, table: str, *, after: Watermark | None, until: datetime, limit: int
) -> list[Change]:
    """The next changed records in the order of (change time, sys_id), those that the system agreed to among them."""
    records = RECORDS[table]
    place = sa.tuple_(records.c.sys_updated_on, records.c.sys_id)
    wanted = [records.c.sys_updated_on <= until]
    if after is not None:
        at = sa.literal(datetime.fromisoformat(after.at), records.c.sys_updated_on.type)
        wanted.append(place > sa.tuple_(at, sa.literal(after.id)))
    page = sa.select(*_columns(records)).where(*wanted).order_by(records.c.sys_updated_on, records.c.sys_id)
    return _with_links(connection, system, table, page.limit(limit))


def changes_of(connection: sa.Connection, system: str, table: str, sys_ids: Collection[str]) -> list[Change]:
    """These records as they stand now."""
    records = RECORDS[table]
    wanted = sa.select(*_columns(records)).where(among(connection, records.c.sys_id, sys_ids))
    return _with_links(connection, system, table, wanted)


def read_records(
    connection: sa.Connection, table: str, sys_ids: Collection[str], columns: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """Values of records by sys_id."""
    records = RECORDS[table]
    names = dict.fromkeys(("sys_id", *columns))
    rows = connection.execute(
        sa.select(*(records.c[name] for name in names)).where(among(connection, records.c.sys_id, sys_ids))
    )
    return {row["sys_id"]: dict(row) for row in rows.mappings()}


def _columns(records: sa.Table) -> tuple[sa.Column[Any], ...]:
    return records.c.sys_id, records.c.sys_updated_on, records.c.sys_mod_count, records.c.sys_deleted_on


def _with_links(connection: sa.Connection, system: str, table: str, wanted: sa.Select[Any]) -> list[Change]:
    rows = connection.execute(wanted).all()
    links = _links(connection, system, table, [row[0] for row in rows])
    none = (None, None, None, None)
    return [Change(row[0], row[1], row[2], row[3] is not None, *links.get(row[0], none)) for row in rows]


def _links(connection: sa.Connection, system: str, table: str, sys_ids: Collection[str]) -> dict[str, tuple[Any, ...]]:
    """What the system knows of these records. A record that it has twice is sent to the first."""
    link = RECORD_LINK
    # By the record alone: with the system in the condition, a planner may read all links of the system.
    found = connection.execute(
        sa.select(
            link.c.sys_id,
            link.c.system,
            link.c.table_name,
            link.c.external_id,
            link.c.mod_count,
            link.c.hash_out,
            link.c.etag,
        ).where(among(connection, link.c.sys_id, sys_ids))
    )
    mine = (row for row in found.all() if row[1] == system and row[2] == table)
    return {row[0]: tuple(row[3:]) for row in sorted(mine, key=itemgetter(3), reverse=True)}
