"""Repair after a comparison: the hub by what the system has now, or the system by what the hub has.

The table is read again and compared anew, page by page, so that a record that was changed in the meantime is taken as
it is now, not as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.comparison import ComparedPage, Comparison, Reading, Row
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import audit, batches, edits, lease, sync_log, tombstones, verification
from kwiksync_ops.storage.batches import Batch
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.records import fingerprint
from kwiksync_ops.storage.verification import HubRow, Seen, Sighting, opened_seen
from kwiksync_ops.vocabulary import Repair, Verdict


@dataclass(frozen=True)
class Repaired:
    """How many records were loaded into the hub, deleted there, or marked to be sent to the system.

    `left`: that the hub has and the system has not, or the other way round, and that nobody asked to delete.
    """

    loaded: int = 0
    deleted: int = 0
    to_send: int = 0
    left: int = 0

    def __add__(self, other: Repaired) -> Repaired:
        return Repaired(
            self.loaded + other.loaded,
            self.deleted + other.deleted,
            self.to_send + other.to_send,
            self.left + other.left,
        )

    def __str__(self) -> str:
        words = (
            f"{self.loaded:,} loaded into the hub" if self.loaded else "",
            f"{self.deleted:,} deleted in the hub" if self.deleted else "",
            f"{self.to_send:,} will be sent by the next outbound sync" if self.to_send else "",
            f"{self.left:,} left as they are" if self.left else "",
        )
        return ", ".join(filter(None, words)) or "nothing was to be done"


def repair(reading: Reading, before: Comparison, side: Repair, *, deletes: bool) -> Repaired:
    """Put one side right. Hub edits that were not sent yet stay as they are.

    Raises:
        ConfigurationError: records were rejected, so that what seems deleted at the system may be one of them.
    """
    if deletes and before.counts[Verdict.REJECTED] and before.counts[Verdict.EXTRA]:
        raise _unsure(reading.sync, before)
    done = Repaired()
    key = reading.sync.key
    with opened_seen(reading.sync.hub, key.system, key.table) as seen:
        for compared in reading.pages():
            _note(seen, compared)
            done += _load(reading, compared) if side is Repair.HUB else _send(reading, compared)
        for rows in seen.unseen(()):
            if side is Repair.SYSTEM:
                done += _send_whole(reading.sync, rows)
            else:
                done += _bury(reading.sync, rows) if deletes else Repaired(left=len(rows))
    return done


def _note(seen: Seen, compared: ComparedPage) -> None:
    keys = {row.external_id for row in compared.rows}
    keys |= {reject.external_id for reject in compared.mapped.rejects if reject.external_id}
    seen.note([Sighting(key, Verdict.EQUAL, None, None) for key in sorted(keys)], reading=1)


def _load(reading: Reading, compared: ComparedPage) -> Repaired:
    """The page's records that the hub has not, or has otherwise, as an ordinary batch."""
    sync = reading.sync
    unsent = _unsent(sync, compared.rows)
    places = [
        at
        for at, row in enumerate(compared.rows)
        if _differs(row) and not (row.hub and _fields(reading, row) <= unsent.get(row.hub.sys_id, {}).keys())
    ]
    if not places:
        return Repaired()
    mapped = replace(
        compared.mapped,
        rows=[compared.mapped.rows[at] for at in places],
        versions=[compared.mapped.versions[at] for at in places],
        rejects=[],
        read=len(places),
        superseded=0,
        indexes=(),
        fingerprints=[fingerprint(compared.records[at]) for at in places],
    )
    batch, author = Batch(compared.page.number, mapped, []), sync.author()
    counts = sync.hub.write(lambda connection: batches.load(connection, sync.key, batch, author, sync.token))
    return Repaired(loaded=counts.created + counts.updated)


