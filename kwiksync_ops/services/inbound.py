"""Inbound: extract a table's pages, transform them, load them batch by batch. Each step goes on where it was ended.

Airflow runs the steps as tasks, with pages staged between them; `sync_table` runs them as one stream.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from structlog.contextvars import bound_contextvars

from kwiksync_ops.batch import Page, SourceRecord
from kwiksync_ops.connectors.http.json_path import MISSING, parse_path, value_at
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.errors import ErrorBudgetError, KwikSyncError
from kwiksync_ops.mapping.compiler import CompiledMapping
from kwiksync_ops.mapping.moments import Moments, compile_moments
from kwiksync_ops.services.prefetch import Prefetch, quick_turns
from kwiksync_ops.services.rejections import error_entries
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import batches, checkpoints, error_log, file_marks, lease, seen_keys, sync_log
from kwiksync_ops.storage.batches import Batch, Counts
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.records import HubLookups, fingerprint, fingerprints, known_states
from kwiksync_ops.storage.stage import MAPPED, RAW, Stage, StagedPage
from kwiksync_ops.vocabulary import Mode, SyncStatus

log = logging.getLogger(__name__)

PART = 1_000_000
"""A page of more records than a batch is cut into parts; part p of page n is batch p * PART + n."""

_SKEW = timedelta(minutes=5)
"""So far may a system's clock be ahead of ours before we take it for wrong."""

_BUDGET_SAMPLE = 100
"""So many records are seen before a share of rejected ones says something."""


@dataclass(frozen=True)
class Reach:
    """How far a read has come: the newest change time that it saw, and the system's time when it began."""

    highest: Watermark | None = None
    begun: Watermark | None = None

    def after(self, staged: StagedPage) -> Reach:
        highest = max(filter(None, (self.highest, staged.highest)), default=None)
        return Reach(highest, self.begun or (_at(staged.page) if staged.page.server_time else None))

    def watermark(self, *, is_keyset: bool) -> Watermark | None:
        """A read by key misses nothing up to its newest record. Any other may miss what changed since it began."""
        if is_keyset or self.highest is None or self.begun is None:
            return self.highest
        return min(self.highest, self.begun)


@dataclass(frozen=True)
class Extracted:
    """What a read brought: `records` to be mapped, `known` ones that the hub had in this version already, and `files`
    that it came to the end of."""

    pages: int
    records: int
    known: int
    calls: int
    files: int = 0

    @property
    def is_new(self) -> bool:
        """Whether there is something to be loaded."""
        return bool(self.records or self.files)


def extract(sync: TableSync, source: Source, stage: Stage) -> Extracted:
    """Read the table's pages and stage them. Goes on after the last page that was staged.

    In a preview one page is read.
    """
    sync.start()
    numbers = stage.numbers(RAW)
    last = stage.read_page(numbers[-1]) if numbers else None
    if not (last and last.page.is_last):
        resume = last.page.resume if last else None
        for page in _read(sync, source, replace(sync.request(), resume=resume), after=len(numbers)):
            sync.hub.write(partial(_note_page, sync=sync, page=page))
            stage.write_page(_staged(sync, page))
    extracted = _extracted(stage)
    _note_known(sync, extracted.known)
    if not extracted.is_new:
        finish(sync)
    return extracted


def _extracted(stage: Stage) -> Extracted:
    """What was staged, one page in memory at a time."""
    total = Extracted(0, 0, 0, 0)
    for number in stage.numbers(RAW):
        staged = stage.read_page(number)
        records = len(staged.page.records) + len(staged.page.rejects)
        total = Extracted(
            total.pages + 1,
            total.records + records,
            total.known + staged.known,
            total.calls + staged.page.calls,
            total.files + len(staged.page.files),
        )
    return total


def transform(sync: TableSync, stage: Stage) -> Counts:
    """Map and validate the staged pages into staged batches. Twice gives the same.

    Raises:
        ErrorBudgetError: too many records are rejected; they are in the Error Log, and nothing is loaded.
    """
    mapping, lookups = sync.mapping(), HubLookups(sync.hub, sync.run.system.system)
    counts, reach = Counts(), Reach()
    for number in stage.numbers(RAW):
        staged = stage.read_page(number)
        reach = reach.after(staged)
        sync.renew()
        counts += Counts(processed=staged.known)
        for batch in _batches(sync, staged, mapping, lookups, reach):
            stage.write_batch(batch)
            counts += Counts(processed=batch.mapped.read, failed=batch.mapped.rejected)
    if not sync.is_preview and _is_over_budget(sync, counts, is_end=sync.reads_whole()):
        raise _over_budget(sync, counts, (stage.read_batch(number) for number in stage.numbers(MAPPED)))
    return counts


