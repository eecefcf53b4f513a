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
from kwiksync_ops.errors import ConflictError, HubError
from kwiksync_ops.storage import error_log
from kwiksync_ops.storage.bulk import among, insert_rows
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.history import HISTORY_COLUMNS, Author
from kwiksync_ops.storage.models import ERROR_LOG, RECORD_HISTORY, RECORDS
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import Action, ConflictPolicy, Direction, Resolution, Severity

HUB, SYSTEM = "hub", "system"
"""The two sides; as a policy of a field, its owner."""


@dataclass(frozen=True)
class Edit:
    """A field as it was when hub and system agreed, and as the hub has it now; JSON values.

    `past` are the values that it had in the hub in between: a system may have got one of them already.
    """

    base: Any
    value: Any
    at: datetime
    who: str
    past: tuple[Any, ...] = ()

    @property
    def is_taken_back(self) -> bool:
        return bool(self.base == self.value)

    def then(self, value: Any, at: datetime, who: str) -> Edit:
        return Edit(self.base, value, at, who, (*self.past, self.value))


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
    found = _edits(connection, system, table, agreed)
    return {
        sys_id: Pending({name: edit for name, edit in edits.items() if not edit.is_taken_back})
        for sys_id, edits in found.items()
    }


def _edits(connection: sa.Connection, system: str, table: str, agreed: Mapping[str, int]) -> dict[str, dict[str, Edit]]:
    """By sys_id, what the hub changed since, those edits too that were taken back."""
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
    found: dict[str, dict[str, Edit]] = {}
    for sys_id, mod_count, changes, at, who in rows.all():
        if mod_count is not None and mod_count > agreed[sys_id]:
            edits = found.setdefault(sys_id, {})
            for name, (old, new) in json.loads(changes).items():
                edits[name] = edits[name].then(new, at, who) if name in edits else Edit(old, new, at, who)
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
    edits = _edits(connection, author.system, batch.table, agreed)
    merger = _Merger(batch, author)
    for row, version in zip(batch.rows, batch.versions, strict=True):
        link = diverged.get(row[0])
        if link is None or (link.version and version and version < link.version):
            continue
        mod_count, ours = existing[link.sys_id]
        merger.merge(merger.meet(row, ours, mod_count, link, version, edits.get(link.sys_id, {})))
    merger.write(connection)
    return merger.rebased


def _has_diverged(link: Link, existing: Mapping[str, tuple[int, tuple[Any, ...]]], author: Author) -> bool:
    """The hub has what the system does not know; or the system could change what the hub owns."""
    known = existing.get(link.sys_id)
    if known is None or link.mod_count is None:
        return False
    return link.mod_count != known[0] or HUB in (author.policies or {}).values()


@dataclass(frozen=True)
class _Meeting:
    """A record as the system sends it and as the hub has it: typed values, and beside them those of the history."""

    external_id: str
    link: Link
    mod_count: int
    version: str | None
    theirs: Mapping[str, Any]
    ours: Mapping[str, Any]
    plain_theirs: Mapping[str, Any]
    plain_ours: Mapping[str, Any]
    edits: Mapping[str, Edit]

    def differs(self, name: str) -> bool:
        return bool(self.plain_theirs[name] != self.plain_ours[name])

    def is_left(self, name: str, edit: Edit) -> bool:
        """The system has not got this edit."""
        return self.differs(name) if name in self.theirs else not edit.is_taken_back

    @property
    def met(self) -> list[str]:
        """Fields that were edited in the hub, and that are the same at the system by now."""
        return [name for name in self.edits if name in self.theirs and not self.differs(name)]


