"""Records that hub and system both changed since they last agreed: merged field by field, as a rebase.

The system's version is taken first, and what was edited in the hub is put on top of it again. So the history tells
both, the agreement moves on to the system's version, and what is on top of it is what is still to be sent.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.errors import ConflictError
from kwiksync_ops.storage import error_log
from kwiksync_ops.storage.bulk import among, insert_rows
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.models import ERROR_LOG, RECORD_HISTORY, RECORDS
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import Action, ConflictPolicy, Direction, Resolution, Severity

_HUB, _SYSTEM = "hub", "system"
"""The two sides; as a policy of a field, its owner."""

_HISTORY = (
    "table_name",
    "sys_id",
    "action",
    "changes",
    "system",
    "sys_mod_count",
    "run_id",
    "sys_created_on",
    "sys_created_by",
)


@dataclass(frozen=True)
class Edit:
    """A field as it was when hub and system agreed, and as the hub has it now; JSON values."""

    base: Any
    value: Any
    at: datetime
    who: str


@dataclass(frozen=True)
class Pending:
    """What the hub changed of a record and a system has not got; `held` are fields under an open conflict."""

    fields: dict[str, Edit] = field(default_factory=dict)
    held: frozenset[str] = frozenset()


class Link(Protocol):
    """What the hub knows of a record at a system: `storage.records` reads it."""

    @property
    def sys_id(self) -> str: ...
    @property
    def version(self) -> str | None: ...
    @property
    def mod_count(self) -> int | None: ...


@dataclass(frozen=True)
class Rebased:
    """How an incoming version was merged: whether it changed the record, and on which modification both agree now."""

    is_changed: bool
    agreed: int | None


@dataclass(frozen=True)
class _Conflict:
    sys_id: str
    external_id: str
    name: str
    edit: Edit
    theirs: Any
    version: str | None
    policy: str
    winner: str | None


def pending(connection: sa.Connection, system: str, table: str, agreed: Mapping[str, int]) -> dict[str, Pending]:
    """By sys_id; `agreed` tells of each record on which modification hub and system agree."""
    if not agreed:
        return {}
    history = RECORD_HISTORY.c
    rows = connection.execute(
        sa.select(
            history.sys_id, history.sys_mod_count, history.changes, history.sys_created_on, history.sys_created_by
        )
        .where(
            history.table_name == table,
            history.action.in_((Action.UPDATE, Action.DELETE)),
            sa.or_(history.system.is_(None), history.system != system),
            among(connection, history.sys_id, agreed),
        )
        .order_by(history.id)
    )
    found: dict[str, Pending] = {}
    for sys_id, mod_count, changes, at, who in rows.all():
        if mod_count is not None and mod_count > agreed[sys_id]:
            edits = found.setdefault(sys_id, Pending()).fields
            for name, (old, new) in json.loads(changes).items():
                edits[name] = Edit(edits[name].base if name in edits else old, new, at, who)
    return found


def held_fields(
    connection: sa.Connection, system: str, table: str, external_ids: Collection[str]
) -> dict[str, frozenset[str]]:
    """The fields of records, by external id, that wait for a person to decide a conflict."""
    if not external_ids:
        return {}
    rows = connection.execute(
        sa.select(ERROR_LOG.c.external_id, ERROR_LOG.c.field).where(
            ERROR_LOG.c.system == system,
            ERROR_LOG.c.table_name == table,
            ERROR_LOG.c.code == ConflictError.code,
            ERROR_LOG.c.resolution == Resolution.OPEN,
            ERROR_LOG.c.field.is_not(None),
            among(connection, ERROR_LOG.c.external_id, external_ids),
        )
    )
    found: dict[str, set[str]] = {}
    for external_id, name in rows.all():
        found.setdefault(external_id, set()).add(name)
    return {external_id: frozenset(names) for external_id, names in found.items()}


def rebase(
    connection: sa.Connection,
    batch: MappedBatch,
    links: Mapping[str, Link],
    existing: Mapping[str, tuple[int, tuple[Any, ...]]],
    author: Author,
) -> dict[str, Rebased]:
    """Merge those rows of a batch whose records the hub has changed too, by external id; the others are not touched.

    `existing` are the records' modification counts and values, in the order of the batch's columns after the first.
    """
    if author.policies is None:
        return {}
    diverged = {external_id: link for external_id, link in links.items() if _has_diverged(link, existing, author)}
    if not diverged:
        return {}
    agreed = {link.sys_id: link.mod_count for link in diverged.values() if link.mod_count is not None}
    edits = pending(connection, author.system, batch.table, agreed)
    merger = _Merger(batch, author)
    for row, version in zip(batch.rows, batch.versions, strict=True):
        link = diverged.get(row[0])
        if link is None or (link.version and version and version < link.version):
            continue
        mod_count, ours = existing[link.sys_id]
        merger.merge(row, ours, mod_count, link, version, edits.get(link.sys_id, Pending()).fields)
    merger.write(connection)
    return merger.rebased


def _has_diverged(link: Link, existing: Mapping[str, tuple[int, tuple[Any, ...]]], author: Author) -> bool:
    """The hub has what the system does not know; or the system could change what the hub owns."""
    known = existing.get(link.sys_id)
    if known is None or link.mod_count is None:
        return False
    return link.mod_count != known[0] or _HUB in (author.policies or {}).values()


class _Merger:
    """The rows of one batch, merged one by one and written together."""

    def __init__(self, batch: MappedBatch, author: Author) -> None:
        self._batch = batch
        self._author = author
        self._names = batch.columns[1:]
        self._updates: list[dict[str, Any]] = []
        self._history: list[tuple[Any, ...]] = []
        self._conflicts: list[_Conflict] = []
        self.rebased: dict[str, Rebased] = {}

    def merge(
        self,
        row: tuple[Any, ...],
        ours: tuple[Any, ...],
        mod_count: int,
        link: Link,
        version: str | None,
        edits: Mapping[str, Edit],
    ) -> None:
        external_id = row[0]
        theirs, hubs = dict(zip(self._names, row[1:], strict=True)), dict(zip(self._names, ours, strict=True))
        plain = {name: _plain(value) for name, value in theirs.items()}
        changed = {name for name in self._names if self._is_news(name, plain[name], hubs[name], edits)}
        if not changed:
            is_same = all(theirs[name] == hubs[name] for name in self._names) and not (edits.keys() - theirs.keys())
            self.rebased[external_id] = Rebased(is_changed=False, agreed=mod_count if is_same else link.mod_count)
            return
        merged = dict(hubs)
        for name in changed:
            if self._wins(name, hubs[name], plain[name], external_id, link, version, edits.get(name)):
                merged[name] = theirs[name]
        on_top = {
            name: (plain.get(name, edit.base), edit.value)
            for name, edit in edits.items()
            if name not in merged or _plain(merged[name]) != plain[name]
        }
        on_top |= {name: (plain[name], _plain(hubs[name])) for name in changed if merged[name] != theirs[name]}
        self._note(link.sys_id, external_id, mod_count, hubs, plain, merged, on_top)

    def write(self, connection: sa.Connection) -> None:
        if self._updates:
            connection.execute(_update(self._batch.table, self._names), self._updates)
        insert_rows(connection, RECORD_HISTORY, _HISTORY, self._history)
        _log(connection, self._batch.table, self._conflicts, self._author)

    def _is_news(self, name: str, theirs: Any, ours: Any, edits: Mapping[str, Edit]) -> bool:
        """The system's value is another than it was when both agreed, and than the hub has by now."""
        if theirs == _plain(ours):
            return False
        if self._policy(name) in (_HUB, _SYSTEM):
            return True
        return name not in edits or theirs != edits[name].base

    def _wins(
        self,
        name: str,
        ours: Any,
        theirs: Any,
        external_id: str,
        link: Link,
        version: str | None,
        edit: Edit | None,
    ) -> bool:
        """Whether the system's value is taken. A field that both changed is a conflict, and told."""
        policy = self._policy(name)
        if edit is None:
            return policy != _HUB
        winner = self._winner(policy, version, edit)
        if policy not in (_HUB, _SYSTEM) or theirs != edit.base:
            self._conflicts.append(_Conflict(link.sys_id, external_id, name, edit, theirs, version, policy, winner))
        return winner == _SYSTEM

    def _policy(self, name: str) -> str:
        policies = self._author.policies or {}
        return policies.get(name, policies.get("", ConflictPolicy.NEWEST_WINS))

    def _winner(self, policy: str, version: str | None, edit: Edit) -> str | None:
        match policy:
            case ConflictPolicy.MANUAL:
                return None
            case ConflictPolicy.SYSTEM_WINS | "system":
                return _SYSTEM
            case ConflictPolicy.HUB_WINS | "hub":
                return _HUB
        changed = datetime.fromisoformat(version) if version else self._author.now
        return _SYSTEM if changed > edit.at.astimezone(UTC) else _HUB

    def _note(
        self,
        sys_id: str,
        external_id: str,
        mod_count: int,
        hubs: Mapping[str, Any],
        plain: Mapping[str, Any],
        merged: dict[str, Any],
        on_top: Mapping[str, tuple[Any, Any]],
    ) -> None:
        """One history row for the system's version, one for what the hub puts on top of it."""
        author = self._author
        by_system = {
            name: (_plain(hubs[name]), plain[name]) for name in self._names if _plain(hubs[name]) != plain[name]
        }
        at = mod_count + 1
        self._history.append(self._entry(sys_id, by_system, author.system, at))
        if on_top:
            self._history.append(self._entry(sys_id, on_top, None, at + 1))
        self._updates.append(
            {
                **merged,
                "of": sys_id,
                "seen": mod_count,
                "then": at + 1 if on_top else at,
                "at": author.now,
                "by": author.who,
            }
        )
        self.rebased[external_id] = Rebased(is_changed=True, agreed=at)

    def _entry(
        self, sys_id: str, changes: Mapping[str, tuple[Any, Any]], system: str | None, mod_count: int
    ) -> tuple[Any, ...]:
        text = msgspec.json.encode(changes).decode()
        author = self._author
        return (
            self._batch.table,
            sys_id,
            Action.UPDATE.value,
            text,
            system,
            mod_count,
            author.run_id,
            author.now,
            author.who,
        )


