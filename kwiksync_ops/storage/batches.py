"""A batch is one transaction: lease, rows, links, history, error rows, checkpoint, counters, audit, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.storage import audit, checkpoints, error_log, lease, records, sync_log
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import BATCH
from kwiksync_ops.storage.records import Author, Merged
from kwiksync_ops.storage.sync_log import TableRun

MAX_LOGGED = 10_000
"""So many rejected records of a table that is not loaded are logged."""

KNOWN = 0
"""The number of the batch that counts what a read saw again and the hub had already."""


@dataclass(frozen=True)
class Batch:
    """A numbered batch of a table's run; the number tells a batch that was committed before.

    Attributes:
        watermark: how far the table is read when this batch is in; None leaves it where it is.
        resume: where the read goes on after this batch, should its process end here.
    """

    number: int
    mapped: MappedBatch
    errors: Sequence[ErrorEntry]
    watermark: Watermark | None = None
    resume: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Counts:
    processed: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.processed + other.processed,
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.failed + other.failed,
        )


def load(connection: sa.Connection, run: TableRun, batch: Batch, author: Author, token: int) -> Counts:
    """Commit a batch with the caller's transaction. One that was committed before is left alone, and its counts told.

    It was committed before where the run has a batch of its number with its content. The same number with other
    content is another batch: a later try of the run read something else there.

    Raises:
        LeaseError: another process holds the lease.
        HubError: the hub refused.
    """
    lease.renew(connection, token)
    digest = _digest(batch)
    done = _committed(connection, run, BATCH.c.digest == digest)
    if done is not None:
        return done
    number, errors = batch.number, batch.errors
    if committed_counts(connection, run, number) is not None:
        number, errors = _free_number(connection, run), error_log.not_logged(connection, run, errors)
    merged = records.merge(connection, batch.mapped, author)
    error_log.close_healed(connection, run, [row[0] for row in batch.mapped.rows], now=author.now)
    error_log.append(connection, run, errors, now=author.now, batch=number)
    checkpoint = checkpoints.Checkpoint(batch.watermark, batch.resume, run.run_id)
    checkpoints.advance(connection, run.system, run.direction, run.table, checkpoint, now=author.now)
    counts = _counts(batch.mapped, merged)
    _note(connection, run, number, counts, digest, author, token)
    if batch.watermark:
        reached = checkpoints.read_watermark(connection, run.system, run.direction, run.table)
        sync_log.set_watermark(connection, run, str(reached))
    return counts


def note_known(connection: sa.Connection, run: TableRun, number: int, known: int, author: Author, token: int) -> None:
    """Count, once a run, the records that were read again and dropped, since the hub had them in this version."""
    lease.renew(connection, token)
    if known and committed_counts(connection, run, number) is None:
        counts = Counts(processed=known, unchanged=known)
        _note(connection, run, number, counts, "", author, token)


def rehearse(hub: Hub, batch: Batch, author: Author) -> Counts:
    """What a batch would do, from a transaction that is rolled back."""

    def work(connection: sa.Connection) -> Counts:
        counts = _counts(batch.mapped, records.merge(connection, batch.mapped, author))
        connection.rollback()
        return counts

    return hub.write(work)


def committed_counts(connection: sa.Connection, run: TableRun, number: int) -> Counts | None:
    return _committed(connection, run, BATCH.c.number == number)


def total(connection: sa.Connection, run: TableRun) -> Counts:
    """The counts of all batches of a table's run."""
    sums = [sa.func.coalesce(sa.func.sum(BATCH.c[name]), 0) for name in Counts.__dataclass_fields__]
    row = connection.execute(sa.select(*sums).where(*_of(run))).one()
    return Counts(*map(int, row))


def _committed(connection: sa.Connection, run: TableRun, wanted: sa.ColumnElement[bool]) -> Counts | None:
    row = connection.execute(
        sa.select(BATCH.c.processed, BATCH.c.created, BATCH.c.updated, BATCH.c.unchanged, BATCH.c.failed).where(
            *_of(run), wanted
        )
    ).first()
    return Counts(*row) if row else None


def _free_number(connection: sa.Connection, run: TableRun) -> int:
    return int(connection.execute(sa.select(sa.func.max(BATCH.c.number) + 1).where(*_of(run))).scalar_one())


def _digest(batch: Batch) -> str:
    """Tells a batch from the others of its run: its number, its rows with their versions, and its rejects."""
    mapped = batch.mapped
    rejects = [(error.code, error.external_id, error.message) for error in batch.errors]
    content = (batch.number, mapped.columns, mapped.rows, mapped.versions, mapped.read, rejects)
    return hashlib.sha256(msgspec.msgpack.encode(content)).hexdigest()


def _of(run: TableRun) -> tuple[sa.ColumnElement[bool], ...]:
    return (BATCH.c.run_id == run.run_id, BATCH.c.direction == run.direction, BATCH.c.table_name == run.table)


def _counts(mapped: MappedBatch, merged: Merged) -> Counts:
    unchanged = merged.unchanged + mapped.superseded
    return Counts(mapped.read, merged.created, merged.updated, unchanged, mapped.rejected)


def _note(
    connection: sa.Connection, run: TableRun, number: int, counts: Counts, digest: str, author: Author, token: int
) -> None:
    figures = vars(counts)
    connection.execute(
        BATCH.insert().values(
            run_id=run.run_id,
            direction=run.direction,
            table_name=run.table,
            number=number,
            fencing_token=token,
            digest=digest,
            committed=author.now,
            **figures,
        )
    )
    sync_log.count(connection, run, **figures)
    if counts.created or counts.updated:
        audit.append(
            connection,
            "batch.load",
            f"{run.table} from {run.system}",
            who=author.who,
            now=author.now,
            run_id=run.run_id,
            details={"batch": number, **figures, "digest": digest},
        )
