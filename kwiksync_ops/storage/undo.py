"""What a run changed in the hub, read backwards from the record history, and put back as it was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.storage import history, tombstones
from kwiksync_ops.storage.bulk import among, insert_rows
from kwiksync_ops.storage.history import HISTORY_COLUMNS
from kwiksync_ops.storage.models import RECORD_HISTORY, RECORD_LINK, RECORDS
from kwiksync_ops.vocabulary import Action

Edits = Sequence[tuple[int, set[str], str]]
"""Changes of one record: its modification count after each, the fields, and the run."""


@dataclass(frozen=True)
class Step:
    """One row of the history of the run: what it did to one record, or to all that a batch created."""

    id: int
    action: Action
    sys_ids: Sequence[str]
    changes: Mapping[str, Any]
    mod_count: int


@dataclass(frozen=True)
class Undoing:
    """Which run is undone, by which run, on whose behalf."""

    run_id: str
    undo_id: str
    who: str
    now: datetime


@dataclass(frozen=True)
class Later:
    """A record that can't be put back: somebody changed the same fields since."""

    table: str
    sys_id: str
    external_id: str
    fields: tuple[str, ...]
    run_id: str


@dataclass
class Restored:
    """What a batch puts back; `later` are the records that it leaves as they are."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    buried: list[str] = field(default_factory=list)
    later: list[Later] = field(default_factory=list)


def summary(connection: sa.Connection, run_id: str) -> dict[str, dict[str, int]]:
    """By table and action, how many records the run changed."""
    rows = connection.execute(
        sa.select(RECORD_HISTORY.c.table_name, RECORD_HISTORY.c.action, sa.func.count())
        .where(RECORD_HISTORY.c.run_id == run_id)
        .group_by(RECORD_HISTORY.c.table_name, RECORD_HISTORY.c.action)
    )
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for table, action, number in rows.all():
        counts[table][action] = number
    for table, by_action in counts.items():
        if Action.CREATE in by_action:
            by_action[Action.CREATE] = len(history.created_in(connection, run_id, table))
    return dict(counts)


def took_values(connection: sa.Connection, run_id: str) -> bool:
    """Whether the run wrote a system's values, beside marks that records are to be sent."""
    taken = sa.exists().where(RECORD_HISTORY.c.run_id == run_id, RECORD_HISTORY.c.system.is_not(None))
    return bool(connection.execute(sa.select(taken)).scalar_one())


def is_of_an_older_hub(connection: sa.Connection, run_id: str) -> bool:
    """Its history does not say in which order records were changed."""
    unnumbered = sa.exists().where(RECORD_HISTORY.c.run_id == run_id, RECORD_HISTORY.c.sys_mod_count.is_(None))
    return bool(connection.execute(sa.select(unnumbered)).scalar_one())


def read_steps(connection: sa.Connection, run_id: str, table: str, *, before: int | None, limit: int) -> list[Step]:
    """The next rows of the history of the run, the last first, of about `limit` records."""
    of_run = (RECORD_HISTORY.c.run_id == run_id, RECORD_HISTORY.c.table_name == table)
    wanted = RECORD_HISTORY.select().where(*of_run).order_by(RECORD_HISTORY.c.id.desc()).limit(limit)
    if before is not None:
        wanted = wanted.where(RECORD_HISTORY.c.id < before)
    steps: list[Step] = []
    records = 0
    for row in connection.execute(wanted).mappings():
        step = _step(row)
        records += len(step.sys_ids)
        if steps and records > limit:
            break
        steps.append(step)
    return steps


def _step(row: sa.RowMapping) -> Step:
    action, changes = Action(row["action"]), row["changes"]
    if action == Action.CREATE:
        created = history._created(row["sys_id"], changes)  # the one reader of this form
        return Step(row["id"], action, created, {}, 0)
    return Step(row["id"], action, [row["sys_id"]], msgspec.json.decode(changes), row["sys_mod_count"])


def compare(connection: sa.Connection, table: str, steps: Sequence[Step], undoing: Undoing) -> Restored:
    """What the steps, undone, come to. What stands as it was before the run is left out."""
    return _restored(connection, table, steps, _later_edits(connection, table, _sys_ids(steps), undoing))


def find_later(connection: sa.Connection, table: str, steps: Sequence[Step], undoing: Undoing) -> list[Later]:
    """Those of `compare`, without a look at the records that no other run changed."""
    edits = _later_edits(connection, table, _sys_ids(steps), undoing)
    if not edits:
        return []
    edited = [replace(step, sys_ids=[sys_id for sys_id in step.sys_ids if sys_id in edits]) for step in steps]
    return _restored(connection, table, edited, edits).later


def _sys_ids(steps: Sequence[Step]) -> set[str]:
    return {sys_id for step in steps for sys_id in step.sys_ids}


