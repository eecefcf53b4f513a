"""Reads a REST system by configuration: page by page, each page whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from kwiksync_ops.batch import Page
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.http.address import same_origin_url
from kwiksync_ops.connectors.http.calls import Caller
from kwiksync_ops.connectors.http.identity import Identity
from kwiksync_ops.connectors.http.json_path import parse_path
from kwiksync_ops.connectors.http.json_records import JsonPage, JsonRecords
from kwiksync_ops.connectors.http.page_watch import DistinctCount, LoopWatch, State
from kwiksync_ops.connectors.http.refusals import excerpt
from kwiksync_ops.connectors.http.retry_after import http_date
from kwiksync_ops.connectors.http.transport import Answer
from kwiksync_ops.connectors.rest.access import RestAccess
from kwiksync_ops.connectors.rest.body import document_of
from kwiksync_ops.connectors.rest.check import check_system
from kwiksync_ops.connectors.rest.options import RestOptions
from kwiksync_ops.connectors.rest.pagination import PageView
from kwiksync_ops.connectors.rest.query import RestQuery
from kwiksync_ops.connectors.rest.told_errors import told_error
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import InsecureTransportError, SystemUnavailableError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor


class RestSource:
    """One system over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._access = RestAccess(credentials, options, limiter, clock)
        self._redactor = self._access.redactor

    def __repr__(self) -> str:
        return f"RestSource({self._redactor.url(self._access.base_url)!r})"

    def read(self, request: ReadRequest) -> Iterator[Page]:
        """Pages of one object, as the configured way of paging orders them. See `Source.read`."""
        options = self._access.options(request.source, request.options)
        query = RestQuery(self._access.base_url, options, request, secrets=self._access.body_values())
        return _Read(self._access.caller(options), self._redactor, query, options, request).pages()

    def check(self) -> str:
        """Call the system once and say what was found."""
        return check_system(self._access)

    def close(self) -> None:
        self._access.session.close()


class _Read:
    """One read: where it is, and what came so far."""

    def __init__(
        self, caller: Caller, redactor: Redactor, query: RestQuery, options: RestOptions, request: ReadRequest
    ) -> None:
        self._caller = caller
        self._redactor = redactor
        self._query = query
        self._options = options
        self._number = query.pages_before
        self._identity = Identity(parse_path(request.key), parse_path(request.cursor_field or ""))
        self._json = JsonRecords(
            options.records_path,
            self._identity,
            limits=options.limits,
            redactor=redactor,
        )
        self._loops = LoopWatch()
        self._count = DistinctCount(query.records_before)

    def pages(self) -> Iterator[Page]:
        state = self._query.start
        if state is None:
            yield Page(self._number + 1, [], is_last=True, resume=self._token(None), calls=0)
            return
        self._loops.note_state(state)
        while state is not None:
            page, state = self._page_at(state)
            yield page

    def _page_at(self, state: State) -> tuple[Page, State | None]:
        self._number += 1
        url = self._query.url(state)
        what = f"Page {self._number} of {self._redactor.url(url)}"
        answer, calls = self._caller.get(self._query.call(state, what=what, is_resumed=self._number > 1))
        try:
            decoded = self._decoded(answer, what)
            following = self._following(state, answer, decoded, what)
        except ValueError as exc:
            raise self._nonsense(exc, answer, what) from exc
        page = Page(
            number=self._number,
            records=decoded.records,
            is_last=following is None,
            resume=self._token(following),
            calls=calls,
            server_time=http_date(answer.headers.get("Date")),
            rejects=decoded.rejects,
        )
        return page, following

    def _following(self, state: State, answer: Answer, decoded: JsonPage, what: str) -> State | None:
        self._note(decoded)
        view = PageView(
            count=len(decoded.records) + len(decoded.rejects),
            envelope=decoded.envelope,
            headers=answer.headers,
            last_key=decoded.last[0],
            last_cursor=decoded.last[1],
        )
        following = self._query.end.after(self._query.paginator, state, view, self._count)
        if following is None:
            self._check_total(view, what)
            return None
        following = self._own_link(following, answer, what)
        self._loops.note_state(following)
        return following

    def _note(self, decoded: JsonPage) -> None:
        """Remember what came: to notice a loop, and to compare with the total that the system tells."""
        rejected = [reject.external_id or str(reject.payload) for reject in decoded.rejects]
        self._loops.note_content((*self._identity.marks(decoded.records), *rejected))
        if self._query.end.counts:
            self._count.add((*self._identity.keys(decoded.records), *rejected))

    def _own_link(self, state: State, answer: Answer, what: str) -> State:
        """A next link as a path on the system's host: no other host is followed, no credential kept."""
        if self._redactor.holds_secret("".join(map(str, state.values()))):
            raise InsecureTransportError(
                f"{what}: what leads to the next page repeats a credential; it was not followed.",
                remedy="The system must not put credentials into links or tokens.",
            )
        if "link" not in state:
            return state
        target = urlsplit(same_origin_url(state["link"], page_url=answer.url, what=f"{what}: the next link"))
        return {"link": urlunsplit(("", "", target.path or "/", target.query, ""))}

    def _check_total(self, view: PageView, what: str) -> None:
        total = self._query.end.total(view)
        if total is None or self._count.distinct() >= total:
            return
        raise SystemUnavailableError(
            f"{what}: the read ended with {self._count.distinct():,} different records, "
            f"though the system has {total:,}.",
            remedy="Rows came or went while the pages were read, or the system hides some: the read starts again.",
            restart=True,
        )

    def _decoded(self, answer: Answer, what: str) -> JsonPage:
        try:
            decoded = self._json.decode(answer.body, _charset(answer))
        except ValueError:
            self._check_error(_document(answer), what)
            raise
        self._check_error(decoded.envelope, what)
        return decoded

    def _check_error(self, document: Any, what: str) -> None:
        told = told_error(document, self._options, self._redactor)
        if told is not None:
            raise told.as_read_error(what, self._options)

    def _nonsense(self, reason: ValueError, answer: Answer, what: str) -> SystemUnavailableError:
        is_html = "html" in answer.content_type.lower() or answer.body[:200].lstrip().lower().startswith(b"<")
        said = excerpt(answer, self._redactor)
        fault = "it is a web page (a log-in page?), not JSON" if is_html else self._redactor.text(str(reason))
        return SystemUnavailableError(
            f"{what}: the answer can't be used: {fault}. "
            f"Content-Type {answer.content_type}; it begins {said!r}. Nothing of the page was taken.",
            remedy="Check the base URL, the source and the credentials."
            if is_html
            else "Compare the answer with the table's rest options; if they are right, tell the system's owner.",
        )

    def _token(self, following: State | None) -> dict[str, Any]:
        return self._query.token(following, pages=self._number, records=self._count.received)


def _document(answer: Answer) -> Any:
    """The answer, if it is JSON at all."""
    try:
        return document_of(answer)
    except ValueError:
        return None


def _charset(answer: Answer) -> str:
    _, _, parameters = answer.content_type.partition(";")
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"') or "utf-8"
    return "utf-8"


open_source = RestSource
