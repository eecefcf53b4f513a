"""Many deliveries in one call, each with a receipt of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from kwiksync_ops.connectors.http.json_path import MISSING, value_at
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.body import document_of
from kwiksync_ops.connectors.rest.push_options import BulkOptions, Endpoint
from kwiksync_ops.connectors.rest.receipts import answered, shown, text_of, told_by_failure, told_by_status
from kwiksync_ops.connectors.rest.table_calls import TableCalls
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import FatalError, KwikSyncError
from kwiksync_ops.vocabulary import Action


def push_bulk(calls: TableCalls, bulk: BulkOptions, deliveries: Sequence[Delivery]) -> list[Receipt]:
    """A call that is refused whole is told as `unsent` for each: send fewer at once."""
    try:
        answer = calls.send(Endpoint(bulk.method, bulk.path), body=_body(calls, bulk, deliveries))
    except FatalError:
        raise
    except KwikSyncError as exc:
        return [told_by_failure(delivery, exc) for delivery in deliveries]
    if not 200 <= answer.status < 300:
        return _refused_whole(deliveries, answer.status, calls.answered(answer), calls.wait_s(answer))
    try:
        return _receipts(calls, bulk, deliveries, answer)
    except ValueError as exc:
        why = f"The system answered {answer.status}, and what it said can't be used: {exc}."
        return [Receipt(delivery.id, Outcome.UNKNOWN, message=why) for delivery in deliveries]


def bulk_receipt(calls: TableCalls, bulk: BulkOptions, delivery: Delivery, result: Any) -> Receipt:
    """What the result of one delivery says; `accepted` where that is still to be confirmed."""
    if result is None:
        return Receipt(delivery.id, Outcome.UNKNOWN, message="The answer has no result for it.")
    status = value_at(result, bulk.status_path) if bulk.status_path else 200
    if not isinstance(status, int) or isinstance(status, bool):
        why = calls.said(f"Its result has no status: {shown(result)}")
        return Receipt(delivery.id, Outcome.UNKNOWN, message=why)
    error = value_at(result, bulk.error_path) if bulk.error_path else MISSING
    receipt = told_by_status(delivery, status, answered(status, calls.said(error)))
    if receipt.outcome != Outcome.CONFIRMED or delivery.action == Action.DELETE:
        return receipt
    key = text_of(value_at(result, bulk.key_path)) if bulk.key_path else None
    etag = text_of(value_at(result, bulk.etag_path)) if bulk.etag_path and calls.push.etag else None
    outcome = Outcome.CONFIRMED if calls.push.confirm.by == "answer" else Outcome.ACCEPTED
    return replace(receipt, outcome=outcome, key=delivery.key or key, etag=etag)


def _receipts(calls: TableCalls, bulk: BulkOptions, deliveries: Sequence[Delivery], answer: Answer) -> list[Receipt]:
    """Raises ValueError where the answer can't be used."""
    document = document_of(answer)
    error = calls.error_in(document, f"{bulk.method} {bulk.path}")
    if error is not None:
        return _refused_whole(deliveries, error.as_status(calls.options.error_codes), error.message)
    results = value_at(document, bulk.results_path)
    confirm = calls.push.confirm
    job = text_of(value_at(document, confirm.job_path)) if confirm.by == "job" else None
    if confirm.by == "job" and not isinstance(results, list):
        return [Receipt(delivery.id, Outcome.ACCEPTED, job=job) for delivery in deliveries]
    by_id = _by_delivery(bulk, deliveries, results)
    receipts = (bulk_receipt(calls, bulk, delivery, by_id.get(delivery.id)) for delivery in deliveries)
    return [replace(one, job=job) if one.outcome == Outcome.ACCEPTED else one for one in receipts]


def _body(calls: TableCalls, bulk: BulkOptions, deliveries: Sequence[Delivery]) -> Any:
    elements = [_element(calls, bulk, delivery) for delivery in deliveries]
    if bulk.body is not None:
        return calls.bulk_body(bulk.body, elements)
    return {bulk.records_path: elements} if bulk.records_path else elements


def _element(calls: TableCalls, bulk: BulkOptions, delivery: Delivery) -> dict[str, Any]:
    """A delivery as an element of a bulk call."""
    sent = calls.fields(delivery) or {}
    element: dict[str, Any] = {bulk.fields_field: sent} if bulk.fields_field else sent
    beside = {
        bulk.action_field: str(delivery.action),
        bulk.key_field: delivery.key,
        bulk.id_field: delivery.id,
        bulk.idempotency_field: delivery.idempotency_key,
        bulk.etag_field: delivery.etag if calls.push.etag else None,
    }
    return element | {name: value for name, value in beside.items() if name and value is not None}


def _refused_whole(
    deliveries: Sequence[Delivery], status: int, message: str, wait_s: float | None = None
) -> list[Receipt]:
    """Of one record it is that record's fault; of many nothing was applied, and fewer may go. A redirect is neither."""
    if len(deliveries) == 1 or not 400 <= status < 500 or status in (408, 429):
        return [told_by_status(delivery, status, message, wait_s) for delivery in deliveries]
    told = f"A call of {len(deliveries)} records: {message}"
    return [Receipt(delivery.id, Outcome.UNSENT, message=told) for delivery in deliveries]


def _by_delivery(bulk: BulkOptions, deliveries: Sequence[Delivery], results: Any) -> dict[str, Any]:
    """The results of a bulk call by delivery: by its id, by its place, or in the order of the elements."""
    if not isinstance(results, list):
        raise ValueError(  # noqa: TRY004  # it is the answer that is wrong
            f"there is no list of results at {'.'.join(bulk.results_path)!r}"
        )
    if bulk.id_path:
        return {id_: one for one in results if (id_ := text_of(value_at(one, bulk.id_path)))}
    if bulk.index_path is not None:
        places = ((value_at(one, bulk.index_path), one) for one in results)
        return {deliveries[at].id: one for at, one in places if type(at) is int and 0 <= at < len(deliveries)}
    if len(results) != len(deliveries):
        raise ValueError(f"{len(deliveries)} records were sent, and {len(results)} results came")
    return {delivery.id: one for delivery, one in zip(deliveries, results, strict=True)}