def _send(reading: Reading, compared: ComparedPage) -> Repaired:
    """The page's records that the system has otherwise, as changed in the hub, what it has noted as the old."""
    differing = [row for row in compared.rows if row.hub and not row.hub.is_buried and _differs(row)]
    missing = sum(row.hub is None or row.hub.is_buried for row in compared.rows)
    changes = {row.hub.sys_id: _old_and_new(reading, row) for row in differing if row.hub}
    _mark(reading.sync, changes, ())
    return Repaired(to_send=len(changes), left=missing)


def _send_whole(sync: TableSync, rows: Sequence[HubRow]) -> Repaired:
    changes: dict[str, dict[str, Any]] = {row.sys_id: {} for row in rows}
    _mark(sync, changes, list(changes))
    return Repaired(to_send=len(rows))


def _mark(sync: TableSync, changes: dict[str, dict[str, Any]], whole: Sequence[str]) -> None:
    if not changes:
        return

    def work(connection: Connection) -> None:
        author = sync.author()
        verification.send_again(connection, sync.key.table, changes, whole, author)
        _audit(connection, sync, "record.send_again", sorted(changes))

    _write(sync, work)


def _bury(sync: TableSync, rows: Sequence[HubRow]) -> Repaired:
    """Tombstones for what the system has no more."""
    author, sys_ids = sync.author(), [row.sys_id for row in rows]

    def work(connection: Connection) -> int:
        old = edits.old_values(connection, sync.key.table, sys_ids)
        deleted = tombstones.bury(
            connection,
            sync.key.table,
            sys_ids,
            system=author.system,
            run_id=author.run_id,
            who=author.who,
            now=author.now,
        )
        sync_log.count(connection, sync.key, {"deleted": deleted})
        _audit(connection, sync, "record.bury", sys_ids, old=old)
        return deleted

    return Repaired(deleted=_write(sync, work))


def _write(sync: TableSync, work: Callable[[Connection], Any]) -> Any:
    def fenced(connection: Connection) -> Any:
        lease.renew(connection, sync.token)
        return work(connection)

    return sync.hub.write(fenced)


def _audit(connection: Connection, sync: TableSync, action: str, sys_ids: Sequence[str], **told: Any) -> None:
    author = sync.author()
    details = {"records": len(sys_ids), "sys_ids": list(sys_ids), "reason": "verification", **told}
    subject = f"{sync.key.table} and {sync.key.system}"
    audit.append(connection, action, subject, who=author.who, now=author.now, run_id=author.run_id, details=details)


def _differs(row: Row) -> bool:
    return row.hub is None or row.hub.is_buried or row.hub.values != row.values[1:]


def _fields(reading: Reading, row: Row) -> set[str]:
    """The columns that differ; a buried record differs in that it is."""
    if row.hub is None or row.hub.is_buried:
        return {"sys_deleted_on"}
    sides = zip(reading.columns, row.hub.values, row.values[1:], strict=True)
    return {name for name, ours, theirs in sides if ours != theirs}


def _unsent(sync: TableSync, rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    if not sync.table.push:
        return {}
    differing = [row.hub for row in rows if row.hub and _differs(row)]
    with sync.hub.read() as connection:
        return verification.unsent_fields(connection, sync.key.system, sync.key.table, differing)


def _old_and_new(reading: Reading, row: Row) -> dict[str, tuple[Any, Any]]:
    sides = zip(reading.columns, row.values[1:], row.hub.values if row.hub else (), strict=True)
    return {name: (_json(theirs), _json(ours)) for name, theirs, ours in sides if theirs != ours}


def _json(value: Any) -> Any:
    """As the history writes a value."""
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def _unsure(sync: TableSync, before: Comparison) -> ConfigurationError:
    rejected, extra = before.counts[Verdict.REJECTED], before.counts[Verdict.EXTRA]
    return ConfigurationError(
        f"{sync.table.table}: {extra} records seem deleted at {sync.key.system}, but {rejected} that it sent "
        "could not be mapped and may be among them. Nothing was deleted or loaded.",
        remedy="Look at kwiksync verify without a repair, mend the rejected records or the mapping, then repair.",
    )
