"""Writes to a REST system by configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.json_path import value_at
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.access import RestAccess
from kwiksync_ops.connectors.rest.body import document_of
from kwiksync_ops.connectors.rest.bulk import push_bulk
from kwiksync_ops.connectors.rest.check import check_system
from kwiksync_ops.connectors.rest.jobs import confirm_jobs
from kwiksync_ops.connectors.rest.looking import confirm_by_reading, look_for
from kwiksync_ops.connectors.rest.push_options import Endpoint
from kwiksync_ops.connectors.rest.receipts import text_of, told_by_failure, told_by_status
from kwiksync_ops.connectors.rest.table_calls import TableCalls
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Repeat
from kwiksync_ops.errors import FatalError, KwikSyncError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import Action


class RestTarget:
    """One system over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._access = RestAccess(credentials, options, limiter, clock)
        self._clock = clock

    @property
    def calls(self) -> int:
        return self._access.session.calls

    def repeat(self, request: PushRequest) -> Repeat:
        return self._calls(request).push.repeat

    def sends(self, request: PushRequest, action: Action) -> bool:
        push = self._calls(request).push
        return push.is_bulk(action) or push.endpoint(action) is not None

    def sends_changes_only(self, request: PushRequest) -> bool:
        push = self._calls(request).push
        method = push.update.method if push.update and not push.is_bulk(Action.UPDATE) else "PATCH"
        return method == "PATCH" if push.changes_only is None else push.changes_only

    def call_records(self, request: PushRequest, action: Action) -> int:
        push = self._calls(request).push
        return push.bulk.records if push.bulk and push.is_bulk(action) else 1

    def push(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """See `Target.push`. A bulk call that is refused whole is told as `unsent` for each: send fewer at once."""
        calls = self._calls(request)
        bulk = calls.push.bulk
        if bulk and calls.push.is_bulk(deliveries[0].action):
            return push_bulk(calls, bulk, deliveries)
        receipts: list[Receipt] = []
        for delivery in deliveries:
            receipts.append(_push_one(calls, delivery))
            if receipts[-1].outcome == Outcome.UNSENT:
                break
        rest = deliveries[len(receipts) :]
        return [*receipts, *(replace(receipts[-1], delivery_id=delivery.id) for delivery in rest)]

    def confirm(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        calls = self._calls(request)
        if calls.push.confirm.by == "job":
            return confirm_jobs(calls, deliveries)
        return [confirm_by_reading(calls, delivery) for delivery in deliveries]

    def look(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        calls = self._calls(request)
        return [look_for(calls, delivery) for delivery in deliveries]

    def check(self) -> str:
        return check_system(self._access)

    def close(self) -> None:
        self._access.session.close()

    def _calls(self, request: PushRequest) -> TableCalls:
        return TableCalls(self._access, request, self._clock)


def _push_one(calls: TableCalls, delivery: Delivery) -> Receipt:
    endpoint = calls.push.endpoint(delivery.action)
    if endpoint is None:
        return Receipt(delivery.id, Outcome.REFUSED, message=f"push.{delivery.action} is not configured.")
    body = calls.fields(delivery) if endpoint.body is None else calls.body(endpoint.body, delivery)
    try:
        answer = calls.send(endpoint, headers=_headers(calls, delivery), body=body, key=delivery.key)
    except FatalError:
        raise
    except KwikSyncError as exc:
        return told_by_failure(delivery, exc)
    receipt = told_by_status(delivery, answer.status, calls.answered(answer), calls.wait_s(answer))
    return _taken(calls, endpoint, delivery, answer) if 200 <= answer.status < 300 else receipt


def _headers(calls: TableCalls, delivery: Delivery) -> dict[str, str]:
    push = calls.push
    headers = {push.idempotency_header: delivery.idempotency_key} if push.idempotency_header else {}
    if push.etag and delivery.etag:
        headers["If-Match"] = delivery.etag
    return headers


def _taken(calls: TableCalls, endpoint: Endpoint, delivery: Delivery, answer: Answer) -> Receipt:
    """The receipt of a delivery that was answered as done, unless the answer tells an error all the same."""
    done = Receipt(delivery.id, Outcome.CONFIRMED)
    is_delete = delivery.action == Action.DELETE
    if is_delete and calls.options.error_path is None:
        return done
    try:
        document = document_of(answer)
    except ValueError:
        why = f"The system answered {answer.status}, and what it said can't be read."
        return Receipt(delivery.id, Outcome.UNKNOWN, message=why)
    error = calls.error_in(document, f"{endpoint.method} {endpoint.path}")
    if error is not None:
        return told_by_status(delivery, error.as_status(calls.options.error_codes), error.message)
    return done if is_delete else _named(calls, delivery, answer, document)


def _named(calls: TableCalls, delivery: Delivery, answer: Answer, document: Any) -> Receipt:
    """With the record's id, its version and the job, where the answer has them."""
    push = calls.push
    return Receipt(
        delivery.id,
        Outcome.CONFIRMED if push.confirm.by == "answer" else Outcome.ACCEPTED,
        key=delivery.key or text_of(value_at(document, push.key_path or calls.key_field)),
        etag=answer.headers.get("ETag") if push.etag else None,
        job=text_of(value_at(document, push.confirm.job_path)) if push.confirm.by == "job" else None,
    )


open_target = RestTarget
