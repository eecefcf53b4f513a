"""What the ERP's records looked like at any moment: each table is a list of versions in the order of time."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

Record = dict[str, Any]
Row = dict[str, str]
Change = tuple[datetime, Record]
"""A moment, and a record as it is from then on."""

FIRST_MOMENT = datetime(2016, 2, 29, tzinfo=UTC)
LAST_MOMENT = datetime(2016, 4, 15, tzinfo=UTC)
UNKNOWN = "?"


@lru_cache(maxsize=65_536)
def pick(count: int, *parts: object) -> int:
    """A number below `count` that depends on the parts alone, the same in every process."""
    digest = hashlib.sha256("|".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % count


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def us_date(moment: datetime) -> str:
    return moment.strftime("%m/%d/%Y")


def us_minute(moment: datetime) -> str:
    return moment.strftime("%m/%d/%Y %H:%M")


def ticket_minute(moment: datetime) -> str:
    """The incident log's own notation, D/M/YYYY HH:mm."""
    return f"{moment.day}/{moment.month}/{moment:%Y %H:%M}"


@lru_cache(maxsize=65_536)
def read_ticket_minute(text: str) -> datetime:
    return datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=UTC)


def every(days: int, *parts: object) -> list[datetime]:
    """Moments of the replayed weeks, `days` apart; the parts set the first one."""
    first = FIRST_MOMENT + timedelta(minutes=pick(days * 24 * 60, *parts))
    span = (LAST_MOMENT - first) // timedelta(days=days)
    return [first + timedelta(days=days * index) for index in range(span + 1)]


@dataclass(frozen=True)
class Version:
    """A record as it is from `changed_at` until its next version; `body` is the record as JSON."""

    changed_at: datetime
    id: str
    body: bytes

    @property
    def position(self) -> tuple[datetime, str]:
        return self.changed_at, self.id


def make_version(changed_at: datetime, record_id: str, record: Record) -> Version:
    return Version(changed_at, record_id, json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode())


class History:
    """All versions of one table. Of two versions of a record in one minute the later in the list counts."""

    def __init__(self, key: str, versions: Iterable[Version]) -> None:
        self.key = key
        self._versions = sorted(versions, key=lambda version: version.changed_at)
        self._moments = [version.changed_at for version in self._versions]
        self._by_id: dict[str, list[Version]] = {}
        for version in self._versions:
            self._by_id.setdefault(version.id, []).append(version)

    @property
    def ids(self) -> Collection[str]:
        """Of all records, those that do not exist yet as well."""
        return self._by_id.keys()

    def of(self, record_id: str, moment: datetime) -> list[Version]:
        """The versions of one record up to the moment, in the order of time."""
        return [version for version in self._by_id.get(record_id, ()) if version.changed_at <= moment]

    def at(self, moment: datetime) -> list[Version]:
        """The records that exist at the moment, sorted by change time and id."""
        latest = {version.id: version for version in self._versions[: bisect_right(self._moments, moment)]}
        return sorted(latest.values(), key=lambda version: version.position)

    def changed(self, earlier: datetime, later: datetime) -> set[str]:
        """The records that have a version after `earlier`, up to and including `later`."""
        first, last = bisect_right(self._moments, earlier), bisect_right(self._moments, later)
        return {version.id for version in self._versions[first:last]}


def index_after(versions: list[Version], changed_at: datetime, record_id: str) -> int:
    """Where the versions begin that come after a change time and id."""
    return bisect_right(versions, (changed_at, record_id), key=lambda version: version.position)


def index_from(versions: list[Version], changed_at: datetime) -> int:
    """Where the versions begin that changed at a moment or later."""
    return bisect_left(versions, changed_at, key=lambda version: version.changed_at)


def index_beyond(versions: list[Version], changed_at: datetime) -> int:
    """Where the versions begin that changed later than a moment."""
    return bisect_right(versions, changed_at, key=lambda version: version.changed_at)
