"""Writing to one table of an instance, as it is configured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from kwiksync_ops.connectors.servicenow import import_set
from kwiksync_ops.connectors.servicenow.access import asked, error_in, table_path
from kwiksync_ops.connectors.servicenow.batch_call import Item
from kwiksync_ops.connectors.servicenow.finder import Finder
from kwiksync_ops.connectors.servicenow.journal import Journal, Notes
from kwiksync_ops.connectors.servicenow.looking import Look
from kwiksync_ops.connectors.servicenow.options import ImportSetOptions, PushOptions, ServiceNowOptions
from kwiksync_ops.connectors.servicenow.outcomes import ID_LOST, document_of, failed, in_order, refused
from kwiksync_ops.connectors.servicenow.payload import Prepared, References, notes_of, prepare
from kwiksync_ops.connectors.servicenow.sending import Sender
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import ConfigurationError, RetriableError
from kwiksync_ops.vocabulary import Action

_METHODS = {Action.CREATE: "POST", Action.UPDATE: "PATCH", Action.DELETE: "DELETE"}


@dataclass(frozen=True)
class Tools:
    """What all tables of an instance share. `blind` names those that did not keep our id in a create."""

    sender: Sender
    finder: Finder
    references: References
    journal: Journal
    blind: set[str] = field(default_factory=set)


class TableWriter:
    """Writing to one table, as it is configured."""

    def __init__(self, tools: Tools, options: ServiceNowOptions, push: PushOptions, name: str) -> None:
        self._tools = tools
        self._options = options
        self._push = push
        self._name = name

    def push(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        try:
            prepared = self._prepared(deliveries)
        except RetriableError as exc:
            return [replace(failed(each, exc), outcome=Outcome.UNSENT) for each in deliveries]
        faulty = [refused(one.delivery, one.fault) for one in prepared if one.fault]
        sound = [one for one in prepared if not one.fault]
        staging = self._push.import_set if deliveries[0].action != Action.DELETE else None
        receipts = [] if not sound else self._import(sound, staging) if staging else self._write(sound)
        return in_order(deliveries, [*faulty, *receipts])

    def confirm(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        receipts: list[Receipt] = []
        for job in dict.fromkeys(delivery.job for delivery in deliveries):
            receipts += self._of_job(job, [delivery for delivery in deliveries if delivery.job == job])
        return self._with_notes(deliveries, in_order(deliveries, receipts))

    def look(self, deliveries: Sequence[Delivery]) -> list[Receipt]:
        tools = self._tools
        look = Look(tools.finder, tools.journal, self._options, self._push, self._name, self._name in tools.blind)
        try:
            return look.receipts(prepare(self._options, self._push, tools.references, deliveries))
        except RetriableError as exc:
            return [Receipt(each.id, Outcome.UNKNOWN, message=exc.message) for each in deliveries]

    def _prepared(self, deliveries: Sequence[Delivery]) -> list[Prepared]:
        """Raises ConfigurationError where a create whose answer is lost could not be found again."""
        push = self._push
        if push.import_set is None and push.correlation_field and deliveries[0].action == Action.CREATE:
            self._tools.finder.prove(self._options, self._name, push.correlation_field)
            if self._name in self._tools.blind:
                raise ConfigurationError(
                    f"{self._name} does not keep our id in {push.correlation_field}.",
                    remedy="Let the integration user write the field, or set push.correlation_field to another one.",
                )
        return prepare(self._options, push, self._tools.references, deliveries)

    def _write(self, prepared: Sequence[Prepared]) -> list[Receipt]:
        """By the Table API. A create holds its journal entries: it is there with them, or not at all."""
        deliveries = [one.delivery for one in prepared]
        is_create = deliveries[0].action == Action.CREATE
        written = [one for one in prepared if is_create or one.fields or not one.notes]
        receipts = {each.id: Receipt(each.id, Outcome.CONFIRMED) for each in deliveries}
        sent = self._send([one.delivery for one in written], [self._item(one) for one in written])
        receipts |= {receipt.delivery_id: receipt for receipt in sent}
        if any(receipt.message == ID_LOST for receipt in sent):
            self._tools.blind.add(self._name)
        return list(receipts.values()) if is_create else self._with_notes(deliveries, list(receipts.values()))

    def _item(self, one: Prepared) -> Item:
        delivery, is_create = one.delivery, one.delivery.action == Action.CREATE
        path = table_path(self._name, "" if is_create else delivery.key or "")
        answered = ",".join(filter(None, ("sys_id", self._push.correlation_field)))
        url = asked(path, {"sysparm_fields": answered, "sysparm_exclude_reference_link": "true"})
        fields = {**one.fields, **one.notes} if is_create else dict(one.fields)
        body = b"" if delivery.action == Action.DELETE else msgspec.json.encode(fields)
        return Item(delivery.id, _METHODS[delivery.action], url, body)

    def _send(self, deliveries: Sequence[Delivery], items: Sequence[Item]) -> list[Receipt]:
        if not items:
            return []
        own = self._push.correlation_field
        return self._tools.sender.send(self._options, deliveries, items, in_batches=self._push.by != "record", own=own)

    def _import(self, prepared: Sequence[Prepared], staging: ImportSetOptions) -> list[Receipt]:
        """Into the staging table; `confirm` asks what became of the rows."""
        deliveries = [one.delivery for one in prepared]
        try:
            strangers = self._strangers(deliveries, staging.target_field)
        except RetriableError as exc:
            return [replace(failed(each, exc), outcome=Outcome.UNSENT) for each in deliveries]
        known = [one for one in prepared if one.delivery.id not in {each.delivery_id for each in strangers}]
        return [*strangers, *(self._load(known, staging) if known else [])]

    def _load(self, prepared: Sequence[Prepared], staging: ImportSetOptions) -> list[Receipt]:
        deliveries = [one.delivery for one in prepared]
        try:
            path, body = import_set.path_of(staging), import_set.body_of(staging, prepared)
            answer = self._tools.sender.call(self._options, "POST", path, body)
        except RetriableError as exc:
            return [failed(each, exc) for each in deliveries]
        if answer.status not in (200, 201):
            return self._tools.sender.refused_whole(deliveries, answer, f"An import into {staging.table}")
        job = import_set.job_of(answer.body)
        if job:
            return [Receipt(each.id, Outcome.ACCEPTED, job=job) for each in deliveries]
        why = error_in(document_of(answer.body)) or "The answer names no import set."
        return [Receipt(each.id, Outcome.UNKNOWN, message=why) for each in deliveries]

    def _strangers(self, deliveries: Sequence[Delivery], own: str) -> list[Receipt]:
        """Updates of records that the transform map would not find by our id, and make a second one of: refused."""
        updates = {each.key: each for each in deliveries if each.key is not None}
        if not updates:
            return []
        rows = self._tools.finder.rows(self._options, self._name, "sys_id", updates, (own,))
        ids = {str(row["sys_id"]): str(row.get(own) or "") for row in rows}
        strange = [each for key, each in updates.items() if ids.get(key) != each.record_id]
        return [self._stranger(each, ids.get(each.key or ""), own) for each in strange]

    def _stranger(self, delivery: Delivery, own_id: str | None, field: str) -> Receipt:
        if own_id is None:
            return Receipt(delivery.id, Outcome.GONE)
        return refused(
            delivery,
            f"{field} of {delivery.key} does not hold our id {delivery.record_id}, so that the transform map would "
            "make a second record of it. Fill the field there, or write the table by: batch.",
        )

    def _of_job(self, job: str | None, deliveries: Sequence[Delivery]) -> list[Receipt]:
        staging = self._push.import_set
        if job is None or staging is None:
            why = "The instance named no import set."
            return [Receipt(each.id, Outcome.UNKNOWN, message=why) for each in deliveries]
        try:
            of_job = import_set.Job(job, staging.table, self._push.correlation_field, deliveries)
            return of_job.receipts(self._tools.finder, self._options)
        except RetriableError as exc:
            return [Receipt(each.id, Outcome.ACCEPTED, job=job, message=exc.message) for each in deliveries]

    def _with_notes(self, deliveries: Sequence[Delivery], receipts: Sequence[Receipt]) -> list[Receipt]:
        """The receipts, once the journal entries of records that are in have gone out too."""
        notes = [
            Notes(delivery, key, entries)
            for delivery, receipt in zip(deliveries, receipts, strict=True)
            if receipt.outcome == Outcome.CONFIRMED
            and (key := receipt.key or delivery.key)
            and (entries := notes_of(self._push, delivery))
        ]
        if not notes:
            return list(receipts)
        try:
            undone = self._tools.journal.write(
                self._options, self._name, notes, self._send, unread=self._push.import_set is None
            )
        except RetriableError as exc:
            undone = {one.delivery.id: replace(failed(one.delivery, exc), outcome=Outcome.UNSENT) for one in notes}
        return [undone.get(receipt.delivery_id, receipt) for receipt in receipts]
