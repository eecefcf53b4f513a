"""Deletions at a system, brought into the hub: from the list that the system keeps of them, or by what a complete
read did not see. Each batch of them is one transaction; a retry goes on after the last one.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.http.json_path import MISSING, parse_path, value_at
from kwiksync_ops.connectors.source import Source
from kwiksync_ops.errors import ConflictError, DeleteGuardError, SystemUnavailableError
from kwiksync_ops.mapping.moments import compile_moments
from kwiksync_ops.services import inbound
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import batches, checkpoints, error_log, lease, seen_keys, sync_log, tombstones
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.checkpoints import Checkpoint, Watermark
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.seen_keys import Missing
from kwiksync_ops.storage.two_way import Pending, pending
from kwiksync_ops.system_spec.spec import TableSpec
from kwiksync_ops.vocabulary import ConflictPolicy, Resolution, Severity

log = logging.getLogger(__name__)

SMALL_TABLE = 10
"""In a table of so few records the guard lets one deletion through: one of five is no sign of a faulty read."""


def is_wanted(sync: TableSync) -> bool:
    """Whether this run has to look for deletions at all."""
    if sync.run.until is not None or sync.run.since is not None:
        return False
    return sync.table.deletes.mode == "feed" or sync.compares


def bring_in(sync: TableSync, source: Source) -> Counts:
    """Delete in the hub what was deleted at the system, after the table was loaded. Twice is safe.

    Raises:
        DeleteGuardError: more is gone than the guard allows; nothing was deleted.
    """
    if not is_wanted(sync):
        return _total(sync)
    is_feed = sync.table.deletes.mode == "feed"
    if sync.is_preview:
        _preview(sync, source)
        return _total(sync)
    sync.start()
    begun = _read_feed(sync, source) if is_feed else None
    doubt = None if is_feed else _doubt(sync)
    if doubt:
        sync.hub.write(partial(_note_doubt, sync=sync, doubt=doubt))
    else:
        _check_guard(sync, is_feed=is_feed)
        _delete(sync, is_feed=is_feed)
    sync.hub.write(partial(_close, sync=sync, begun=begun))
    return inbound.finish(sync)


def _total(sync: TableSync) -> Counts:
    with sync.hub.read() as connection:
        return batches.total(connection, sync.key)


@dataclass(frozen=True)
class _Begun:
    """When the read of a feed began, on the system's clock: its checkpoint never gets past that."""

    at: str | None


def _feed(sync: TableSync) -> TableSync:
    """The deletion feed as a table of its own: its own source, cursor and checkpoint."""
    deletes = sync.table.deletes
    feed = TableSpec(
        table=seen_keys.feed_of(sync.table.table),
        source=deletes.source,
        key=deletes.key,
        cursor=deletes.cursor,
        options=deletes.options or sync.table.options,
    )
    return replace(sync, table=feed)


def _read_feed(sync: TableSync, source: Source) -> _Begun:
    """Note what the feed lists; goes on after the last page that was noted."""
    feed = _feed(sync)
    key = feed.key
    with sync.hub.read() as connection:
        resume = checkpoints.read_resume(connection, key.system, key.direction, key.table, key.run_id) or {}
    begun = resume.get("begun")
    if resume.get("is_read"):
        return _Begun(begun)
    is_last = False
    with closing(inbound.read_again(source, replace(feed.request(), resume=resume.get("token")))) as pages:
        for page in pages:
            begun = begun or _moment_text(page.server_time or sync.clock.now())
            sync.hub.write(partial(_note_deletions, sync=sync, feed=feed, page=page, begun=begun))
            is_last = page.is_last
    if not is_last:
        raise SystemUnavailableError(
            f"The list of deletions at {feed.table.source} of {key.system} ended before its last page.",
            remedy="Nothing was deleted; the next attempt goes on after the last page.",
        )
    return _Begun(begun)


def _note_deletions(connection: Connection, sync: TableSync, feed: TableSync, page: Page, begun: str) -> None:
    lease.renew(connection, sync.token)
    seen_keys.note_deletions(connection, sync.key, _deletions(feed.table, page))
    resume = {"token": page.resume, "is_read": page.is_last, "begun": begun}
    mark, key = Checkpoint(None, resume, sync.run.run_id), feed.key
    checkpoints.advance(connection, key.system, key.direction, key.table, mark, now=sync.clock.now())
    sync_log.count(connection, sync.key, {"pages": 1, "api_calls": page.calls})


