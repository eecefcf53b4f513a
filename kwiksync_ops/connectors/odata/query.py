"""What a read asks a service for: its filter, its order, its pages, and the token that goes on after a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from kwiksync_ops.connectors.http.address import same_origin_url
from kwiksync_ops.connectors.odata.access import join_url, with_query
from kwiksync_ops.connectors.odata.edm import MOMENTS, TICKS, moment_literal, moment_of, to_literal
from kwiksync_ops.connectors.odata.entity_table import EntityTable
from kwiksync_ops.connectors.odata.metadata import EntitySet, Property, Service
from kwiksync_ops.connectors.odata.options import ODataOptions
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.time_format import format_time
from kwiksync_ops.errors import ConfigurationError

TOKEN_VERSION = 1

State = Mapping[str, Any]
"""JSON: where a page is. One of
`link`: as the system said;
`after` and `keys`: changed after that time, or just then with a greater key; without `keys` later only;
`after`, `keys`, `ties`: changed just then, with a greater key;
`within` and `keys`: changed at what is told as that moment, in the order of the key;
`from`: changed then or later;
nothing: at the beginning.
"""


@dataclass(frozen=True)
class PageView:
    """What came: how many records, where the last one stands, and what the answer says around them.

    `is_new` is false where the page before had all of them.
    """

    count: int
    link: str | None
    total: int | None
    last: tuple[Any, list[Any]] | None
    is_new: bool = True


class ODataQuery:
    """A read as configured and requested; a resumed one keeps the filter and the page size that it began with."""

    def __init__(
        self,
        table: EntityTable,
        options: ODataOptions,
        request: ReadRequest,
    ) -> None:
        token = _checked_token(options, request)
        self.cursor = _Cursor(table.service, table.entity_set, request)
        self.is_keyset = options.pagination.type == "keyset"
        self.size: int = token.get("size") or options.pagination.page_size or request.page_records
        self.pages_before: int = token.get("pages", 0)
        self.records_before: int = token.get("records", 0)
        self.total: int | None = token.get("total")
        self._keys = table.keys
        self._version = table.version
        self._options = options
        self._is_split = options.pagination.two_queries and self.cursor.path != ""
        self._url = join_url(table.root, table.name)
        self._filters: Sequence[str] = token["filters"] if token else self._time_filters(request)
        self.start: State | None = token["at"] if token else self._first(request)

    def url(self, state: State) -> str:
        if "link" in state:
            return same_origin_url(state["link"], page_url=self._url, what="The next link")
        clauses = [*self._filters, *self._position(state)]
        if self._options.filter:
            clauses.insert(0, f"({self._options.filter})" if clauses else self._options.filter)
        params: dict[str, Any] = {**self._options.params}
        params |= {"$filter": " and ".join(clauses)} if clauses else {}
        params |= {"$orderby": self._order(state)} if self._order(state) else {}
        params |= self._shape()
        if self.is_keyset:
            params["$top"] = self.size
        return with_query(self._url, params)

    def headers(self) -> dict[str, str]:
        """What is asked of the paging of a service that pages by itself."""
        asks = self._version == "v4" and not self.is_keyset
        return {"Prefer": f"odata.maxpagesize={self.size}"} if asks else {}

    def following(self, state: State, page: PageView) -> State | None:
        """Where the next page is, or None after the last. Raises ValueError for an answer that can't be right."""
        if not self.is_keyset:
            return {"link": page.link} if page.link else None
        if page.total is not None and page.count == 0 and page.total > 0:
            raise ValueError(f"it counts {page.total:,} more records and sends none")
        has_ended = page.count == 0 or (page.total is not None and page.total <= page.count)
        if "within" in state:
            return {"from": self.cursor.end_of(state["within"])} if has_ended else self._go_on(state, page)
        if has_ended:
            return {"after": state["after"]} if state.get("ties") else None
        return self._go_on(state, page) if page.is_new else self._within(state)

    def _go_on(self, state: State, page: PageView) -> State:
        if page.last is None:
            raise ValueError("the last record has no change time and key to go on after")
        after, keys = page.last
        if "within" in state:
            return {"within": state["within"], "keys": keys}
        if "keys" not in state and after is not None and state.get("after") == after:
            return self._within(state)  # it is later, and told as that very time
        return self._behind(after, keys)

    def _behind(self, after: Any, keys: list[Any]) -> State:
        return {"after": after, "keys": keys, **({"ties": True} if self._is_split else {})}

    def _within(self, state: State) -> State:
        """Where a service keeps times more exactly than it tells them, the records of the last moment come again and
        again: then they are read by their keys, and what changed later after them."""
        if self.cursor.type in TICKS and state.get("after"):
            return {"within": state["after"]}
        raise ValueError("it sends the records of the page before again")

    def token(self, following: State | None, *, pages: int, records: int) -> dict[str, Any]:
        return {
            "v": TOKEN_VERSION,
            "type": self._options.pagination.type,
            "at": None if following is None else dict(following),
            "pages": pages,
            "records": records,
            "size": self.size,
            "filters": list(self._filters),
            "total": self.total,
        }

    def _first(self, request: ReadRequest) -> State:
        """A read since a position with a key begins after that key; any other at the beginning of what is filtered."""
        if not self.is_keyset or request.since is None or request.since.id is None:
            return {}
        return self._behind(self.cursor.text(request.since.updated_at), self._keys.parts(request.since.id))

    def _time_filters(self, request: ReadRequest) -> list[str]:
        if not self.cursor.path:
            return []
        filters = []
        since, until = request.since, request.until
        if since is not None and not (self.is_keyset and since.id is not None):
            after = self.cursor.text(since.updated_at)
            parts = self._keys.parts(since.id) if since.id is not None else None
            filters.append(f"({self._beyond(after, parts)})" if parts else self._beyond(after, None))
        if until is not None:
            filters.append(self.cursor.compare("le", self.cursor.text(until)))
        return filters

    def _position(self, state: State) -> list[str]:
        keys = state.get("keys")
        if "within" in state:
            end = self.cursor.end_of(state["within"])
            rest = [self._beyond_keys(keys)] if keys else []
            return [self.cursor.compare("ge", state["within"]), self.cursor.compare("lt", end), *rest]
        if "from" in state:
            return [self.cursor.compare("ge", state["from"])]
        if "after" not in state:
            return []
        if state.get("ties"):
            return [self.cursor.compare("eq", state["after"]), self._beyond_keys(keys or [])]
        beyond = self._beyond(state["after"], keys)
        return [f"({beyond})" if " or " in beyond else beyond]

    def _beyond(self, after: Any, keys: Sequence[Any] | None) -> str:
        """Changed later; or just then, with a greater key."""
        if not self.cursor.path:
            return self._beyond_keys(keys or [])
        later = self.cursor.compare("gt", after)
        if keys is None:
            return later
        return f"{later} or ({self.cursor.compare('eq', after)} and {self._beyond_keys(keys)})"

    def _beyond_keys(self, values: Sequence[Any]) -> str:
        """`a gt 1 or (a eq 1 and b gt 2)`, in brackets where there is an `or`."""
        clause = ""
        for name, value in reversed(list(zip(self._keys.properties, values, strict=True))):
            path, literal = name.replace(".", "/"), self._keys.literal(name, value)
            greater = f"{path} gt {literal}"
            clause = f"({greater} or ({path} eq {literal} and {clause}))" if clause else greater
        return clause

    def _order(self, state: State) -> str:
        if not self.is_keyset:
            return self._options.orderby
        keys = [name.replace(".", "/") for name in self._keys.properties]
        cursor = [self.cursor.path] if self.cursor.path and not ({"ties", "within"} & set(state)) else []
        return ",".join((*cursor, *keys))

    def _shape(self) -> dict[str, str]:
        options = self._options
        params = {}
        if options.select:
            needed = (self.cursor.path, *(name.replace(".", "/") for name in self._keys.properties))
            linked = options.expand if self._version == "v2" else ()
            params["$select"] = ",".join(dict.fromkeys(filter(None, (*options.select, *needed, *linked))))
        if options.expand:
            params["$expand"] = ",".join(options.expand)
        if options.count:
            params |= {"$count": "true"} if self._version == "v4" else {"$inlinecount": "allpages"}
        return params


