"""Reads an OData service of version 2 or 4 by configuration: page by page, each page whole or not at all."""

from __future__ import annotations

from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kwiksync_ops.batch import Page, Reject, SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.address import same_origin_url
from kwiksync_ops.connectors.http.calls import Call
from kwiksync_ops.connectors.http.identity import Identity
from kwiksync_ops.connectors.http.json_path import MISSING, parse_path, value_at
from kwiksync_ops.connectors.http.json_records import JsonPage, JsonRecords
from kwiksync_ops.connectors.http.refusals import excerpt
from kwiksync_ops.connectors.http.retry_after import http_date
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.odata.access import ODataAccess
from kwiksync_ops.connectors.odata.edm import MOMENTS, from_json, moment_of
from kwiksync_ops.connectors.odata.keys import KeyReader
from kwiksync_ops.connectors.odata.options import ODataOptions
from kwiksync_ops.connectors.odata.query import ODataQuery, PageView, State
from kwiksync_ops.connectors.odata.records import CutRecordError, RecordCleaner
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import ConfigurationError, InsecureTransportError, SystemUnavailableError, ValidationError
from kwiksync_ops.rate_limit import CallLimiter

RECORDS = {"v2": ("d", "results"), "v4": ("value",)}
LINKS = {"v2": (("d", "__next"),), "v4": (("@odata.nextLink",), ("@nextLink",))}
TOTALS = {"v2": (("d", "__count"),), "v4": (("@odata.count",), ("@count",))}
SHOWN_SETS = 10