def _deletions(feed: TableSpec, page: Page) -> list[tuple[str, str | None]]:
    """Key and time of each deletion of a page; one without a key says nothing."""
    keys = [_field(record, feed.key) for record in page.records]
    cursor = feed.cursor
    if cursor is None:
        return [(str(key), None) for key in keys if key not in (None, "")]
    read = compile_moments(cursor.format, cursor.timezone).read_version
    times = [_time(_field(record, cursor.field), read) for record in page.records]
    return [(str(key), at) for key, at in zip(keys, times, strict=True) if key not in (None, "")]


def _field(record: dict[str, Any], name: str) -> Any:
    value = record[name] if name in record else value_at(record, parse_path(name))
    return None if value is MISSING else value


def _time(value: Any, read: Callable[[Any], str]) -> str | None:
    try:
        return None if value is None else read(value)
    except ValueError:
        return None


def _doubt(sync: TableSync) -> str | None:
    """Why the read is not good enough to say of a record that it is gone; None where it is."""
    key = sync.key
    with sync.hub.read() as connection:
        resume = checkpoints.read_resume(connection, key.system, key.direction, key.table, key.run_id)
        if not (resume and resume["is_read"]):
            return "the read did not reach its last page in this run"
        if not seen_keys.saw_all_batches(connection, key):
            return "not every batch of this run noted its keys"
        if unnamed := seen_keys.count_unnamed_rejects(connection, key):
            return f"{unnamed} rejected records have no key that could be compared"
    return None


def _note_doubt(connection: Connection, sync: TableSync, doubt: str) -> None:
    lease.renew(connection, sync.token)
    sync_log.note(connection, sync.key, f"Deletions were not looked for: {doubt}. Sync the table again in full mode.")


def _check_guard(sync: TableSync, *, is_feed: bool) -> None:
    """Raises DeleteGuardError where too much is gone."""
    with sync.hub.read() as connection:
        missing = seen_keys.count_missing(connection, sync.key, feed=is_feed)
        linked = seen_keys.count_linked(connection, sync.key)
    guard = sync.table.deletes.guard
    if sync.run.allow_deletes or missing <= guard * linked or (missing == 1 < linked <= SMALL_TABLE and guard > 0):
        return
    raise DeleteGuardError(
        f"{missing} of {linked} records of {sync.table.table} are gone at {sync.run.system.system}, over the guard of "
        f"{guard:.0%}; none was deleted in the hub.",
        remedy="See that the system still shows them all. If they are gone indeed, sync again with --allow-deletes "
        "(in Airflow: trigger with allow_deletes), or raise deletes.guard.",
        missing=missing,
        linked=linked,
    )


def _delete(sync: TableSync, *, is_feed: bool) -> None:
    after = ""
    while True:
        with sync.hub.read() as connection:
            page = seen_keys.read_missing(connection, sync.key, feed=is_feed, after=after, limit=sync.batch_records)
        if not page:
            return
        deleted = sync.hub.write(partial(_delete_batch, sync=sync, page=page))
        log.info("%d records of %s were deleted at %s", deleted, sync.table.table, sync.run.system.system)
        after = page[-1].external_id


def _delete_batch(connection: Connection, sync: TableSync, page: Sequence[Missing]) -> int:
    lease.renew(connection, sync.token)
    author = sync.author()
    edited = _edits(connection, sync, page)
    settled = {gone.sys_id: _winner(sync, gone, edited[gone.sys_id]) for gone in page if gone.sys_id in edited}
    _log_conflicts(connection, sync, page, edited, settled)
    kept = [sys_id for sys_id, winner in settled.items() if winner == "hub"]
    tombstones.unlink(connection, sync.table.table, kept, system=author.system)
    buried = tombstones.bury(
        connection,
        sync.table.table,
        [gone.sys_id for gone in page if settled.get(gone.sys_id, "system") == "system"],
        system=author.system,
        run_id=author.run_id,
        who=author.who,
        now=author.now,
    )
    if buried:
        batches.note_deleted(connection, sync.key, seen_keys.DELETE_BATCH, buried, author, sync.token)
    return buried


def _edits(connection: Connection, sync: TableSync, page: Sequence[Missing]) -> dict[str, Pending]:
    """What the system has not got yet of the records that it deleted; only where it is written to."""
    if sync.run.system.direction != "both" or not sync.table.outbound_mapping:
        return {}
    ahead = {gone.sys_id: gone.agreed for gone in page if gone.agreed is not None and gone.agreed < gone.mod_count}
    return pending(connection, sync.run.system.system, sync.table.table, ahead)