class _Cursor:
    """The property that says when a record changed, and how its values are written in a filter."""

    def __init__(self, service: Service, entity_set: EntitySet, request: ReadRequest) -> None:
        self.field = request.cursor_field or ""
        self.path = self.field.replace(".", "/")
        self._version = service.version
        self._declared: Property | None = None
        self._format = request.cursor_format
        self._zone = ZoneInfo(request.cursor_timezone)
        if self.path:
            self._declared = service.property_at(entity_set, tuple(self.field.split(".")))
            if self._declared is None:
                raise ConfigurationError(
                    f"{entity_set.name} has no property {self.field!r} to read changes by.",
                    remedy=f"Set cursor.field to one of: {', '.join(_moments_of(entity_set)) or 'its properties'}.",
                )

    @property
    def type(self) -> str | None:
        return self._declared.type if self._declared else None

    def text(self, moment: datetime) -> str:
        """A moment as the property would write it."""
        if self.type in MOMENTS:
            precision = self._declared.precision if self._declared else None
            return moment_literal(moment.astimezone(self._zone), self.type, self._version, precision)
        return format_time(moment, self._format, self._zone)

    def compare(self, operator: str, value: Any) -> str:
        return f"{self.path} {operator} {to_literal(value, self.type, self._version)}"

    def end_of(self, text: str) -> str:
        """The first moment that would be told otherwise. Raises ValueError where the text is no moment."""
        moment = moment_of(text)
        if moment is None:
            raise ValueError(f"{text[:60]!r} is no moment")
        digits = 3 if self._version == "v2" else min(len(text.partition(".")[2].rstrip("Z")[:6]), 6)
        return moment_literal(moment + timedelta(seconds=10**-digits), self.type, self._version, digits)


def _moments_of(entity_set: EntitySet) -> list[str]:
    return [each.name for each in entity_set.properties.values() if each.type in MOMENTS]


def _checked_token(options: ODataOptions, request: ReadRequest) -> Mapping[str, Any]:
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
