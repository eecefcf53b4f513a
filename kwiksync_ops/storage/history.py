"""What happened to the records of the hub: who changed which, in which run, and what they were before.

A row of `record_history` with the action `create` stands for all records that one batch created: `changes` is their
number, and `sys_id` the first of their ids, from which the others follow (`storage.sys_id`). With which values they
were created, they tell themselves, less their later changes. (Where `changes` is NULL, it is one record.)

Any other row is of one record: `changes` is `{column: [old, new]}`, `sys_mod_count` the record's count after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.models import RECORD_HISTORY
from kwiksync_ops.storage.sys_id import first_given_with, sys_ids_from
from kwiksync_ops.vocabulary import RECORD_TABLES, Action, ColumnType

HISTORY_COLUMNS = (
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
"""The columns of a row of history, in the order in which many of them are written."""

_INSERT = RECORD_HISTORY.insert()


@dataclass(frozen=True)
class Author:
    """Who changes records: a run of a system's sync, on behalf of somebody, at a moment.

    `policies` say who wins a conflict, by column, "" for all others; None where the system is only read from, so that
    its version always stands.
    """

    system: str
    run_id: str
    who: str
    now: datetime
    policies: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Entry:
    """One change of one record. `system` is the one whose sync made it, None where a person did.

    `changes` holds the old and the new value of each changed column; it is empty for a creation. Where a sync put a
    person's edit on top of the system's version again, `at` is when it did so, and `edited_on` when it was edited.
    """

    action: Action
    changes: dict[str, tuple[Any, Any]]
    system: str | None
    sys_mod_count: int | None
    run_id: str
    at: datetime
    who: str
    edited_on: datetime | None = None


def note_created(connection: sa.Connection, table: str, sys_ids: Sequence[str], author: Author) -> None:
    """One row for all records of a table that a batch created; `sys_ids` as they were given together."""
    row = {
        "table_name": table,
        "sys_id": sys_ids[0],
        "action": Action.CREATE.value,
        "changes": str(len(sys_ids)),
        "system": author.system,
        "sys_mod_count": 0,
        "run_id": author.run_id,
        "sys_created_on": author.now,
        "sys_created_by": author.who,
    }
    connection.execute(_INSERT, row)


def created_in(connection: sa.Connection, run_id: str, table: str) -> list[str]:
    """The sys_ids of the records of a table that a run created, in the order of its batches."""
    rows = connection.execute(
        sa.select(RECORD_HISTORY.c.sys_id, RECORD_HISTORY.c.changes)
        .where(
            RECORD_HISTORY.c.run_id == run_id,
            RECORD_HISTORY.c.table_name == table,
            RECORD_HISTORY.c.action == Action.CREATE.value,
        )
        .order_by(RECORD_HISTORY.c.id)
    )
    return [sys_id for row in rows for sys_id in _created(row.sys_id, row.changes)]


def of_record(connection: sa.Connection, table: str, sys_id: str) -> list[Entry]:
    """All that happened to a record, in that order."""
    rows = connection.execute(
        RECORD_HISTORY.select()
        .where(RECORD_HISTORY.c.table_name == table, RECORD_HISTORY.c.sys_id.in_([sys_id, first_given_with(sys_id)]))
        .order_by(RECORD_HISTORY.c.id)
    ).mappings()
    return _put_back(entry_of(row) for row in rows if sys_id in records_of(row))


def _put_back(entries: Iterable[Entry]) -> list[Entry]:
    """A row of an edit that a sync put back carries the time of the edit, by which later conflicts are judged."""
    taken: dict[str, datetime] = {}
    told = []
    for entry in entries:
        if entry.system is not None:
            taken[entry.run_id] = entry.at
        at = taken.get(entry.run_id, entry.at)
        is_put_back = entry.system is None and entry.at < at
        told.append(replace(entry, at=at, edited_on=entry.at) if is_put_back else entry)
    return told


def records_of(row: sa.RowMapping) -> list[str]:
    return _created(row["sys_id"], row["changes"]) if row["action"] == Action.CREATE else [row["sys_id"]]


def _created(first: str, changes: str | None) -> list[str]:
    return sys_ids_from(first, int(changes)) if changes else [first]


def entry_of(row: sa.RowMapping) -> Entry:
    action = Action(row["action"])
    changes = json.loads(row["changes"]) if row["changes"] and action != Action.CREATE else {}
    return Entry(
        action,
        {name: (old, new) for name, (old, new) in changes.items()},
        row["system"],
        row["sys_mod_count"],
        row["run_id"],
        row["sys_created_on"],
        row["sys_created_by"],
    )


def typed(table: str, name: str, value: Any) -> Any:
    """A value of the history as the column has it."""
    column = RECORD_TABLES[table].column(name)
    if value is None or column is None:
        return value
    match column.type:
        case ColumnType.DATETIME:
            return datetime.fromisoformat(value)
        case ColumnType.DATE:
            return date.fromisoformat(value)
        case ColumnType.DECIMAL:
            return Decimal(str(value))
        case _:
            return value
