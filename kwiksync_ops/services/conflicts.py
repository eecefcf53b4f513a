"""Conflicts: fields that hub and system both changed, listed, shown, and decided by a person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConfigurationError, ConflictError
from kwiksync_ops.services.edit import edit_within
from kwiksync_ops.services.errors import ErrorFilter, find_errors, note_decision, search_errors
from kwiksync_ops.storage import audit, edits, error_log, tombstones
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.vocabulary import Resolution

HUB, SYSTEM, VALUE = "hub", "system", "value"
MOST_FIELDS = 200
DELETED = "sys_deleted_on"
"""The field of a conflict about a record that was deleted at the system, and edited in the hub."""


_UNDECIDED_ENDS = {"sync": "both agree again", "conflict policy": "a later conflict took its place"}
"""How a conflict ended that nobody decided, by what ended it."""


@dataclass(frozen=True)
class Conflict:
    """One field of one record, with the value that both agreed on last, and what each side made of it.

    `decision` is `hub`, `system` or `value`, where a person decided, and `value` what the field was given by that.
    """

    sys_id: str
    system: str
    table: str
    external_id: str
    record: str
    field: str
    base: Any
    hub: Any
    hub_changed_on: str
    hub_changed_by: str
    theirs: Any
    theirs_changed_on: str | None
    policy: str
    winner: str | None
    resolution: str
    message: str
    decided_by: str | None
    decided_on: datetime | None
    decision: str | None
    value: Any

    @property
    def stands(self) -> str:
        """Whose value stands, in words."""
        if self.resolution == Resolution.OPEN:
            return "you decide"
        side = self.winner or self.decision
        if side:
            return "another value" if side == VALUE else f"the {side}'s"
        return _UNDECIDED_ENDS.get(self.decided_by or "", "decided")


@dataclass(frozen=True)
class Resolved:
    """`value` is what the hub has now; `is_sent` whether it goes out to the system."""

    conflict: Conflict
    value: Any
    is_sent: bool


def list_conflicts(
    hub: Hub, *, system: str | None = None, table: str | None = None, decided: bool = False, limit: int = 50
) -> list[Conflict]:
    """Conflicts that wait for a person, newest first; with `decided` those too that a policy or a person ended."""
    wanted = ErrorFilter(system, table, ConflictError.code, None, None if decided else Resolution.OPEN)
    return [_conflict(row) for row in search_errors(hub, wanted, limit=limit) if _is_of_field(row)]


def conflicts_beside(hub: Hub, conflict: Conflict) -> list[Conflict]:
    """All conflicts of its record with its system that wait, itself first where it waits too."""
    wanted = ErrorFilter(conflict.system, conflict.table, ConflictError.code, external_id=conflict.external_id)
    found = [_conflict(row) for row in search_errors(hub, wanted, limit=MOST_FIELDS) if _is_of_field(row)]
    return sorted(found, key=lambda each: each.sys_id != conflict.sys_id)


def find_conflict(hub: Hub, sys_id: str) -> Conflict:
    """A conflict, by its id or the first digits of it.

    Raises:
        ConfigurationError: there is no such row, or it is another error.
    """
    (row,) = find_errors(hub, [sys_id])
    if not _is_of_field(row):
        raise ConfigurationError(
            f"{row['sys_id']} is no conflict of a field, but {row['code']}: {row['message']}",
            remedy="kwiksync conflicts list shows the conflicts; kwiksync errors show the others.",
        )
    return _conflict(row)


def resolve_conflict(
    hub: Hub, sys_id: str, *, use: str | None = None, value: Any = None, who: str, clock: Clock, force: bool = False
) -> Resolved:
    """Decide: the hub's value (`use` hub), the system's (`use` system), or another one.

    Raises:
        ConfigurationError: it is decided already, or it is not said how.
        ConflictError: the field was changed in the hub since; look again, or `force`.
        ValidationError: the value is not one of the column.
    """
    conflict = find_conflict(hub, sys_id)
    if conflict.resolution != Resolution.OPEN:
        raise _decided(conflict)
    if use not in (HUB, SYSTEM, None) or (use is None and value is None):
        raise ConfigurationError(
            "It is not said which value stands.", remedy="Say --use hub, --use system or --value V."
        )
    if conflict.field == DELETED:
        return _resolve_deletion(hub, conflict, use, who=who, clock=clock)
    return hub.write(lambda connection: _decide(connection, conflict, use, value, who=who, clock=clock, force=force))


def _decide(
    connection: Connection, conflict: Conflict, use: str | None, value: Any, *, who: str, clock: Clock, force: bool
) -> Resolved:
    """One transaction: the value, the error row, the audit."""
    name = conflict.field
    now_there = _record(connection, conflict)[name]
    if not force and _plain(now_there) != conflict.hub:
        raise ConflictError(
            f"{name} was changed in the hub since, from {_told(conflict.hub)} to {_told(now_there)}.",
            remedy="Look at it with kwiksync conflicts show; --force decides all the same.",
        )
    values = {} if use == HUB else {name: conflict.theirs if use == SYSTEM else value}
    changes = edit_within(connection, conflict.table, conflict.record, values, who=who, clock=clock)
    stands = changes[name][1] if changes else now_there
    details = {"field": name, "use": use or VALUE, "value": stands, "system": conflict.theirs}
    _end(connection, conflict, details, who=who, clock=clock)
    return Resolved(conflict, stands, is_sent=_plain(stands) != conflict.theirs)


def _resolve_deletion(hub: Hub, conflict: Conflict, use: str | None, *, who: str, clock: Clock) -> Resolved:
    """The system's deletion is taken, or the record is created there again."""
    if use is None:
        raise ConfigurationError(
            "The record was deleted at the system: there is no value to choose.",
            remedy="Say --use system to delete it in the hub too, or --use hub to create it there again.",
        )

    def work(connection: Connection) -> None:
        now = clock.now()
        details: dict[str, Any] = {"field": DELETED, "use": use}
        if use == SYSTEM:
            old = edits.old_values(connection, conflict.table, [conflict.record])
            details["old"] = old.get(conflict.record)
            tombstones.bury(
                connection,
                conflict.table,
                [conflict.record],
                system=conflict.system,
                run_id=edits.BY_HAND,
                who=who,
                now=now,
            )
        else:
            tombstones.unlink(connection, conflict.table, [conflict.record], system=conflict.system)
        _end(connection, conflict, details, who=who, clock=clock)

    hub.write(work)
    return Resolved(conflict, None, is_sent=use == HUB)