class ODataSource:
    """One system over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._access = ODataAccess(credentials, options, limiter, clock)

    def __repr__(self) -> str:
        return f"ODataSource({self._access.shown(self._access.base_url)!r})"

    def read(self, request: ReadRequest) -> Iterator[Page]:
        """Pages of one entity set. See `Source.read`."""
        options = self._access.options(request.source, request.options)
        return _Read(self._access, options, request).pages()

    def check(self) -> str:
        """Read the metadata and say what was found."""
        return describe(self._access)

    def close(self) -> None:
        self._access.close()


def describe(access: ODataAccess) -> str:
    """One sentence about what is at the base URL."""
    shown = access.shown(access.base_url)
    service, status = access.look_at(access.base_url)
    if service is None:
        return (
            f"{shown} is reachable and no OData service itself ({status} for its metadata): "
            "let the source of a table name a service below it, as in SERVICE/EntitySet."
        )
    names = sorted(service.sets)
    more = f" and {len(names) - SHOWN_SETS} more" if len(names) > SHOWN_SETS else ""
    listed = f": {', '.join(names[:SHOWN_SETS])}{more}" if names else ""
    noun = "entity set" if len(names) == 1 else "entity sets"
    return f"{shown} is an OData service of version {service.version_text} with {len(names)} {noun}{listed}."


class _Read:
    """One read: where it is, and what came so far."""

    def __init__(self, access: ODataAccess, options: ODataOptions, request: ReadRequest) -> None:
        self._access = access
        self._options = options
        self._request = request
        self._calls = access.calls
        self._identity = Identity(parse_path(request.key), parse_path(request.cursor_field or ""))
        self._seen: set[int] = set()
        self._before: set[Hashable] = set()
        self._distinct = array("q")

    def pages(self) -> Iterator[Page]:
        token = self._request.resume
        if token is not None and token.get("at", MISSING) is None:
            yield Page(token["pages"] + 1, [], is_last=True, resume={**token, "pages": token["pages"] + 1}, calls=0)
            return
        query = self._open()
        state = query.start
        while state is not None:
            page, state = self._page_at(query, state)
            yield page

    def _open(self) -> ODataQuery:
        root, service, entity_set = self._access.entity_set(self._request.source, self._options)
        keys = KeyReader(entity_set, service.version, self._request.key, self._options.fixed_keys)
        for name in keys.properties:
            if service.property_at(entity_set, tuple(name.split("."))) is None:
                raise ConfigurationError(
                    f"{entity_set.name} has no property {name!r} for a key.",
                    remedy=f"Set key to {' or '.join(entity_set.keys)}, or to @key for all key properties together.",
                )
        try:
            query = ODataQuery(root, service, entity_set, keys, self._options, self._request)
        except ValueError as exc:
            raise ConfigurationError(f"The read of {self._request.source} can't begin: {exc}.") from exc
        self._service = service
        self._cleaner = RecordCleaner(service, entity_set, keys)
        self._json = JsonRecords(
            RECORDS[service.version],
            Identity(tuple(keys.properties[0].split(".")), self._identity.cursor),
            limits=self._options.limits,
            redactor=self._access.redactor,
        )
        self._headers = {**self._access.headers(self._options, service.version), **query.headers()}
        self._number = query.pages_before
        self._received = query.records_before
        return query

    def _page_at(self, query: ODataQuery, state: State) -> tuple[Page, State | None]:
        self._number += 1
        answer, records, rejects, following = self._answer_at(query, state)
        while following is not None and not records and not rejects:  # no more ties: what changed later is no new page
            answer, records, rejects, following = self._answer_at(query, following)
        page = Page(
            number=self._number,
            records=records,
            is_last=following is None,
            resume=query.token(following, pages=self._number, records=self._received),
            calls=self._access.calls - self._calls,
            server_time=http_date(answer.headers.get("Date")),
            rejects=rejects,
        )
        self._calls = self._access.calls
        return page, following

    def _answer_at(
        self, query: ODataQuery, state: State
    ) -> tuple[Answer, list[SourceRecord], list[Reject], State | None]:
        """What is at a position: the answer, what to take of it, and where it goes on."""
        self._note(("state", repr(sorted(state.items()))), "leads to a page that was read before", query)
        answer, what = self._fetch(query, state)
        try:
            decoded = self._json.decode(answer.body)
            records, cut = self._cleaned(decoded.records)
            rejects = [*decoded.rejects, *cut]
            following, records = self._following(query, state, decoded, records, rejects)
        except ValueError as exc:
            raise self._nonsense(exc, answer, what) from exc
        if following is None:
            self._check_total(query, what)
            return answer, records, rejects, None
        return answer, records, rejects, self._own_link(following, answer, what)

    def _fetch(self, query: ODataQuery, state: State) -> tuple[Answer, str]:
        try:
            url = query.url(state)
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
                cleaned.append(self._cleaner.clean(record))
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

    def _following(
        self, query: ODataQuery, state: State, decoded: JsonPage, records: list[SourceRecord], rejects: list[Reject]
    ) -> tuple[State | None, list[SourceRecord]]:
        """Where the next page is, and the records that the page before had not."""
        if query.is_keyset:
            self._check_order(query, state, records)
        marks = self._identity.marks(records)
        fresh = [record for record, mark in zip(records, marks, strict=True) if mark not in self._before]
        rejected = [reject.external_id or str(reject.payload) for reject in rejects]
        if not query.is_keyset or fresh:
            self._note(("content", (*marks, *rejected)), "repeats the records of an earlier page", query)
        self._count_distinct(query, (*self._identity.keys(fresh), *rejected))
        total = self._total(decoded.envelope)
        if query.total is None and not query.is_keyset:
            query.total = total
        came = len(decoded.records) + len(decoded.rejects)
        view = PageView(
            came,
            self._link(decoded.envelope),
            total if self._options.count else None,
            self._last(query, decoded, records, rejects),
            is_new=bool(fresh or rejects) or not came,
        )
        if not query.is_keyset:
            return query.following(state, view), records
        self._before = set(marks)
        return query.following(state, view), fresh

    def _last(
        self, query: ODataQuery, decoded: JsonPage, records: list[SourceRecord], rejects: list[Reject]
    ) -> tuple[Any, list[Any]] | None:
        """Change time and keys of the last record of the page, be it rejected."""
        keys = query.keys.values(records[-1]) if records else None
        if rejects and len(query.keys.properties) == 1:
            first, cursor = decoded.last
            keys = None if first in (None, MISSING) else [from_json(first, None)]
            cursor = from_json(cursor, query.cursor.type)
        else:
            cursor = value_at(records[-1], self._identity.cursor) if records and query.cursor.path else None
        if keys is None or (query.cursor.path and cursor in (None, MISSING, "")):
            return None
        return cursor if query.cursor.path else None, keys

    def _check_order(self, query: ODataQuery, state: State, records: list[SourceRecord]) -> None:
        """A service that ignores a part of $filter or $orderby would lose records without a word."""
        if query.cursor.type not in MOMENTS:
            return
        last = moment_of(state.get("after"))
        for record in records:
            moment = moment_of(value_at(record, self._identity.cursor))
            if last is not None and moment is not None and moment < last:
                raise ConfigurationError(
                    f"{self._request.source}: a record that changed at {moment} came after one of {last}: "
                    "the system does not keep to $filter or $orderby.",
                    remedy="Read the table by pagination.type: next_link.",
                )
            last = moment or last

    def _count_distinct(self, query: ODataQuery, keys: Iterable[Hashable]) -> None:
        digests = [hash(key) for key in keys]
        self._received += len(digests)
        if self._options.count and not query.is_keyset:
            self._distinct.extend(digests)

    def _check_total(self, query: ODataQuery, what: str) -> None:
        if query.total is None or query.is_keyset or not self._options.count:
            return
        received = query.records_before + len(set(self._distinct))
        if received < query.total:
            raise SystemUnavailableError(
                f"{what}: the read ended with {received:,} different records, though the system has {query.total:,}.",
                remedy="Rows came or went while the pages were read, or the system hides some: the read starts again.",
                restart=True,
            )

    def _note(self, mark: object, complaint: str, query: ODataQuery) -> None:
        digest = hash(mark)
        if digest in self._seen and mark != ("content", ()):
            raise SystemUnavailableError(
                f"Page {self._number} of {self._request.source}: page loop: it {complaint}.",
                remedy="Tell the system's owner; pagination.type: keyset does without its links."
                if not query.is_keyset
                else "The system does not keep to $filter: read the table by pagination.type: next_link.",
            )
        self._seen.add(digest)

    def _link(self, envelope: Any) -> str | None:
        found = _first(envelope, LINKS[self._service.version])
        if found is None or isinstance(found, str):
            return found or None
        raise ValueError("its next link is no text")

    def _total(self, envelope: Any) -> int | None:
        found = _first(envelope, TOTALS[self._service.version])
        try:
            return None if found is None else int(found)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"its count is {str(found)[:40]!r}, no number") from exc

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


def _first(envelope: Any, paths: Iterable[tuple[str, ...]]) -> Any:
    found = (value_at(envelope, path) for path in paths)
    return next((value for value in found if value is not MISSING and value is not None), None)


open_source = ODataSource
