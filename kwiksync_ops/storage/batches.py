"""A batch is one transaction: lease, rows, links, history, error rows, checkpoint, counters, audit, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.batch import FileMark, MappedBatch
from kwiksync_ops.storage import audit, checkpoints, error_log, file_marks, lease, records, sync_log
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import BATCH
from kwiksync_ops.storage.records import Merged
from kwiksync_ops.storage.sync_log import TableRun

KNOWN = 0
"""The number of the batch that counts what a read saw again and the hub had already."""


@dataclass(frozen=True)
class Batch:
    """A numbered batch of a table's run.

    Attributes:
        watermark: how far the table is read when this batch is in; None leaves it where it is.
        resume: where the read goes on after this batch, should its process end here.
        files: those that are done with when this batch is in.
    """

    number: int
    mapped: MappedBatch
    errors: Sequence[ErrorEntry]
    watermark: Watermark | None = None
    resume: Mapping[str, Any] | None = None
    files: Sequence[FileMark] = ()

    @cached_property
    def digest(self) -> str:
        """Tells a batch from the others of its run: its number, its rows with their versions, and its rejects."""
        mapped = self.mapped
        rejects = [(error.code, error.external_id, error.message) for error in self.errors]
        content = (self.number, mapped.columns, mapped.rows, mapped.versions, mapped.read, rejects)
        return hashlib.sha256(msgspec.msgpack.encode(content)).hexdigest()


@dataclass(frozen=True)
class Counts:
    processed: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: int = 0
    deleted: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.processed + other.processed,
            self.created + other.created,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.failed + other.failed,
            self.deleted + other.deleted,
        )


_FIGURES = [BATCH.c[name] for name in Counts.__dataclass_fields__]
_INSERT = BATCH.insert()
_SAME = sa.select(BATCH.c.digest, *_FIGURES).where(
    BATCH.c.run_id == sa.bindparam("of_run"),
    BATCH.c.direction == sa.bindparam("of_direction"),
    BATCH.c.table_name == sa.bindparam("of_table"),
    sa.or_(BATCH.c.number == sa.bindparam("of_number"), BATCH.c.digest == sa.bindparam("of_digest")),
)


def load(
    connection: sa.Connection,
    run: TableRun,
    batch: Batch,
    author: Author,
    token: int,
    calls: int = -1,
    *,
    heals: bool = True,
) -> Counts:
    """Commit a batch with the caller's transaction. One that was committed before is left alone, and its counts told.

    It was committed before where the run has a batch of its number with its content. The same number with other
    content is another batch: a later try of the run read something else there.

    Args:
        calls: where the batch ends a page that is not counted yet, how many API calls brought that page.
        heals: what comes in is the newest that the system has, so that it closes open errors of its records.

    Raises:
        LeaseError: another process holds the lease.
        HubError: the hub refused.
    """
    lease.renew(connection, token)
    page = {} if calls < 0 else {"pages": 1, "api_calls": calls}
    digest, number, errors = batch.digest, batch.number, batch.errors
    if there := _with_number_or_digest(connection, run, number, digest):
        if digest in there:
            sync_log.count(connection, run, page)
            return there[digest]
        number, errors = _free_number(connection, run), error_log.not_logged(connection, run, errors)
    merged = records.merge(connection, batch.mapped, author)
    if heals:
        error_log.close_healed(connection, run, [row[0] for row in batch.mapped.rows], now=author.now)
    error_log.append(connection, run, errors, now=author.now, batch=number)
    file_marks.note(connection, run, batch.files, now=author.now)
    checkpoint = checkpoints.Checkpoint(batch.watermark, batch.resume, run.run_id)
    reached = checkpoints.advance(connection, run.system, run.direction, run.table, checkpoint, now=author.now)
    counts = _counts(batch.mapped, merged)
    _note(connection, run, number, counts, digest, author, token)
    watermark = str(reached) if batch.watermark else None
    sync_log.count(connection, run, vars(counts) | page, watermark=watermark)
    return counts


def note_known(connection: sa.Connection, run: TableRun, number: int, known: int, author: Author, token: int) -> None:
    """Count, once a run, the records that were read again and dropped, since the hub had them in this version."""
    lease.renew(connection, token)
    if known and committed_counts(connection, run, number) is None:
        counts = Counts(processed=known, unchanged=known)
        _note(connection, run, number, counts, "", author, token)
        sync_log.count(connection, run, vars(counts))


def note_deleted(
    connection: sa.Connection, run: TableRun, number: int, deleted: int, author: Author, token: int
) -> None:
    """Count records that a batch deleted; the batch's number is the next free one from `number` on."""
    highest = sa.select(sa.func.max(BATCH.c.number) + 1).where(*_of(run), BATCH.c.number >= number)
    counts = Counts(deleted=deleted)
    _note(connection, run, connection.execute(highest).scalar_one() or number, counts, "", author, token)
    sync_log.count(connection, run, vars(counts))


def rehearse(hub: Hub, batch: Batch, author: Author) -> Counts:
    """What a batch would do, from a transaction that is rolled back."""

    def work(connection: sa.Connection) -> Counts:
        counts = _counts(batch.mapped, records.merge(connection, batch.mapped, author))
        connection.rollback()
        return counts

    return hub.write(work)


def committed_counts(connection: sa.Connection, run: TableRun, number: int) -> Counts | None:
    found = connection.execute(sa.select(*_FIGURES).where(*_of(run), BATCH.c.number == number)).first()
    return Counts(*found) if found else None


def total(connection: sa.Connection, run: TableRun) -> Counts:
    """The counts of all batches of a table's run."""
    sums = [sa.func.coalesce(sa.func.sum(figure), 0) for figure in _FIGURES]
    row = connection.execute(sa.select(*sums).where(*_of(run))).one()
    return Counts(*map(int, row))


def _with_number_or_digest(connection: sa.Connection, run: TableRun, number: int, digest: str) -> dict[str, Counts]:
    """The run's batches that have this number or this content, by digest."""
    of = {"of_run": run.run_id, "of_direction": run.direction, "of_table": run.table}
    rows = connection.execute(_SAME, {**of, "of_number": number, "of_digest": digest})
    return {row[0]: Counts(*row[1:]) for row in rows}


def _free_number(connection: sa.Connection, run: TableRun) -> int:
    return int(connection.execute(sa.select(sa.func.max(BATCH.c.number) + 1).where(*_of(run))).scalar_one())


def _of(run: TableRun) -> tuple[sa.ColumnElement[bool], ...]:
    return (BATCH.c.run_id == run.run_id, BATCH.c.direction == run.direction, BATCH.c.table_name == run.table)


def _counts(mapped: MappedBatch, merged: Merged) -> Counts:
    unchanged = merged.unchanged + mapped.superseded
    return Counts(mapped.read, merged.created, merged.updated, unchanged, mapped.rejected)


def _note(
    connection: sa.Connection, run: TableRun, number: int, counts: Counts, digest: str, author: Author, token: int
) -> None:
    figures = vars(counts)
    row = {
        "run_id": run.run_id,
        "direction": run.direction,
        "table_name": run.table,
        "number": number,
        "fencing_token": token,
        "digest": digest,
        "committed": author.now,
        **figures,
    }
    connection.execute(_INSERT, row)
    if counts.created or counts.updated or counts.deleted:
        audit.append(
            connection,
            "batch.load",
            f"{run.table} from {run.system}",
            who=author.who,
            now=author.now,
            run_id=run.run_id,
            details={"batch": number, **figures, "digest": digest},
        )
