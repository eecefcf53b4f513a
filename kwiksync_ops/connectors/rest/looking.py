"""Records that are read to see whether a delivery has arrived."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kwiksync_ops.connectors.http.json_path import MISSING, Path, kind_of, value_at
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.body import document_of
from kwiksync_ops.connectors.rest.push_options import Endpoint
from kwiksync_ops.connectors.rest.receipts import GONE, holds, text_of
from kwiksync_ops.connectors.rest.table_calls import TableCalls
from kwiksync_ops.connectors.rest.urls import url_with
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import FatalError, KwikSyncError
from kwiksync_ops.vocabulary import Action

WHAT = "Looking for a delivery"


def confirm_by_reading(calls: TableCalls, delivery: Delivery) -> Receipt:
    receipt = look_for(calls, delivery)
    if receipt.outcome == Outcome.UNKNOWN and receipt.retry_after_s is not None:
        return replace(receipt, outcome=Outcome.ACCEPTED)
    if receipt.outcome == Outcome.UNSENT:
        return replace(receipt, outcome=Outcome.UNKNOWN, message="Read back, it is not there as it was sent.")
    return receipt


def look_for(calls: TableCalls, delivery: Delivery) -> Receipt:
    """See `Target.look`. A system that can't be asked now is told by a `retry_after_s`."""
    try:
        found, etag = _read(calls, delivery)
    except FatalError:
        raise
    except (KwikSyncError, ValueError) as exc:
        return Receipt(delivery.id, Outcome.UNKNOWN, message=calls.said(str(exc)), retry_after_s=0.0)
    if found is None:
        outcome = Outcome.CONFIRMED if delivery.action == Action.DELETE else Outcome.UNSENT
        return Receipt(delivery.id, outcome)
    if found is MISSING:
        return Receipt(delivery.id, Outcome.UNKNOWN, message="The config does not say how to look for it.")
    is_there = delivery.action != Action.DELETE and holds(found, delivery.payload)
    outcome = Outcome.CONFIRMED if is_there else Outcome.UNSENT
    return Receipt(delivery.id, outcome, key=delivery.key or _key_of(calls, found), etag=etag, record=found)


def _key_of(calls: TableCalls, record: Any) -> str | None:
    key = text_of(value_at(record, calls.key_field))
    return text_of(value_at(record, calls.push.key_path)) if key is None and calls.push.key_path else key


def _read(calls: TableCalls, delivery: Delivery) -> tuple[Any, str | None]:
    """The record as the system has it, None where it has none, MISSING where it can't be asked for."""
    if delivery.key is None:
        return _find(calls, delivery), None
    read = calls.push.read
    if read is None:
        return MISSING, None
    body = None if read.body is None else calls.body(read.body, delivery)
    answer = calls.send(Endpoint(read.method, read.path), body=body, key=delivery.key)
    found = None if answer.status in GONE else _record_in(calls, answer, read.record_path)
    return found, answer.headers.get("ETag") if calls.push.etag and found is not None else None


def _find(calls: TableCalls, delivery: Delivery) -> Any:
    """The record that holds our own id."""
    find = calls.push.find
    if find is None:
        return MISSING
    params = {find.param: delivery.record_id} if find.param else {}
    body = None if find.body is None else calls.body(find.body, delivery)
    document = _document_of(calls, calls.send(Endpoint(find.method, url_with(find.path, params)), body=body))
    records = _kept(value_at(document, find.records_path), find.records_path, list)
    mine = tuple(find.field.split("."))
    return next((one for one in records if text_of(value_at(one, mine)) == delivery.record_id), None)


def _record_in(calls: TableCalls, answer: Answer, path: Path) -> Any:
    """The record; None where the system says that there is none: by null, an empty list, or the code of its error."""
    document = _document_of(calls, answer)
    found = value_at(document, path)
    is_absent = found is None or (found is MISSING and value_at(document, path[:-1]) == [])
    return None if document is None or (path and is_absent) else _kept(found, path, dict)


def _document_of(calls: TableCalls, answer: Answer) -> Any:
    """What the system says; None where it says, by an error, that there is nothing. Raises ValueError."""
    if answer.status != 200:
        raise calls.refusal(answer, WHAT)
    document = document_of(answer)
    error = calls.error_in(document, WHAT)
    if error is None:
        return document
    if error.code in calls.options.error_codes.gone:
        return None
    raise ValueError(error.message)


def _kept(found: Any, path: Path, kind: type) -> Any:
    if not isinstance(found, kind):
        raise ValueError(  # noqa: TRY004  # it is the answer that is wrong
            f"the answer has {kind_of(found)} at {'.'.join(path)!r}, not {kind_of(kind())}"
        )
    return found