def load(sync: TableSync, stage: Stage) -> Counts:
    """Commit the staged batches that are not in yet, in their order, and close the Sync Log row."""
    has_open = _has_open(sync)
    for number in sorted(stage.numbers(MAPPED), key=lambda number: (number % PART, number)):
        batch = stage.read_batch(number)
        _commit(sync, batch, heals=has_open)
        has_open = has_open or bool(batch.errors)
    return finish(sync)


def sync_table(sync: TableSync, source: Source) -> Counts:
    """The three steps as one stream: a page is fetched and mapped while the one before it is loaded.

    Called again for the same run it goes on after the last committed batch.
    """
    sync.start()
    mapping, lookups = sync.mapping(), HubLookups(sync.hub, sync.run.system.system)
    counts, after, resume, reach, is_read = _progress(sync)
    if is_read:
        return finish(sync)
    is_whole, has_open = sync.reads_whole(), _has_open(sync)
    pages = _read(sync, source, replace(sync.request(), resume=resume), after=after)
    prepared = Prefetch(_prepared(sync, pages, mapping, lookups, reach))
    with closing(prepared), sync.hub.using_waits(prepared.begin_next), quick_turns():
        for staged, page_batches in prepared:
            _note_page_known(sync, staged)
            counts += Counts(processed=staged.known)
            is_end = staged.page.is_last and is_whole
            for batch in page_batches:
                total = counts + Counts(processed=batch.mapped.read, failed=batch.mapped.rejected)
                if not sync.is_preview and _is_over_budget(sync, total, is_end=is_end):
                    raise _over_budget(sync, total, [batch])
                counts += _commit(sync, batch, heals=has_open, of=staged.page if batch is page_batches[-1] else None)
                has_open = has_open or bool(batch.errors)
            if sync.is_preview or not page_batches:
                sync.hub.write(partial(_note_page, sync=sync, page=staged.page))
    return finish(sync)


def finish(sync: TableSync) -> Counts:
    """Close the table's Sync Log row as what its batches say."""
    with sync.hub.read() as connection:
        counts = batches.total(connection, sync.key)
    status = SyncStatus.PARTIAL if counts.failed else SyncStatus.SUCCESS

    def close(connection: Connection) -> None:
        lease.renew(connection, sync.token)
        sync_log.end(connection, sync.key, status, now=sync.clock.now())

    sync.hub.write(close)
    log.info("%s of %s: %s", sync.table.table, sync.run.system.system, counts)
    return counts


def _read(sync: TableSync, source: Source, request: ReadRequest, *, after: int) -> Generator[Page]:
    """Pages, numbered on from `after`."""
    with closing(read_again(source, request)) as pages:
        for number, page in enumerate(pages, start=after + 1):
            yield replace(page, number=number)
            if sync.is_preview:
                return


def read_again(source: Source, request: ReadRequest) -> Generator[Page]:
    """The read; from its start where the system can't go on from where it was."""
    try:
        yield from source.read(request)
    except KwikSyncError as exc:
        if not (request.resume and exc.facts.get("restart")):
            raise
        log.warning("The read of %s starts again: %s", request.source, exc)
        yield from source.read(replace(request, resume=None))


def _note_page(connection: Connection, sync: TableSync, page: Page) -> None:
    """Hold the lease, and count the page and its calls into the Sync Log."""
    lease.renew(connection, sync.token)
    sync_log.count(connection, sync.key, {"pages": 1, "api_calls": page.calls})


def _prepared(
    sync: TableSync, pages: Iterator[Page], mapping: CompiledMapping, lookups: HubLookups, reach: Reach
) -> Iterator[tuple[StagedPage, list[Batch]]]:
    """Each page with its batches, ready to be loaded. Writes nothing: it runs while the page before is written."""
    for page in pages:
        staged = _staged(sync, page)
        reach = reach.after(staged)
        ready = list(_batches(sync, staged, mapping, lookups, reach))
        for batch in ready:  # its digest is computed here, not while the database waits for it
            log.debug("Batch %d of %s is ready, digest %s", batch.number, sync.table.table, batch.digest)
        yield staged, ready


