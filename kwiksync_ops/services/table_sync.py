"""The sync of one table within a run: everything that its steps need, as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from kwiksync_ops.batch import FileMark
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.registry import ORDERED_KINDS
from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.errors import LeaseError
from kwiksync_ops.mapping.compiler import CompiledMapping, compile_mapping
from kwiksync_ops.mapping.outbound import CompiledOutbound, compile_outbound
from kwiksync_ops.redaction import Redactor
from kwiksync_ops.services.configuration import applied_mapping
from kwiksync_ops.services.settings import read_settings_of
from kwiksync_ops.storage import checkpoints, file_marks, lease, sync_log
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import RECORD_TABLES, Direction, Mode, Trigger


@dataclass(frozen=True)
class Run:
    """A run of a system's sync: who asked for what. `since` and `until` read a window instead of what is new.

    `allow_deletes`: also where more is deleted than a table's guard allows.
    """

    run_id: str
    system: SystemSpec
    trigger: Trigger
    mode: Mode
    who: str
    since: datetime | None = None
    until: datetime | None = None
    allow_deletes: bool = False


@dataclass(frozen=True)
class TableSync:
    """One table of a run, on a hub, under a fencing token."""

    hub: Hub
    run: Run
    table: TableSpec
    clock: Clock
    token: int
    redactor: Redactor = field(default_factory=Redactor)
    direction: Direction = Direction.INBOUND

    @property
    def key(self) -> TableRun:
        return TableRun(self.run.run_id, self.run.system.system, self.direction, self.table.table)

    @property
    def batch_records(self) -> int:
        return self.run.system.limits.batch_records

    @property
    def is_preview(self) -> bool:
        return self.run.mode == Mode.PREVIEW

    @property
    def is_keyset(self) -> bool:
        """The system sends the table in the order of change time and key, so each page moves the watermark."""
        pagination = self.table.options.get("pagination") or {}
        is_ordered = self.run.system.kind in ORDERED_KINDS or pagination.get("type") == "keyset"
        return self.table.cursor is not None and is_ordered

    @property
    def compares(self) -> bool:
        """The run reads the whole table, and what it does not see is deleted in the hub."""
        is_whole = self.run.mode == Mode.FULL or (self.run.mode == Mode.INCREMENTAL and self.table.cursor is None)
        is_window = self.run.since is not None or self.run.until is not None
        return self.table.deletes.mode == "compare" and is_whole and not is_window

    @property
    def takes_files(self) -> bool:
        """The system's files are read once each, and bad ones set aside. Previews and verifications only look."""
        is_sync = self.run.mode in (Mode.INCREMENTAL, Mode.FULL)
        return is_sync and self.run.system.kind == "files" and self.table.table in RECORD_TABLES

    @property
    def rereads_files(self) -> bool:
        """Files that are known are read too: all of the table is wanted, or a window of it."""
        is_window = self.run.since is not None or self.run.until is not None
        return self.run.mode != Mode.INCREMENTAL or is_window or self.compares

    def author(self) -> Author:
        policies = {"": self.table.conflict.policy, **self.table.conflict.fields}
        is_two_way = self.run.system.direction == "both"
        now = self.clock.now()
        return Author(self.run.system.system, self.run.run_id, self.run.who, now, policies if is_two_way else None)

    def renew(self) -> None:
        """Hold the lease. Raises LeaseError where another process took it."""
        self.hub.write(lambda connection: lease.renew(connection, self.token))

    def start(self) -> None:
        """Open the Sync Log row, stamped with the mapping version that the run keeps."""
        key = self.key
        with self.hub.read() as connection:
            version = applied_mapping(connection, key.system, key.table, key.direction).version
            before = checkpoints.read_watermark(connection, key.system, key.direction, key.table)

        def open_row(connection: Connection) -> None:
            lease.renew(connection, self.token)
            mark = str(before) if before else None
            sync_log.start(connection, key, **self.log_facts(), mapping_version=version, watermark=mark)

        self.hub.write(open_row)

    def log_facts(self) -> dict[str, Any]:
        """What a Sync Log row says from the start."""
        run = self.run
        return {"trigger": run.trigger, "mode": run.mode, "who": run.who, "now": self.clock.now()}

    def mapping(self) -> CompiledMapping:
        """The mapping of the version that the run started with, compiled."""
        key, cursor = self.key, self.table.cursor
        with self.hub.read() as connection:
            row = sync_log.read_table(connection, key)
            version = row["mapping_version"] if row else None
            mapping = applied_mapping(connection, key.system, key.table, version=version)
        return compile_mapping(
            mapping,
            key_field=self.table.key,
            cursor_field=cursor.field if cursor else None,
            cursor_format=cursor.format if cursor else "iso",
            cursor_timezone=cursor.timezone if cursor else "UTC",
        )

    def outbound_mapping(self) -> CompiledOutbound:
        """The way out, of the version that the run started with, compiled."""
        key = self.key
        with self.hub.read() as connection:
            row = sync_log.read_table(connection, key)
            version = row["mapping_version"] if row else None
            mapping = applied_mapping(connection, key.system, key.table, key.direction, version)
        return compile_outbound(mapping)

    def request(self) -> ReadRequest:
        """What to read: everything, a window, or what changed since the watermark less the overlap."""
        cursor = self.table.cursor
        return ReadRequest(
            source=self.table.source,
            key=self.table.key,
            cursor_field=cursor.field if cursor else None,
            cursor_format=cursor.format if cursor else "iso",
            cursor_timezone=cursor.timezone if cursor else "UTC",
            page_records=self.batch_records,
            since=self._since(),
            until=self.run.until,
            known_files=self._known_files if self.takes_files else None,
            note_gone=self._note_gone if self.takes_files else None,
            rereads=self.rereads_files,
            options=self.table.options,
        )

    def reads_whole(self) -> bool:
        """Whether the run reads the whole table: it was asked to, or it began without a watermark."""
        if self.run.since:
            return False
        if self.takes_files and not self.rereads_files:
            with self.hub.read() as connection:
                return not file_marks.has_any(connection, self.key.system, self.key.table)
        if self.run.mode != Mode.INCREMENTAL or self.table.cursor is None:
            return True
        with self.hub.read() as connection:
            row = sync_log.read_table(connection, self.key)
        return row is None or row["watermark_before"] is None

    def _known_files(self, names: Sequence[str]) -> Mapping[str, FileMark]:
        with self.hub.read() as connection:
            return file_marks.read(connection, self.key.system, self.key.table, names)

    def _note_gone(self, is_gone: Callable[[str], bool]) -> None:
        """Forget files that are away for long, so that the hub does not keep every name there ever was."""
        system, table, now = self.key.system, self.key.table, self.clock.now()
        with self.hub.read() as connection:
            gone = [name for name in file_marks.names(connection, system, table) if is_gone(name)]
            days = int(read_settings_of(connection, "retention.")["file_marks_days"])
        before = now - timedelta(days=days)
        if gone and not self.is_preview:
            self.hub.write(partial(file_marks.note_gone, system=system, table=table, gone=gone, now=now, before=before))

    def _since(self) -> Position | None:
        if self.run.since:
            return Position(self.run.since)
        if self.run.mode != Mode.INCREMENTAL or self.table.cursor is None:
            return None
        key = self.key
        with self.hub.read() as connection:
            watermark = checkpoints.read_watermark(connection, key.system, key.direction, key.table)
        return Position(_moment(watermark) - timedelta(seconds=self.run.system.limits.overlap_s)) if watermark else None


def _moment(watermark: Watermark) -> datetime:
    return datetime.fromisoformat(watermark.at)


class LeaseKeepingClock:
    """A clock whose long sleeps are broken into naps, between which the lease is renewed."""

    _NAP_S = 15.0

    def __init__(self, clock: Clock, renew: Callable[[], None]) -> None:
        self._clock = clock
        self._renew = renew

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        end = self._clock.monotonic() + seconds
        while (left := end - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, self._NAP_S))
            self._renew()


def take_lease(hub: Hub, run_id: str) -> int:
    """A new fencing token for this try of the run.

    Raises:
        LeaseError: another sync runs.
    """
    token = hub.write(lambda connection: lease.acquire(connection, run_id))
    if token is not None:
        return token
    with hub.read() as connection:
        held = lease.state(connection)
    raise LeaseError(
        f"Another sync runs: {held.run_id if held else 'unknown'}. One sync runs at a time, over all systems.",
        remedy="Wait for it to end, or look at kwiksync status; a lease whose worker died is free after a minute.",
    )
