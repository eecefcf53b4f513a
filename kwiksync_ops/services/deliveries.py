"""Deliveries of the outbox: sent, answered, confirmed; and cleared up where an earlier process left them open.

A delivery is `sending` before its call. Found so after a crash, or after a call without an answer, it may have
arrived: what then may be done is what the system promises about a call that is sent twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial

import msgspec

from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt, Repeat, Target
from kwiksync_ops.errors import (
    FatalError,
    MappingError,
    RateLimitError,
    SystemUnavailableError,
)
from kwiksync_ops.services.incoming import take_theirs
from kwiksync_ops.services.outgoing import Formatter, Outgoing, push_request
from kwiksync_ops.services.receipts import Told, conflicting, is_conflict, told_after_asking, told_of, unconfirmed
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import audit, changes, error_log, lease, outbox, sync_log, tombstones
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.outbox import OutboxRow, Result
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import RECORD_TABLES, Action, DeliveryState

log = logging.getLogger(__name__)

STALLS = 3
"""So many calls in a row may bring nothing before the operation is left to its next attempt."""

TRIES = 4
"""So often a delivery that nothing is known of is sent or looked for, before a person has to decide."""

MAX_WAIT_S = 120.0
_CONFIRM_RECORDS = 1000
_POLL_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)

UNENDED = (*outbox.OPEN, DeliveryState.AGAIN)
"""Deliveries that the next run has to do with."""


def deliver(sync: TableSync, target: Target, formatter: Formatter) -> None:
    """Send what is queued, call by call, and clear up what was left open.

    Raises:
        RetriableError: the system is away, or does not say what became of deliveries; they wait in the outbox.
        FatalError: the system refuses us; nothing of the last call was applied.
    """
    sending = _Sending(sync, target, formatter)
    sending.clear_up()
    sending.again(sending.rows(DeliveryState.AGAIN))
    while rows := sending.next_call():
        sending.call(rows)
    sending.clear_up()
    while rows := sending.next_call():
        sending.call(rows)
    if left := sending.rows(DeliveryState.SENDING):
        raise SystemUnavailableError(
            f"{sync.key.system} did not say what became of {len(left)} deliveries of {sync.key.table}.",
            remedy="They wait in the outbox; the next attempt asks again, and repeats nothing blindly.",
        )


def confirm(sync: TableSync, target: Target) -> None:
    """Ask what became of deliveries that the system took and did not end, until it says so of all.

    Raises:
        RetriableError: it goes on working at some of them; the next attempt asks again.
    """
    request = push_request(sync)
    waits = iter(_POLL_S)
    while rows := _rows(sync, DeliveryState.SENT, limit=_CONFIRM_RECORDS):
        before = target.calls
        receipts = target.confirm(request, [_delivery(row) for row in rows])
        by_id = {receipt.delivery_id: receipt for receipt in receipts}
        told = [(row, by_id[row.sys_id]) for row in rows if by_id[row.sys_id].outcome != Outcome.ACCEPTED]
        _record(sync, [told_after_asking(row, receipt, sync) for row, receipt in told], target.calls - before)
        if not told:
            wait_s = next(waits, None)
            if wait_s is None:
                raise SystemUnavailableError(
                    f"{sync.key.system} is not done with {len(rows)} deliveries of {sync.key.table} yet.",
                    remedy="The next attempt asks again; the watermark waits for them.",
                )
            sync.clock.sleep(wait_s)


def replace(connection: Connection, key: TableRun, record_sys_ids: Sequence[str], *, now: datetime) -> None:
    """Newer deliveries of these records come: older ones that wait or ended badly end, and so do their open errors."""
    if told := outbox.supersede(connection, key.system, key.table, record_sys_ids):
        error_log.close_healed(connection, key, told, now=now)


class _Sending:
    """The calls of one step: what they brought, and how large the next one may be."""

    def __init__(self, sync: TableSync, target: Target, formatter: Formatter) -> None:
        self._sync = sync
        self._target = target
        self._formatter = formatter
        self._request = push_request(sync)
        self._sizes = {action: target.call_records(self._request, action) for action in Action}
        self._largest: dict[str, int] = {}
        self._conflicts: Counter[str] = Counter()
        self._stalls = 0

    def rows(self, state: DeliveryState) -> list[OutboxRow]:
        return _rows(self._sync, state)

    def next_call(self) -> list[OutboxRow]:
        """Queued rows of one action, as many as one call may hold."""
        for action in (Action.CREATE, Action.UPDATE, Action.DELETE):
            size = self._sizes[action]
            if rows := _rows(self._sync, DeliveryState.QUEUED, action=action, limit=size):
                return rows[: min(self._largest.get(row.sys_id, size) for row in rows)]
        return []

    def call(self, rows: list[OutboxRow]) -> None:
        """Send rows: noted as being sent, sent, noted as what the system said."""
        rows = self._as_linked(rows)
        if not rows:
            return
        self._sync.hub.write(partial(_begin, sync=self._sync, rows=rows))
        before = self._target.calls
        try:
            receipts = self._target.push(self._request, [_delivery(row) for row in rows])
        except FatalError:
            unsent = [Told(Result(row.sys_id, DeliveryState.QUEUED)) for row in rows]
            _record(self._sync, unsent, self._target.calls - before)
            raise
        self._take(rows, receipts, self._target.calls - before)

    def clear_up(self) -> None:
        """End what may have arrived without our knowing, by what the system promises about a second call."""
        rows = self.rows(DeliveryState.SENDING)
        repeat = self._target.repeat(self._request)
        spent = [row for row in rows if row.attempt >= TRIES or repeat == Repeat.NEVER]
        if spent:
            _record(self._sync, [unconfirmed(row, self._sync) for row in spent], 0)
        rows = [row for row in rows if row not in spent]
        for action in dict.fromkeys(row.action for row in rows):
            size = self._sizes[Action(action)]
            mine = [row for row in rows if row.action == action]
            for start in range(0, len(mine), size):
                (self._look if repeat == Repeat.LOOK else self.call)(mine[start : start + size])

    def again(self, rows: Sequence[OutboxRow]) -> None:
        """Send records anew as they stand now, in place of deliveries that met a change at the system."""
        if not rows:
            return
        key = self._sync.key
        ids = list(dict.fromkeys(row.record_sys_id for row in rows))
        with self._sync.hub.read() as connection:
            page = changes.changes_of(connection, key.system, key.table, ids)
        outgoing = self._formatter.format(self._formatter.gather(page, again=True))
        self._sync.hub.write(partial(_queue_again, sync=self._sync, sys_ids=ids, outgoing=outgoing))

    def _as_linked(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """A create of a record that the system has by now is an update; one that may have arrived waits."""
        creates = [row.record_sys_id for row in rows if row.action == Action.CREATE]
        if not creates:
            return rows
        key = self._sync.key
        with self._sync.hub.read() as connection:
            linked = outbox.linked(connection, key.system, key.table, creates)
        known = [row for row in rows if row.record_sys_id in linked]
        if known:
            self.again(known)
        return [row for row in rows if row.record_sys_id not in linked]

    def _look(self, rows: list[OutboxRow]) -> None:
        self._sync.hub.write(partial(_begin, sync=self._sync, rows=rows))
        before = self._target.calls
        receipts = self._target.look(self._request, [_delivery(row) for row in rows])
        self._take(rows, receipts, self._target.calls - before)

    def _take(self, rows: Sequence[OutboxRow], receipts: Sequence[Receipt], calls: int) -> None:
        by_id = {receipt.delivery_id: receipt for receipt in receipts}
        pairs = [(row, by_id.get(row.sys_id, Receipt(row.sys_id, Outcome.UNKNOWN))) for row in rows]
        self._shrink(pairs)
        told = filter(None, (told_of(row, receipt, self._sync) for row, receipt in pairs))
        _record(self._sync, list(told), calls)
        self._meet([(row, receipt) for row, receipt in pairs if is_conflict(row, receipt, self._sync)])
        self._wait_if_stalled([receipt for _, receipt in pairs])

    def _shrink(self, pairs: Sequence[tuple[OutboxRow, Receipt]]) -> None:
        """What was refused or lost as a whole goes out again in smaller calls, so that one record can't hold up all."""
        failed = [row for row, receipt in pairs if receipt.outcome in (Outcome.UNSENT, Outcome.UNKNOWN)]
        if len(failed) == len(pairs) > 1 and not any(receipt.retry_after_s for _, receipt in pairs):
            for row in failed:
                self._largest[row.sys_id] = max(1, len(pairs) // 2)

    def _meet(self, conflicts: Sequence[tuple[OutboxRow, Receipt]]) -> None:
        """The record changed at the system: take its version in, by the conflict policy, and send what is left."""
        if not conflicts:
            return
        fresh = [pair for pair in conflicts if self._conflicts[pair[0].record_sys_id] == 0]
        self._conflicts.update(row.record_sys_id for row, _ in conflicts)
        met = take_theirs(self._sync, self._target, self._request, fresh) if fresh else set()
        self.again([row for row, _ in conflicts if row.sys_id in met])
        left = [row for row, _ in conflicts if row.sys_id not in met]
        if left:
            _record(self._sync, [conflicting(row, self._sync) for row in left], 0)

    def _wait_if_stalled(self, receipts: Sequence[Receipt]) -> None:
        if any(receipt.outcome not in (Outcome.UNSENT, Outcome.UNKNOWN) for receipt in receipts):
            self._stalls = 0
            return
        if len(receipts) > 1 and all(map(_is_refused_whole, receipts)):
            return
        self._stalls += 1
        last = receipts[-1]
        if self._stalls > STALLS:
            error = RateLimitError if last.code == RateLimitError.code else SystemUnavailableError
            raise error(
                last.message or f"{self._sync.key.system} does not take deliveries of {self._sync.key.table}.",
                remedy="The deliveries wait in the outbox; the next attempt goes on with them.",
                retry_after_s=last.retry_after_s,
            )
        wait_s = 2.0**self._stalls if last.retry_after_s is None else last.retry_after_s
        self._sync.clock.sleep(min(wait_s, MAX_WAIT_S))


def _is_refused_whole(receipt: Receipt) -> bool:
    """Nothing is wrong with the system: the call was too much for it, or held a record that spoils it."""
    return receipt.outcome == Outcome.UNSENT and receipt.code is None and receipt.retry_after_s is None


def _begin(connection: Connection, sync: TableSync, rows: Sequence[OutboxRow]) -> None:
    lease.renew(connection, sync.token)
    outbox.begin(connection, rows, now=sync.clock.now())


def _record(sync: TableSync, told: Sequence[Told], calls: int) -> None:
    """In one transaction: how the deliveries stand, links, errors, counters, audit."""
    sync.hub.write(lambda connection: _write(connection, sync, told, calls))


def _write(connection: Connection, sync: TableSync, told: Sequence[Told], calls: int) -> None:
    lease.renew(connection, sync.token)
    key, now = sync.key, sync.clock.now()
    open_ids = outbox.still_open(connection, [one.result.sys_id for one in told])
    told = [one for one in told if one.result.sys_id in open_ids]
    doubles = outbox.end(connection, key.table, [one.result for one in told], now=now)
    if doubles:
        tombstones.bury(connection, key.table, doubles, system=None, run_id=key.run_id, who=sync.run.who, now=now)
    if any(_is_new_there(one) for one in told):
        outbox.try_again(connection, key.system, _referring_to(key.table), MappingError.code)
    errors = [one.error for one in told if one.error]
    error_log.append(connection, key, error_log.not_logged(connection, key, errors), now=now)
    healed = [one.row for one in told if one.row and one.result.state == DeliveryState.CONFIRMED]
    if healed:
        error_log.close_healed(connection, key, [row.external_id or row.record_sys_id for row in healed], now=now)
    counts = Counter(one.counter for one in told if one.counter)
    counts["processed"] += sum(
        one.counter is not None and one.row is not None and one.row.run_id != key.run_id for one in told
    )
    sync_log.count(connection, key, {**counts, "api_calls": calls})
    if counts.total():
        _audit(connection, sync, told, counts)


def _is_new_there(told: Told) -> bool:
    is_create = told.row is not None and told.row.action == Action.CREATE
    return is_create and told.result.state == DeliveryState.CONFIRMED


def _referring_to(table: str) -> list[str]:
    return [name for name, other in RECORD_TABLES.items() if table in other.references]


def _audit(connection: Connection, sync: TableSync, told: Sequence[Told], counts: Mapping[str, int]) -> None:
    sent = [(one.row.record_sys_id, one.row.idempotency_key, str(one.result.state)) for one in told if one.row]
    digest = hashlib.sha256(msgspec.json.encode(sent)).hexdigest()
    audit.append(
        connection,
        "batch.push",
        f"{sync.key.table} to {sync.key.system}",
        who=sync.run.who,
        now=sync.clock.now(),
        run_id=sync.run.run_id,
        details={**{name: count for name, count in counts.items() if count}, "digest": digest},
    )


def _queue_again(connection: Connection, sync: TableSync, sys_ids: Sequence[str], outgoing: Outgoing) -> None:
    """New deliveries of records that stand in the outbox already; what needs none any more counts as unchanged."""
    lease.renew(connection, sync.token)
    key, now = sync.key, sync.clock.now()
    replace(connection, key, sys_ids, now=now)
    outbox.queue(connection, key.run_id, key.system, key.table, outgoing.deliveries, now=now)
    outbox.agree(connection, key.system, key.table, outgoing.agreed)
    error_log.append(connection, key, error_log.not_logged(connection, key, outgoing.errors), now=now)
    sent = {new.record_sys_id for new in outgoing.deliveries}
    sync_log.count(connection, key, {"unchanged": len(set(sys_ids) - sent), "failed": outgoing.rejected})


def _rows(
    sync: TableSync, state: DeliveryState, *, action: Action | None = None, limit: int | None = None
) -> list[OutboxRow]:
    with sync.hub.read() as connection:
        return outbox.read_rows(connection, sync.key.system, sync.key.table, state, action=action, limit=limit)


def _delivery(row: OutboxRow) -> Delivery:
    payload = json.loads(row.payload, parse_float=Decimal)
    return Delivery(
        row.sys_id,
        Action(row.action),
        row.external_id,
        payload,
        row.idempotency_key,
        row.etag,
        row.job,
        row.record_sys_id,
    )
