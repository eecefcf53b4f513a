"""Hub against system, page by page: which records are equal, and of the others what is wrong with them.

Nothing is held of a table but counts, a few examples, and the page that is compared; what was seen is noted in the
database.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from kwiksync_ops.batch import MappedBatch, Page, SourceRecord
from kwiksync_ops.connectors.source import Source
from kwiksync_ops.errors import SystemUnavailableError
from kwiksync_ops.mapping.compiler import CompiledMapping
from kwiksync_ops.services.agreement import Digest, record_hash
from kwiksync_ops.services.rejections import error_entries
from kwiksync_ops.services.table_sync import TableSync
from kwiksync_ops.storage import lease, sync_log, verification
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.records import HubLookups
from kwiksync_ops.storage.two_way import plain
from kwiksync_ops.storage.verification import HubRow, Seen, Sighting
from kwiksync_ops.vocabulary import Verdict

WRONG = (Verdict.MISSING, Verdict.EXTRA, Verdict.DIFFERENT)
PENDING = (Verdict.NEWER, Verdict.EDITED)

_DOUBTED = (Verdict.DIFFERENT, Verdict.MISSING, Verdict.NEWER)

Told = Callable[[str, int], None]
"""Is told the table, and how many more of its records were read."""


@dataclass(frozen=True)
class Difference:
    """A field, and what each side has in it, as text that can be shown."""

    field: str
    hub: str | None
    system: str | None


@dataclass(frozen=True)
class Example:
    """A record that is not equal. `code` and `message` say why it was rejected, where it was."""

    verdict: Verdict
    external_id: str
    differences: tuple[Difference, ...] = ()
    code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class Comparison:
    """What a comparison of a whole table found.

    Attributes:
        compared: records that the system sent.
        counts: records by verdict.
        fields: how many records differ in each column.
        codes: how many records were rejected with each code, by their first fault.
        readings: how often the table was read: twice where the first reading left doubts that no version settled.
    """

    table: str
    compared: int
    counts: Mapping[Verdict, int]
    fields: Mapping[str, int]
    codes: Mapping[str, int]
    hub_digest: str
    system_digest: str
    readings: int
    examples: tuple[Example, ...] = ()

    @property
    def agrees(self) -> bool:
        return self.hub_digest == self.system_digest

    @property
    def wrong(self) -> int:
        return sum(self.counts[verdict] for verdict in WRONG)

    @property
    def pending(self) -> int:
        return sum(self.counts[verdict] for verdict in PENDING)


@dataclass(frozen=True)
class Row:
    """A record as the system has it, mapped, beside what the hub has."""

    values: tuple[Any, ...]
    version: str | None
    hub: HubRow | None

    @property
    def external_id(self) -> str:
        return str(self.values[0])


@dataclass(frozen=True)
class ComparedPage:
    """A page with its rows that stand beside those of the hub; `records` are aligned with `mapped.rows`."""

    page: Page
    mapped: MappedBatch
    rows: list[Row]
    records: list[SourceRecord]


@dataclass(frozen=True)
class Reading:
    """Reads a table's pages and sets each beside the hub. The mapping is the run's."""

    sync: TableSync
    source: Source
    told: Told
    mapping: CompiledMapping
    lookups: HubLookups

    @classmethod
    def of(cls, sync: TableSync, source: Source, told: Told) -> Reading:
        return cls(sync, source, told, sync.mapping(), HubLookups(sync.hub, sync.key.system))

    @property
    def columns(self) -> tuple[str, ...]:
        return self.mapping.columns[1:]

    def pages(self) -> Iterator[ComparedPage]:
        """All pages of a complete read, each counted into the Sync Log under the lease.

        Raises:
            SystemUnavailableError: the read ended before its last page: it proves nothing.
        """
        is_whole = False
        with closing(self._read()) as pages:
            for page in pages:
                self.sync.hub.write(partial(self._count, calls=page.calls))
                yield self._compared(page)
                self.told(self.sync.table.table, len(page.records) + len(page.rejects))
                is_whole = page.is_last
        if not is_whole:
            raise SystemUnavailableError(
                f"The read of {self.sync.table.source} of {self.sync.key.system} ended before its last page.",
                remedy="An unfinished read proves nothing. Verify again when the system is sound.",
            )

    def _read(self) -> Generator[Page]:
        yield from self.source.read(self.sync.request())

    def _count(self, connection: Connection, calls: int) -> None:
        lease.renew(connection, self.sync.token)
        sync_log.count(connection, self.sync.key, {"pages": 1, "api_calls": calls})

    def _compared(self, page: Page) -> ComparedPage:
        mapped = self.mapping.apply(page.records, self.lookups)
        key = self.sync.key
        with self.sync.hub.read() as connection:
            keys = [row[0] for row in mapped.rows]
            known = verification.rows_by_key(connection, key.system, key.table, self.columns, keys)
        rows = [
            Row(values, version, known.get(values[0]))
            for values, version in zip(mapped.rows, mapped.versions, strict=True)
        ]
        return ComparedPage(page, mapped, rows, [page.records[at] for at in mapped.indexes])


@dataclass
class _Findings:
    """What a comparison keeps in memory: counts and a few examples."""

    limit: int
    compared: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    examples: dict[tuple[Verdict, str], Example] = field(default_factory=dict)

    def show(self, example: Example) -> None:
        kept = sum(verdict is example.verdict for verdict, _ in self.examples)
        if kept < self.limit:
            self.examples[example.verdict, example.external_id] = example

    def withdraw(self, external_id: str) -> None:
        for verdict in Verdict:
            self.examples.pop((verdict, external_id), None)

    def wants(self, verdict: Verdict) -> bool:
        return sum(kept is verdict for kept, _ in self.examples) < self.limit


class TableComparison:
    """One comparison of a table, under way."""

    def __init__(self, reading: Reading, seen: Seen, watermark: str | None, examples: int) -> None:
        self._reading = reading
        self._sync = reading.sync
        self._seen = seen
        self._watermark = watermark
        self._findings = _Findings(examples)
        self._readings = 0

    def run(self) -> Comparison:
        """Read, read again where that leaves doubts, and conclude."""
        self._readings = 1
        for compared in self._reading.pages():
            self._note_first(compared)
        if self._is_doubtful():
            self._readings = 2
            for compared in self._reading.pages():
                self._note_second(compared)
            self._seen.forget_before(2, [Verdict.MISSING, Verdict.DIFFERENT, Verdict.NEWER, Verdict.EDITED])
        return self._conclude()

    def _note_first(self, compared: ComparedPage) -> None:
        self._findings.compared += compared.mapped.read + len(compared.page.rejects)
        sightings = self._judged(compared.rows)
        self._seen.note([*sightings, *self._rejected(compared, sightings)], reading=1)

    def _note_second(self, compared: ComparedPage) -> None:
        """Judge again what was not equal."""
        known = self._seen.known([row.external_id for row in compared.rows])
        settled = {key for key, each in known.items() if each.verdict in (Verdict.EQUAL, Verdict.REJECTED)}
        doubted = [row for row in compared.rows if row.external_id not in settled]
        for row in doubted:
            self._findings.withdraw(row.external_id)
        self._seen.note(self._judged(doubted, before=known), reading=2)

    def _judged(self, rows: Sequence[Row], *, before: Mapping[str, Sighting] | None = None) -> list[Sighting]:
        judged = [self._judge(row, before) for row in rows]
        self._tell_edited(rows, judged)
        for row, sighting in zip(rows, judged, strict=True):
            self._show(row, sighting)
        return judged

    def _judge(self, row: Row, before: Mapping[str, Sighting] | None) -> Sighting:
        key, theirs = row.external_id, record_hash(row.external_id, row.values[1:])
        is_newer = self._is_newer(row, theirs, before)
        if row.hub is None or row.hub.is_buried:
            return Sighting(key, Verdict.NEWER if is_newer else Verdict.MISSING, None, theirs)
        if row.hub.values == row.values[1:]:
            return Sighting(key, Verdict.EQUAL, theirs, theirs)
        sides = zip(self._reading.columns, row.hub.values, row.values[1:], strict=True)
        fields = tuple(name for name, ours, value in sides if ours != value)
        verdict = Verdict.NEWER if is_newer else Verdict.DIFFERENT
        return Sighting(key, verdict, record_hash(key, row.hub.values), theirs, fields)

    def _is_newer(self, row: Row, theirs: bytes, before: Mapping[str, Sighting] | None) -> bool:
        """Changed at the system after the hub last took it, by its change time, or between two readings."""
        if before is not None and (row.external_id not in before or before[row.external_id].theirs != theirs):
            return True
        known = row.hub.version if row.hub else self._watermark
        return bool(row.version and known and row.version > known)

    def _tell_edited(self, rows: Sequence[Row], judged: list[Sighting]) -> None:
        """What differs only since the hub's edits were not sent yet; nothing is sent of a table without `push`."""
        doubted = [(at, row, row.hub) for at, row in enumerate(rows) if row.hub and judged[at].verdict in _DOUBTED]
        if not doubted or not self._sync.table.push:
            return
        key = self._sync.key
        with self._sync.hub.read() as connection:
            hub_rows = [hub_row for _, _, hub_row in doubted]
            unsent = verification.unsent_fields(connection, key.system, key.table, hub_rows)
        for at, row, hub_row in doubted:
            if self._is_explained(judged[at], row, unsent.get(hub_row.sys_id, {})):
                judged[at] = replace(judged[at], verdict=Verdict.EDITED)

    def _is_explained(self, found: Sighting, row: Row, unsent: Mapping[str, Any]) -> bool:
        """A newer version there may be just our last delivery: then it has what both had before the edits."""
        if found.verdict == Verdict.MISSING:
            return self._sync.table.deletes.mirror and "sys_deleted_on" in unsent
        if not unsent.keys() >= set(found.fields):
            return False
        theirs = dict(zip(self._reading.columns, row.values[1:], strict=True))
        return found.verdict != Verdict.NEWER or all(plain(theirs[name]) == unsent[name] for name in found.fields)

    def _show(self, row: Row, sighting: Sighting) -> None:
        verdict = Verdict(sighting.verdict)
        if verdict is Verdict.EQUAL or not self._findings.wants(verdict):
            return
        ours = dict(zip(self._reading.columns, row.hub.values, strict=True)) if row.hub else {}
        theirs = dict(zip(self._reading.columns, row.values[1:], strict=True))
        text = self._text
        differences = tuple(Difference(name, text(ours.get(name)), text(theirs[name])) for name in sighting.fields)
        self._findings.show(Example(verdict, row.external_id, differences))

    def _text(self, value: Any) -> str | None:
        return None if value is None else self._sync.redactor.text(str(value))

    def _rejected(self, compared: ComparedPage, sightings: Sequence[Sighting]) -> list[Sighting]:
        """Count them; of those whose key is known nothing can be said, neither that the hub has one too many."""
        errors = error_entries([*compared.mapped.rejects, *compared.page.rejects], self._sync.redactor)
        for error in errors:
            self._findings.codes[error.code] += 1
            rejected = Example(Verdict.REJECTED, error.external_id or "", code=error.code, message=error.message)
            self._findings.show(rejected)
        taken = {each.external_id for each in sightings}
        faulty = {reject.external_id for reject in compared.mapped.rejects if reject.external_id}
        return [Sighting(key, Verdict.REJECTED, None, None) for key in sorted(faulty - taken)]

    def _is_doubtful(self) -> bool:
        """A change time tells whether a difference is one; a read by key misses nothing. Else a second look tells."""
        found = {each.verdict for each in self._seen.sightings()} if self._sync.table.cursor is None else set()
        if found & {Verdict.MISSING, Verdict.DIFFERENT}:
            return True
        return not self._sync.is_keyset and next(self._seen.unseen(()), None) is not None

    def _conclude(self) -> Comparison:
        counts, fields = Counter[Verdict](), Counter[str]()
        hub, system = Digest(), Digest()
        for each in self._seen.sightings():
            counts[Verdict(each.verdict)] += 1
            fields.update(each.fields)
            hub.add(each.ours)
            system.add(each.theirs)
        for rows in self._seen.unseen(self._reading.columns):
            counts[Verdict.EXTRA] += len(rows)
            for row in rows:
                hub.add(record_hash(row.external_id, row.values))
                self._findings.show(Example(Verdict.EXTRA, row.external_id))
        counts[Verdict.REJECTED] = self._findings.codes.total()
        return Comparison(
            table=self._sync.table.table,
            compared=self._findings.compared,
            counts={verdict: counts[verdict] for verdict in Verdict},
            fields=dict(fields.most_common()),
            codes=dict(self._findings.codes),
            hub_digest=str(hub),
            system_digest=str(system),
            readings=self._readings,
            examples=tuple(self._findings.examples.values()),
        )
