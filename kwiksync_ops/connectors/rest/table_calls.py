"""The calls that write one table, as its options say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.http.json_path import MISSING
from kwiksync_ops.connectors.http.refusals import excerpt, is_rate_limit, refusal
from kwiksync_ops.connectors.http.retry_after import retry_after_s
from kwiksync_ops.connectors.http.template import filled
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.access import RestAccess
from kwiksync_ops.connectors.rest.body import encode_body
from kwiksync_ops.connectors.rest.push_options import Endpoint, PushOptions
from kwiksync_ops.connectors.rest.receipts import answered, shown
from kwiksync_ops.connectors.rest.told_errors import ToldError, told_error
from kwiksync_ops.connectors.rest.urls import join_url
from kwiksync_ops.connectors.target import Delivery, PushRequest
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.vocabulary import Action

MAX_SAID = 300


class TableCalls:
    """`push` and `options` are the table's; `key_field` is where a record holds its id."""

    def __init__(self, access: RestAccess, request: PushRequest, clock: Clock) -> None:
        """Raises ConfigurationError where it is not said how the table is written."""
        self._access = access
        self._clock = clock
        self.options = access.options(request.source, request.options)
        self.push = _push_of(self.options.push, request)
        self.key_field = tuple(request.key_field.split("."))

    def send(
        self,
        endpoint: Endpoint,
        *,
        headers: Mapping[str, str] | None = None,
        body: Any = None,
        key: str | None = None,
        job: str | None = None,
    ) -> Answer:
        """One attempt of one call. Raises what is about us, not about a record: credentials, Customer Key, address."""
        path = endpoint.path.replace("{key}", quote(key or "", safe="")).replace("{job}", quote(job or "", safe=""))
        url = join_url(self._access.base_url, path)
        sent = {"Content-Type": "application/json"} if body is not None else {}
        answer = self._access.session.send(
            endpoint.method,
            url,
            what=f"{endpoint.method} {self._access.redactor.url(url)}",
            headers={**self._access.headers(self.options), **sent, **(headers or {})},
            timeouts=self.options.timeouts,
            max_bytes=self.options.limits.max_page_bytes,
            body=encode_body(body) if body is not None else None,
        )
        if is_rate_limit(answer):
            return replace(answer, status=429)
        if answer.status in (401, 403):
            raise self.refusal(answer, f"{endpoint.method} {path}")
        return answer

    def fields(self, delivery: Delivery) -> dict[str, Any] | None:
        """What goes out of a record; None for a delete."""
        if delivery.action == Action.DELETE:
            return None
        ours = self.push.correlation_field if delivery.action == Action.CREATE else ""
        return {**delivery.payload, **({ours: delivery.record_id} if ours else {})}

    def body(self, template: Any, delivery: Delivery) -> Any:
        """A body for one delivery."""
        own = {
            "fields": self.fields(delivery),
            "key": delivery.key,
            "record_id": delivery.record_id,
            "idempotency_key": delivery.idempotency_key,
            "etag": delivery.etag,
        }
        return filled(template, {**self._access.body_values(), **own})

    def bulk_body(self, template: Any, records: list[Any]) -> Any:
        return filled(template, {**self._access.body_values(), "records": records})

    def error_in(self, document: Any, what: str) -> ToldError | None:
        """The error that an answer with status 200 tells. Raises what is about us, not about a record."""
        error = told_error(document, self.options, self._access.redactor)
        if error is not None and error.code in self.options.error_codes.denied:
            raise error.as_read_error(what, self.options)
        return error

    def refusal(self, answer: Answer, what: str) -> Exception:
        return refusal(answer, what=what, redactor=self._access.redactor)

    def wait_s(self, answer: Answer) -> float | None:
        return retry_after_s(answer.headers, self._clock.now())

    def answered(self, answer: Answer) -> str:
        return answered(answer.status, excerpt(answer, self._access.redactor))

    def said(self, value: Any) -> str:
        """What a system says of a record, without secrets; empty where it says nothing."""
        return "" if value is MISSING or value is None else self._access.redactor.text(shown(value))[:MAX_SAID]


def _push_of(push: PushOptions | None, request: PushRequest) -> PushOptions:
    if push is None:
        raise ConfigurationError(
            f"It is not said how {request.source} is written.", remedy="Set push in the table's rest options."
        )
    return push
