"""The seam between a sync and the systems that it reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from kwiksync_ops import vocabulary
from kwiksync_ops.batch import FileMark, Page, ResumeToken


@dataclass(frozen=True)
class Position:
    """How far a source was read: the change time of the last record, and its id where the source is read by key."""

    updated_at: datetime
    id: str | None = None


KnownFiles = Callable[[Sequence[str]], Mapping[str, FileMark]]
"""Those of the named files that earlier reads of the table were done with, as they were then."""

NoteGone = Callable[[Callable[[str], bool]], None]
"""Takes what tells of a file's name whether the place, listed whole, has it no more."""


@dataclass(frozen=True)
class ReadRequest:
    """What to read of one object of a system.

    Attributes:
        source: the system's object; for REST a path below the base URL.
        key: the field that identifies a record; dots lead into nested objects.
        cursor_field: the field that tells when a record last changed.
        cursor_format: `iso`, `epoch`, `epoch_ms` or the product's notation (`D/M/YYYY H:mm`).
        cursor_timezone: zone of change times that name none.
        since: read what changed after it; None reads everything.
        until: read nothing that changed later, where the source can be asked so.
        resume: go on after the page that carried this token. The token keeps its own `since`, `until` and page size.
        known_files: where it is given, a system of files is read by it and not by `since`: each file once.
        note_gone: called once a place of files was listed whole.
        rereads: also files that are known are read.
        options: the connector's options, system and table merged; they win over those that the source was opened with.
    """

    source: str
    key: str
    cursor_field: str | None = None
    cursor_format: str = "iso"
    cursor_timezone: str = "UTC"
    page_records: int = vocabulary.BATCH_RECORDS
    since: Position | None = None
    until: datetime | None = None
    resume: ResumeToken | None = None
    known_files: KnownFiles | None = None
    note_gone: NoteGone | None = None
    rereads: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    def read(self, request: ReadRequest) -> Iterator[Page]:
        """Pages in the order of the system; the last one has `is_last`. A read that raises is unfinished.

        Raises:
            KwikSyncError: with `facts["restart"]` true when `resume` can't be gone on from: read again without it.
        """
        ...

    def check(self) -> str:
        """Call the system once and say what was found. Raises what a read would raise."""
        ...

    def close(self) -> None: ...