def _record(connection: Connection, conflict: Conflict) -> Mapping[str, Any]:
    row = edits.read(connection, conflict.table, conflict.record)
    if row is None or row["sys_deleted_on"] is not None:
        raise ConfigurationError(
            f"The record {conflict.record} of {conflict.table} was deleted in the hub: there is nothing to decide.",
            remedy=f"Set the conflict down: kwiksync errors resolve {conflict.sys_id}.",
        )
    return dict(row)


def _end(connection: Connection, conflict: Conflict, details: Mapping[str, Any], *, who: str, clock: Clock) -> None:
    """Close the row, and have the record looked at by the next outbound sync."""
    now = clock.now()
    if not error_log.close(connection, [conflict.sys_id], Resolution.RESOLVED, who=who, now=now):
        raise _decided(conflict)
    note_decision(connection, conflict.sys_id, details["use"], details.get("value"))
    edits.touch(connection, conflict.table, conflict.record, now=now)
    subject = f"{conflict.table} {conflict.record}"
    audit.append(connection, "conflict.resolve", subject, who=who, now=now, details=details)


def _is_of_field(row: Mapping[str, Any]) -> bool:
    payload = row["payload"]
    return row["code"] == ConflictError.code and isinstance(payload, dict) and "field" in payload


def _conflict(row: Mapping[str, Any]) -> Conflict:
    told = row["payload"]
    return Conflict(
        sys_id=row["sys_id"],
        system=row["system"],
        table=row["table_name"],
        external_id=row["external_id"],
        record=told["sys_id"],
        field=told["field"],
        base=told["base"],
        hub=told["hub"],
        hub_changed_on=told["hub_changed_on"],
        hub_changed_by=told["hub_changed_by"],
        theirs=told["system"],
        theirs_changed_on=told["system_changed_on"],
        policy=told["policy"],
        winner=told["winner"],
        resolution=row["resolution"],
        message=row["message"],
        decided_by=row["resolved_by"],
        decided_on=row["resolved_on"],
        decision=told.get("decision"),
        value=told.get("value"),
    )


def _decided(conflict: Conflict) -> ConfigurationError:
    return ConfigurationError(
        f"The conflict {conflict.sys_id} is decided already.", remedy="kwiksync conflicts list shows open ones."
    )


def _plain(value: Any) -> Any:
    """A value as the history has it, to be compared with one that was kept."""
    return msgspec.to_builtins(value)


def _told(value: Any) -> str:
    return "no value" if value is None else repr(str(value))
