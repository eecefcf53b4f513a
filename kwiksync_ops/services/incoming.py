"""The system's version of records that both sides changed, taken into the hub by the conflict policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Target
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import lease, outbox, records
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.outbox import OutboxRow
from kwiksync_ops.storage.records import HubLookups
from kwiksync_ops.vocabulary import Action, Direction


def take_theirs(
    sync: TableSync, target: Target, request: PushRequest, refused: Sequence[tuple[OutboxRow, Receipt]]
) -> set[str]:
    """Merge the versions that these deliveries met; the sys_ids of those that can be sent anew on top of them.

    A record that is gone at the system loses its link, so that it is created again.
    """
    gone = [row for row, receipt in refused if receipt.outcome == Outcome.GONE]
    changed = [(row, receipt) for row, receipt in refused if receipt.outcome != Outcome.GONE]
    met = _read(target, request, changed)
    theirs = [receipt.record for receipt in met.values() if receipt.record]
    etags = {row.external_id: met[row.sys_id].etag for row, _ in changed if row.sys_id in met}
    rows = _mapped(sync, theirs) if theirs else None

    def work(connection: Connection) -> None:
        lease.renew(connection, sync.token)
        key = sync.key
        outbox.unlink(connection, key.system, key.table, [row.external_id for row in gone if row.external_id])
        if rows is not None:
            records.merge(connection, rows, sync.author())
        noted = {name: etag for name, etag in etags.items() if name and etag}
        outbox.note_etags(connection, key.system, key.table, noted)

    sync.hub.write(work)
    return {row.sys_id for row in gone} | met.keys()


def _read(target: Target, request: PushRequest, changed: Sequence[tuple[OutboxRow, Receipt]]) -> dict[str, Receipt]:
    """The receipts that hold the system's version: as answered, or read now."""
    known = {row.sys_id: receipt for row, receipt in changed if receipt.record}
    unread = [row for row, _ in changed if row.sys_id not in known]
    if unread:
        looked = target.look(request, [_key_only(row) for row in unread])
        known |= {receipt.delivery_id: receipt for receipt in looked if receipt.record}
    return known


def _key_only(row: OutboxRow) -> Delivery:
    return Delivery(row.sys_id, Action.UPDATE, row.external_id, {}, row.idempotency_key)


def _mapped(sync: TableSync, theirs: Sequence[Mapping[str, Any]]) -> Any:
    inbound = replace(sync, direction=Direction.INBOUND)
    return inbound.mapping().apply([dict(record) for record in theirs], HubLookups(sync.hub, sync.key.system))
