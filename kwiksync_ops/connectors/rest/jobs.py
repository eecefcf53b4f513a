"""Deliveries that a system works off by a job, which is asked until it ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kwiksync_ops.connectors.http.json_path import MISSING, value_at
from kwiksync_ops.connectors.rest.body import document_of
from kwiksync_ops.connectors.rest.bulk import bulk_receipt
from kwiksync_ops.connectors.rest.push_options import Endpoint
from kwiksync_ops.connectors.rest.receipts import TRY_LATER, text_of
from kwiksync_ops.connectors.rest.table_calls import TableCalls
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import FatalError, KwikSyncError, ValidationError


def confirm_jobs(calls: TableCalls, deliveries: Sequence[Delivery]) -> list[Receipt]:
    """Each job is asked once."""
    jobs = dict.fromkeys(delivery.job for delivery in deliveries)
    told = {job: _ask(calls, job) for job in jobs}
    return [_receipt(calls, delivery, *told[delivery.job]) for delivery in deliveries]


def _ask(calls: TableCalls, job: str | None) -> tuple[Outcome, Any]:
    """The outcome of a job, and what it says of itself: a document, or a text where there is none."""
    if job is None:
        return Outcome.UNKNOWN, "The system named no job."
    confirm = calls.push.confirm
    try:
        answer = calls.send(Endpoint("GET", confirm.path), job=job)
        if answer.status != 200:
            passes = answer.status in TRY_LATER or answer.status >= 500
            return (Outcome.ACCEPTED if passes else Outcome.UNKNOWN), f"The job {job}: answered {answer.status}."
        document = document_of(answer)
    except FatalError:
        raise
    except (KwikSyncError, ValueError) as exc:
        return Outcome.ACCEPTED, calls.said(str(exc))
    state = text_of(value_at(document, confirm.state_path))
    if state in confirm.done:
        return Outcome.CONFIRMED, document
    return (Outcome.REFUSED if state in confirm.failed else Outcome.ACCEPTED), document


def _receipt(calls: TableCalls, delivery: Delivery, outcome: Outcome, told: Any) -> Receipt:
    """A job's word for one of its deliveries: that of its own result, where the job lists results."""
    bulk, confirm = calls.push.bulk, calls.push.confirm
    if outcome == Outcome.CONFIRMED and bulk and bulk.id_path:
        results = value_at(told, bulk.results_path)
        if isinstance(results, list):
            found = [one for one in results if text_of(value_at(one, bulk.id_path)) == delivery.id]
            receipt = bulk_receipt(calls, bulk, delivery, found[0] if found else None)
            is_done = receipt.outcome == Outcome.ACCEPTED
            return replace(receipt, outcome=Outcome.CONFIRMED) if is_done else receipt
    if outcome == Outcome.REFUSED:
        said = calls.said(value_at(told, confirm.error_path) if confirm.error_path else MISSING)
        return Receipt(delivery.id, outcome, code=ValidationError.code, message=said or "The job failed.")
    return Receipt(delivery.id, outcome, key=delivery.key, message=told if isinstance(told, str) else None)
