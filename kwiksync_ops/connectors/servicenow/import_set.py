"""Import sets: many staging rows in one call, and what a transform map made of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kwiksync_ops.connectors.servicenow.finder import Finder, Row
from kwiksync_ops.connectors.servicenow.options import ImportSetOptions, ServiceNowOptions
from kwiksync_ops.connectors.servicenow.outcomes import document_of
from kwiksync_ops.connectors.servicenow.payload import Prepared
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import DuplicateRecordError, ValidationError

STATE, TARGET, COMMENT = "sys_import_state", "sys_target_sys_id", "sys_import_state_comment"
_SET_ENDED = frozenset({"processed", "cancelled", "error"})
_UNDER_WAY = frozenset({"", "pending"})


def path_of(staging: ImportSetOptions) -> str:
    return f"/api/now/import/{staging.table}/insertMultiple"


def body_of(staging: ImportSetOptions, prepared: Sequence[Prepared]) -> bytes:
    records = [{staging.labels.get(name, name): text for name, text in one.fields.items()} for one in prepared]
    return msgspec.json.encode({"records": records})


def job_of(body: bytes) -> str | None:
    """The import set that the answer names."""
    document = document_of(body)
    told = document.get("result", document) if isinstance(document, Mapping) else None
    job = told.get("import_set_id") if isinstance(told, Mapping) else None
    return job if isinstance(job, str) and job else None


@dataclass(frozen=True)
class Job:
    """An import set with the deliveries that it took; `own` is the staging column that holds our id."""

    id: str
    staging: str
    own: str
    deliveries: Sequence[Delivery]

    def receipts(self, finder: Finder, options: ServiceNowOptions) -> list[Receipt]:
        """How its rows stand. Raises what looking for them raises."""
        receipts = self._read(finder, options)
        if not _is_open(receipts) or not self._is_over(finder, options):
            return receipts
        return [_given_up(receipt) for receipt in self._read(finder, options)]

    def _read(self, finder: Finder, options: ServiceNowOptions) -> list[Receipt]:
        fields = (self.own, STATE, TARGET, COMMENT)
        rows = finder.rows(options, self.staging, "sys_import_set", {self.id}, fields)
        by_record = {str(row.get(self.own)): row for row in rows}
        return [_receipt(delivery, by_record.get(delivery.record_id)) for delivery in self.deliveries]

    def _is_over(self, finder: Finder, options: ServiceNowOptions) -> bool:
        rows = finder.rows(options, "sys_import_set", "sys_id", {self.id}, ("state",))
        return not rows or _text(rows[0].get("state")) in _SET_ENDED


def _is_open(receipts: Sequence[Receipt]) -> bool:
    return any(receipt.outcome == Outcome.ACCEPTED for receipt in receipts)


def _receipt(delivery: Delivery, row: Row | None) -> Receipt:
    state = str(row.get(STATE) or "") if row else ""
    if row is None or state in _UNDER_WAY:
        return Receipt(delivery.id, Outcome.ACCEPTED, job=delivery.job, message="The row waits for its transform map.")
    sys_id, comment = _text(row.get(TARGET)), _text(row.get(COMMENT))
    if state in ("inserted", "updated", "ignored") and sys_id:
        return _written(delivery, sys_id)
    message = f"The import's row ended as {state!r}{f': {comment}' if comment else ''}."
    return Receipt(delivery.id, Outcome.REFUSED, code=ValidationError.code, message=message)


def _written(delivery: Delivery, sys_id: str) -> Receipt:
    if delivery.key in (None, sys_id):
        return Receipt(delivery.id, Outcome.CONFIRMED, key=sys_id)
    message = (
        f"The transform map wrote to {sys_id}, not to {delivery.key}: it does not know the record by our id. "
        "Let it coalesce on the correlation field, and fill that field of records that began at ServiceNow"
    )
    return Receipt(delivery.id, Outcome.REFUSED, code=DuplicateRecordError.code, message=f"{message}.")


def _given_up(receipt: Receipt) -> Receipt:
    if receipt.outcome != Outcome.ACCEPTED:
        return receipt
    return Receipt(
        receipt.delivery_id, Outcome.UNKNOWN, message="The import set has ended, and says nothing of its row."
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
