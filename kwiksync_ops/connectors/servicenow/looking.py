"""Whether deliveries of an unknown outcome have arrived: found by sys_id, or by our own id where that is not known."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kwiksync_ops.connectors.servicenow.finder import Finder, Row
from kwiksync_ops.connectors.servicenow.journal import Journal, Notes
from kwiksync_ops.connectors.servicenow.options import PushOptions, ServiceNowOptions
from kwiksync_ops.connectors.servicenow.payload import Prepared
from kwiksync_ops.connectors.servicenow.values import is_equal, plain_record
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.vocabulary import Action

log = logging.getLogger(__name__)

_UNSEEN = "Whether its journal entries arrived can't be seen: sys_journal_field can't be read."


@dataclass(frozen=True)
class Look:
    """A look at one table, as deliveries are sent to it. `is_blind`: it does not keep our id."""

    finder: Finder
    journal: Journal
    options: ServiceNowOptions
    push: PushOptions
    table: str
    is_blind: bool = False

    def receipts(self, prepared: Sequence[Prepared]) -> list[Receipt]:
        """Raises what reading raises: nothing is known then."""
        by_key = self._by_key(prepared)
        by_id = self._by_id(prepared)
        noted = self._noted([one for one in prepared if one.delivery.key in by_key])
        return [
            self._told(one, by_key.get(one.delivery.key), noted)
            if one.delivery.key
            else self._told_of_create(one.delivery, by_id.get(one.delivery.record_id))
            for one in prepared
        ]

    def _by_key(self, prepared: Sequence[Prepared]) -> dict[str, Row]:
        keys = {one.delivery.key for one in prepared if one.delivery.key}
        fields = self._fields(prepared)
        rows = self.finder.rows(self.options, self.table, "sys_id", keys, fields) if keys else []
        return {str(row["sys_id"]): row for row in rows}

    def _fields(self, prepared: Sequence[Prepared]) -> set[str]:
        """What to read of a record: as a read of the table does, and what was sent; nothing means all."""
        if not self.options.fields:
            return set()
        sent = (name for one in prepared for name in one.fields)
        return {"sys_id", "sys_updated_on", *self.options.fields, *sent}

    @property
    def _own_field(self) -> str:
        """A staging column's name says nothing of the table's."""
        staging = self.push.import_set
        return staging.target_field if staging else self.push.correlation_field

    def _by_id(self, prepared: Sequence[Prepared]) -> dict[str, Row]:
        own = self._own_field
        ids = {one.delivery.record_id for one in prepared if not one.delivery.key and one.delivery.record_id}
        if not ids or not own:
            return {}
        rows = self.finder.rows(self.options, self.table, own, ids, self._fields(prepared))
        found = {str(row[own]): row for row in rows}
        if len(found) < len(rows):
            log.warning("%s has several records with one of our ids in %s", self.table, own)
        return found

    def _noted(self, prepared: Sequence[Prepared]) -> Mapping[str, bool | None]:
        """Whether the journal entries of deliveries are there; None where that can't be seen."""
        notes = [Notes(one.delivery, one.delivery.key or "", one.notes) for one in prepared if one.notes]
        missing = self.journal.missing(self.options, notes) if notes else []
        if missing is None:
            return dict.fromkeys((one.delivery.id for one in notes), None)
        return {one.delivery.id: not one.entries for one in missing}

    def _told(self, one: Prepared, row: Row | None, noted: Mapping[str, bool | None]) -> Receipt:
        delivery = one.delivery
        if row is None:
            is_deleted = delivery.action == Action.DELETE
            return Receipt(delivery.id, Outcome.CONFIRMED if is_deleted else Outcome.UNSENT)
        found = Receipt(delivery.id, Outcome.UNSENT, key=delivery.key, record=plain_record(row))
        if delivery.action == Action.DELETE:
            return found
        has_notes = noted.get(delivery.id, True)
        if has_notes is None:
            return replace(found, outcome=Outcome.UNKNOWN, message=_UNSEEN)
        holds = not one.fault and all(is_equal(row.get(name), text) for name, text in one.fields.items())
        return replace(found, outcome=Outcome.CONFIRMED) if has_notes and holds else found

    def _told_of_create(self, delivery: Delivery, row: Row | None) -> Receipt:
        """A record with our id is that create, whatever rules or people have made of it since."""
        if row is None:
            can_find = self._own_field and not self.is_blind
            why = None if can_find else "There is no correlation_field, in which it could be found by our id."
            return Receipt(delivery.id, Outcome.UNSENT if can_find else Outcome.UNKNOWN, message=why)
        return Receipt(delivery.id, Outcome.CONFIRMED, key=str(row["sys_id"]), record=plain_record(row))
