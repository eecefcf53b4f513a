"""Writes to a REST system by configuration: each delivery gets a receipt that claims no more than the answer tells."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.json_path import MISSING, Path, kind_of, value_at
from kwiksync_ops.connectors.http.refusals import excerpt, is_rate_limit, refusal
from kwiksync_ops.connectors.http.retry_after import retry_after_s
from kwiksync_ops.connectors.http.template import filled
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.access import RestAccess
from kwiksync_ops.connectors.rest.body import document_of, encode_body
from kwiksync_ops.connectors.rest.check import check_system
from kwiksync_ops.connectors.rest.options import RestOptions
from kwiksync_ops.connectors.rest.push_options import BulkOptions, Endpoint, PushOptions
from kwiksync_ops.connectors.rest.told_errors import ToldError, told_error
from kwiksync_ops.connectors.rest.urls import join_url, url_with
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Repeat
from kwiksync_ops.errors import ConfigurationError, FatalError, KwikSyncError, RateLimitError, ValidationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import Action

log = logging.getLogger(__name__)

_CONFLICTS = frozenset({409, 412, 428})
_GONE = frozenset({404, 410})
_TRY_LATER = frozenset({429, 503})
MAX_SAID = 300


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
        return self._push(request).repeat

    def sends(self, request: PushRequest, action: Action) -> bool:
        push = self._push(request)
        return push.is_bulk(action) or push.endpoint(action) is not None

    def sends_changes_only(self, request: PushRequest) -> bool:
        push = self._push(request)
        method = push.update.method if push.update and not push.is_bulk(Action.UPDATE) else "PATCH"
        return method == "PATCH" if push.changes_only is None else push.changes_only

    def call_records(self, request: PushRequest, action: Action) -> int:
        push = self._push(request)
        return push.bulk.records if push.bulk and push.is_bulk(action) else 1

    def push(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """See `Target.push`. A bulk call that is refused whole is told as `unsent` for each: send fewer at once."""
        push = self._push(request)
        if push.bulk and push.is_bulk(deliveries[0].action):
            return self._push_bulk(request, push, push.bulk, deliveries)
        receipts: list[Receipt] = []
        for delivery in deliveries:
            receipts.append(self._push_one(request, push, delivery))
            if receipts[-1].outcome == Outcome.UNSENT:
                break
        rest = deliveries[len(receipts) :]
        return [*receipts, *(replace(receipts[-1], delivery_id=delivery.id) for delivery in rest)]

    def confirm(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        push = self._push(request)
        if push.confirm.by == "job":
            return self._confirm_jobs(request, push, deliveries)
        return [self._confirm_by_reading(request, push, delivery) for delivery in deliveries]

    def look(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        push = self._push(request)
        return [self._look_for(request, push, delivery) for delivery in deliveries]

    def check(self) -> str:
        return check_system(self._access)

    def close(self) -> None:
        self._access.session.close()

    def _push(self, request: PushRequest) -> PushOptions:
        push = self._access.options(request.source, request.options).push
        if push is None:
            raise ConfigurationError(
                f"It is not said how {request.source} is written.", remedy="Set push in the table's rest options."
            )
        return push

    def _push_one(self, request: PushRequest, push: PushOptions, delivery: Delivery) -> Receipt:
        endpoint = push.endpoint(delivery.action)
        if endpoint is None:
            return Receipt(delivery.id, Outcome.REFUSED, message=f"push.{delivery.action} is not configured.")
        headers = {push.idempotency_header: delivery.idempotency_key} if push.idempotency_header else {}
        if push.etag and delivery.etag:
            headers["If-Match"] = delivery.etag
        try:
            answer = self._call(request, endpoint, headers, self._body(push, endpoint, delivery), key=delivery.key)
        except FatalError:
            raise
        except KwikSyncError as exc:
            return _failed(delivery, exc)
        return self._receipt(request, push, endpoint, delivery, answer)

    def _body(self, push: PushOptions, endpoint: Endpoint, delivery: Delivery) -> Any:
        fields = self._fields(push, delivery) if delivery.action != Action.DELETE else None
        return fields if endpoint.body is None else self._filled(endpoint.body, delivery, fields)

    def _filled(self, template: Any, delivery: Delivery, fields: Any = None) -> Any:
        own = {
            "fields": fields,
            "key": delivery.key,
            "record_id": delivery.record_id,
            "idempotency_key": delivery.idempotency_key,
            "etag": delivery.etag,
        }
        return filled(template, {**self._access.body_values(), **own})

    def _fields(self, push: PushOptions, delivery: Delivery) -> dict[str, Any]:
        sent = dict(delivery.payload)
        if push.correlation_field and delivery.action == Action.CREATE:
            sent[push.correlation_field] = delivery.record_id
        return sent

    def _receipt(
        self, request: PushRequest, push: PushOptions, endpoint: Endpoint, delivery: Delivery, answer: Answer
    ) -> Receipt:
        receipt = self._told(delivery, answer.status, self._answered(answer), answer)
        options = self._access.options(request.source, request.options)
        is_done = delivery.action == Action.DELETE and options.error_path is None
        if receipt.outcome != Outcome.CONFIRMED or is_done:
            return receipt
        try:
            document = document_of(answer)
        except ValueError:
            why = f"The system answered {answer.status}, and what it said can't be read."
            return Receipt(delivery.id, Outcome.UNKNOWN, message=why)
        error = self._error_in(document, options, f"{endpoint.method} {endpoint.path}")
        if error is not None:
            return self._told(delivery, error.as_status(options.error_codes), error.message)
        if delivery.action == Action.DELETE:
            return receipt
        key_path = push.key_path or tuple(request.key_field.split("."))
        receipt = replace(
            receipt,
            key=delivery.key or _text(value_at(document, key_path)),
            etag=answer.headers.get("ETag") if push.etag else None,
            job=_text(value_at(document, push.confirm.job_path)) if push.confirm.by == "job" else None,
        )
        return receipt if push.confirm.by == "answer" else replace(receipt, outcome=Outcome.ACCEPTED)

    def _error_in(self, document: Any, options: RestOptions, what: str) -> ToldError | None:
        """The error that an answer with status 200 tells. Raises what is about us, not about a record."""
        error = told_error(document, options, self._access.redactor)
        if error is not None and error.code in options.error_codes.denied:
            raise error.as_read_error(what, options)
        return error

    def _told(self, delivery: Delivery, status: int, message: str, answer: Answer | None = None) -> Receipt:
        """What a status means for a delivery."""
        of = Receipt(delivery.id, Outcome.UNKNOWN, message=message)
        if 200 <= status < 300:
            return Receipt(delivery.id, Outcome.CONFIRMED)
        if status in _GONE and delivery.action == Action.DELETE:
            return Receipt(delivery.id, Outcome.CONFIRMED)
        if status in _GONE and delivery.action == Action.UPDATE:
            return replace(of, outcome=Outcome.GONE)
        if status in _CONFLICTS:
            return replace(of, outcome=Outcome.CONFLICT)
        if status in _TRY_LATER:
            wait_s = retry_after_s(answer.headers, self._clock.now()) if answer else None
            if status == 503 and wait_s is None:  # a gateway's own 503 may come after the system has applied it
                return of
            code = RateLimitError.code if status == 429 else None
            return replace(of, outcome=Outcome.UNSENT, retry_after_s=wait_s, code=code)
        if 400 <= status < 500 and status != 408:
            return replace(of, outcome=Outcome.REFUSED, code=ValidationError.code)
        return of

    def _push_bulk(
        self, request: PushRequest, push: PushOptions, bulk: BulkOptions, deliveries: Sequence[Delivery]
    ) -> list[Receipt]:
        options = self._access.options(request.source, request.options)
        body = self._bulk_body(push, bulk, deliveries)
        try:
            answer = self._call(request, Endpoint(bulk.method, bulk.path), {}, body)
        except FatalError:
            raise
        except KwikSyncError as exc:
            return [_failed(delivery, exc) for delivery in deliveries]
        if not 200 <= answer.status < 300:
            return self._refused_whole(deliveries, answer.status, self._answered(answer), answer)
        try:
            document = document_of(answer)
            error = self._error_in(document, options, f"{bulk.method} {bulk.path}")
            if error is not None:
                return self._refused_whole(deliveries, error.as_status(options.error_codes), error.message)
            results = value_at(document, bulk.results_path)
            if push.confirm.by == "job" and not isinstance(results, list):
                job = _text(value_at(document, push.confirm.job_path))
                return [Receipt(delivery.id, Outcome.ACCEPTED, job=job) for delivery in deliveries]
            by_id = _by_delivery(bulk, deliveries, results)
        except ValueError as exc:
            why = f"The system answered {answer.status}, and what it said can't be used: {exc}."
            return [Receipt(delivery.id, Outcome.UNKNOWN, message=why) for delivery in deliveries]
        return [self._bulk_receipt(push, bulk, delivery, by_id.get(delivery.id)) for delivery in deliveries]

    def _bulk_body(self, push: PushOptions, bulk: BulkOptions, deliveries: Sequence[Delivery]) -> Any:
        elements = [self._element(push, bulk, delivery) for delivery in deliveries]
        if bulk.body is not None:
            return filled(bulk.body, {**self._access.body_values(), "records": elements})
        return {bulk.records_path: elements} if bulk.records_path else elements

    def _element(self, push: PushOptions, bulk: BulkOptions, delivery: Delivery) -> dict[str, Any]:
        """A delivery as an element of a bulk call."""
        sent = self._fields(push, delivery) if delivery.action != Action.DELETE else {}
        element: dict[str, Any] = {bulk.fields_field: sent} if bulk.fields_field else sent
        beside = {
            bulk.action_field: str(delivery.action),
            bulk.key_field: delivery.key,
            bulk.id_field: delivery.id,
            bulk.idempotency_field: delivery.idempotency_key,
            bulk.etag_field: delivery.etag if push.etag else None,
        }
        return element | {name: value for name, value in beside.items() if name and value is not None}

    def _refused_whole(
        self, deliveries: Sequence[Delivery], status: int, message: str, answer: Answer | None = None
    ) -> list[Receipt]:
        """Of one record it is that record's fault; of many nothing was applied, and fewer may go."""
        if len(deliveries) == 1 or status >= 500 or status in (408, 429):
            return [self._told(delivery, status, message, answer) for delivery in deliveries]
        told = f"A call of {len(deliveries)} records: {message}"
        return [Receipt(delivery.id, Outcome.UNSENT, message=told) for delivery in deliveries]

    def _bulk_receipt(self, push: PushOptions, bulk: BulkOptions, delivery: Delivery, result: Any) -> Receipt:
        if result is None:
            return Receipt(delivery.id, Outcome.UNKNOWN, message="The answer has no result for it.")
        status = value_at(result, bulk.status_path) if bulk.status_path else 200
        if not isinstance(status, int) or isinstance(status, bool):
            return Receipt(
                delivery.id, Outcome.UNKNOWN, message=self._text(f"Its result has no status: {_shown(result)}")
            )
        error = value_at(result, bulk.error_path) if bulk.error_path else MISSING
        said = "" if error in (MISSING, None) else self._text(_shown(error))
        receipt = self._told(delivery, status, _answered(status, said))
        if receipt.outcome != Outcome.CONFIRMED or delivery.action == Action.DELETE:
            return receipt
        key = _text(value_at(result, bulk.key_path)) if bulk.key_path else None
        etag = _text(value_at(result, bulk.etag_path)) if bulk.etag_path and push.etag else None
        outcome = Outcome.CONFIRMED if push.confirm.by == "answer" else Outcome.ACCEPTED
        return replace(receipt, outcome=outcome, key=delivery.key or key, etag=etag)

    def _confirm_jobs(self, request: PushRequest, push: PushOptions, deliveries: Sequence[Delivery]) -> list[Receipt]:
        jobs = dict.fromkeys(delivery.job for delivery in deliveries)
        told = {job: self._ask_job(request, push, job) for job in jobs}
        return [self._of_job(push, delivery, *told[delivery.job]) for delivery in deliveries]

    def _ask_job(self, request: PushRequest, push: PushOptions, job: str | None) -> tuple[Outcome, Any]:
        if job is None:
            return Outcome.UNKNOWN, "The system named no job."
        endpoint = Endpoint("GET", push.confirm.path)
        try:
            answer = self._call(request, endpoint, {}, None, job=job)
            if answer.status != 200:
                passes = answer.status in _TRY_LATER or answer.status >= 500
                return (Outcome.ACCEPTED if passes else Outcome.UNKNOWN), f"The job {job}: answered {answer.status}."
            document = document_of(answer)
        except FatalError:
            raise
        except (KwikSyncError, ValueError) as exc:
            return Outcome.ACCEPTED, self._text(str(exc))
        state = _text(value_at(document, push.confirm.state_path))
        if state in push.confirm.done:
            return Outcome.CONFIRMED, document
        return (Outcome.REFUSED if state in push.confirm.failed else Outcome.ACCEPTED), document

    def _of_job(self, push: PushOptions, delivery: Delivery, outcome: Outcome, told: Any) -> Receipt:
        """A job's word for one of its deliveries: that of its own result, where the job lists results."""
        bulk = push.bulk
        if outcome == Outcome.CONFIRMED and bulk and bulk.id_path:
            results = value_at(told, bulk.results_path)
            if isinstance(results, list):
                found = [one for one in results if _text(value_at(one, bulk.id_path)) == delivery.id]
                receipt = self._bulk_receipt(push, bulk, delivery, found[0] if found else None)
                is_done = receipt.outcome == Outcome.ACCEPTED
                return replace(receipt, outcome=Outcome.CONFIRMED) if is_done else receipt
        if outcome == Outcome.REFUSED:
            error = value_at(told, push.confirm.error_path) if push.confirm.error_path else MISSING
            why = "The job failed." if error in (MISSING, None) else self._text(_shown(error))
            return Receipt(delivery.id, outcome, code=ValidationError.code, message=why)
        return Receipt(delivery.id, outcome, key=delivery.key, message=told if isinstance(told, str) else None)

    def _confirm_by_reading(self, request: PushRequest, push: PushOptions, delivery: Delivery) -> Receipt:
        receipt = self._look_for(request, push, delivery)
        if receipt.outcome == Outcome.UNKNOWN and receipt.retry_after_s is not None:
            return replace(receipt, outcome=Outcome.ACCEPTED)
        if receipt.outcome == Outcome.UNSENT:
            return replace(receipt, outcome=Outcome.UNKNOWN, message="Read back, it is not there as it was sent.")
        return receipt

    def _look_for(self, request: PushRequest, push: PushOptions, delivery: Delivery) -> Receipt:
        """See `Target.look`. A system that can't be asked now is told by a `retry_after_s`."""
        try:
            found, etag = self._read(request, push, delivery)
        except FatalError:
            raise
        except (KwikSyncError, ValueError) as exc:
            return Receipt(delivery.id, Outcome.UNKNOWN, message=self._text(str(exc)), retry_after_s=0.0)
        if found is None:
            outcome = Outcome.CONFIRMED if delivery.action == Action.DELETE else Outcome.UNSENT
            return Receipt(delivery.id, outcome)
        if found is MISSING:
            return Receipt(delivery.id, Outcome.UNKNOWN, message="The config does not say how to look for it.")
        key = delivery.key or _text(value_at(found, tuple(request.key_field.split("."))))
        if key is None and push.key_path:
            key = _text(value_at(found, push.key_path))
        is_there = delivery.action != Action.DELETE and _holds(found, delivery.payload)
        outcome = Outcome.CONFIRMED if is_there else Outcome.UNSENT
        return Receipt(delivery.id, outcome, key=key, etag=etag, record=found)

    def _read(self, request: PushRequest, push: PushOptions, delivery: Delivery) -> tuple[Any, str | None]:
        """The record as the system has it, None where it has none, MISSING where it can't be asked for."""
        if delivery.key is None:
            return self._find(request, push, delivery), None
        if push.read is None:
            return MISSING, None
        endpoint = Endpoint(push.read.method, push.read.path)
        body = None if push.read.body is None else self._filled(push.read.body, delivery)
        answer = self._call(request, endpoint, {}, body, key=delivery.key)
        found = None if answer.status in _GONE else self._sound(request, answer, push.read.record_path, dict)
        return found, answer.headers.get("ETag") if push.etag and found is not None else None

    def _find(self, request: PushRequest, push: PushOptions, delivery: Delivery) -> Any:
        """The record that holds our own id."""
        if push.find is None:
            return MISSING
        params = {push.find.param: delivery.record_id} if push.find.param else {}
        endpoint = Endpoint(push.find.method, url_with(push.find.path, params))
        body = None if push.find.body is None else self._filled(push.find.body, delivery)
        answer = self._call(request, endpoint, {}, body)
        records = self._sound(request, answer, push.find.records_path, list) or ()
        mine = tuple(push.find.field.split("."))
        return next((one for one in records if _text(value_at(one, mine)) == delivery.record_id), None)

    def _sound(self, request: PushRequest, answer: Answer, path: Path, kind: type) -> Any:
        """What stands at the path; None where the system says that there is nothing. Raises ValueError."""
        if answer.status != 200:
            raise refusal(answer, what="Looking for a delivery", redactor=self._access.redactor)
        document = document_of(answer)
        options = self._access.options(request.source, request.options)
        error = self._error_in(document, options, "Looking for a delivery")
        if error is not None:
            if error.code in options.error_codes.gone:
                return None
            raise ValueError(error.message)
        found = value_at(document, path)
        if kind is dict and path and (found is None or (found is MISSING and value_at(document, path[:-1]) == [])):
            return None
        if not isinstance(found, kind):
            raise ValueError(  # noqa: TRY004  # it is the answer that is wrong
                f"the answer has {kind_of(found)} at {'.'.join(path)!r}, not {kind_of(kind())}"
            )
        return found

    def _call(
        self,
        request: PushRequest,
        endpoint: Endpoint,
        headers: Mapping[str, str],
        body: Any,
        *,
        key: str | None = None,
        job: str | None = None,
    ) -> Answer:
        """One attempt of one call. Raises what is about us, not about a record: credentials, Customer Key, address."""
        options = self._access.options(request.source, request.options)
        path = endpoint.path.replace("{key}", quote(key or "", safe="")).replace("{job}", quote(job or "", safe=""))
        answer = self._send(endpoint.method, join_url(self._access.base_url, path), options, headers, body)
        if is_rate_limit(answer):
            return replace(answer, status=429)
        if answer.status in (401, 403):
            raise refusal(answer, what=f"{endpoint.method} {path}", redactor=self._access.redactor)
        return answer

    def _send(
        self,
        method: str,
        url: str,
        options: RestOptions,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
    ) -> Answer:
        sent = {"Content-Type": "application/json"} if body is not None else {}
        return self._access.session.send(
            method,
            url,
            what=f"{method} {self._access.redactor.url(url)}",
            headers={**self._access.headers(options), **sent, **(headers or {})},
            timeouts=options.timeouts,
            max_bytes=options.limits.max_page_bytes,
            body=encode_body(body) if body is not None else None,
        )

    def _answered(self, answer: Answer) -> str:
        return _answered(answer.status, excerpt(answer, self._access.redactor))

    def _text(self, text: str) -> str:
        return self._access.redactor.text(text)[:MAX_SAID]


