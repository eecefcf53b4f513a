"""The activity log: what began, what was written, what ended, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.storage import activity, sync_log
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.vocabulary import RECORD_TABLES, SyncStatus

AUDITED = ("sync", "batch", "error", "conflict", "record", "mapping", "table")
VERBS = {
    "sync.start": "asked for",
    "batch.load": "a batch in",
    "batch.push": "a batch sent",
    "batch.undo": "a batch undone",
    "error.resolve": "errors resolved",
    "conflict.resolve": "a conflict decided",
    "table.verify": "verified",
    "record.create": "created",
    "record.update": "changed",
    "record.delete": "deleted",
}
ROWS_READ = 200
OVERLAP = timedelta(seconds=30)
"""So late may a row become visible, behind newer ones; who reads drops what they have seen, by its id."""


@dataclass(frozen=True)
class Event:
    """`id` is the same however often it is read; `table`, `run_id` and `record` are empty where it is of none."""

    id: str
    at: datetime
    table: str
    text: str
    status: str = ""
    run_id: str = ""
    record: str = ""


@dataclass(frozen=True)
class Place:
    """How far the log was read: the number of the last audit row, and the time of the last event."""

    number: int = 0
    at: datetime = datetime(1970, 1, 1, tzinfo=UTC)

    def __str__(self) -> str:
        return f"{self.number}-{int(self.at.timestamp() * 1000)}"


def place_of(text: str) -> Place:
    """Raises ConfigurationError for what is no place."""
    number, _, moment = text.partition("-")
    if not (number.isascii() and number.isdigit() and moment.isascii() and moment.isdigit() and len(text) < 40):
        raise ConfigurationError(f"{text[:40]!r} is no place in the activity log.", remedy="Take it as it came.")
    try:
        return Place(int(number), datetime.fromtimestamp(int(moment) / 1000, UTC))
    except (OverflowError, ValueError, OSError) as exc:
        raise ConfigurationError(f"{text[:40]!r} is no place in time.", remedy="Take it as it came.") from exc


def read_feed(hub: Hub, after: Place, *, limit: int) -> tuple[list[Event], Place]:
    """What happened behind a place, newest first, and the new place."""
    with hub.read() as connection:
        audited = activity.audited_after(connection, after.number, AUDITED, limit=limit)
        names = _names(connection, audited)
        rows = [dict(row) for row in sync_log.latest(connection, limit=ROWS_READ)]
    events = [event for row in rows for event in _of_log(row) if event.at > after.at - OVERLAP]
    events += [_of_audit(row, names) for row in audited]
    events.sort(key=lambda event: (event.at, event.id), reverse=True)
    number = max((row["number"] for row in audited), default=after.number)
    return events[:limit], Place(number, max((event.at for event in events), default=after.at))


def _of_log(row: Mapping[str, Any]) -> Iterator[Event]:
    about, table = f"{'from' if row['direction'] == 'inbound' else 'to'} {row['system']}", row["table_name"]
    yield Event(f"b{row['sys_id']}", row["started"], table, f"{about}: {row['mode']} begins", "", row["run_id"])
    if row["ended"] and row["status"] != SyncStatus.RUNNING:
        yield Event(f"e{row['sys_id']}", row["ended"], table, f"{about}: {_outcome(row)}", row["status"], row["run_id"])


def _outcome(row: Mapping[str, Any]) -> str:
    told = [f"{row[name]:,} {name}" for name in ("created", "updated", "deleted") if row[name]]
    if row["failed"]:
        told.append(f"{row['failed']:,} rejected")
    return ", ".join(told) or row["message"] or "nothing to change"


def _names(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What people call the records that the rows are of, by their sys_id."""
    named = [row["object"].partition(" ") for row in rows]
    tables = {table: {sys_id for of, _, sys_id in named if of == table} for table in RECORD_TABLES}
    found: dict[str, str] = {}
    for table, sys_ids in tables.items():
        found |= activity.labels_of(connection, table, sys_ids) if sys_ids else {}
    return found


def _of_audit(row: Mapping[str, Any], names: Mapping[str, str]) -> Event:
    details = row["details"]
    figures = [
        f"{details[name]:,} {name}"
        for name in ("created", "updated", "deleted", "sent", "confirmed")
        if details.get(name)
    ]
    table, _, rest = (
        row["object"].partition(" ") if row["object"].split(" ")[0] in RECORD_TABLES else ("", "", row["object"])
    )
    verb = VERBS.get(row["action"]) or row["action"].replace(".", " ").replace("_", " ")
    told = ", ".join(figures) if figures else f"by {row['who']}"
    at = datetime.fromisoformat(row["at"])
    record = rest if rest in names else ""
    text = f"{names.get(rest, rest)}: {verb}, {told}"
    return Event(f"a{row['number']}", at, table, text, "", row["run_id"] or "", record)
