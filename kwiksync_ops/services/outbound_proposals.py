"""How the tables that a system feeds could be written back to it: what is sent, and by which calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kwiksync_ops.connectors.discovery import Sending
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping.proposals.profile import FieldProfile
from kwiksync_ops.mapping.proposals.way_out import WayOut, turn_round, with_change_time
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services.discovery import Inspected
from kwiksync_ops.services.proposals import TableProposal
from kwiksync_ops.vocabulary import RECORD_TABLES, Action, ColumnType, Direction

_KEYS_OF_OURS = ("odata", "sql")
"""Kinds whose new records may come with a key that we give them."""
_KEYLESS = ("files", "rest", "servicenow")
"""Kinds where a new record needs no key of ours: it is given one, or stands in a file."""


class Pushes(Protocol):
    def push(self, inspected: Inspected, sending: Sending) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class OutboundProposal:
    """How a table goes out. `push` is the table's option; `missing` are fields without which nothing is created."""

    table: str
    inspected: Inspected
    way: WayOut
    push: Mapping[str, Any]
    missing: tuple[str, ...] = ()

    def mapping(self, system: str) -> TableMapping:
        rules = tuple(match.rule for match in self.way.matches)
        return TableMapping(system, self.table, self.inspected.noun, rules, direction=Direction.OUTBOUND)


def propose_outbound(proposal: TableProposal, kind: str, system: Pushes) -> OutboundProposal:
    """The way out of a table; the system may be called to find out how it is written, and nothing is written.

    Raises:
        ConfigurationError: the object can't be written to, or nothing of it could be sent.
    """
    inspected, key = proposal.inspected, proposal.key.field if proposal.key else None
    if key is None:
        raise ConfigurationError(f"No field identifies a record of {inspected.info.name}.")
    fields = {field.name: field for field in inspected.fields}
    table = RECORD_TABLES[proposal.table]
    way = turn_round(table, proposal.matches, fields, proposal.timezone, kept=_kept(proposal, kind, key))
    cursor = proposal.cursor.field if proposal.cursor else None
    if cursor and _is_wanted(cursor) and cursor.name not in way.fields:
        way = with_change_time(way, cursor.name)
    if not way.matches:
        raise ConfigurationError(
            f"Nothing of {inspected.info.name} could be sent: no field gets its value back.",
            remedy="Connect it inbound.",
        )
    missing = tuple(
        field.name
        for field in inspected.fields
        if _is_wanted(field) and field.name not in way.fields and not (field is key and kind in _KEYLESS)
    )
    actions = (*(() if missing else (Action.CREATE.value,)), Action.UPDATE.value)
    sending = Sending(key.name, way.fields, actions, next(iter(key.texts), ""))
    return OutboundProposal(proposal.table, inspected, way, system.push(inspected, sending), missing)


def _is_wanted(field: FieldProfile) -> bool:
    """Whether no record can be without it, and the system does not fill it."""
    return field.declared.required and not field.declared.is_generated


def _kept(proposal: TableProposal, kind: str, key: FieldProfile) -> dict[str, str]:
    """Fields that the system writes itself."""
    kept = {field.name: "the system fills it" for field in proposal.inspected.fields if field.declared.is_generated}
    if proposal.cursor:
        kept[proposal.cursor.field.name] = "it tells when the system changed the record"
    is_code = key.is_text or key.declared.type in (ColumnType.STRING, ColumnType.TEXT)
    if key.name not in kept and not (kind in _KEYS_OF_OURS and is_code):
        kept[key.name] = "it is the key, which the system gives"
    return kept
