"""Reads files, each once: page by page, with what is known of a file committed with its last page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from kwiksync_ops.batch import FileMark, Page, Reject, SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.files import copies, set_aside
from kwiksync_ops.connectors.files.change_time import Window
from kwiksync_ops.connectors.files.chunk import Chunk, printable
from kwiksync_ops.connectors.files.formats import read_chunks
from kwiksync_ops.connectors.files.listing import Pattern, candidates, order_key, settled
from kwiksync_ops.connectors.files.opening import open_place
from kwiksync_ops.connectors.files.options import FilesOptions, merge_options, parse_options
from kwiksync_ops.connectors.files.place import FileInfo, Place
from kwiksync_ops.connectors.files.set_aside import BadFile
from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError, ValidationError
from kwiksync_ops.rate_limit import CallLimiter


class FilesSource:
    """The files of one folder. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._options = options
        self._own = parse_options(options)
        self._place = open_place(credentials, self._own, limiter)
        self._clock = clock

    def __repr__(self) -> str:
        return f"FilesSource({self._place.url!r})"

    def read(self, request: ReadRequest) -> Iterator[Page]:
        """Pages of the files that the pattern in `request.source` means. See `Source.read`."""
        options = parse_options(merge_options(self._options, request.options))
        if (options.allow_hosts, options.allow_insecure_loopback) != (
            self._own.allow_hosts,
            self._own.allow_insecure_loopback,
        ):
            raise ConfigurationError(
                f"The table of {request.source} sets allow_hosts or allow_insecure_loopback.",
                remedy="Set them in the files options of the system: they hold for all of it.",
            )
        return _Read(self._place, options, request, self._clock).pages()

    def check(self) -> str:
        files = self._place.files("", deep=False)
        if not files:
            return f"{self._place.url} can be read, and holds no files."
        newest = max(files, key=lambda file: file.modified)
        return (
            f"{self._place.url} can be read: {len(files):,} files, "
            f"the newest is {printable(newest.name)}, changed {newest.modified:%Y-%m-%d %H:%M} UTC."
        )

    def close(self) -> None:
        self._place.close()


@dataclass
class _Progress:
    """Where a read is: how many pages it gave, the file that it is in, and the last one that it is done with."""

    page: int = 0
    done: list[str] | None = None
    file: str | None = None
    version: str = ""
    row: int = 0


@dataclass(frozen=True)
class _Part:
    """Of a page, what a file gives."""

    records: list[SourceRecord] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    marks: tuple[FileMark, ...] = ()


