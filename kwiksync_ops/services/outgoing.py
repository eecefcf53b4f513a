"""From changed records of the hub to deliveries: what the system is to be sent of each, if anything."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import msgspec

from kwiksync_ops.batch import Reject
from kwiksync_ops.connectors.target import PushRequest, Target
from kwiksync_ops.mapping.outbound import CompiledOutbound, Payload, nested
from kwiksync_ops.services.rejections import error_entries
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import changes, history, outbox, two_way
from kwiksync_ops.storage.changes import Change
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.outbox import NewDelivery
from kwiksync_ops.storage.outward_lookups import OutwardLookups
from kwiksync_ops.storage.two_way import Pending
from kwiksync_ops.vocabulary import Action, DeliveryState

_JSON = msgspec.json.Encoder(decimal_format="number", order="sorted")
_DELETED = hashlib.blake2b(b"deleted", digest_size=16).digest()


@dataclass(frozen=True)
class Modified:
    """A changed record with its values, and which of them the hub changed since the system last agreed.

    `pending` is None where that is not known: then the whole record is sent.
    """

    change: Change
    values: Mapping[str, Any]
    pending: Pending | None


@dataclass
class Outgoing:
    """What becomes of changed records: a delivery, which is refused at once where it can't be formatted, or nothing.

    `agreed` are modification counts by external id, of records whose payload the system has already. `unsent` counts
    those that stay as they are: not sent to this system, or held back whole by an open conflict.
    """

    deliveries: list[NewDelivery] = field(default_factory=list)
    agreed: dict[str, int] = field(default_factory=dict)
    unsent: int = 0
    errors: list[ErrorEntry] = field(default_factory=list)

    @property
    def rejected(self) -> int:
        return sum(delivery.state == DeliveryState.REFUSED for delivery in self.deliveries)

    def count(self, action: Action) -> int:
        return sum(new.action == action and new.state == DeliveryState.QUEUED for new in self.deliveries)


@dataclass(frozen=True)
class Formatter:
    """The way out of one table: its mapping, compiled, and what the system takes."""

    sync: TableSync
    mapping: CompiledOutbound
    actions: Collection[Action]
    changes_only: bool

    @classmethod
    def of(cls, sync: TableSync, target: Target) -> Formatter:
        request = push_request(sync)
        actions = [action for action in Action if target.sends(request, action)]
        if not sync.table.deletes.mirror:
            actions = [action for action in actions if action != Action.DELETE]
        return cls(sync, sync.outbound_mapping(), actions, target.sends_changes_only(request))

    def gather(
        self,
        page: Sequence[Change],
        values: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        again: bool = False,
    ) -> list[Modified]:
        """The records to look at, with their values, read now unless they are given.

        Not those that the system agreed to, and none whose delivery stands in the outbox; `again` sends those anew
        that were not sent, or ended badly.
        """
        key = self.sync.key
        wanted = {change.sys_id: change for change in page if not change.is_agreed and change.action in self.actions}
        with self.sync.hub.read() as connection:
            waiting = outbox.in_the_way(connection, key.system, key.table, wanted)
            looked_at = [one for one in wanted.values() if not _waits(one, waiting.get(one.sys_id, ()), again=again)]
            ids = [change.sys_id for change in looked_at]
            read = values or changes.read_records(connection, key.table, ids, self.mapping.columns)
            pending = self._pending(connection, looked_at)
        return [Modified(change, read[change.sys_id], pending.get(change.sys_id)) for change in looked_at]

    def _pending(self, connection: Connection, page: Sequence[Change]) -> Mapping[str, Pending]:
        """Where it is not known on what hub and system agree, nothing is: the whole record is sent."""
        key = self.sync.key
        known = {
            change.sys_id: change
            for change in page
            if change.action == Action.UPDATE and change.agreed is not None and change.agreed >= 0
        }
        agreed = {sys_id: change.agreed or 0 for sys_id, change in known.items()}
        found = two_way.pending(connection, key.system, key.table, agreed)
        names = {change.external_id: sys_id for sys_id, change in known.items() if change.external_id}
        held = two_way.held_fields(connection, key.system, key.table, list(names))
        for external_id, columns in held.items():
            found[names[external_id]] = replace(found.get(names[external_id], Pending()), held=columns)
        return {sys_id: found.get(sys_id, Pending()) for sys_id in known}

    def format(self, modified: Sequence[Modified]) -> Outgoing:
        """Deliveries, and rejects beside them, which stand in the outbox as refused until the record changes again."""
        outgoing = Outgoing()
        living = [one for one in modified if one.change.action != Action.DELETE]
        lookups = OutwardLookups(self.sync.hub, self.sync.key.system)
        formatted = self.mapping.apply([self._as_owned(one) for one in living], lookups)
        rejects: dict[int, list[Reject]] = {}
        for index, reject in formatted.rejects:
            rejects.setdefault(index, []).append(reject)
        for index, (one, payload) in enumerate(zip(living, formatted.payloads, strict=True)):
            if index in rejects:
                self._reject(outgoing, one, rejects[index])
            elif payload is not None:
                self._add(outgoing, one, payload)
        for one in modified:
            if one.change.action == Action.DELETE:
                self._queue(outgoing, one, {}, _DELETED)
        return outgoing

    @cached_property
    def _owned(self) -> frozenset[str]:
        """Columns whose value at the system stands, whatever the hub says."""
        fields = self.sync.table.conflict.fields
        return frozenset(name for name, policy in fields.items() if policy == two_way.SYSTEM)

    def _as_owned(self, one: Modified) -> Mapping[str, Any]:
        """The record with the system's own values where it owns them: a whole record is not to overwrite them."""
        edits = one.pending.fields if one.pending else {}
        table = self.sync.key.table
        return {
            **one.values,
            **{name: history.typed(table, name, edits[name].base) for name in self._owned & edits.keys()},
        }

    def _add(self, outgoing: Outgoing, one: Modified, payload: Payload) -> None:
        held = self.mapping.fields_of(one.pending.held) if one.pending else frozenset()
        if held and not self.changes_only:
            return self._agree(outgoing, one, is_held=True)
        whole = {name: value for name, value in payload.items() if name not in held}
        hash_out = payload_hash(whole)
        part = whole
        if one.pending is not None:
            changed = self.mapping.fields_of(one.pending.fields.keys() - self._owned)
            if self.changes_only or not changed:
                part = {name: value for name, value in whole.items() if name in changed}
        if hash_out == one.change.hash_out or not part:
            return self._agree(outgoing, one, is_held=bool(held))
        return self._queue(outgoing, one, nested(part), hash_out, is_partial=bool(held))

    def _agree(self, outgoing: Outgoing, one: Modified, *, is_held: bool = False) -> None:
        if one.change.external_id is None or is_held:
            outgoing.unsent += 1
        else:
            outgoing.agreed[one.change.external_id] = one.change.mod_count

    def _queue(
        self,
        outgoing: Outgoing,
        one: Modified,
        payload: Mapping[str, Any],
        hash_out: bytes,
        *,
        is_partial: bool = False,
    ) -> None:
        change = one.change
        new = _delivery(change, json_text(payload), hash_out)
        outgoing.deliveries.append(replace(new, is_partial=is_partial))

    def _reject(self, outgoing: Outgoing, one: Modified, rejects: Sequence[Reject]) -> None:
        name = one.change.external_id or one.change.sys_id
        told = [replace(reject, external_id=name, payload=one.values) for reject in rejects]
        (entry,) = error_entries(told, self.sync.redactor)
        new = _delivery(one.change, "{}", b"")
        outgoing.errors.append(entry)
        outgoing.deliveries.append(
            replace(new, state=DeliveryState.REFUSED, error_code=entry.code, message=entry.message)
        )


def push_request(sync: TableSync) -> PushRequest:
    return PushRequest(sync.table.source, sync.table.key, sync.table.options)


def json_text(payload: Mapping[str, Any]) -> str:
    """The payload as the outbox keeps it; a decimal keeps its digits."""
    return _JSON.encode(payload).decode()


def payload_hash(payload: Mapping[str, Any]) -> bytes:
    """16 bytes that tell a payload's content, whatever the order of its fields."""
    return hashlib.blake2b(_JSON.encode(payload), digest_size=16).digest()


def _delivery(change: Change, payload: str, hash_out: bytes) -> NewDelivery:
    return NewDelivery(
        change.sys_id, change.mod_count, change.external_id, change.action, payload, hash_out, etag=change.etag
    )


def _waits(change: Change, waiting: Sequence[tuple[int, str, str]], *, again: bool) -> bool:
    """A delivery of this very change stands in the outbox; or a create of the record may have arrived."""
    return any(
        (state == DeliveryState.UNCONFIRMED and action == Action.CREATE)
        or (mod_count == change.mod_count and not (again and state in outbox.REPLACEABLE))
        for mod_count, state, action in waiting
    )
