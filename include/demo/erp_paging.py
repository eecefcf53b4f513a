"""How the ERP hands out a table in pages: five styles, as five programs of five decades would."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from erp_history import Version, index_after, index_beyond, index_from, iso, read_ticket_minute

MAX_PAGE = 1_000


class BadParameterError(Exception):
    """A parameter of the call can't be read. The text says which, and what would do."""


@dataclass(frozen=True)
class Window:
    """The part of a table that a call asks for: changed from `since` to `until`, those two moments included."""

    limit: int
    since: datetime | None = None
    until: datetime | None = None

    def apply(self, versions: list[Version]) -> list[Version]:
        first = index_from(versions, self.since) if self.since else 0
        last = index_beyond(versions, self.until) if self.until else len(versions)
        return versions[first:last]


@dataclass(frozen=True)
class Answer:
    """One page: its records, what the body says beside them, and its headers."""

    versions: list[Version]
    beside: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)

    def body(self, now: datetime) -> bytes:
        rest = json.dumps(self.beside | {"server_time": iso(now)}).encode()
        return b'{"data":[' + b",".join(version.body for version in self.versions) + b"]," + rest[1:]


def read_moment(name: str, text: str) -> datetime:
    """A change time, as ISO 8601 (UTC where it names no zone) or as the tickets show it, D/M/YYYY HH:mm."""
    try:
        moment = read_ticket_minute(text) if "/" in text else datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        message = f"{name}={text!r} is no date and time; send ISO 8601, for example 2016-03-24T18:30:00Z"
        raise BadParameterError(message) from None


def page_by_number(versions: list[Version], window: Window, page: int) -> Answer:
    rows = _by_key(window.apply(versions))
    pages = -(-len(rows) // window.limit)
    shown = rows[(page - 1) * window.limit : page * window.limit]
    return Answer(shown, {"page": page, "pages": pages, "total": len(rows), "has_more": page < pages})


def page_by_offset(versions: list[Version], window: Window, offset: int) -> Answer:
    rows = _by_key(window.apply(versions))
    shown = rows[offset : offset + window.limit]
    return Answer(shown, {"offset": offset, "total": len(rows), "has_more": offset + len(shown) < len(rows)})


def page_by_keyset(versions: list[Version], window: Window, changed_after: datetime | None, after_id: str) -> Answer:
    """The records after `(changed_after, after_id)`; without an id, those of the moment itself are among them."""
    rows = window.apply(versions)
    if changed_after:
        rows = rows[index_after(rows, changed_after, after_id) :]
    return Answer(rows[: window.limit], {"has_more": len(rows) > window.limit})


def page_by_cursor(versions: list[Version], window: Window, cursor: str | None) -> Answer:
    shown, following = _page_from(versions, window, cursor)
    return Answer(shown, {"next_cursor": following, "has_more": following is not None})


def page_by_link(versions: list[Version], window: Window, position: str | None, url: str) -> Answer:
    """`url` is the table's own; the link to the next page stands in the body and in the Link header."""
    shown, following = _page_from(versions, window, position)
    if following is None:
        return Answer(shown, {"links": {"next": None}, "has_more": False})
    until = {"updated_until": iso(window.until)} if window.until else {}
    link = f"{url}?{urlencode({'limit': window.limit, 'position': following, **until})}"
    return Answer(shown, {"links": {"next": link}, "has_more": True}, {"Link": f'<{link}>; rel="next"'})


def _by_key(versions: list[Version]) -> list[Version]:
    return sorted(versions, key=lambda version: version.id)


def _page_from(versions: list[Version], window: Window, position: str | None) -> tuple[list[Version], str | None]:
    rows = window.apply(versions)
    if position:
        rows = rows[index_after(rows, *_read_position(position)) :]
    shown = rows[: window.limit]
    return shown, _write_position(shown[-1]) if len(rows) > window.limit else None


def _write_position(version: Version) -> str:
    return base64.urlsafe_b64encode(json.dumps([iso(version.changed_at), version.id]).encode()).decode()


def _read_position(text: str) -> tuple[datetime, str]:
    try:
        changed_at, record_id = json.loads(base64.urlsafe_b64decode(text))
        return read_moment("position", changed_at), str(record_id)
    except (binascii.Error, ValueError, TypeError):
        raise BadParameterError("the position of the page is not one that this ERP gave out") from None
