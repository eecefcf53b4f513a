"""Journal entries, which append at every write: each is sent in a call of its own, once, and looked for before."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from kwiksync_ops.connectors.servicenow.access import table_path
from kwiksync_ops.connectors.servicenow.batch_call import Item
from kwiksync_ops.connectors.servicenow.finder import UNREADABLE, Finder
from kwiksync_ops.connectors.servicenow.options import ServiceNowOptions
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import UnconfirmedError
from kwiksync_ops.vocabulary import Action

log = logging.getLogger(__name__)

TABLE = "sys_journal_field"

Send = Callable[[Sequence[Delivery], Sequence[Item]], list[Receipt]]


@dataclass(frozen=True)
class Notes:
    """Entries of one delivery for a record, by field."""

    delivery: Delivery
    sys_id: str
    entries: Mapping[str, str]

    def without(self, there: set[tuple[str, str, str]]) -> Notes:
        left = {name: text for name, text in self.entries.items() if (self.sys_id, name, text) not in there}
        return replace(self, entries=left)


class Journal:
    """The journal of an instance. An entry that a record has word for word is not written again."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    def missing(self, options: ServiceNowOptions, notes: Sequence[Notes]) -> list[Notes] | None:
        """The notes with those entries only that are not there; None where the journal can't be read."""
        try:
            ids = {one.sys_id for one in notes}
            rows = self._finder.rows(options, TABLE, "element_id", ids, ("element", "value"))
        except UNREADABLE as exc:
            log.warning("The journal can't be read, so that entries can't be looked for: %s", exc)
            return None
        there = {(str(row["element_id"]), str(row.get("element")), str(row.get("value"))) for row in rows}
        return [one.without(there) for one in notes]

    def write(
        self, options: ServiceNowOptions, table: str, notes: Sequence[Notes], send: Send, *, unread: bool
    ) -> dict[str, Receipt]:
        """What is not done of these notes, by delivery. `unread`: they may be sent where the journal can't be read."""
        missing = self.missing(options, notes)
        if missing is None and not unread:
            return {one.delivery.id: _refused(one, _UNREAD) for one in notes}
        to_send = [one for one in (notes if missing is None else missing) if one.entries]
        if not to_send:
            return {}
        items = [
            Item(one.delivery.id, "PATCH", f"{table_path(table, one.sys_id)}?sysparm_fields=sys_id", _body(one))
            for one in to_send
        ]
        receipts = send([replace(one.delivery, action=Action.UPDATE, key=one.sys_id) for one in to_send], items)
        told = zip(to_send, receipts, strict=True)
        return {
            one.delivery.id: _told(one, receipt, is_readable=missing is not None)
            for one, receipt in told
            if receipt.outcome != Outcome.CONFIRMED
        }


_UNREAD = f"{TABLE} can't be read, so that an entry could be written twice; let the integration user read it"


def _body(notes: Notes) -> bytes:
    return msgspec.json.encode(dict(notes.entries))


def _told(notes: Notes, receipt: Receipt, *, is_readable: bool) -> Receipt:
    if receipt.outcome == Outcome.UNSENT or (receipt.outcome == Outcome.UNKNOWN and is_readable):
        return receipt
    if receipt.outcome == Outcome.UNKNOWN:
        return replace(_refused(notes, f"whether they arrived is not known, and {_UNREAD}"), code=UnconfirmedError.code)
    return _refused(notes, receipt.message or "the instance refused them")


def _refused(notes: Notes, why: str) -> Receipt:
    names = ", ".join(notes.entries)
    message = f"The record's other fields are there; {names} not: {why}."
    return Receipt(notes.delivery.id, Outcome.REFUSED, key=notes.sys_id, message=message)