def _staged(sync: TableSync, page: Page) -> StagedPage:
    """The page without what the hub knows: records of the same version and content as it last took.

    A page of several batches keeps them: a later try must cut it in the same places.
    """
    cursor = sync.table.cursor
    if cursor is None:
        return StagedPage(page)
    moments = compile_moments(cursor.format, cursor.timezone)
    versions = _versions(_column(page.records, cursor.field), moments)
    keys = _key_texts(_column(page.records, sync.table.key))
    mark = _newest(versions, keys if sync.is_keyset else None)
    now = sync.clock.now()
    page = replace(page, server_time=min(page.server_time or now, now + _SKEW))
    highest = _clipped(mark, page) if mark else None
    if sync.run.mode != Mode.INCREMENTAL or len(page.records) > sync.batch_records:
        return StagedPage(page, highest=highest)
    with sync.hub.read() as connection:
        known = known_states(connection, sync.run.system.system, sync.table.table, [key for key in keys if key])
    new = [
        record
        for record, key, at in zip(page.records, keys, versions, strict=True)
        if at is None or key not in known or known[key] != (at, fingerprint(record))
    ]
    return StagedPage(replace(page, records=new), len(page.records) - len(new), highest)


def _clipped(watermark: Watermark, page: Page) -> Watermark:
    """Never past the server's time, nor ours: a source clock in the future must not hide what comes after."""
    return watermark if watermark.at <= _at(page).at else _at(page)


def _at(page: Page) -> Watermark:
    return Watermark(page.server_time.astimezone(UTC).isoformat(timespec="microseconds") if page.server_time else "")


def _column(records: Sequence[SourceRecord], field: str) -> list[Any]:
    """The field of each record, None where there is none; dots lead into nested records, an exact name comes first."""
    path = parse_path(field)
    if len(path) == 1:
        return [record.get(field) for record in records]
    found = [record[field] if field in record else value_at(record, path) for record in records]
    return [None if value is MISSING else value for value in found]


def _versions(values: list[Any], moments: Moments) -> list[str | None]:
    try:
        return moments.read_versions(values)
    except ValueError:
        return [_version(value, moments) for value in values]


def _version(value: Any, moments: Moments) -> str | None:
    try:
        return None if value is None else moments.read_version(value)
    except ValueError:
        return None


def _key_texts(keys: list[Any]) -> list[str]:
    if set(map(type, keys)) <= {str}:
        return keys
    return [key if isinstance(key, str) else "" if key is None else str(key) for key in keys]


def _newest(versions: Sequence[str | None], keys: Sequence[str] | None) -> Watermark | None:
    """The last change time, and the key of the last record at it where the read is by key."""
    if keys is None:
        newest = max(filter(None, versions), default=None)
        return Watermark(newest) if newest else None
    last = max(((at, key) for at, key in zip(versions, keys, strict=True) if at), default=None)
    return Watermark(*last) if last else None


def _batches(
    sync: TableSync, staged: StagedPage, mapping: CompiledMapping, lookups: HubLookups, reach: Reach
) -> Iterator[Batch]:
    """A page as batches. The last one moves the watermark, where the page's order or the read's end allows it."""
    page = staged.page
    size = sync.batch_records
    parts = [page.records[start : start + size] for start in range(0, len(page.records), size)] or [[]]
    if not page.records and not page.rejects and not page.files and not page.is_last:
        return
    for index, records in enumerate(parts):
        number = index * PART + page.number
        with bound_contextvars(batch=number):
            mapped = mapping.apply(records, lookups)
            mapped = replace(mapped, fingerprints=fingerprints([records[at] for at in mapped.indexes]))
        rejects = [*mapped.rejects]
        if index == 0 and page.rejects:
            rejects += page.rejects
            mapped = replace(mapped, read=mapped.read + len(page.rejects))
        errors = error_entries(rejects, sync.redactor)
        is_end = index == len(parts) - 1
        moves = is_end and not sync.run.until and (sync.is_keyset or page.is_last)
        resume = _resume(page, reach) if is_end else None
        watermark = reach.watermark(is_keyset=sync.is_keyset) if moves else None
        yield Batch(number, mapped, errors, watermark, resume, page.files if is_end else ())


def _resume(page: Page, reach: Reach) -> Mapping[str, Any]:
    marks = {name: [mark.at, mark.id] if mark else None for name, mark in vars(reach).items()}
    return {"page": page.number, "token": page.resume, "is_read": page.is_last, **marks}