class _Read:
    """One read: its window and page size are those that it began with."""

    def __init__(self, place: Place, options: FilesOptions, request: ReadRequest, clock: Clock) -> None:
        self._place = place
        self._options = options
        self._pattern = Pattern(request.source)
        self._clock = clock
        self._calls = place.calls
        token = dict(request.resume or {})
        self._at = _Progress(**token.get("at", {}))
        self._asked = token.get("asked") or _asked(request)
        self._request = replace(request, page_records=self._asked["size"])
        self._window = _window(request, self._asked)
        self._by_file_time = bool(options.file_time_field and request.cursor_field == options.file_time_field)
        self._is_filtered = self._window is not None and (request.rereads or not request.known_files)

    def pages(self) -> Iterator[Page]:
        """One page is held back, so that the last one can be told."""
        held: Page | None = None
        for part in self._parts():
            if held:
                yield held
            held = self._page(part)
        last = held or self._page(_Part())
        yield replace(last, is_last=True, calls=last.calls + self._new_calls())

    def _page(self, part: _Part) -> Page:
        self._at.page += 1
        return Page(
            number=self._at.page,
            records=part.records,
            is_last=False,
            resume={"at": dict(vars(self._at)), "asked": self._asked},
            calls=self._new_calls(),
            rejects=part.rejects,
            files=part.marks,
        )

    def _new_calls(self) -> int:
        before, self._calls = self._calls, self._place.calls
        return self._calls - before

    def _parts(self) -> Iterator[_Part]:
        known = self._request.known_files
        aside = self._aside() if known and self._at.page == 0 else {}
        yield from self._unreported(aside)
        listed = self._pattern.listed(self._place)
        self._note_gone({*aside, *(file.name for file in listed)})
        found = [file for file in candidates(listed, self._pattern, self._options, self._clock) if self._is_ahead(file)]
        marks = known([file.name for file in found]) if known else {}
        if self._window and self._is_filtered and self._by_file_time:
            found = [file for file in found if self._window.holds_time(file.modified)]
        new = [file for file in found if not self._is_known(file, marks.get(file.name))]
        for file in settled(self._place, self._pattern, self._options, self._clock, new):
            yield from self._file(file, marks.get(file.name))

    def _is_ahead(self, file: FileInfo) -> bool:
        return self._at.done is None or order_key(file, self._options) > self._at.done

    def _is_known(self, file: FileInfo, mark: FileMark | None) -> bool:
        is_same = mark is not None and mark.version == file.version
        return is_same and not self._request.rereads and self._options.recheck == "metadata"

    def _file(self, file: FileInfo, mark: FileMark | None) -> Iterator[_Part]:
        if (self._at.file, self._at.version) != (file.name, file.version):
            self._at.file, self._at.version, self._at.row = file.name, file.version, 0
        digest = ""
        try:
            with copies.opened(self._place, file, self._options.limits) as copy:
                digest = copy.digest
                if mark and mark.digest == digest and not self._request.rereads:
                    if mark.version != file.version:
                        yield self._done(file, _Part(), digest, is_rejected=mark.is_rejected)
                    return
                yield from self._rows(file, copy)
        except FileNotFoundError:
            return
        except (ValidationError, InsecureTransportError, ConfigurationError) as exc:
            yield self._bad(BadFile(file.name, file, exc.message, digest))

    def _rows(self, file: FileInfo, copy: copies.Copy) -> Iterator[_Part]:
        """The file's parts; the last one carries its mark, if all of the file was wanted and it is what it was."""
        size = self._asked["size"]
        part, is_begun = _Part(), False
        chunks = read_chunks(copy.file, file.name, self._options, self._request.key, skip=self._at.row, size=size)
        try:
            for chunk in chunks:
                if is_begun:
                    yield part
                part, is_begun = self._part(file, chunk), True
                self._at.row += chunk.rows
        except ValidationError:
            if is_begun:
                yield part
            raise
        now = self._place.find(file.name)
        if not self._is_filtered and (now is None or now.version == file.version):
            yield self._done(file, part, copy.digest)
        else:
            yield self._left(file, part)

    def _part(self, file: FileInfo, chunk: Chunk) -> _Part:
        records = chunk.records
        added = self._added(file)
        if added:
            records = [{**record, **added} for record in records]
        if name := self._options.row_number_field:
            for record, number in zip(records, chunk.numbers, strict=True):
                record[name] = number
        if self._window and self._is_filtered and not self._by_file_time:
            records = self._window.keep(records)
        return _Part(records, [_in_file(reject, file) for reject in chunk.rejects])

    def _added(self, file: FileInfo) -> dict[str, str]:
        values = {
            self._options.file_name_field: file.name,
            self._options.file_time_field: file.modified.isoformat(timespec="microseconds"),
        }
        return {name: value for name, value in values.items() if name}

    def _done(self, file: FileInfo, part: _Part, digest: str, *, is_rejected: bool = False) -> _Part:
        mark = FileMark(file.name, file.version, digest, is_rejected)
        return replace(self._left(file, part), marks=(mark,))

    def _left(self, file: FileInfo, part: _Part) -> _Part:
        self._at.done = order_key(file, self._options)
        self._at.file, self._at.version, self._at.row = None, "", 0
        return part

    def _bad(self, bad: BadFile) -> _Part:
        folder = self._options.rejected_folder if self._request.known_files else ""
        moved = set_aside.set_aside(self._place, folder, self._request.source, bad, self._clock.now())
        part = _bad_part(bad.name, moved)
        return self._left(bad.file, part)

    def _aside(self) -> dict[str, FileInfo]:
        """What lies in the folder of the files that were set aside, by name."""
        folder = self._options.rejected_folder.strip("/")
        return {file.name: file for file in self._place.files(folder, deep=True)} if folder else {}

    def _note_gone(self, there: set[str]) -> None:
        """Once a read. Only of files that would have been listed it can be told that they are gone."""
        rejected = self._options.rejected_folder.strip("/")

        def is_gone(name: str) -> bool:
            is_listed = self._pattern.means(name) or (rejected != "" and name.startswith(f"{rejected}/"))
            return is_listed and name not in there

        if self._request.note_gone and self._at.page == 0:
            self._request.note_gone(is_gone)

    def _unreported(self, listed: Mapping[str, FileInfo]) -> Iterator[_Part]:
        """Files that were moved away by a read that ended before the hub knew of it."""
        known = self._request.known_files
        aside = list(set_aside.lying_aside(listed, self._options.rejected_folder, self._pattern))
        marks = known([file.name for _, file in aside]) if known else {}
        for reason_name, file in aside:
            if file.name in marks:
                continue
            reason = set_aside.read_reason(self._place, reason_name, self._request.source)
            if reason:
                bad = BadFile(file.name, file, str(reason.get("reason")), str(reason.get("sha256") or ""))
                yield _bad_part(str(reason.get("file")), bad)


def _bad_part(name: str, bad: BadFile) -> _Part:
    where = f"moved to {bad.name}" if bad.name != name else "left where it is"
    message = f"The file {printable(name)} can't be read, and was {where}: {bad.message}"
    payload = {"file": printable(name), "size": bad.file.size, "sha256": bad.digest}
    reject = Reject(ValidationError.code, message, payload=payload)
    mark = FileMark(bad.name, bad.file.version if bad.name == bad.file.name else "", bad.digest, is_rejected=True)
    return _Part(rejects=[reject], marks=(mark,))


def _in_file(reject: Reject, file: FileInfo) -> Reject:
    return replace(reject, message=f"{printable(file.name)}: {reject.message}")


def _asked(request: ReadRequest) -> dict[str, Any]:
    since = request.since
    return {
        "size": request.page_records,
        "since": [since.updated_at.isoformat(), since.id] if since else None,
        "until": request.until.isoformat() if request.until else None,
    }


def _window(request: ReadRequest, asked: Mapping[str, Any]) -> Window | None:
    since, until = asked["since"], asked["until"]
    if not request.cursor_field or not (since or until):
        return None
    return Window(
        request.key,
        request.cursor_field,
        request.cursor_format,
        request.cursor_timezone,
        Position(datetime.fromisoformat(since[0]), since[1]) if since else None,
        datetime.fromisoformat(until) if until else None,
    )


open_source = FilesSource
