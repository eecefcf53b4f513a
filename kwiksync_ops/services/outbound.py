"""Outbound: detect what changed in the hub, extract and transform it, push it, confirm that it arrived.

Airflow runs the steps as tasks; `push_table` runs them page by page. A delivery is in the outbox before its call, so
each step goes on where it was ended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from structlog.contextvars import bound_contextvars

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.target import Target
from kwiksync_ops.services import deliveries
from kwiksync_ops.services.outgoing import Formatter, Outgoing
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import changes, checkpoints, error_log, lease, outbox, sync_log
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.changes import Change
from kwiksync_ops.storage.checkpoints import Checkpoint, Watermark
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.stage import RAW, Stage, StagedPage
from kwiksync_ops.vocabulary import BASE_COLUMNS, RECORD_TABLES, Action, ColumnType, DeliveryState, Mode, SyncStatus

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Detected:
    """`changed` records are to be looked at; `waiting` deliveries of earlier runs are to be ended."""

    changed: int
    waiting: int


def push_table(sync: TableSync, target: Target) -> Counts:
    """The five steps, page by page: each page is confirmed before the next one is detected.

    Called again for the same run, or by a later one, it goes on with the deliveries that were not ended.
    """
    sync.start()
    formatter = Formatter.of(sync, target)
    if sync.is_preview:
        return _preview(sync, formatter)
    _send(sync, target, formatter)
    for number, page in enumerate(_pages(sync, _watermark(sync)), start=1):
        with bound_contextvars(batch=number):
            _enqueue(sync, formatter.format(formatter.gather(page)))
            _send(sync, target, formatter)
            _advance(sync, page[-1].mark)
    return finish(sync)


def detect(sync: TableSync) -> Detected:
    """What changed since the confirmed watermark, and what earlier runs left open."""
    sync.start()
    changed = 0
    for page in _pages(sync, _watermark(sync)):
        sync.renew()
        changed += sum(not change.is_agreed for change in page)
    with sync.hub.read() as connection:
        waiting = outbox.count(connection, sync.key.system, sync.key.table, deliveries.UNENDED)
    if not changed and not waiting:
        finish(sync)
    return Detected(changed, waiting)


def extract(sync: TableSync, stage: Stage) -> int:
    """Stage the changed records with their values. Goes on after the last page that was staged; how many there are."""
    columns = ("sys_mod_count", "sys_updated_on", "sys_deleted_on", *sync.outbound_mapping().columns)
    numbers = stage.numbers(RAW)
    after = Watermark(**stage.read_page(numbers[-1]).page.resume) if numbers else _watermark(sync)
    for number, page in enumerate(_pages(sync, after), start=len(numbers) + 1):
        sync.renew()
        changed = [change.sys_id for change in page if not change.is_agreed]
        with sync.hub.read() as connection:
            rows = changes.read_records(connection, sync.key.table, changed, columns)
        records = [{name: _plain(value) for name, value in row.items()} for row in rows.values()]
        stage.write_page(StagedPage(Page(number, records, False, vars(page[-1].mark))))
    return sum(len(stage.read_page(number).page.records) for number in stage.numbers(RAW))


def transform(sync: TableSync, stage: Stage, target: Target) -> Counts:
    """Format the staged records into the outbox, a page a transaction. A page that is there already is left alone."""
    formatter, counts = Formatter.of(sync, target), Counts()
    for number in stage.numbers(RAW):
        with bound_contextvars(batch=number):
            values = _values(sync.key.table, stage.read_page(number).page)
            outgoing = formatter.format(formatter.gather(_as_extracted(sync, values), values))
            if sync.is_preview:
                _note_preview(sync, outgoing)
                break
            _enqueue(sync, outgoing)
        counts += _counts(outgoing)
    return counts


def push(sync: TableSync, target: Target) -> int:
    """Send what is in the outbox; how many deliveries wait for their confirmation then."""
    if not sync.is_preview:
        deliveries.deliver(sync, target, Formatter.of(sync, target))
    with sync.hub.read() as connection:
        return outbox.count(connection, sync.key.system, sync.key.table, [DeliveryState.SENT])


def confirm(sync: TableSync, stage: Stage, target: Target) -> Counts:
    """Confirm what was sent; only then the watermark moves, and the Sync Log row is closed."""
    if not sync.is_preview:
        deliveries.confirm(sync, target)
        numbers = stage.numbers(RAW)
        if numbers:
            _advance(sync, Watermark(**stage.read_page(numbers[-1]).page.resume))
    return finish(sync)


def finish(sync: TableSync) -> Counts:
    """Close the table's Sync Log row as what it counted."""

    def close(connection: Connection) -> Counts:
        lease.renew(connection, sync.token)
        row = sync_log.read_table(connection, sync.key)
        counts = Counts(**{name: row[name] for name in Counts.__dataclass_fields__}) if row else Counts()
        status = SyncStatus.PARTIAL if counts.failed else SyncStatus.SUCCESS
        sync_log.end(connection, sync.key, status, now=sync.clock.now())
        return counts

    counts = sync.hub.write(close)
    log.info("%s to %s: %s", sync.key.table, sync.key.system, counts)
    return counts