def _winner(sync: TableSync, gone: Missing, edits: Pending) -> str:
    """`system`: it is deleted; `hub`: it is created there again; `nobody`: a person decides."""
    match sync.table.conflict.policy:
        case ConflictPolicy.SYSTEM_WINS:
            return "system"
        case ConflictPolicy.HUB_WINS:
            return "hub"
        case ConflictPolicy.MANUAL:
            return "nobody"
        case _:
            return (
                "system"
                if gone.at is not None and gone.at > max(_moment_text(edit.at) for edit in edits.fields.values())
                else "hub"
            )


_SETTLED = {
    "system": "The deletion stands (conflict policy {policy}).",
    "hub": "The record stays, and is created at {system} again (conflict policy {policy}).",
    "nobody": "A person decides (conflict policy {policy}); the record stays as it is until then.",
}


def _log_conflicts(
    connection: Connection,
    sync: TableSync,
    page: Sequence[Missing],
    edited: dict[str, Pending],
    settled: dict[str, str],
) -> None:
    entries = [
        _conflict(sync, gone, edited[gone.sys_id], settled[gone.sys_id]) for gone in page if gone.sys_id in settled
    ]
    key = sync.key
    if not entries:
        return
    open_keys = {
        row["external_id"]
        for entry in entries
        for row in error_log.search(
            connection,
            system=key.system,
            table=key.table,
            code=ConflictError.code,
            resolution="open",
            external_id=entry.external_id,
        )
    }
    fresh = [entry for entry in entries if entry.external_id not in open_keys]
    error_log.append(connection, key, error_log.not_logged(connection, key, fresh), now=sync.clock.now())


def _conflict(sync: TableSync, gone: Missing, edits: Pending, winner: str) -> ErrorEntry:
    system, policy = sync.run.system.system, sync.table.conflict.policy
    names = ", ".join(sorted(edits.fields))
    last = max(edits.fields.values(), key=lambda edit: edit.at)
    document = {
        "sys_id": gone.sys_id,
        "field": "sys_deleted_on",
        "base": None,
        "hub": {name: [edit.base, edit.value] for name, edit in edits.fields.items()},
        "hub_changed_on": last.at.isoformat(),
        "hub_changed_by": last.who,
        "system": "deleted",
        "system_changed_on": gone.at,
        "policy": policy,
        "winner": None if winner == "nobody" else winner,
    }
    return ErrorEntry(
        code=ConflictError.code,
        message=f"{gone.external_id} was deleted at {system}, while its {names} was changed "
        f"in the hub. {_SETTLED[winner].format(policy=policy, system=system)}",
        severity=Severity.ERROR if winner == "nobody" else Severity.WARNING,
        remedy="Look at kwiksync conflicts show, and decide." if winner == "nobody" else "Nothing is to be done.",
        field="sys_deleted_on",
        external_id=gone.external_id,
        payload=json.dumps(document),
        resolution=Resolution.OPEN if winner == "nobody" else Resolution.RESOLVED,
    )


def _close(connection: Connection, sync: TableSync, begun: _Begun | None) -> None:
    """Forget the keys; a feed's checkpoint moves now that all it listed is in."""
    lease.renew(connection, sync.token)
    newest = seen_keys.read_newest(connection, sync.key)
    if begun is not None and newest:
        key = _feed(sync).key
        mark = Watermark(min(newest, begun.at or newest))
        done = Checkpoint(mark, None, sync.run.run_id)
        checkpoints.advance(connection, key.system, key.direction, key.table, done, now=sync.clock.now())
    seen_keys.clear(connection, sync.key)


def _preview(sync: TableSync, source: Source) -> None:
    """Say how many records of the hub the first page of the feed would delete; nothing is kept."""
    feed = _feed(sync)
    with closing(source.read(feed.request())) as pages:  # type: ignore[type-var]  # every source is a generator
        page = next(iter(pages), None)

    def work(connection: Connection) -> int:
        seen_keys.note_deletions(connection, sync.key, _deletions(feed.table, page) if page else [])
        missing = seen_keys.count_missing(connection, sync.key, feed=True)
        connection.rollback()
        return missing

    missing = sync.hub.write(work)
    with sync.hub.read() as connection:
        row = sync_log.read_table(connection, sync.key)
    text = " ".join(filter(None, (row["message"] if row else None, f"{missing} would be deleted.")))
    sync.hub.write(lambda connection: sync_log.note(connection, sync.key, text))


def _moment_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
