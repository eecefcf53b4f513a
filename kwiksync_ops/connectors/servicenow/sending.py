"""Writes of the Table API on their way: many in one batch call, or one by one; a receipt for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kwiksync_ops.connectors.http.refusals import refusal
from kwiksync_ops.connectors.http.retry_after import retry_after_s
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.servicenow import batch_call
from kwiksync_ops.connectors.servicenow.access import Instance
from kwiksync_ops.connectors.servicenow.batch_call import Item, ItemAnswer
from kwiksync_ops.connectors.servicenow.options import ServiceNowOptions
from kwiksync_ops.connectors.servicenow.outcomes import failed, receipt_of
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import FatalError, RetriableError

LEFT_OVER = "The instance had no time for it in this call."


class Sender:
    """Sends each call once. What is about us and not about a record is raised: credentials, address."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    def send(
        self,
        options: ServiceNowOptions,
        deliveries: Sequence[Delivery],
        items: Sequence[Item],
        *,
        in_batches: bool,
        own: str = "",
    ) -> list[Receipt]:
        """In as few calls as the items fit into; after a call that was not taken the others stay unsent.

        Args:
            own: the field that creates put our id into.

        Raises:
            FatalError: the first call was refused; nothing was applied.
        """
        calls = batch_call.in_calls(items) if in_batches else [[item] for item in items]
        receipts: list[Receipt] = []
        for call in calls:
            mine = deliveries[len(receipts) : len(receipts) + len(call)]
            try:
                told = self._batch(options, mine, call, own) if in_batches else self._one(options, mine, call[0], own)
            except FatalError as exc:
                if not receipts:
                    raise
                told = [Receipt(mine[0].id, Outcome.UNSENT, code=exc.code, message=exc.message)]
            receipts += told
            if all(receipt.outcome == Outcome.UNSENT for receipt in told):
                break
        left = deliveries[len(receipts) :]
        return [*receipts, *(replace(receipts[-1], delivery_id=delivery.id) for delivery in left)]

    def call(self, options: ServiceNowOptions, method: str, path: str, body: bytes) -> Answer:
        """One attempt of one call, whatever its answer, but for a refusal of us."""
        url = self._instance.url(path)
        what = f"{method} {self._instance.redactor.url(url)}"
        answer = self._instance.session.send(
            method,
            url,
            what=what,
            headers={**self._instance.headers, **({"Content-Type": "application/json"} if body else {})},
            timeouts=options.timeouts,
            max_bytes=options.limits.max_page_bytes,
            body=body or None,
        )
        is_of_a_record = path.startswith("/api/now/v2/table/")
        if answer.status == 401 or (answer.status == 403 and not is_of_a_record):
            raise refusal(answer, what=what, redactor=self._instance.redactor)
        return answer

    def refused_whole(self, deliveries: Sequence[Delivery], answer: Answer, what: str) -> list[Receipt]:
        """For the answer to a call of many records that did not do its work.

        Raises:
            ConfigurationError: the call as such is wrong, whatever it holds.
        """
        told, wait_s = ItemAnswer(answer.status, answer.body), self._wait_s(answer)
        receipts = [receipt_of(delivery, told, self._instance.redactor.text, wait_s=wait_s) for delivery in deliveries]
        if answer.status in (408, 429) or not 400 <= answer.status < 500:
            return receipts
        if answer.status != 413 and b"large" not in answer.body.lower():
            raise refusal(answer, what=what, redactor=self._instance.redactor)
        if len(deliveries) == 1:
            return [replace(receipts[0], outcome=Outcome.REFUSED)]
        return [replace(receipt, outcome=Outcome.UNSENT, code=None) for receipt in receipts]

    def _one(self, options: ServiceNowOptions, deliveries: Sequence[Delivery], item: Item, own: str) -> list[Receipt]:
        (delivery,) = deliveries
        try:
            answer = self.call(options, item.method, item.url, item.body)
        except RetriableError as exc:
            return [failed(delivery, exc)]
        told = ItemAnswer(answer.status, answer.body)
        return [receipt_of(delivery, told, self._instance.redactor.text, wait_s=self._wait_s(answer), own=own)]

    def _batch(
        self, options: ServiceNowOptions, deliveries: Sequence[Delivery], items: Sequence[Item], own: str
    ) -> list[Receipt]:
        try:
            answer = self.call(options, "POST", batch_call.PATH, batch_call.encode(items))
        except RetriableError as exc:
            return [failed(delivery, exc) for delivery in deliveries]
        if answer.status != 200:
            return self.refused_whole(deliveries, answer, "A batch of writes")
        try:
            answers, left = batch_call.decode(answer.body)
        except ValueError as exc:
            why = self._instance.nonsense(answer, "The batch", str(exc)).message
            return [Receipt(delivery.id, Outcome.UNKNOWN, message=why) for delivery in deliveries]
        if len(answers) > 1 and not left and all(map(_is_denied, answers.values())):
            denied = next(iter(answers.values()))
            first = Answer(answer.url, denied.status, {}, denied.body)
            raise refusal(first, what=f"Each of {len(answers)} writes", redactor=self._instance.redactor)
        return [self._of_item(each, answers.get(each.id), own, is_left=each.id in left) for each in deliveries]

    def _of_item(self, delivery: Delivery, answer: ItemAnswer | None, own: str, *, is_left: bool) -> Receipt:
        if answer is not None:
            return receipt_of(delivery, answer, self._instance.redactor.text, own=own)
        if is_left:
            return Receipt(delivery.id, Outcome.UNSENT, message=LEFT_OVER)
        return Receipt(delivery.id, Outcome.UNKNOWN, message="The answer says nothing of it.")

    def _wait_s(self, answer: Answer) -> float | None:
        return retry_after_s(answer.headers, self._instance.clock.now())


def _is_denied(answer: ItemAnswer) -> bool:
    """By an access rule, not by one of the business, which would be about the record."""
    return answer.status == 403 and b"ACL" in answer.body
