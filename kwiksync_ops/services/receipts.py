"""What a system's receipt means: how the delivery stands then, what it counts as, what a person is told."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from kwiksync_ops.connectors.target import Outcome, Receipt
from kwiksync_ops.errors import ConflictError, DuplicateRecordError, UnconfirmedError, ValidationError
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.outbox import OutboxRow, Result
from kwiksync_ops.vocabulary import Action, ConflictPolicy, DeliveryState

_COUNTED = {Action.CREATE: "created", Action.UPDATE: "updated", Action.DELETE: "deleted"}


@dataclass(frozen=True)
class Told:
    """How a delivery ended or stands, what that counts as, and its error row; `row` where it has ended."""

    result: Result
    counter: str | None = None
    error: ErrorEntry | None = None
    row: OutboxRow | None = None


def told_of(row: OutboxRow, receipt: Receipt, sync: TableSync) -> Told | None:
    """What the receipt makes of the row; None where it stays as it is, in the middle of being sent."""
    key = receipt.key if receipt.key != row.external_id else None
    result = partial(Result, row.sys_id, external_id=key, etag=receipt.etag, job=receipt.job)
    match receipt.outcome:
        case Outcome.CONFIRMED if row.action == Action.CREATE and not (receipt.key or row.external_id):
            return unconfirmed(row, sync, "The system took it, but did not say which id it gave it.")
        case Outcome.CONFIRMED:
            return Told(result(DeliveryState.CONFIRMED), _COUNTED[Action(row.action)], row=row)
        case Outcome.ACCEPTED:
            return Told(result(DeliveryState.SENT))
        case Outcome.UNSENT:
            return Told(Result(row.sys_id, DeliveryState.QUEUED))
        case Outcome.REFUSED:
            code = receipt.code or ValidationError.code
            return _failed(
                row, DeliveryState.REFUSED, code, receipt.message or "The system refused it.", sync, _REFUSED
            )
        case Outcome.CONFLICT if row.action == Action.CREATE:
            message = receipt.message or "The system has a record of this identity already."
            return _failed(row, DeliveryState.REFUSED, DuplicateRecordError.code, message, sync, _DOUBLE)
        case Outcome.CONFLICT:
            return Told(result(DeliveryState.AGAIN))
        case Outcome.GONE if _recreates(sync):
            return Told(Result(row.sys_id, DeliveryState.AGAIN))
        case Outcome.GONE:
            return _failed(row, DeliveryState.REFUSED, ConflictError.code, _GONE_TEXT, sync, _GONE)
        case _:
            return None


_REFUSED = "Correct the record, or its mapping. It is sent when it changes, or by kwiksync outbox resend ID."
_DOUBLE = "Link the two: kwiksync outbox confirm ID --key KEY; or delete one of them."
_GONE_TEXT = "The record was deleted at the system, while it was changed in the hub."
_GONE = "Delete it in the hub too; or let hub_wins be its conflict policy, which creates it again."
_UNKNOWN = "Look at the system. Then say kwiksync outbox confirm ID [--key KEY], or kwiksync outbox resend ID."
_CONFLICT = "The next run reads the system's version and tries again; see kwiksync conflicts list."


def told_after_asking(row: OutboxRow, receipt: Receipt, sync: TableSync) -> Told:
    """A delivery that the system had taken: there now, refused after all, or nobody knows."""
    told = told_of(row, receipt, sync)
    if told and receipt.outcome in (Outcome.CONFIRMED, Outcome.REFUSED):
        return told
    return unconfirmed(row, sync, receipt.message or "")


def unconfirmed(row: OutboxRow, sync: TableSync, why: str = "") -> Told:
    message = why or f"After {row.attempt} attempts it is not known whether this {row.action} arrived."
    return _failed(row, DeliveryState.UNCONFIRMED, UnconfirmedError.code, message, sync, _UNKNOWN)


def conflicting(row: OutboxRow, sync: TableSync) -> Told:
    message = f"{sync.key.system} refused this {row.action}: the record was changed there too."
    return _failed(row, DeliveryState.AGAIN, ConflictError.code, message, sync, _CONFLICT)


def _failed(row: OutboxRow, state: DeliveryState, code: str, message: str, sync: TableSync, remedy: str) -> Told:
    """The row as ended badly, with its error row."""
    text = sync.redactor.text(message)
    entry = ErrorEntry(
        code,
        f"{row.action} of {row.external_id or row.record_sys_id}: {text}",
        remedy=remedy.replace("ID", row.sys_id, 1),
        external_id=row.external_id or row.record_sys_id,
        payload=sync.redactor.text(row.payload),
    )
    return Told(Result(row.sys_id, state, error_code=code, message=text), "failed", entry, row)


def is_conflict(row: OutboxRow, receipt: Receipt, sync: TableSync) -> bool:
    if row.action != Action.UPDATE:
        return False
    return receipt.outcome == Outcome.CONFLICT or (receipt.outcome == Outcome.GONE and _recreates(sync))


def _recreates(sync: TableSync) -> bool:
    return sync.table.conflict.policy == ConflictPolicy.HUB_WINS
