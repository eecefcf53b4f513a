"""What was written to a table of the ERP: edits that lie over its replayed history."""

from __future__ import annotations

import json
from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from erp_history import History, Record, Version, make_version
from erp_tables import Table


@dataclass(frozen=True)
class Edit:
    """At a moment some fields of a record were set, or all of it was deleted."""

    at: datetime
    fields: Record
    is_delete: bool = False


class Edits:
    """The edits of a table. An edit and a replayed version each change only the fields that they change."""

    def __init__(self, table: Table, history: History) -> None:
        self._table, self._history = table, history
        self._by_id: dict[str, list[Edit]] = {}

    def add(self, record_id: str, edit: Edit) -> None:
        insort(self._by_id.setdefault(record_id, []), edit, key=lambda known: known.at)

    def highest_id(self) -> str:
        """Of all records: those that do not exist yet, and the deleted ones, as well."""
        return max([*self._history.ids, *self._by_id])

    def versions(self, now: datetime) -> list[Version]:
        """The records at the moment, sorted by change time and id."""
        versions = {version.id: version for version in self._history.at(now)}
        for record_id in self._by_id:
            version = self.version(record_id, now)
            if version:
                versions[record_id] = version
            elif self._until(record_id, now):
                versions.pop(record_id, None)
        return sorted(versions.values(), key=lambda version: version.position)

    def version(self, record_id: str, now: datetime) -> Version | None:
        replayed, edits = self._history.of(record_id, now), self._until(record_id, now)
        if not edits:
            return replayed[-1] if replayed else None
        if edits[-1].is_delete:
            return None
        record = _replay(replayed, edits)
        changed_at = max([edits[-1].at, *(version.changed_at for version in replayed[-1:])])
        record[self._table.changed_field] = self._table.notation(changed_at)
        if "revision" in record:
            record["revision"] = len(edits) + (json.loads(replayed[-1].body)["revision"] if replayed else 0)
        return make_version(changed_at, record_id, record)

    def deletions(self, now: datetime) -> list[Version]:
        """What was deleted up to the moment, as records of their own that are sorted as all are."""
        key = self._table.key
        gone = (
            make_version(edits[-1].at, record_id, {key: record_id, "deleted_at": self._table.notation(edits[-1].at)})
            for record_id in self._by_id
            if (edits := self._until(record_id, now)) and edits[-1].is_delete
        )
        return sorted(gone, key=lambda version: version.position)

    def _until(self, record_id: str, now: datetime) -> list[Edit]:
        return [edit for edit in self._by_id.get(record_id, ()) if edit.at <= now]


def _replay(replayed: Sequence[Version], edits: Sequence[Edit]) -> Record:
    changes = [*_changes(replayed), *((edit.at, edit.fields) for edit in edits)]
    record: Record = {}
    for _, fields in sorted(changes, key=lambda change: change[0]):
        record |= fields
    return record


def _changes(versions: Sequence[Version]) -> Iterator[tuple[datetime, Record]]:
    """Each version's moment, and the fields in which it differs from the one before."""
    before: Record = {}
    for version in versions:
        record: Record = json.loads(version.body)
        yield version.changed_at, {name: value for name, value in record.items() if before.get(name, ...) != value}
        before = record
