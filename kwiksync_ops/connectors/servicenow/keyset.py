"""Where a read of a table is, as conditions on change time and `sys_id`; and whether what came was asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from kwiksync_ops.connectors.servicenow.encoded_query import escaped

Mark = tuple[str, str]
"""Change time and `sys_id` of a record; the time is empty where a table is read by `sys_id` alone."""

_SYS_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Place:
    """The records that are still to be read.

    Attributes:
        how: `start`: all. `from`: changed at `at` or later. `after`: changed later than `at`. `within`: changed at
            `at`, with a sys_id after `id`. `id`: with a sys_id after `id`, whenever they changed.
        skip: so many records of these are known to be hidden from us.
    """

    how: Literal["start", "from", "after", "within", "id"]
    at: str = ""
    id: str = ""
    skip: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Place:
        return cls(**value)


@dataclass(frozen=True)
class Keyset:
    """Reads a table in the order of its cursor and sys_id, or by sys_id alone where it has no cursor."""

    cursor: str | None

    def conditions(self, place: Place, until: str | None) -> tuple[str, ...]:
        """What the records at the place must meet, as parts of an encoded query, their order last."""
        if self.cursor is None:
            own = (f"sys_id>{escaped(place.id)}",) if place.how == "id" else ()
            return (*own, "ORDERBYsys_id")
        if place.how == "within":
            return (f"{self.cursor}={place.at}" if place.at else f"{self.cursor}ISEMPTY", *self._by_id(place))
        bound = (f"{self.cursor}<={until}",) if until else ()
        return (*self._lower(place), *bound, f"ORDERBY{self.cursor}", "ORDERBYsys_id")

    def _by_id(self, place: Place) -> tuple[str, str]:
        return f"sys_id>{escaped(place.id)}", "ORDERBYsys_id"

    def _lower(self, place: Place) -> tuple[str, ...]:
        match place.how:
            case "from":
                return (f"{self.cursor}>={place.at}",)
            case "after":
                return (f"{self.cursor}>{place.at}" if place.at else f"{self.cursor}ISNOTEMPTY",)
            case _:
                return ()

    def fault(self, place: Place, until: str | None, marks: Sequence[Mark]) -> str | None:
        """Which record shows that a part of the query was ignored, or that they are not in order; None where none."""
        for before, mark in zip((None, *marks), marks, strict=False):
            if not self._is_asked_for(place, mark) or (until and place.how != "within" and mark[0] > until):
                return f"record {mark[1]}, changed at {mark[0] or 'no time'}, was not asked for"
            if before is not None and not _is_after(mark, before):
                return f"record {mark[1]} came after {before[1]}, out of order"
        return None

    def _is_asked_for(self, place: Place, mark: Mark) -> bool:
        match place.how:
            case "from":
                return mark[0] >= place.at
            case "after":
                return mark[0] > place.at
            case "within":
                return mark[0] == place.at and _is_after(mark, (place.at, place.id))
            case "id":
                return _is_after(mark, ("", place.id))
            case _:
                return True

    def after_all(self, place: Place) -> Place | None:
        """What is left when there is no more at a place."""
        return Place("after", place.at) if place.how == "within" else None

    def after(self, marks: Sequence[Mark]) -> Place:
        """What is left after these records, when the last of them may have others of its second behind it."""
        at, sys_id = marks[-1]
        return Place("id", id=sys_id) if self.cursor is None else Place("within", at, sys_id)

    def whole_seconds(self, place: Place, marks: Sequence[Mark]) -> int:
        """How many of the records to take, so that the next page begins with a new second.

        The last second is left to the next page where it is a small part of this one: so a page takes one call,
        not one for the rest of its last second and one for what changed later.
        """
        if self.cursor is None or place.how == "within":
            return len(marks)
        last = marks[-1][0]
        kept = len(marks) - sum(mark[0] == last for mark in marks)
        return kept if kept >= len(marks) / 2 else len(marks)


def hidden(place: Place, page_records: int) -> Place:
    """The place behind a page whose records are all hidden from us."""
    return replace(place, skip=place.skip + page_records)


def text_of(moment: datetime) -> str:
    """A moment as ServiceNow writes it: UTC, whole seconds, cut."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _is_after(mark: Mark, other: Mark) -> bool:
    """Ids that are not of the usual form are compared by the database's rules, which are not ours."""
    if mark[0] != other[0]:
        return mark[0] > other[0]
    if _SYS_ID.fullmatch(mark[1]) and _SYS_ID.fullmatch(other[1]):
        return mark[1] > other[1]
    return mark[1] != other[1]