def _send(sync: TableSync, target: Target, formatter: Formatter) -> None:
    deliveries.deliver(sync, target, formatter)
    deliveries.confirm(sync, target)


def _pages(sync: TableSync, after: Watermark | None) -> Iterator[list[Change]]:
    """Changed records, so many at once as a batch holds, up to now."""
    key, until, size = sync.key, sync.clock.now(), sync.batch_records
    while True:
        with sync.hub.read() as connection:
            page = changes.read_changes(connection, key.system, key.table, after=after, until=until, limit=size)
        if not page:
            return
        yield page
        after = page[-1].mark


def _watermark(sync: TableSync) -> Watermark | None:
    """The confirmed watermark, less the overlap: a transaction may commit a change after a later one."""
    if sync.run.mode == Mode.FULL:
        return None
    key = sync.key
    with sync.hub.read() as connection:
        mark = checkpoints.read_watermark(connection, key.system, key.direction, key.table)
    if mark is None:
        return None
    before = datetime.fromisoformat(mark.at) - timedelta(seconds=sync.run.system.limits.overlap_s)
    return Watermark(before.isoformat(timespec="microseconds"))


def _enqueue(sync: TableSync, outgoing: Outgoing) -> None:
    """One transaction: deliveries into the outbox, rejects into the Error Log, what needs no sending, counters."""

    def work(connection: Connection) -> None:
        lease.renew(connection, sync.token)
        key, now = sync.key, sync.clock.now()
        counts = _counts(outgoing)
        if not outbox.note_page(connection, key, outgoing.deliveries, counts, token=sync.token, now=now):
            return
        deliveries.replace(connection, key, [new.record_sys_id for new in outgoing.deliveries], now=now)
        outbox.queue(connection, key.run_id, key.system, key.table, outgoing.deliveries, now=now)
        outbox.agree(connection, key.system, key.table, outgoing.agreed)
        error_log.append(connection, key, error_log.not_logged(connection, key, outgoing.errors), now=now)
        sync_log.count(connection, key, {"pages": 1, **vars(counts)})

    sync.hub.write(work)
    log.info("Batch of %s: %s", sync.key.table, _counts(outgoing))


def _counts(outgoing: Outgoing) -> Counts:
    unchanged = len(outgoing.agreed) + outgoing.unsent
    return Counts(len(outgoing.deliveries) + unchanged, unchanged=unchanged, failed=outgoing.rejected)


def _advance(sync: TableSync, mark: Watermark) -> None:
    """The table is delivered up to here."""

    def work(connection: Connection) -> None:
        lease.renew(connection, sync.token)
        key = sync.key
        checkpoint = Checkpoint(mark, None, key.run_id)
        reached = checkpoints.advance(
            connection, key.system, key.direction, key.table, checkpoint, now=sync.clock.now()
        )
        sync_log.count(connection, key, {}, watermark=str(reached))

    sync.hub.write(work)


def _preview(sync: TableSync, formatter: Formatter) -> Counts:
    """What the first changed records would send; nothing is written but the Sync Log's words."""
    page = next(_pages(sync, _watermark(sync)), [])
    outgoing = formatter.format(formatter.gather(page))
    _note_preview(sync, outgoing)
    finish(sync)
    return _counts(outgoing)


def _note_preview(sync: TableSync, outgoing: Outgoing) -> None:
    words = ", ".join(f"{outgoing.count(action)} {action}d" for action in Action)
    text = f"Preview: {words} would be sent, {outgoing.rejected} rejected."
    sync.hub.write(lambda connection: sync_log.note(connection, sync.key, text))


def _as_extracted(sync: TableSync, values: Mapping[str, Mapping[str, Any]]) -> list[Change]:
    """What the system knows of the records now, beside the modification that was extracted."""
    with sync.hub.read() as connection:
        page = changes.changes_of(connection, sync.key.system, sync.key.table, values)
    return [
        replace(
            change,
            mod_count=values[change.sys_id]["sys_mod_count"],
            changed_at=values[change.sys_id]["sys_updated_on"],
            is_deleted=values[change.sys_id]["sys_deleted_on"] is not None,
        )
        for change in page
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, (date, datetime)) else value


def _values(table: str, page: Page) -> dict[str, Mapping[str, Any]]:
    """Staged records by sys_id, with their times as times again."""
    moments = {
        column.name: datetime.fromisoformat if column.type == ColumnType.DATETIME else date.fromisoformat
        for column in (*BASE_COLUMNS, *RECORD_TABLES[table].columns)
        if column.type in (ColumnType.DATETIME, ColumnType.DATE)
    }
    return {
        record["sys_id"]: {
            name: moments[name](value) if value is not None and name in moments else value
            for name, value in record.items()
        }
        for record in page.records
    }
