"""The shapes that travel from a system to the hub: a page as read, a batch as mapped, a record rejected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

SourceRecord = dict[str, Any]
"""A record as the system sent it: JSON values; numbers with a fraction are `Decimal`, never float."""

ResumeToken = Mapping[str, Any]
"""JSON: where a read goes on. Only the connector that made it reads it."""


@dataclass(frozen=True)
class Reject:
    """A record that could not be taken, and why. One for each fault of a record."""

    code: str
    message: str
    field: str | None = None
    external_id: str | None = None
    payload: Any = None


@dataclass(frozen=True)
class FileMark:
    """A file that was read to its end, or set aside: it is not read again as long as it is the same.

    Attributes:
        version: changes with size, times and what else its place tells without opening it.
        digest: SHA-256 of its content, in hex; empty where it was not read.
    """

    name: str
    version: str
    digest: str
    is_rejected: bool = False


@dataclass(frozen=True)
class Page:
    """One page of a read, in the order of the system. `resume` continues after it; `is_last` ends a complete read.

    `files` are those that are done when the page is in.
    """

    number: int
    records: list[SourceRecord]
    is_last: bool
    resume: ResumeToken
    calls: int = 1
    server_time: datetime | None = None
    rejects: list[Reject] = field(default_factory=list)
    files: Sequence[FileMark] = ()


@dataclass(frozen=True)
class MappedBatch:
    """Records ready for the hub: `rows` are tuples in the order of `columns` (target columns, `external_id` first).

    `versions` holds the change time of each row at its source as UTC ISO text, or None; it is aligned with `rows`.
    `read` counts the source records: read = rows + rejected + superseded.
    `superseded` counts those that a newer record of the same key in the same batch replaced; they count as unchanged.
    `indexes` tells of each row which source record it was, `fingerprints` what that record's content was as it came;
    both may be left out.
    """

    table: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    versions: list[str | None]
    rejects: list[Reject]
    read: int
    superseded: int = 0
    indexes: Sequence[int] = ()
    fingerprints: Sequence[bytes | None] = ()

    @property
    def rejected(self) -> int:
        """How many records were rejected; a record with two faults counts once."""
        return self.read - len(self.rows) - self.superseded