def _answered(status: int, said: str) -> str:
    return f"answered {status}{f', {said!r}' if said else ''}"


def _failed(delivery: Delivery, error: KwikSyncError) -> Receipt:
    """No answer: not sent where nothing went out, else nobody knows."""
    outcome = Outcome.UNSENT if error.facts.get("unsent") else Outcome.UNKNOWN
    return Receipt(delivery.id, outcome, code=error.code, message=error.message)


def _by_delivery(bulk: BulkOptions, deliveries: Sequence[Delivery], results: Any) -> dict[str, Any]:
    """The results of a bulk call by delivery: by its id, by its place, or in the order of the elements."""
    if not isinstance(results, list):
        raise ValueError(  # noqa: TRY004  # it is the answer that is wrong
            f"there is no list of results at {'.'.join(bulk.results_path)!r}"
        )
    if bulk.id_path:
        return {id_: one for one in results if (id_ := _text(value_at(one, bulk.id_path)))}
    if bulk.index_path is not None:
        places = ((value_at(one, bulk.index_path), one) for one in results)
        return {deliveries[at].id: one for at, one in places if type(at) is int and 0 <= at < len(deliveries)}
    if len(results) != len(deliveries):
        raise ValueError(f"{len(deliveries)} records were sent, and {len(results)} results came")
    return {delivery.id: one for delivery, one in zip(deliveries, results, strict=True)}


def _holds(record: Any, payload: Mapping[str, Any]) -> bool:
    """Whether the record has every value that was sent; numbers are equal by value."""
    return isinstance(record, dict) and all(
        _holds(record.get(name), value) if isinstance(value, dict) else _is_equal(record.get(name), value)
        for name, value in payload.items()
    )


def _is_equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _text(value: Any) -> str | None:
    if value is MISSING or value is None or isinstance(value, (dict, list)):
        return None
    return value if isinstance(value, str) else str(value)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


open_target = RestTarget
