"""Writes to an OData service of version 2 or 4: each receipt claims no more than the answer tells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.calls import Call
from kwiksync_ops.connectors.http.json_path import value_at
from kwiksync_ops.connectors.http.retry_after import retry_after_s
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.odata.access import ODataAccess, join_url, json_type, with_query
from kwiksync_ops.connectors.odata.batch import Operation, Result, json_call, multipart_call, results_of
from kwiksync_ops.connectors.odata.edm import Version, is_same, to_json, to_literal
from kwiksync_ops.connectors.odata.entity_table import EntityTable, open_table
from kwiksync_ops.connectors.odata.envelope import RECORDS
from kwiksync_ops.connectors.odata.error_body import words_of
from kwiksync_ops.connectors.odata.keys import KeyReader
from kwiksync_ops.connectors.odata.options import ODataOptions, PushOptions
from kwiksync_ops.connectors.odata.source import describe
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Repeat
from kwiksync_ops.errors import ConfigurationError, FatalError, KwikSyncError, RateLimitError, ValidationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import Action

MAX_SAID = 300
_GONE = frozenset({404, 410})
_CONFLICTS = frozenset({409, 412, 428})
_TRY_LATER = frozenset({429, 503})


@dataclass(frozen=True)
class _PushTable:
    """Where deliveries go, and how it is written."""

    entity: EntityTable
    options: ODataOptions
    push: PushOptions

    @property
    def version(self) -> Version:
        return self.entity.version

    @property
    def keys(self) -> KeyReader:
        return self.entity.keys


class ODataTarget:
    """One system over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._access = ODataAccess(credentials, options, limiter, clock)
        self._clock = clock

    @property
    def calls(self) -> int:
        return self._access.calls

    def repeat(self, request: PushRequest) -> Repeat:
        return self._push(request)[1].repeat

    def sends(self, request: PushRequest, action: Action) -> bool:
        return action in self._push(request)[1].actions

    def sends_changes_only(self, request: PushRequest) -> bool:
        return self._push(request)[1].update != "PUT"

    def call_records(self, request: PushRequest, action: Action) -> int:
        batch = self._push(request)[1].batch
        return batch.records if batch else 1

    def push(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """See `Target.push`. A batch that is refused whole is told as `unsent` for each: send fewer at once."""
        try:
            table = self._table(request)
        except FatalError:
            raise
        except KwikSyncError as exc:  # the metadata can't be read now: nothing went out
            return [Receipt(one.id, Outcome.UNSENT, code=exc.code, message=exc.message) for one in deliveries]
        if table.push.batch and len(deliveries) > 1:
            return self._push_batch(table, deliveries)
        receipts: list[Receipt] = []
        for delivery in deliveries:
            receipts.append(self._push_one(table, delivery))
            if receipts[-1].outcome == Outcome.UNSENT:
                break
        rest = deliveries[len(receipts) :]
        return [*receipts, *(replace(receipts[-1], delivery_id=delivery.id) for delivery in rest)]

    def confirm(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        return [self._confirmed(receipt) for receipt in self.look(request, deliveries)]

    def look(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """See `Target.look`. A system that can't be asked now is told by a `retry_after_s`."""
        try:
            table = self._table(request)
        except FatalError:
            raise
        except KwikSyncError as exc:
            unknown = partial(Receipt, outcome=Outcome.UNKNOWN, message=exc.message, retry_after_s=0.0)
            return [unknown(delivery.id) for delivery in deliveries]
        return [self._look_for(table, delivery) for delivery in deliveries]

    def check(self) -> str:
        return describe(self._access)

    def close(self) -> None:
        self._access.close()

    def _push(self, request: PushRequest) -> tuple[ODataOptions, PushOptions]:
        options = self._access.options(request.source, request.options)
        if options.push is None:
            raise ConfigurationError(
                f"It is not said how {request.source} is written.", remedy="Set push in the table's odata options."
            )
        return options, options.push

    def _table(self, request: PushRequest) -> _PushTable:
        options, push = self._push(request)
        return _PushTable(open_table(self._access, request.source, request.key_field, options), options, push)

    def _operation(self, table: _PushTable, delivery: Delivery) -> Operation:
        """Raises ValueError where the record's id does not fit the entity set's key."""
        headers = {"Accept": json_type(table.options, table.version)}
        if delivery.action == Action.CREATE:
            prefer = {"Prefer": "return=representation"} if table.version == "v4" else {}
            return self._create(table, delivery, {**headers, **self._type(table), **prefer})
        path = table.keys.address(delivery.key or "")
        headers |= self._if_match(table, delivery)
        if delivery.action == Action.DELETE:
            return Operation("DELETE", path, headers)
        method = table.push.update or ("PATCH" if table.version == "v4" else "MERGE")
        return Operation(method, path, {**headers, **self._type(table)}, self._content(table, delivery))

    def _create(self, table: _PushTable, delivery: Delivery, headers: Mapping[str, str]) -> Operation:
        """An upsert changes a record that need not be there yet: by its key, or by our id as an alternate key."""
        content = self._content(table, delivery)
        if table.push.repeat != Repeat.UPSERT:
            return Operation("POST", table.entity.name, headers, content)
        if table.version == "v2":
            raise ConfigurationError("Version 2 of OData has no upsert.", remedy="Set push.repeat: look.")
        headers = {**headers, **({"If-Match": delivery.etag} if delivery.etag else {})}
        key, field = table.keys.key_of(content), table.push.correlation_field
        if key is not None:
            rest = {name: value for name, value in content.items() if name not in table.entity.entity_set.keys}
            return Operation("PATCH", table.keys.address(key), headers, rest)
        if not field:
            raise ValueError("its key is not among its fields, and there is no correlation_field to write it by")
        address = table.keys.address_by(field, content.pop(field))
        return Operation("PATCH", address, headers, content)

    def _type(self, table: _PushTable) -> dict[str, str]:
        return {"Content-Type": json_type(table.options, table.version)}

    def _if_match(self, table: _PushTable, delivery: Delivery) -> dict[str, str]:
        """Without an ETag an update of version 4 would create a record that is not there; `*` forbids that."""
        if not table.push.if_match:
            return {}
        etag = delivery.etag or ("*" if table.version == "v4" else None)
        return {"If-Match": etag} if etag else {}

    def _content(self, table: _PushTable, delivery: Delivery) -> dict[str, Any]:
        sent = dict(delivery.payload)
        if delivery.action == Action.CREATE:
            sent = {**table.options.fixed_keys, **sent}
            if table.push.correlation_field:
                sent[table.push.correlation_field] = delivery.record_id
        return {name: self._json_value(table, name, value) for name, value in sent.items()}

    def _json_value(self, table: _PushTable, name: str, value: Any) -> Any:
        return to_json(value, table.entity.type_of(name), table.version, decimals=table.options.decimals)

    def _push_one(self, table: _PushTable, delivery: Delivery) -> Receipt:
        try:
            operation = self._operation(table, delivery)
            answer = self._send(table, operation)
        except ValueError as exc:
            return Receipt(delivery.id, Outcome.REFUSED, code=ValidationError.code, message=self._text(f"{exc}."))
        except FatalError:
            raise
        except KwikSyncError as exc:
            return _failed(delivery, exc)
        if _is_denied(answer):
            raise self._access.refused(answer, f"{operation.method} {operation.path}")
        return self._settled(table, delivery, Result(answer.status, answer.headers, answer.body))

    def _send(self, table: _PushTable, operation: Operation) -> Answer:
        headers = {**self._access.headers(table.options, table.version), **operation.headers}
        path = with_query(operation.path, table.options.params)
        return self._access.send(operation.method, table.entity.root, path, table.options, headers, operation.body)

    def _push_batch(self, table: _PushTable, deliveries: Sequence[Delivery]) -> list[Receipt]:
        operations: dict[str, Operation] = {}
        receipts: dict[str, Receipt] = {}
        for delivery in deliveries:
            try:
                operations[delivery.id] = self._operation(table, delivery)
            except ValueError as exc:
                message = self._text(f"{exc}.")
                receipts[delivery.id] = Receipt(
                    delivery.id, Outcome.REFUSED, code=ValidationError.code, message=message
                )
        sent = [delivery for delivery in deliveries if delivery.id in operations]
        if sent:
            told = self._call_batch(table, sent, list(operations.values()))
            receipts |= {receipt.delivery_id: receipt for receipt in told}
        return [receipts[delivery.id] for delivery in deliveries]

    def _call_batch(
        self, table: _PushTable, deliveries: Sequence[Delivery], operations: Sequence[Operation]
    ) -> list[Receipt]:
        is_json = table.push.batch is not None and table.push.batch.format == "json"
        call = json_call(operations) if is_json else multipart_call(operations)
        headers = {
            **self._access.headers(table.options, table.version),
            "Content-Type": call.content_type,
            "Accept": "application/json" if is_json else "multipart/mixed",
            "Prefer": "odata.continue-on-error",
        }
        path = with_query("$batch", table.options.params)
        try:
            answer = self._access.send("POST", table.entity.root, path, table.options, headers, call.body)
        except FatalError:
            raise
        except KwikSyncError as exc:
            return [_failed(delivery, exc) for delivery in deliveries]
        if _is_denied(answer):
            raise self._access.refused(answer, "POST $batch")
        if not 200 <= answer.status < 300:
            return self._refused_whole(deliveries, answer)
        try:
            results = results_of(answer.content_type, answer.body, len(operations))
        except ValueError as exc:
            why = self._text(f"The system answered {answer.status}, and what it said can't be used: {exc}.")
            return [Receipt(delivery.id, Outcome.UNKNOWN, message=why) for delivery in deliveries]
        return self._batch_receipts(table, deliveries, results)

    def _batch_receipts(
        self, table: _PushTable, deliveries: Sequence[Delivery], results: Sequence[Result | None]
    ) -> list[Receipt]:
        """A batch may end at its first failure, whatever was asked: what comes behind was not done."""
        failed_before = False
        receipts = []
        for delivery, result in zip(deliveries, results, strict=True):
            if result is not None:
                receipts.append(self._settled_of_batch(table, delivery, result))
                failed_before = failed_before or result.status >= 400
                continue
            outcome = Outcome.UNSENT if failed_before else Outcome.UNKNOWN
            receipts.append(Receipt(delivery.id, outcome, message="The answer to the batch has no result for it."))
        return receipts

    def _settled_of_batch(self, table: _PushTable, delivery: Delivery, result: Result) -> Receipt:
        """A refusal while a record of a batch is cleared up is that record's: what it had beside it was applied."""
        try:
            return self._settled(table, delivery, result)
        except FatalError as exc:
            return Receipt(delivery.id, Outcome.UNSENT, code=exc.code, message=exc.message)

    def _refused_whole(self, deliveries: Sequence[Delivery], answer: Answer) -> list[Receipt]:
        """Of one record it is that record's fault; of many nothing was applied, and fewer may go."""
        if len(deliveries) == 1 or answer.status >= 500 or answer.status in (403, 408, 429):
            result = Result(answer.status, answer.headers, answer.body)
            return [self._told(delivery, result) for delivery in deliveries]
        message = f"answered {answer.status} to a batch of {len(deliveries)} records, {self._access.said(answer)!r}"
        return [Receipt(delivery.id, Outcome.UNSENT, message=message) for delivery in deliveries]

    def _settled(self, table: _PushTable, delivery: Delivery, result: Result) -> Receipt:
        """The receipt of a result; what the system refuses for want of an ETag goes out again with the one it has."""
        is_by_key = delivery.action != Action.CREATE or table.push.repeat == Repeat.UPSERT
        if is_by_key and delivery.etag is None:
            if result.status == 428:
                return self._with_etag(table, delivery)
            if result.status == 412 and delivery.action != Action.CREATE:  # no such record, or no `*` is taken
                return self._of_missing(table, delivery, result)
        return self._receipt(table, delivery, result)

    def _with_etag(self, table: _PushTable, delivery: Delivery) -> Receipt:
        found = self._look_for(table, delivery)
        if found.outcome == Outcome.UNSENT and found.record is None and delivery.action == Action.CREATE:
            posting = replace(table, push=replace(table.push, repeat=Repeat.LOOK))
            return self._push_one(posting, delivery)
        if found.record is None:
            return self._absent(delivery, found)
        if found.etag is None:
            return Receipt(delivery.id, Outcome.CONFLICT, message="The system asks for an ETag, and tells none.")
        return self._push_one(table, replace(delivery, etag=found.etag))

    def _of_missing(self, table: _PushTable, delivery: Delivery, result: Result) -> Receipt:
        found = self._look_for(table, delivery)
        return self._told(delivery, result) if found.record is not None else self._absent(delivery, found)

    def _absent(self, delivery: Delivery, found: Receipt) -> Receipt:
        """Looked for and not there: gone, where the system said so."""
        if found.outcome == Outcome.UNKNOWN:  # nothing was applied, and it can't be looked for now
            return replace(found, outcome=Outcome.UNSENT, retry_after_s=None)
        outcome = Outcome.CONFIRMED if delivery.action == Action.DELETE else Outcome.GONE
        return Receipt(delivery.id, outcome)

    def _receipt(self, table: _PushTable, delivery: Delivery, result: Result) -> Receipt:
        receipt = self._told(delivery, result)
        if receipt.outcome != Outcome.CONFIRMED or delivery.action == Action.DELETE:
            return receipt
        try:
            record, etag = self._entity(table, _document(result.body)) if result.body else (None, None)
        except ValueError:
            why = f"The system answered {result.status}, and what it said can't be read."
            return Receipt(delivery.id, Outcome.UNKNOWN, message=why)
        key = delivery.key or (table.keys.key_of(record) if record else None) or self._told_key(table, result)
        etag = result.headers.get("ETag") or etag
        outcome = Outcome.CONFIRMED if table.push.confirm == "answer" else Outcome.ACCEPTED
        return replace(receipt, outcome=outcome, key=key, etag=etag)

    def _told_key(self, table: _PushTable, result: Result) -> str | None:
        addresses = (result.headers.get("OData-EntityId"), result.headers.get("Location"))
        return next((key for one in addresses if one and (key := table.keys.key_in(one))), None)

    def _entity(self, table: _PushTable, document: Any) -> tuple[Mapping[str, Any], str | None]:
        """A single record, clean, and its ETag. Raises ValueError."""
        entity = document.get("d", document) if isinstance(document, dict) else None
        if not isinstance(entity, dict):
            raise ValueError("the answer is no record")  # noqa: TRY004  # it is the answer that is wrong
        meta = entity.get("__metadata")
        etag = meta.get("etag") if isinstance(meta, dict) else entity.get("@odata.etag", entity.get("@etag"))
        return table.entity.cleaner.clean(entity), etag if isinstance(etag, str) else None

    def _told(self, delivery: Delivery, result: Result) -> Receipt:
        """What a status means for a delivery."""
        status = result.status
        if 200 <= status < 300 or (status in _GONE and delivery.action == Action.DELETE):
            return Receipt(delivery.id, Outcome.CONFIRMED)
        said = words_of(result.body) or result.body[:MAX_SAID].decode("utf-8", "replace")
        of = Receipt(
            delivery.id, Outcome.UNKNOWN, message=self._text(f"answered {status}{f', {said}' if said else ''}")
        )
        if status in _GONE and delivery.action == Action.UPDATE:
            return replace(of, outcome=Outcome.GONE)
        if status in _CONFLICTS:
            return replace(of, outcome=Outcome.CONFLICT)
        wait_s = retry_after_s(result.headers, self._clock.now())
        if status in _TRY_LATER or (status == 403 and wait_s is not None):
            if status == 503 and wait_s is None:  # a gateway's own 503 may come after the system has applied it
                return of
            return replace(
                of, outcome=Outcome.UNSENT, retry_after_s=wait_s, code=RateLimitError.code if status != 503 else None
            )
        if 400 <= status < 500 and status != 408:
            return replace(of, outcome=Outcome.REFUSED, code=ValidationError.code)
        return of

    def _confirmed(self, receipt: Receipt) -> Receipt:
        if receipt.outcome == Outcome.UNKNOWN and receipt.retry_after_s is not None:
            return replace(receipt, outcome=Outcome.ACCEPTED)
        if receipt.outcome == Outcome.UNSENT:
            return replace(receipt, outcome=Outcome.UNKNOWN, message="Read back, it is not there as it was sent.")
        return receipt

    def _look_for(self, table: _PushTable, delivery: Delivery) -> Receipt:
        try:
            address = self._address(table, delivery)
            if address is None:
                return Receipt(delivery.id, Outcome.UNKNOWN, message="Its key is not known, nor a correlation_field.")
            found, etag = self._read(table, address)
        except FatalError:
            raise
        except (KwikSyncError, ValueError) as exc:
            return Receipt(delivery.id, Outcome.UNKNOWN, message=self._text(str(exc)), retry_after_s=0.0)
        if found is None:
            outcome = Outcome.CONFIRMED if delivery.action == Action.DELETE else Outcome.UNSENT
            return Receipt(delivery.id, outcome)
        is_there = delivery.action != Action.DELETE and self._holds(table, found, delivery.payload)
        outcome = Outcome.CONFIRMED if is_there else Outcome.UNSENT
        key = delivery.key or table.keys.key_of(found)
        return Receipt(delivery.id, outcome, key=key, etag=etag, record=found)

    def _address(self, table: _PushTable, delivery: Delivery) -> str | None:
        """Where the record is, or a query for it by our own id; None where neither is known."""
        key = delivery.key or table.keys.key_of(delivery.payload)
        if key is not None:
            return table.keys.address(key)
        field = table.push.correlation_field
        if not field:
            return None
        literal = to_literal(delivery.record_id, table.entity.type_of(field), table.version)
        return with_query(table.entity.name, {"$filter": f"{field} eq {literal}", "$top": 2})

    def _read(self, table: _PushTable, address: str) -> tuple[Mapping[str, Any] | None, str | None]:
        """The record as the system has it, and its ETag; None where there is none. Raises ValueError."""
        url = with_query(join_url(table.entity.root, address), table.options.params)
        headers = self._access.headers(table.options, table.version)
        what = f"Looking for {self._access.shown(url)}"
        answer, _ = self._access.caller(table.options, headers).answer(Call(url, what=what))
        if answer.status in _GONE:
            return None, None
        if answer.status != 200:
            raise self._access.refused(answer, what)
        if "?$filter=" not in address:
            record, etag = self._entity(table, _document(answer.body))
            return record, answer.headers.get("ETag") or etag
        found = value_at(_document(answer.body), RECORDS[table.version])
        if not isinstance(found, list):
            raise ValueError("the answer has no list of records")  # noqa: TRY004  # it is the answer that is wrong
        if len(found) > 1:
            raise ValueError(f"{len(found)} records have the same {table.push.correlation_field}")
        return self._entity(table, found[0]) if found else (None, None)

    def _holds(self, table: _PushTable, record: Mapping[str, Any], payload: Mapping[str, Any]) -> bool:
        """Whether the record has every value that was sent. What binds a link, `to@odata.bind`, is not read back."""
        for name, value in payload.items():
            if "@" in name:
                continue
            if not is_same(record.get(name), value, table.entity.type_of(name)):
                return False
        return True

    def _text(self, text: str) -> str:
        return self._access.redactor.text(text)[:MAX_SAID]


def _is_denied(answer: Answer) -> bool:
    """Who we are is refused; some systems say by 403 that they were called too often, and how long to wait."""
    return answer.status == 401 or (answer.status == 403 and "Retry-After" not in answer.headers)


def _failed(delivery: Delivery, error: KwikSyncError) -> Receipt:
    """No answer: not sent where nothing went out, else nobody knows."""
    outcome = Outcome.UNSENT if error.facts.get("unsent") else Outcome.UNKNOWN
    return Receipt(delivery.id, outcome, code=error.code, message=error.message)


def _document(body: bytes) -> Any:
    """The JSON of an answer; a number with a fraction stays exact. Raises ValueError."""
    try:
        return json.loads(body, parse_float=Decimal)
    except RecursionError as exc:
        raise ValueError("the answer is nested too deep") from exc


open_target = ODataTarget
