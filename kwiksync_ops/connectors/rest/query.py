"""What a read asks for: its URL, its filters, its way of paging, and the token that goes on after a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from kwiksync_ops.connectors.http.address import same_origin_url
from kwiksync_ops.connectors.http.calls import Call
from kwiksync_ops.connectors.http.page_watch import State
from kwiksync_ops.connectors.http.template import filled, names_in
from kwiksync_ops.connectors.rest.body import encode_body
from kwiksync_ops.connectors.rest.options import RestOptions
from kwiksync_ops.connectors.rest.pagination import (
    ByKey,
    Cursor,
    EndOfRead,
    Keyset,
    LinkHeader,
    NextLink,
    Offset,
    PageNumber,
    Paginator,
    SinglePage,
)
from kwiksync_ops.connectors.rest.urls import join_url, url_with
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.time_format import format_time
from kwiksync_ops.errors import ConfigurationError

TOKEN_VERSION = 2


class RestQuery:
    """A read as configured and requested; a resumed one keeps the filters and the page size that it began with.

    `secrets` are what a body may name beside the position: login, password, token.
    """

    def __init__(
        self,
        base_url: str,
        options: RestOptions,
        request: ReadRequest,
        *,
        secrets: Mapping[str, Any] | None = None,
    ) -> None:
        paging = options.pagination
        token = _checked_token(options, request)
        size: int = token.get("size") or paging.page_size or request.page_records
        self.pages_before: int = token.get("pages", 0)
        self.records_before: int = token.get("records", 0)
        self.paginator = _paginator(options, request, size)
        self.start: State | None = token["at"] if token else self.paginator.first()
        self.end = EndOfRead(
            size, paging.short_page_is_last, paging.has_more_path, paging.total_path, paging.total_header
        )
        self._type = paging.type
        self._size = size
        self._url = join_url(base_url, request.source)
        self._options = options
        self._secrets = secrets or {}
        self._filters: Mapping[str, str] = token["filters"] if token else _time_filters(options, request)

    def url(self, state: State) -> str:
        link = state.get("link")
        if link is not None:
            return same_origin_url(link, page_url=self._url, what="The next link")
        values = self._values(state)
        fixed = filled(self._options.params, values)
        own = {} if self._options.request.body is not None else self._own_params(values)
        return url_with(self._url, {**fixed, **own})

    def call(self, state: State, *, what: str, is_resumed: bool) -> Call:
        asked = self._options.request
        if asked.body is None:
            return Call(self.url(state), what, is_resumed, method=asked.method)
        body = filled(asked.body, {**self._secrets, **self._values(state)})
        return Call(
            self.url(state),
            what,
            is_resumed,
            method=asked.method,
            headers={"Content-Type": "application/json"},
            body=encode_body(body),
        )

    def _values(self, state: State) -> dict[str, Any]:
        return {**self._filters, **self.paginator.values(state)}

    def _own_params(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What no fixed parameter names already goes into the parameter of its own."""
        named = names_in(self._options.params)
        names = self._options.value_params
        params = {names[name]: value for name, value in values.items() if name in names and name not in named}
        return {param: value for param, value in params.items() if param}

    def token(self, following: State | None, *, pages: int, records: int) -> dict[str, Any]:
        return {
            "v": TOKEN_VERSION,
            "type": self._type,
            "at": None if following is None else dict(following),
            "pages": pages,
            "records": records,
            "size": self._size,
            "filters": dict(self._filters),
        }


def _checked_token(options: RestOptions, request: ReadRequest) -> Mapping[str, Any]:
    token = request.resume
    if token is None:
        return {}
    if token.get("v") != TOKEN_VERSION or token.get("type") != options.pagination.type:
        raise ConfigurationError(
            f"The read of {request.source} can't go on: its way of paging was changed since it was interrupted.",
            remedy="The read starts again.",
            restart=True,
        )
    return token


def _paginator(options: RestOptions, request: ReadRequest, size: int) -> Paginator:
    paging = options.pagination
    match paging.type:
        case "page_number":
            return PageNumber(size, paging.first_page)
        case "offset":
            return Offset(size)
        case "cursor":
            return Cursor(size, paging.cursor_path)
        case "next_link":
            return NextLink(size, paging.next_path)
        case "link_header":
            return LinkHeader(size)
        case "keyset":
            return Keyset(size, _keyset_start(options, request))
        case "key":
            return ByKey(size)
        case "none":
            return SinglePage()


def _keyset_start(options: RestOptions, request: ReadRequest) -> State:
    if not request.cursor_field:
        raise ConfigurationError(
            f"The table of {request.source} is read by keyset and has no cursor.", remedy="Give it cursor: {field: …}."
        )
    if options.time_format not in (None, request.cursor_format):
        raise ConfigurationError(
            f"The table of {request.source} is read by keyset: time_format {options.time_format!r} must be the format "
            f"of its cursor, {request.cursor_format!r}.",
            remedy="Leave time_format out.",
        )
    if request.since is None:
        return {}
    after = format_time(request.since.updated_at, *_notation(options, request))
    return {"after": after} if request.since.id is None else {"after": after, "after_id": request.since.id}


def _time_filters(options: RestOptions, request: ReadRequest) -> dict[str, str]:
    notation = _notation(options, request)
    wanted = names_in([options.params, options.request.body])
    filters: dict[str, str] = {}
    if request.since is not None and options.pagination.type != "keyset" and (options.since_param or "since" in wanted):
        filters["since"] = format_time(request.since.updated_at, *notation)
    if request.until is not None and (options.until_param or "until" in wanted):
        filters["until"] = format_time(request.until, *notation)
    return filters


def _notation(options: RestOptions, request: ReadRequest) -> tuple[str, ZoneInfo]:
    return options.time_format or request.cursor_format, ZoneInfo(options.timezone or request.cursor_timezone)