class _Merger:
    """The rows of one batch, merged one by one and written together."""

    def __init__(self, batch: MappedBatch, author: Author) -> None:
        self._batch = batch
        self._author = author
        self._names = batch.columns[1:]
        self._updates: list[dict[str, Any]] = []
        self._history: list[tuple[Any, ...]] = []
        self._conflicts: list[_Conflict] = []
        self._settled: list[tuple[str, str]] = []
        self.rebased: dict[str, Rebased] = {}

    def meet(
        self,
        row: tuple[Any, ...],
        ours: tuple[Any, ...],
        mod_count: int,
        link: Link,
        version: str | None,
        edits: Mapping[str, Edit],
    ) -> _Meeting:
        theirs = dict(zip(self._names, row[1:], strict=True))
        hubs = dict(zip(self._names, ours, strict=True))
        return _Meeting(row[0], link, mod_count, version, theirs, hubs, _plain_all(theirs), _plain_all(hubs), edits)

    def merge(self, one: _Meeting) -> None:
        news = [name for name in self._names if self._is_news(name, one)]
        is_pending = any(one.is_left(name, edit) for name, edit in one.edits.items())
        has_moved = any(one.edits[name].base != one.plain_theirs[name] for name in one.met)
        self._settled += [(one.external_id, name) for name in one.met if self._policy(name) == ConflictPolicy.MANUAL]
        if not news and not (has_moved and is_pending):
            agreed = one.link.mod_count if is_pending else one.mod_count
            self.rebased[one.external_id] = Rebased(is_changed=False, agreed=agreed)
            return
        taken = {name: one.theirs[name] for name in news if self._wins(name, one)}
        self._note(one, {**one.ours, **taken})

    def write(self, connection: sa.Connection) -> None:
        if self._updates:
            written = connection.execute(_update(self._batch.table, self._names), self._updates).rowcount
            if written != len(self._updates):
                raise HubError(
                    f"A record of {self._batch.table} was edited in the hub while a batch was merged with it.",
                    remedy="Nothing of the batch was written; it is tried again.",
                )
        insert_rows(connection, RECORD_HISTORY, HISTORY_COLUMNS, self._history)
        run = TableRun(self._author.run_id, self._author.system, Direction.INBOUND, self._batch.table)
        for external_id, name in self._settled:
            _close_open(connection, run, external_id, name, now=self._author.now, by="sync")
        _log(connection, run, self._conflicts, self._author)

    def _is_news(self, name: str, one: _Meeting) -> bool:
        """The system's value is another than it was when both agreed, and than the hub has by now."""
        if not one.differs(name):
            return False
        edit = one.edits.get(name)
        return edit is None or self._policy(name) == SYSTEM or one.plain_theirs[name] != edit.base

    def _wins(self, name: str, one: _Meeting) -> bool:
        """Whether the system's value is taken. A field that both changed is a conflict, and told."""
        policy, edit, theirs = self._policy(name), one.edits.get(name), one.plain_theirs[name]
        if policy != SYSTEM and edit is not None and theirs in edit.past:
            return False
        if edit is None or edit.is_taken_back:
            return policy != HUB
        winner = self._winner(policy, one.version, edit)
        if theirs != edit.base:
            self._conflicts.append(
                _Conflict(one.link.sys_id, one.external_id, name, edit, theirs, one.version, policy, winner)
            )
        return winner == SYSTEM

    def _policy(self, name: str) -> str:
        policies = self._author.policies or {}
        return policies.get(name, policies.get("", ConflictPolicy.NEWEST_WINS))

    def _winner(self, policy: str, version: str | None, edit: Edit) -> str | None:
        match policy:
            case ConflictPolicy.MANUAL:
                return None
            case ConflictPolicy.SYSTEM_WINS | "system":
                return SYSTEM
            case ConflictPolicy.HUB_WINS | "hub":
                return HUB
        changed = _utc(datetime.fromisoformat(version)) if version else self._author.now
        return SYSTEM if changed > _utc(edit.at) else HUB

    def _note(self, one: _Meeting, merged: Mapping[str, Any]) -> None:
        """A history row for the system's version, and on top of it one for each time that somebody edited the hub."""
        by_system = {name: (one.plain_ours[name], one.plain_theirs[name]) for name in self._names if one.differs(name)}
        agreed = mod_count = one.mod_count + 1
        self._add(one, by_system, self._author.system, agreed, (self._author.now, self._author.who))
        for stamp, changes in self._on_top(one, merged).items():
            mod_count += 1
            self._add(one, changes, None, mod_count, stamp)
        self._updates.append(
            {
                **merged,
                "of": one.link.sys_id,
                "seen": one.mod_count,
                "then": mod_count,
                "at": self._author.now,
                "by": self._author.who,
            }
        )
        self.rebased[one.external_id] = Rebased(is_changed=merged != one.ours, agreed=agreed)

    def _on_top(
        self, one: _Meeting, merged: Mapping[str, Any]
    ) -> dict[tuple[datetime, str], dict[str, tuple[Any, Any]]]:
        """What the system has not got, by when and by whom it was edited: a later conflict is judged by that."""
        left = {
            name: (one.plain_theirs[name], one.plain_ours[name])
            for name in self._names
            if one.differs(name) and merged[name] == one.ours[name]
        }
        left |= {
            name: (edit.base, edit.value)
            for name, edit in one.edits.items()
            if name not in one.theirs and not edit.is_taken_back
        }
        on_top: dict[tuple[datetime, str], dict[str, tuple[Any, Any]]] = {}
        for name, change in left.items():
            edit = one.edits.get(name)
            stamp = (edit.at, edit.who) if edit else (self._author.now, self._author.who)
            on_top.setdefault(stamp, {})[name] = change
        return dict(sorted(on_top.items()))

    def _add(
        self,
        one: _Meeting,
        changes: Mapping[str, tuple[Any, Any]],
        system: str | None,
        mod_count: int,
        stamp: tuple[datetime, str],
    ) -> None:
        text = msgspec.json.encode(changes).decode()
        entry = (self._batch.table, one.link.sys_id, Action.UPDATE.value, text, system, mod_count)
        self._history.append((*entry, self._author.run_id, *stamp))


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


def plain(value: Any) -> Any:
    """A value as the history has it."""
    return value if value is None or type(value) in (str, int, bool) else msgspec.to_builtins(value)


def _plain_all(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in values.items()}


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _log(connection: sa.Connection, run: TableRun, conflicts: Sequence[_Conflict], author: Author) -> None:
    """An ERR_009 row a conflict: open where a person has to decide, else told as decided.

    It takes the place of an open one of the same field.
    """
    for one in conflicts:
        _close_open(connection, run, one.external_id, one.name, now=author.now, by="conflict policy")
    if conflicts:
        error_log.append(connection, run, list(_entries(conflicts, author.system)), now=author.now)


def _entries(conflicts: Sequence[_Conflict], system: str) -> Iterator[ErrorEntry]:
    for one in conflicts:
        won = f"by {one.policy} the {one.winner}'s stands" if one.winner else f"by {one.policy} a person decides"
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


def _close_open(
    connection: sa.Connection, run: TableRun, external_id: str, name: str, *, now: datetime, by: str
) -> None:
    connection.execute(
        ERROR_LOG.update()
        .where(
            ERROR_LOG.c.system == run.system,
            ERROR_LOG.c.table_name == run.table,
            ERROR_LOG.c.code == ConflictError.code,
            ERROR_LOG.c.external_id == external_id,
            ERROR_LOG.c.field == name,
            ERROR_LOG.c.resolution == Resolution.OPEN,
        )
        .values(resolution=str(Resolution.RESOLVED), resolved_on=now, resolved_by=by)
    )
