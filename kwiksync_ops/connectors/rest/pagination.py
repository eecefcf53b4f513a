"""How the pages of a read follow each other: one small object for each way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from kwiksync_ops.connectors.http.json_path import MISSING, Path, keys_at, value_at
from kwiksync_ops.connectors.http.page_watch import DistinctCount, State

PaginationType = Literal["none", "page_number", "offset", "cursor", "next_link", "link_header", "keyset", "key"]
VALUES = ("size", "page", "offset", "cursor", "after", "after_id")


@dataclass(frozen=True)
class PageView:
    """What a way of paging may look at: how many records came, who the last one is, and the answer around them."""

    count: int
    envelope: Any
    headers: Mapping[str, str]
    last_cursor: Any = None
    last_key: Any = None


class Paginator(Protocol):
    def first(self) -> State: ...

    def values(self, state: State) -> dict[str, Any]:
        """What the page at `state` is asked for by: some of `VALUES`; a state with a `link` needs none."""
        ...

    def following(self, state: State, page: PageView) -> State | None:
        """Where the next page is, or None after the last. Raises ValueError for an answer that can't be right."""
        ...


@dataclass(frozen=True)
class _Sized:
    size: int

    def values(self, state: State) -> dict[str, Any]:
        """The size, and what the state has: its keys are `VALUES` too."""
        return {"size": self.size, **{name: value for name, value in state.items() if value is not None}}


@dataclass(frozen=True)
class SinglePage:
    """One answer holds everything."""

    def first(self) -> State:
        return {}

    def values(self, state: State) -> dict[str, Any]:
        return {}

    def following(self, state: State, page: PageView) -> State | None:
        return None


@dataclass(frozen=True)
class PageNumber(_Sized):
    """`?page=2`; ends at an empty page."""

    first_page: int

    def first(self) -> State:
        return {"page": self.first_page}

    def following(self, state: State, page: PageView) -> State | None:
        return {"page": state["page"] + 1} if page.count else None


@dataclass(frozen=True)
class Offset(_Sized):
    """`?offset=1000`; ends at an empty page. It goes on by what came, not by what was asked for: systems cap pages."""

    def first(self) -> State:
        return {"offset": 0}

    def following(self, state: State, page: PageView) -> State | None:
        return {"offset": state["offset"] + page.count} if page.count else None


@dataclass(frozen=True)
class Cursor(_Sized):
    """A token in the answer goes into a parameter; ends where there is none."""

    path: Path

    def first(self) -> State:
        return {"cursor": None}

    def following(self, state: State, page: PageView) -> State | None:
        token = value_at(page.envelope, self.path)
        if _is_absent(token):
            return None
        if isinstance(token, (dict, list, bool)):
            raise ValueError(f"the token at {'.'.join(self.path)!r} is neither a text nor a number")  # noqa: TRY004  # the answer is wrong
        return {"cursor": _json_value(token)}


@dataclass(frozen=True)
class NextLink(_Sized):
    """The URL of the next page stands in the answer."""

    path: Path

    def first(self) -> State:
        return {"link": None}

    def following(self, state: State, page: PageView) -> State | None:
        link = value_at(page.envelope, self.path)
        if _is_absent(link):
            return None
        if not isinstance(link, str):
            raise ValueError(f"the next link at {'.'.join(self.path)!r} is not a text")  # noqa: TRY004  # the answer is wrong
        return {"link": link}


@dataclass(frozen=True)
class LinkHeader(_Sized):
    """The URL of the next page stands in the `Link` header, as `rel="next"`."""

    def first(self) -> State:
        return {"link": None}

    def following(self, state: State, page: PageView) -> State | None:
        from requests.utils import parse_header_links

        for link in parse_header_links(page.headers.get("Link", "")):
            if "next" in link.get("rel", "").lower().split() and link.get("url"):
                return {"link": link["url"]}
        return None


@dataclass(frozen=True)
class Keyset(_Sized):
    """Change time and id of the last record as the record wrote them; ends at an empty page.

    Nothing is lost or doubled when rows come and go while the pages are read.
    """

    start: State

    def first(self) -> State:
        return self.start

    def following(self, state: State, page: PageView) -> State | None:
        if not page.count:
            return None
        if _is_no_key(page.last_cursor) or _is_no_key(page.last_key):
            raise ValueError("the last record has no change time and id to go on after")
        return {"after": _json_value(page.last_cursor), "after_id": _json_value(page.last_key)}


@dataclass(frozen=True)
class ByKey(_Sized):
    """The id of the last record, where records come in the order of their ids; ends at an empty page.

    Nothing is lost or doubled when rows come and go; one that changes after its page is read by the next sync.
    """

    def first(self) -> State:
        return {}

    def following(self, state: State, page: PageView) -> State | None:
        if not page.count:
            return None
        if _is_no_key(page.last_key):
            raise ValueError("the last record has no id to go on after")
        return {"after_id": _json_value(page.last_key)}


@dataclass(frozen=True)
class EndOfRead:
    """What else tells where a read ends: `has_more`, a total, a short page where that is configured."""

    COUNTED: ClassVar[tuple[type, ...]] = (PageNumber, Offset)

    size: int
    short_page_is_last: bool = False
    has_more_path: Path | None = None
    total_path: Path | None = None
    total_header: str | None = None

    @property
    def counts(self) -> bool:
        return self.total_path is not None or self.total_header is not None

    def total(self, page: PageView) -> int | None:
        """How many records the whole read has by the system's word. Raises ValueError where it says nothing."""
        if self.total_path is not None:
            return _count(value_at(page.envelope, self.total_path), f"at {'.'.join(self.total_path)!r}", page)
        if self.total_header is not None:
            return _count(page.headers.get(self.total_header, MISSING), f"in the header {self.total_header}", page)
        return None

    def after(self, paginator: Paginator, state: State, page: PageView, read: DistinctCount) -> State | None:
        """Where the next page is, or None after the last; `read` counts the records of this page too."""
        following = paginator.following(state, page)
        has_more = self._has_more(page)
        if has_more is False:
            return None
        if has_more is True and following is None:
            raise ValueError("it says that more pages follow, and not where")
        total = self.total(page)
        if isinstance(paginator, self.COUNTED) and total is not None and read.has_reached(total):
            return None
        return None if self.short_page_is_last and page.count < self.size else following

    def _has_more(self, page: PageView) -> bool | None:
        if self.has_more_path is None:
            return None
        value = value_at(page.envelope, self.has_more_path)
        if isinstance(value, bool):
            return value
        where = ".".join(self.has_more_path)
        raise ValueError(f"it does not say true or false at {where!r}: {keys_at(page.envelope)}")


def _json_value(value: Any) -> str | int:
    """As the answer has it: a body may need a number as a number. Decimals have no place in a token."""
    return value if isinstance(value, int) else str(value)


def _is_absent(value: Any) -> bool:
    """What APIs write where nothing follows. 0 is a token like another."""
    return value is MISSING or value is None or value is False or value == ""


def _is_no_key(value: Any) -> bool:
    return _is_absent(value) or isinstance(value, (dict, list, bool))


def _count(value: Any, where: str, page: PageView) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise ValueError(f"it does not say how many records there are {where}: {keys_at(page.envelope)}")
