"""The pages of one read: fetched, checked, cleaned; each is taken whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kwiksync_ops.batch import Page, Reject, SourceRecord
from kwiksync_ops.connectors.http.address import same_origin_url
from kwiksync_ops.connectors.http.calls import Call
from kwiksync_ops.connectors.http.identity import Identity
from kwiksync_ops.connectors.http.json_path import MISSING, parse_path, value_at
from kwiksync_ops.connectors.http.json_records import JsonPage, JsonRecords
from kwiksync_ops.connectors.http.page_watch import DistinctCount, LoopWatch
from kwiksync_ops.connectors.http.refusals import excerpt
from kwiksync_ops.connectors.http.retry_after import http_date
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.odata.access import ODataAccess
from kwiksync_ops.connectors.odata.edm import MOMENTS, from_json, moment_of
from kwiksync_ops.connectors.odata.entity_table import EntityTable, open_table
from kwiksync_ops.connectors.odata.envelope import RECORDS, link_in, total_in
from kwiksync_ops.connectors.odata.options import ODataOptions
from kwiksync_ops.connectors.odata.query import ODataQuery, PageView, State
from kwiksync_ops.connectors.odata.records import CutRecordError
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError, SystemUnavailableError, ValidationError


def read_pages(access: ODataAccess, options: ODataOptions, request: ReadRequest) -> Iterator[Page]:
    """See `Source.read`. Nothing is called where an earlier read came to the end."""
    token = request.resume
    if token is not None and token.get("at", MISSING) is None:
        number = token["pages"] + 1
        yield Page(number, [], is_last=True, resume={**token, "pages": number}, calls=0)
        return
    calls = access.calls
    table = open_table(access, request.source, request.key, options)
    try:
        query = ODataQuery(table, options, request)
    except ValueError as exc:
        raise ConfigurationError(f"The read of {request.source} can't begin: {exc}.") from exc
    yield from _Read(access, options, request, table, query, calls).pages()


@dataclass(frozen=True)
class _Found:
    """What is at a position, and where it goes on."""

    answer: Answer
    records: list[SourceRecord]
    rejects: list[Reject]
    following: State | None

    @property
    def is_empty(self) -> bool:
        return not self.records and not self.rejects


class _Read:
    """Where a read is, and what came so far. `calls` is how many were made before it."""

    def __init__(
        self,
        access: ODataAccess,
        options: ODataOptions,
        request: ReadRequest,
        table: EntityTable,
        query: ODataQuery,
        calls: int,
    ) -> None:
        self._access = access
        self._options = options
        self._request = request
        self._table = table
        self._query = query
        self._calls = calls
        self._number = query.pages_before
        self._identity = Identity(parse_path(request.key), parse_path(request.cursor_field or ""))
        self._json = JsonRecords(
            RECORDS[table.version],
            Identity(tuple(table.keys.properties[0].split(".")), self._identity.cursor),
            limits=options.limits,
            redactor=access.redactor,
        )
        self._headers = {**access.headers(options, table.version), **query.headers()}
        self._loops = LoopWatch()
        self._count = DistinctCount(query.records_before)
        self._counts = options.count and not query.is_keyset
        self._before: set[Hashable] = set()

    def pages(self) -> Iterator[Page]:
        state = self._query.start
        while state is not None:
            page, state = self._page_at(state)
            yield page

    def _page_at(self, state: State) -> tuple[Page, State | None]:
        self._number += 1
        found = self._answer_at(state)
        while self._query.is_keyset and found.following is not None and found.is_empty:  # no more ties, for one
            found = self._answer_at(found.following)
        page = Page(
            number=self._number,
            records=found.records,
            is_last=found.following is None,
            resume=self._query.token(found.following, pages=self._number, records=self._count.received),
            calls=self._access.calls - self._calls,
            server_time=http_date(found.answer.headers.get("Date")),
            rejects=found.rejects,
        )
        self._calls = self._access.calls
        return page, found.following

    def _answer_at(self, state: State) -> _Found:
        with self._without_loops():
            self._loops.note_state(state)
        answer, what = self._fetch(state)
        try:
            decoded = self._json.decode(answer.body)
            records, rejects = self._taken(state, decoded)
            following = self._query.following(state, self._view(decoded, records, rejects))
        except ValueError as exc:
            raise self._nonsense(exc, answer, what) from exc
        if following is None:
            self._check_total(what)
        else:
            following = self._own_link(following, answer, what)
        return _Found(answer, records, rejects, following)

    def _taken(self, state: State, decoded: JsonPage) -> tuple[list[SourceRecord], list[Reject]]:
        """The records of a page, clean, and those that can't be taken."""
        records, cut = self._cleaned(decoded.records)
        rejects = [*decoded.rejects, *cut]
        if self._query.is_keyset:
            self._check_order(state, records)
            records, rejects = self._without_repeats(records, rejects)
        rejected = [_mark(reject) for reject in rejects]
        if "within" not in state:
            with self._without_loops():
                self._loops.note_content((*self._identity.marks(records), *rejected))
        if self._counts:
            self._count.add((*self._identity.keys(records), *rejected))
        return records, rejects

    def _without_repeats(
        self, records: list[SourceRecord], rejects: list[Reject]
    ) -> tuple[list[SourceRecord], list[Reject]]:
        """Without what the page before had: version 2 may tell times less exactly than it compares them."""
        marks = self._identity.marks(records)
        fresh = [record for record, mark in zip(records, marks, strict=True) if mark not in self._before]
        new = [reject for reject in rejects if _mark(reject) not in self._before]
        self._before = {*marks, *map(_mark, rejects)} or self._before
        return fresh, new

    def _view(self, decoded: JsonPage, records: list[SourceRecord], rejects: list[Reject]) -> PageView:
        total = total_in(decoded.envelope, self._table.version) if self._options.count else None
        if self._query.total is None and not self._query.is_keyset:
            self._query.total = total
        came = len(decoded.records) + len(decoded.rejects)
        return PageView(
            count=came,
            link=link_in(decoded.envelope, self._table.version),
            total=total,
            last=self._last(decoded),
            is_new=bool(records or rejects) or not came,
        )

    def _fetch(self, state: State) -> tuple[Answer, str]:
        try:
            url = self._query.url(state)
        except ValueError as exc:
            raise ConfigurationError(f"The read of {self._request.source} can't go on: {exc}.") from exc
        what = f"Page {self._number} of {self._access.shown(url)}"
        is_resumed = "link" in state  # a link is the system's, and it may forget it; a position is ours
        answer, _ = self._access.caller(self._options, self._headers).answer(Call(url, what, is_resumed))
        if answer.status != 200:
            raise self._access.refused(answer, what, is_resumed=is_resumed)
        return answer, what

    def _cleaned(self, records: list[SourceRecord]) -> tuple[list[SourceRecord], list[Reject]]:
        cleaned: list[SourceRecord] = []
        rejects: list[Reject] = []
        for record in records:
            try:
                cleaned.append(self._table.cleaner.clean(record))
            except CutRecordError as exc:
                rejects.append(self._cut(record, exc))
        return cleaned, rejects

    def _cut(self, record: SourceRecord, fault: CutRecordError) -> Reject:
        key = value_at(record, self._identity.key)
        return Reject(
            ValidationError.code,
            f"{fault} Read {fault.field} as a table of its own, without expand.",
            field=fault.field,
            external_id=None if key is MISSING else str(key)[:255],
        )

    def _last(self, decoded: JsonPage) -> tuple[Any, list[Any]] | None:
        """Change time and keys of the last record as it came, be it rejected."""
        names = self._table.keys.properties
        if decoded.rejects and len(names) == 1:
            first, cursor = decoded.last
            found = [first]
        else:
            record = _last_record(decoded, names)
            found = [value_at(record, tuple(name.split("."))) for name in names]
            cursor = value_at(record, self._identity.cursor) if self._query.cursor.path else None
        if any(value in (None, MISSING) for value in found) or (
            self._query.cursor.path and cursor in (None, MISSING, "")
        ):
            return None
        keys = [from_json(value, self._table.type_of(name)) for name, value in zip(names, found, strict=True)]
        return from_json(cursor, self._query.cursor.type) if self._query.cursor.path else None, keys

    def _check_order(self, state: State, records: list[SourceRecord]) -> None:
        """A service that ignores a part of $filter or $orderby would lose records without a word."""
        if self._query.cursor.type not in MOMENTS or "within" in state:
            return
        last = moment_of(state.get("after", state.get("from")))
        for record in records:
            moment = moment_of(value_at(record, self._identity.cursor))
            if last is not None and moment is not None and moment < last:
                raise ConfigurationError(
                    f"{self._request.source}: a record that changed at {moment} came after one of {last}: "
                    "the system does not keep to $filter or $orderby.",
                    remedy="Read the table by pagination.type: next_link.",
                )
            last = moment or last

    def _check_total(self, what: str) -> None:
        if self._query.total is None or not self._counts:
            return
        received = self._count.distinct()
        if received < self._query.total:
            raise SystemUnavailableError(
                f"{what}: the read ended with {received:,} different records, "
                f"though the system has {self._query.total:,}.",
                remedy="Rows came or went while the pages were read, or the system hides some: the read starts again.",
                restart=True,
            )

    @contextmanager
    def _without_loops(self) -> Iterator[None]:
        try:
            yield
        except ValueError as exc:
            raise SystemUnavailableError(
                f"Page {self._number} of {self._request.source}: {exc}.",
                remedy="Tell the system's owner; pagination.type: keyset does without its links."
                if not self._query.is_keyset
                else "The system does not keep to $filter: read the table by pagination.type: next_link.",
            ) from exc

    def _own_link(self, state: State, answer: Answer, what: str) -> State:
        """A next link as a path on the system's host: no other host is followed, no credential kept."""
        if "link" not in state:
            return state
        if self._access.redactor.holds_secret(state["link"]):
            raise InsecureTransportError(
                f"{what}: what leads to the next page repeats a credential; it was not followed.",
                remedy="The system must not put credentials into links.",
            )
        target = urlsplit(same_origin_url(state["link"], page_url=answer.url, what=f"{what}: the next link"))
        return {"link": urlunsplit(("", "", target.path or "/", target.query, ""))}

    def _nonsense(self, reason: ValueError, answer: Answer, what: str) -> SystemUnavailableError:
        is_html = "html" in answer.content_type.lower() or answer.body[:200].lstrip().lower().startswith(b"<")
        fault = "it is a web page or XML (a log-in page?), not JSON" if is_html else str(reason)
        return SystemUnavailableError(
            f"{what}: the answer can't be used: {self._access.redactor.text(fault)}. Content-Type "
            f"{answer.content_type}; it begins {excerpt(answer, self._access.redactor)!r}. Nothing of it was taken.",
            remedy="Check the base URL, the source and the credentials; if they are right, tell the system's owner.",
        )


def _mark(reject: Reject) -> Hashable:
    return reject.external_id or str(reject.payload)


def _last_record(decoded: JsonPage, keys: Sequence[str]) -> Any:
    """The last record with the given keys: a rejected one is read again from what is kept of it."""
    last = decoded.records[-1] if decoded.records else {}
    try:
        rejected = json.loads(str(decoded.rejects[-1].payload)) if decoded.rejects else {}
    except ValueError:
        return last
    if not isinstance(rejected, dict) or rejected.get(keys[0]) != decoded.last[0]:
        return last
    is_later = last.get(keys[0]) != decoded.last[0] or [str(rejected.get(key)) for key in keys] > [
        str(last.get(key)) for key in keys
    ]
    return rejected if is_later else last
