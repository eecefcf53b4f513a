"""Who a record is, and when it changed: as the system wrote it, only to compare records with each other."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Any

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.connectors.http.json_path import MISSING, Path, value_at


class Identity:
    """Reads key and change time of records by their paths."""

    def __init__(self, key: Path, cursor: Path = ()) -> None:
        self.key = key
        self.cursor = cursor
        paths = [path for path in (key, cursor) if path]
        self._pick: Callable[[SourceRecord], Any] | None = (
            itemgetter(*(path[0] for path in paths)) if all(len(path) == 1 for path in paths) else None
        )

    def of(self, record: SourceRecord) -> tuple[Any, Any]:
        """Key and change time; `MISSING` where there is none."""
        return value_at(record, self.key), value_at(record, self.cursor) if self.cursor else MISSING

    def marks(self, records: list[SourceRecord]) -> tuple[Hashable, ...]:
        """One for each record: the same for the same version of the same record."""
        if self._pick is not None and records and value_at(records[0], self.key) is not None:
            try:
                picked = tuple(map(self._pick, records))
                hash(picked)
            except (KeyError, TypeError):
                pass
            else:
                return picked
        return tuple(_mark(self.of(record), record) for record in records)

    def keys(self, records: list[SourceRecord]) -> list[Hashable]:
        """One for each record: the same for the same record, whatever its version."""
        keys = [value_at(record, self.key) for record in records]
        if set(map(type, keys)) == {str}:
            return keys
        return [_mark((key,), record) for key, record in zip(keys, records, strict=True)]


def _mark(identity: tuple[Any, ...], record: SourceRecord) -> Hashable:
    """A record without a key is told from others by all that it holds."""
    key = identity[0]
    return repr(record if key is MISSING or key is None else identity)
