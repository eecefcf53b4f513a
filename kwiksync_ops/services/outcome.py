"""How the sync of a table ended: told in the Sync Log and, when it failed for good, in the Error Log too."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from kwiksync_ops import retry
from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import HubError, KwikSyncError
from kwiksync_ops.redaction import Redactor
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import error_log, lease, sync_log
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import LEASE_S, RETRY_DELAYS_S, Direction, Severity, SyncStatus

log = logging.getLogger(__name__)

STOPPED = "The sync ended without a word: it was stopped, or its process was killed."


def record_failure(sync: TableSync, error: Exception, attempt: int, delays_s: Sequence[int] = RETRY_DELAYS_S) -> None:
    """Tell a failed attempt. The lease is held until the next one; the last one is logged as failed, once.

    A hub that is away is no second failure: the first one is what the caller has to raise.
    """
    wait_s = retry.delay_s(error, attempt, delays_s)
    attempts = f"{attempt} of {len(delays_s) + 1}"
    try:
        sync.hub.write(lambda connection: _record(connection, sync, error, (attempt, attempts), wait_s))
    except HubError:
        log.exception("The failure of %s could not be written to the hub", sync.table.table)


def end_run(hub: Hub, run_id: str, clock: Clock) -> None:
    """Close the run and give its lease back; where the hub is away the lease runs out by itself."""
    try:
        close_run(hub, run_id, clock)
    except HubError:
        log.exception("The run %s could not be closed", run_id)
    try:
        hub.write(lambda connection: lease.release(connection, run_id))
    except HubError:
        log.exception("The lease of the run %s could not be released", run_id)


def close_run(hub: Hub, run_id: str, clock: Clock) -> Sequence[Mapping[str, Any]]:
    """The run's Sync Log rows; what still says that it runs is closed as cancelled. Twice is safe."""

    def work(connection: Connection) -> Sequence[Mapping[str, Any]]:
        for row in sync_log.read_run(connection, run_id):
            if row["status"] == SyncStatus.RUNNING:
                key = TableRun(run_id, row["system"], Direction(row["direction"]), row["table_name"])
                text = " ".join(filter(None, (STOPPED, row["message"])))
                sync_log.end(connection, key, SyncStatus.CANCELLED, now=clock.now(), message=text)
        return [dict(row) for row in sync_log.read_run(connection, run_id)]

    return hub.write(work)


def _record(
    connection: Connection, sync: TableSync, error: Exception, attempt: tuple[int, str], wait_s: int | None
) -> None:
    if _is_stale(connection, sync):
        log.warning("A newer try of this run has taken over %s: its outcome counts", sync.table.table)
        return
    number, attempts = attempt
    text = sync.redactor.text(_text(error))
    sync_log.start(connection, sync.key, **sync.log_facts())
    if wait_s is not None:
        again = f"Attempt {attempts} failed; again in {retry.span(wait_s)}. {text}"
        sync_log.note(connection, sync.key, again)
        lease.extend(connection, sync.run.run_id, wait_s + LEASE_S)
        return
    now, code = sync.clock.now(), _code(error)
    sync_log.end(connection, sync.key, SyncStatus.FAILED, now=now, error_code=code, message=text)
    entries = error_log.not_logged(connection, sync.key, [_entry(error, sync.redactor)])
    error_log.append(connection, sync.key, entries, now=now, attempt=number)


def _is_stale(connection: Connection, sync: TableSync) -> bool:
    """Another try of the same run took the lease after this one, or ended the table and gave it back."""
    held = lease.state(connection)
    if sync.token == 0 or held is None or held.token == sync.token:
        return False
    row = sync_log.read_table(connection, sync.key)
    return held.run_id == sync.run.run_id or bool(row and row["ended"])


def _entry(error: Exception, redactor: Redactor) -> ErrorEntry:
    stack = "".join(traceback.format_exception(error))
    return ErrorEntry(
        code=_code(error),
        message=redactor.text(error.message if isinstance(error, KwikSyncError) else _text(error)),
        remedy=error.remedy if isinstance(error, KwikSyncError) else "This is a defect of KWikSync: report it.",
        severity=Severity.CRITICAL,
        stack_trace=redactor.text(stack),
    )


def _code(error: Exception) -> str:
    return error.code if isinstance(error, KwikSyncError) else KwikSyncError.code


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, KwikSyncError) else f"{KwikSyncError.code}: {type(error).__name__}: {error}"