@lru_cache
def _update(table: str, names: tuple[str, ...]) -> sa.Update:
    records = RECORDS[table]
    values = {name: sa.bindparam(name, type_=records.c[name].type) for name in names}
    return (
        records.update()
        .where(records.c.sys_id == sa.bindparam("of"), records.c.sys_mod_count == sa.bindparam("seen"))
        .values(
            **values,
            sys_mod_count=sa.bindparam("then"),
            sys_updated_on=sa.bindparam("at", type_=records.c.sys_updated_on.type),
            sys_updated_by=sa.bindparam("by"),
        )
    )


def _plain(value: Any) -> Any:
    """A value as the history has it."""
    return value if value is None or type(value) in (str, int, bool) else msgspec.to_builtins(value)


def _log(connection: sa.Connection, table: str, conflicts: Sequence[_Conflict], author: Author) -> None:
    """An ERR_009 row a conflict: open where a person has to decide, else told as decided."""
    if not conflicts:
        return
    run = TableRun(author.run_id, author.system, Direction.INBOUND, table)
    for conflict in conflicts:
        _supersede(connection, run, conflict, author)
    error_log.append(connection, run, list(_entries(conflicts, author.system)), now=author.now)


def _entries(conflicts: Sequence[_Conflict], system: str) -> Iterator[ErrorEntry]:
    for one in conflicts:
        won = f"by {one.policy} the {one.winner}'s stands" if one.winner else "the hub's stands until you decide"
        shown = (json.dumps(one.edit.value, ensure_ascii=False), json.dumps(one.theirs, ensure_ascii=False))
        document = {
            "sys_id": one.sys_id,
            "field": one.name,
            "base": one.edit.base,
            "hub": one.edit.value,
            "hub_changed_on": one.edit.at.astimezone(UTC).isoformat(),
            "hub_changed_by": one.edit.who,
            "system": one.theirs,
            "system_changed_on": one.version,
            "policy": one.policy,
            "winner": one.winner,
        }
        yield ErrorEntry(
            ConflictError.code,
            f"{one.name} was changed in the hub to {shown[0]} and in {system} to {shown[1]}; {won}.",
            severity=Severity.WARNING,
            remedy="kwiksync conflicts show ID, then kwiksync conflicts resolve ID --use hub or system."
            if one.winner is None
            else None,
            field=one.name,
            external_id=one.external_id,
            payload=json.dumps(document, ensure_ascii=False),
            resolution=Resolution.RESOLVED if one.winner else Resolution.OPEN,
        )


def _supersede(connection: sa.Connection, run: TableRun, conflict: _Conflict, author: Author) -> None:
    """A newer conflict of a field takes the place of one that is open."""
    connection.execute(
        ERROR_LOG.update()
        .where(
            ERROR_LOG.c.system == run.system,
            ERROR_LOG.c.table_name == run.table,
            ERROR_LOG.c.code == ConflictError.code,
            ERROR_LOG.c.external_id == conflict.external_id,
            ERROR_LOG.c.field == conflict.name,
            ERROR_LOG.c.resolution == Resolution.OPEN,
        )
        .values(resolution=str(Resolution.RESOLVED), resolved_on=author.now, resolved_by="conflict policy")
    )
