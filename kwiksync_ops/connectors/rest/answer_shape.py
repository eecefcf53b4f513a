"""An answer of an API that nobody described: where its records stand, and how its pages follow each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from requests.utils import parse_header_links

from kwiksync_ops.connectors.http.json_path import keys_at

_MAX_DEPTH = 3
_RECORDS = ("data", "items", "results", "records", "value", "rows", "entries", "content", "list", "hits", "result")
_NEXT_LINK = ("next", "nextlink", "nexturl", "nexthref", "nextpage", "odatanextlink")
_NEXT_TOKEN = ("nextcursor", "nextpagetoken", "nexttoken", "continuationtoken", "endcursor", "cursor", "next")
_TOTAL = ("total", "totalcount", "totalelements", "totalresults", "totalrecords", "totalitems", "count", "xtotalcount")
_HAS_MORE = ("hasmore", "more", "hasnext", "hasnextpage")
_PAGE = ("page", "currentpage", "pagenumber", "number")
_PAGES = ("pages", "totalpages", "lastpage", "pagecount")
_OFFSET = ("offset", "skip", "start", "startat", "startindex", "from")


@dataclass(frozen=True)
class AnswerShape:
    """`pagination` is None where the answer does not tell how to go on; `says_more`: it says that there is more."""

    records_path: str
    records: list[Any]
    pagination: dict[str, Any] | None
    says_more: bool


def shape_of(document: Any, headers: Mapping[str, str]) -> AnswerShape:
    """What an answer tells of itself.

    Raises:
        ValueError: there is no list of records in it; the text says what there is.
    """
    path, records = _records(document)
    around = {} if path == "" else dict(_around(document, path))
    more = _find(around, _HAS_MORE, bool)
    pagination = _pagination(around, headers, len(records))
    says_more = bool(more and around[more]) or _total(around, len(records)) > len(records)
    return AnswerShape(path, records, pagination, says_more)


def _records(document: Any) -> tuple[str, list[Any]]:
    if isinstance(document, list):
        return "", document
    found = dict(_lists(document))
    if not found:
        raise ValueError(f"there is no list of records in it: {keys_at(document)}")
    return min(found.items(), key=lambda item: (_rank(item[0]), -len(item[1])))


def _lists(node: Any, path: str = "", depth: int = _MAX_DEPTH) -> Iterator[tuple[str, list[Any]]]:
    for name, value in node.items() if isinstance(node, dict) and depth else ():
        own = f"{path}.{name}".lstrip(".")
        if not _is_step(name):
            continue
        if isinstance(value, list) and all(isinstance(item, dict) for item in value):
            yield own, value
        elif isinstance(value, dict):
            yield from _lists(value, own, depth - 1)


def _is_step(name: str) -> bool:
    """Whether a dotted path can lead through it."""
    return bool(name) and "." not in name


def _rank(path: str) -> int:
    """Lists of a usual name first, then those that are not deep."""
    last = path.rpartition(".")[2].lower()
    return _RECORDS.index(last) if last in _RECORDS else len(_RECORDS) + path.count(".")


def _around(node: Any, without: str, path: str = "", depth: int = _MAX_DEPTH) -> Iterator[tuple[str, Any]]:
    """The single values beside the records, by path."""
    for name, value in node.items() if isinstance(node, dict) and depth else ():
        own = f"{path}.{name}".lstrip(".")
        if own == without or not _is_step(name):
            continue
        if isinstance(value, dict):
            yield from _around(value, without, own, depth - 1)
        elif not isinstance(value, list):
            yield own, value


def _pagination(around: Mapping[str, Any], headers: Mapping[str, str], count: int) -> dict[str, Any] | None:
    ends = _ends(around, count)
    if any(link.get("rel") == "next" for link in parse_header_links(headers.get("Link", ""))):
        own_link = _link(around)
        return {"type": "next_link", "next_path": own_link, **ends} if own_link else {"type": "link_header", **ends}
    if link := _link(around):
        return {"type": "next_link", "next_path": link, **ends}
    if token := _token(around):
        return {"type": "cursor", "cursor_param": _cursor_param(token), "cursor_path": token, **ends}
    if _find(around, _PAGES, int) or _find(around, _PAGE, int):
        page = _find(around, _PAGE, int)
        first = {"first_page": 0} if page and around[page] == 0 else {}
        return {"type": "page_number", "page_param": "page", **first, **ends}
    if offset := _find(around, _OFFSET, int):
        return {"type": "offset", "offset_param": offset.rpartition(".")[2], **ends}
    return None


def _ends(around: Mapping[str, Any], count: int) -> dict[str, str]:
    """What tells the end of a read."""
    more, total = _find(around, _HAS_MORE, bool), _find(around, _TOTAL, int)
    is_whole = total is not None and around[total] > count
    return {**({"has_more_path": more} if more else {}), **({"total_path": total} if total and is_whole else {})}


def _total(around: Mapping[str, Any], count: int) -> int:
    total = _find(around, _TOTAL, int)
    return int(around[total]) if total else count


def _link(around: Mapping[str, Any]) -> str | None:
    for path, value in around.items():
        is_next = _plain(path) in _NEXT_LINK or re.search(r"(^|\.)next\.href$", path, re.IGNORECASE)
        if is_next and isinstance(value, str) and re.match(r"https?://|/|\?|[\w/.-]+\?", value):
            return path
    return None


def _token(around: Mapping[str, Any]) -> str | None:
    found = (path for path, value in around.items() if _plain(path) in _NEXT_TOKEN and isinstance(value, str) and value)
    return next(found, None)


def _cursor_param(path: str) -> str:
    """`next_cursor` goes into `cursor`, `nextPageToken` into `pageToken`."""
    name = re.sub(r"^next_?", "", path.rpartition(".")[2], flags=re.IGNORECASE)
    return f"{name[:1].lower()}{name[1:]}" or "cursor"


def _find(around: Mapping[str, Any], names: tuple[str, ...], kind: type) -> str | None:
    paths = {_plain(path): path for path, value in reversed(list(around.items())) if type(value) is kind}
    return next((paths[name] for name in names if name in paths), None)


def _plain(path: str) -> str:
    """`links.nextCursor` and `next_cursor` as `nextcursor`."""
    return re.sub(r"[^a-z]", "", path.rpartition(".")[2].lower())