def _progress(sync: TableSync) -> tuple[Counts, int, Mapping[str, Any] | None, Reach, bool]:
    """What an earlier try of this run committed: counts, its last page, where to go on, the newest change time,
    and whether the read is over."""
    key = sync.key
    with sync.hub.read() as connection:
        counts = batches.total(connection, key)
        resume = checkpoints.read_resume(connection, key.system, key.direction, key.table, key.run_id)
    if resume is None:
        return counts, 0, None, Reach(), False
    reach = Reach(*(Watermark(*resume[name]) if resume[name] else None for name in ("highest", "begun")))
    return counts, resume["page"], resume["token"], reach, resume["is_read"]


def _has_open(sync: TableSync) -> bool:
    with sync.hub.read() as connection:
        return error_log.has_open(connection, sync.key)


def _commit(sync: TableSync, batch: Batch, *, heals: bool, of: Page | None = None) -> Counts:
    with bound_contextvars(batch=batch.number):
        return _try(sync, batch) if sync.is_preview else _load(sync, batch, heals, of)


def _load(sync: TableSync, batch: Batch, heals: bool, of: Page | None) -> Counts:
    """Load the batch; in the same transaction count the page that it ends, if it is told."""
    author = sync.author()
    calls = of.calls if of else -1

    def work(connection: Connection) -> Counts:
        if sync.compares:
            seen_keys.note_batch(connection, sync.key, batch)
        return batches.load(connection, sync.key, batch, author, sync.token, calls, heals=heals)

    counts = sync.hub.write(work)
    log.info("Batch %d of %s: %s", batch.number, sync.table.table, counts)
    return counts


def _try(sync: TableSync, batch: Batch) -> Counts:
    """What the batch would do; the transaction is rolled back and the Sync Log told in words."""
    counts = batches.rehearse(sync.hub, batch, sync.author())
    text = f"Preview: {counts.created} would be created, {counts.updated} updated, {counts.failed} rejected."
    sync.hub.write(lambda connection: sync_log.note(connection, sync.key, text))
    for error in batch.errors[:10]:
        log.warning(
            "Preview: %s %s would be rejected: %s %s", sync.table.table, error.external_id, error.code, error.message
        )
    return counts


def _note_known(sync: TableSync, known: int) -> None:
    author = sync.author()
    sync.hub.write(
        lambda connection: batches.note_known(connection, sync.key, batches.KNOWN, known, author, sync.token)
    )


def _note_page_known(sync: TableSync, staged: StagedPage) -> None:
    """As a stream: the known records of one page, under the negative of its number."""
    if staged.known:
        author = sync.author()
        sync.hub.write(
            lambda connection: batches.note_known(
                connection, sync.key, -staged.page.number, staged.known, author, sync.token
            )
        )


def _is_over_budget(sync: TableSync, counts: Counts, *, is_end: bool) -> bool:
    """A small sample says something at the end of a whole read only: of what is new, one of one may be faulty."""
    budget = sync.run.system.limits.error_budget
    says_something = is_end or counts.processed >= _BUDGET_SAMPLE or budget == 0
    return says_something and counts.failed > budget * counts.processed


def _over_budget(sync: TableSync, counts: Counts, refused: Iterable[Batch]) -> ErrorBudgetError:
    """The error to raise, with all that was rejected in the Error Log, and noted which files were set aside."""
    now, first = sync.clock.now(), ""
    for batch in refused:
        sync.hub.write(partial(_log_once, sync=sync, batch=batch, now=now))
        first = first or (batch.errors[0].message if batch.errors else "")
    budget = sync.run.system.limits.error_budget
    return ErrorBudgetError(
        f"{counts.failed} of {counts.processed} records of {sync.table.table} were rejected, over the error budget of "
        f"{budget:.0%}; the first: {first}",
        remedy="Look at kwiksync errors list. Correct the mapping or the source, or raise limits.error_budget. The "
        "checkpoint stays where it was.",
    )


def _log_once(connection: Connection, sync: TableSync, batch: Batch, now: datetime) -> None:
    lease.renew(connection, sync.token)
    error_log.append(connection, sync.key, error_log.not_logged(connection, sync.key, batch.errors), now=now)
    set_aside = [file for file in batch.files if file.is_rejected]
    file_marks.note(connection, sync.key, set_aside, now=now)
