"""What an instance's answer means for a delivery."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kwiksync_ops.connectors.servicenow.access import error_in
from kwiksync_ops.connectors.servicenow.batch_call import ItemAnswer
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import KwikSyncError, RateLimitError, ValidationError
from kwiksync_ops.vocabulary import Action

MAX_SAID = 300
ID_LOST = "The record does not hold our id."

Redact = Callable[[str], str]


def receipt_of(
    delivery: Delivery, answer: ItemAnswer, redact: Redact, *, wait_s: float | None = None, own: str = ""
) -> Receipt:
    """For the answer to one write of the Table API; `own` is the field that a create has put our id into."""
    document = document_of(answer.body)
    said = redact(error_in(document) or answer.message)[:MAX_SAID]
    of = Receipt(delivery.id, Outcome.UNKNOWN, message=f"answered {answer.status}{f', {said!r}' if said else ''}")
    match answer.status:
        case 200 | 201 | 204:
            return _done(of, delivery, document, said, own)
        case 202:  # dropped from an overfull queue
            return replace(of, outcome=Outcome.UNSENT, retry_after_s=wait_s)
        case 404 if delivery.action == Action.DELETE:
            return Receipt(delivery.id, Outcome.CONFIRMED)
        case 404 if delivery.action == Action.UPDATE:
            return replace(of, outcome=Outcome.GONE)
        case 409 | 412:
            return replace(of, outcome=Outcome.CONFLICT)
        case 429:
            return replace(of, outcome=Outcome.UNSENT, code=RateLimitError.code, retry_after_s=wait_s)
        case 503 if wait_s is not None:
            return replace(of, outcome=Outcome.UNSENT, retry_after_s=wait_s)
        case status if 400 <= status < 500 and status != 408:
            return replace(of, outcome=Outcome.REFUSED, code=ValidationError.code)
        case _:
            return of


def failed(delivery: Delivery, error: KwikSyncError) -> Receipt:
    """No answer: not sent where nothing went out, else nobody knows."""
    outcome = Outcome.UNSENT if error.facts.get("unsent") else Outcome.UNKNOWN
    return Receipt(delivery.id, outcome, code=error.code, message=error.message)


def document_of(body: bytes) -> Any:
    """The JSON of a body; None where it is none."""
    try:
        return json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return None


def _done(of: Receipt, delivery: Delivery, document: Any, said: str, own: str) -> Receipt:
    if said:  # a transaction that was ended in its middle answers 200 too
        return of
    if delivery.action != Action.CREATE:
        return Receipt(delivery.id, Outcome.CONFIRMED)
    result = document.get("result") if isinstance(document, Mapping) else None
    sys_id = result.get("sys_id") if isinstance(result, Mapping) else None
    if not isinstance(result, Mapping) or not isinstance(sys_id, str) or not sys_id:
        return replace(of, message=f"{of.message}, and no sys_id")
    is_kept = not own or result.get(own) == delivery.record_id
    return Receipt(delivery.id, Outcome.CONFIRMED, key=sys_id, message=None if is_kept else ID_LOST)


def refused(delivery: Delivery, why: str, code: str = ValidationError.code) -> Receipt:
    return Receipt(delivery.id, Outcome.REFUSED, code=code, message=why)


def in_order(deliveries: Sequence[Delivery], receipts: Sequence[Receipt]) -> list[Receipt]:
    by_id = {receipt.delivery_id: receipt for receipt in receipts}
    return [by_id[delivery.id] for delivery in deliveries]
