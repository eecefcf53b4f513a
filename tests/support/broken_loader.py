"""A loader with the fault that the kill harness is there to find: its checkpoint is committed before its rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.source import Source
from kwiksync_ops.redaction import Redactor
from kwiksync_ops.services import inbound
from kwiksync_ops.services.rejections import error_entries
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import batches, checkpoints
from kwiksync_ops.storage.batches import Batch
from kwiksync_ops.storage.checkpoints import Checkpoint
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.records import HubLookups


def checkpoint_first(sync: TableSync, source: Source) -> None:
    """A streamed sync in which each batch takes two transactions, in the wrong order."""
    sync.start()
    key = sync.key
    with sync.hub.read() as connection:
        resume = checkpoints.read_resume(connection, key.system, key.direction, key.table, key.run_id)
    request = replace(sync.request(), resume=resume)
    for page in source.read(request):
        batch = _batch(sync, page)
        checkpoint = Checkpoint(None, page.resume, key.run_id)
        sync.hub.write(partial(_advance, sync=sync, checkpoint=checkpoint))
        sync.hub.write(partial(batches.load, run=key, batch=batch, author=sync.author(), token=sync.token))
    inbound.finish(sync)


def _batch(sync: TableSync, page: Page) -> Batch:
    mapped = sync.mapping().apply(page.records, HubLookups(sync.hub, sync.run.system.system))
    return Batch(page.number, mapped, error_entries(mapped.rejects, Redactor()), resume=page.resume)


def _advance(connection: Connection, sync: TableSync, checkpoint: Checkpoint) -> None:
    key = sync.key
    checkpoints.advance(connection, key.system, key.direction, key.table, checkpoint, now=sync.clock.now())