def _restored(connection: sa.Connection, table: str, steps: Sequence[Step], edits: Mapping[str, Edits]) -> Restored:
    now = _read(connection, table, _sys_ids(steps))
    restored = Restored()
    for step in steps:
        for sys_id in step.sys_ids:
            if sys_id in now:
                _undo_step(restored, table, step, now[sys_id], edits.get(sys_id, ()))
    return restored


def _undo_step(restored: Restored, table: str, step: Step, row: Mapping[str, Any], edits: Edits) -> None:
    sys_id = row["sys_id"]
    old = {name: history.typed(table, name, values[0]) for name, values in step.changes.items()}
    differs = {name for name, value in old.items() if row[name] != value}
    for mod_count, fields, run_id in edits:
        touched = fields if step.action == Action.CREATE else fields & differs
        if mod_count > step.mod_count and touched and row["sys_deleted_on"] is None:
            restored.later.append(Later(table, sys_id, row["external_id"], tuple(sorted(touched)), run_id))
            return
    if step.action == Action.CREATE:
        if row["sys_deleted_on"] is None:
            restored.buried.append(sys_id)
    elif differs or sys_id in restored.values:
        restored.values.setdefault(sys_id, {}).update(old)


def apply(connection: sa.Connection, table: str, restored: Restored, undoing: Undoing) -> tuple[int, int]:
    """Write it, in the caller's transaction: how many records got their values back, how many were buried."""
    rows = _read(connection, table, list(restored.values))
    entries = []
    for sys_id, values in restored.values.items():
        changes = {name: (rows[sys_id][name], value) for name, value in values.items() if rows[sys_id][name] != value}
        if changes:
            entries.append((sys_id, rows[sys_id]["sys_mod_count"] + 1, changes))
    records = RECORDS[table]
    by = {"sys_updated_on": undoing.now, "sys_updated_by": undoing.who}
    for sys_id, mod_count, changes in entries:
        values = {name: new for name, (_, new) in changes.items()}
        statement = records.update().where(records.c.sys_id == sys_id)
        connection.execute(statement.values(**values, **by, sys_mod_count=mod_count))
    _note(connection, table, entries, undoing)
    buried = tombstones.bury(
        connection, table, restored.buried, system=None, run_id=undoing.undo_id, who=undoing.who, now=undoing.now
    )
    _forget(connection, table, [*(entry[0] for entry in entries), *restored.buried])
    return len(entries), buried


def _note(
    connection: sa.Connection, table: str, entries: Sequence[tuple[str, int, dict[str, Any]]], undoing: Undoing
) -> None:
    rows = [
        (
            table,
            sys_id,
            (Action.DELETE if changes.get("sys_deleted_on", (None, None))[1] else Action.UPDATE).value,
            msgspec.json.encode(changes).decode(),
            None,
            mod_count,
            undoing.undo_id,
            undoing.now,
            undoing.who,
        )
        for sys_id, mod_count, changes in entries
    ]
    insert_rows(connection, RECORD_HISTORY, HISTORY_COLUMNS, rows)


def _forget(connection: sa.Connection, table: str, sys_ids: Collection[str]) -> None:
    """No system's last version counts any more, so that a full sync takes what the systems have again."""
    if sys_ids:
        connection.execute(
            RECORD_LINK.update()
            .where(RECORD_LINK.c.table_name == table, among(connection, RECORD_LINK.c.sys_id, sys_ids))
            .values(version=None, hash_in=None, hash_out=None)
        )


def _read(connection: sa.Connection, table: str, sys_ids: Collection[str]) -> dict[str, Mapping[str, Any]]:
    if not sys_ids:
        return {}
    records = RECORDS[table]
    rows = connection.execute(records.select().where(among(connection, records.c.sys_id, sys_ids)))
    return {row["sys_id"]: dict(row) for row in rows.mappings()}


def _later_edits(connection: sa.Connection, table: str, sys_ids: Collection[str], undoing: Undoing) -> dict[str, Edits]:
    """By sys_id: modification count, fields and run of the changes that other runs made."""
    rows = connection.execute(
        sa.select(
            RECORD_HISTORY.c.sys_id,
            RECORD_HISTORY.c.sys_mod_count,
            RECORD_HISTORY.c.changes,
            RECORD_HISTORY.c.run_id,
        ).where(
            RECORD_HISTORY.c.table_name == table,
            RECORD_HISTORY.c.action != Action.CREATE.value,
            RECORD_HISTORY.c.run_id.not_in((undoing.run_id, undoing.undo_id)),
            among(connection, RECORD_HISTORY.c.sys_id, sys_ids),
        )
    )
    edits = defaultdict(list)
    for sys_id, mod_count, changes, run_id in rows.all():
        edits[sys_id].append((mod_count or 0, set(msgspec.json.decode(changes)), run_id))
    return dict(edits)
