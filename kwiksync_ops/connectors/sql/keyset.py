"""Reading by key: where a page begins, as conditions on (change time, key), and what it leaves behind as a token."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.sql.database import bound
from kwiksync_ops.connectors.sql.relation import ColumnInfo, Relation
from kwiksync_ops.connectors.sql.values import Kind
from kwiksync_ops.connectors.time_format import EPOCH, format_time
from kwiksync_ops.errors import ConfigurationError

_SORTABLE = re.compile(r"\W*YYYY(\W*MM(\W*DD([\WT]*HH(\W*mm(\W*ss(\W*SSS)?)?)?)?)?)?\W*Z?")
_QUARTERS = [timedelta(minutes=15 * number) for number in range(13)]

Position = tuple[Any, ...]
"""(change time, key), or (key) without a change time, as the driver gave and takes them."""


@dataclass(frozen=True)
class Bound:
    """A value of the change time that a read begins or ends at."""

    value: Any
    is_within: bool = True


@dataclass(frozen=True)
class Window:
    """Where a read begins and ends; `after` is the id of the last record of the time that it begins at."""

    start: Bound | None = None
    end: Bound | None = None
    after: Any = None


@dataclass(frozen=True)
class Keyset:
    """The order of a read: by change time and key, or by key alone."""

    relation: Relation
    key: ColumnInfo
    cursor: ColumnInfo | None
    backend: str

    @property
    def parts(self) -> list[ColumnInfo]:
        return [self.cursor, self.key] if self.cursor else [self.key]

    def columns(self, chosen: Sequence[ColumnInfo]) -> list[ColumnInfo]:
        """Those to read, key and change time among them."""
        return list({each.name: each for each in (*chosen, *self.parts)}.values())

    def placed(self, columns: Sequence[ColumnInfo], window: Window, after: Position | None, limit: int | None) -> Any:
        """The rows that have a place in the order, from there on."""
        conditions = self._filled() + (self._after(after) if after else self._from(window)) + self._until(window)
        order = [self._column(part) for part in self.parts]
        return self._select(columns).where(*conditions).order_by(*order).limit(limit)

    def unplaced(self, columns: Sequence[ColumnInfo]) -> Any:
        """The rows that have none, since their change time or key is null; None where there can't be any."""
        nulls = [self._column(part).is_(None) for part in self.parts if part.nullable]
        return self._select(columns).where(sa.or_(*nulls)) if nulls else None

    def _select(self, columns: Sequence[ColumnInfo]) -> sa.Select[Any]:
        return sa.select(*(column.expression for column in columns)).select_from(self.relation.source)

    def _filled(self) -> list[Any]:
        return [self._column(part).is_not(None) for part in self.parts if part.nullable]

    def _from(self, window: Window) -> list[Any]:
        if window.start is None or self.cursor is None:
            return []
        cursor, start = self._column(self.cursor), self._bound(self.cursor, window.start.value)
        if window.after is None:
            return [cursor >= start]
        return [cursor >= start, sa.or_(cursor > start, self._column(self.key) > self._bound(self.key, window.after))]

    def _until(self, window: Window) -> list[Any]:
        if window.end is None or self.cursor is None:
            return []
        cursor, end = self._column(self.cursor), self._bound(self.cursor, window.end.value)
        return [cursor <= end if window.end.is_within else cursor < end]

    def _after(self, after: Position) -> list[Any]:
        """Written so that every database can use an index: a row comparison is not known to all of them."""
        key = self._column(self.key) > self._bound(self.key, after[-1])
        if self.cursor is None:
            return [key]
        cursor, value = self._column(self.cursor), self._bound(self.cursor, after[0])
        return [cursor >= value, sa.or_(cursor > value, key)]

    def _column(self, part: ColumnInfo) -> sa.ColumnElement[Any]:
        return part.expression if self.relation.is_query else self.relation.source.c[part.name]

    def _bound(self, part: ColumnInfo, value: Any) -> sa.ColumnElement[Any]:
        is_time = part.kind in (Kind.MOMENT, Kind.WALL)
        if self.backend == "mssql" and is_time and part.type is not None:
            return sa.cast(bound(value), part.type)
        return bound(value)


def find_keyset(relation: Relation, request: ReadRequest, backend: str) -> Keyset:
    """Raises ConfigurationError where key or change time is no column."""
    key = relation.column(request.key, "key")
    cursor = relation.column(request.cursor_field, "cursor") if request.cursor_field else None
    return Keyset(relation, key, cursor, backend)


def find_window(request: ReadRequest, cursor: ColumnInfo | None, key: ColumnInfo, sample: Any) -> Window:
    """What `since` and `until` mean for the column; `sample` is a value of it, where its type does not tell.

    Raises:
        ConfigurationError: the column's values do not sort by time.
    """
    since, until = request.since, request.until
    if cursor is None or (since is None and until is None):
        return Window()
    writer = _writer(request, cursor, sample)
    start = writer.lower(since.updated_at) if since else None
    is_exact = since is not None and since.id is not None and writer.is_exact(since.updated_at)
    after = _key(since.id, key) if since and since.id and is_exact else None
    return Window(Bound(start) if since else None, writer.upper(until) if until else None, after)


@dataclass(frozen=True)
class _Walls:
    """Times as text, in a zone. Where clocks are put back, wall times come twice: both are taken in."""

    zone: ZoneInfo
    notation: str = "iso"
    is_cut: bool = False

    def lower(self, moment: datetime) -> str:
        return min(self.text(moment + later) for later in _QUARTERS)

    def upper(self, moment: datetime) -> Bound:
        if self.is_cut:
            moment += timedelta(seconds=1)
        return Bound(max(self.text(moment - later) for later in _QUARTERS), is_within=not self.is_cut)

    def is_exact(self, moment: datetime) -> bool:
        return not self.is_cut and self.lower(moment) == self.text(moment)

    def text(self, moment: datetime) -> str:
        if self.notation not in ("iso", " ", "T"):
            return format_time(moment, self.notation, self.zone)
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        separator = "T" if self.notation == "T" else " "
        return local.isoformat(separator, "seconds" if self.is_cut else "microseconds")


@dataclass(frozen=True)
class _Days:
    zone: ZoneInfo

    def lower(self, moment: datetime) -> str:
        return moment.astimezone(self.zone).date().isoformat()

    def upper(self, moment: datetime) -> Bound:
        return Bound(self.lower(moment))

    def is_exact(self, moment: datetime) -> bool:
        return False


@dataclass(frozen=True)
class _Epochs:
    units_per_s: int

    def lower(self, moment: datetime) -> int:
        return math.floor((moment - EPOCH) / timedelta(seconds=1) * self.units_per_s)

    def upper(self, moment: datetime) -> Bound:
        return Bound(math.ceil((moment - EPOCH) / timedelta(seconds=1) * self.units_per_s))

    def is_exact(self, moment: datetime) -> bool:
        return False


def _writer(request: ReadRequest, cursor: ColumnInfo, sample: Any) -> _Walls | _Days | _Epochs:
    zone, notation = ZoneInfo(request.cursor_timezone), request.cursor_format
    match cursor.kind:
        case Kind.MOMENT:
            return _Walls(ZoneInfo("UTC"))
        case Kind.WALL:
            return _Walls(zone)
        case Kind.DATE:
            return _Days(zone)
    is_number = cursor.kind in (Kind.INTEGER, Kind.NUMBER) or isinstance(sample, (int, float, Decimal))
    if is_number:
        return _Epochs(_units(cursor, notation))
    if notation == "iso":
        return _of_sample(cursor, str(sample or ""), zone)
    if not _SORTABLE.fullmatch(notation):
        raise ConfigurationError(
            f"The column {cursor.name} holds text written as {notation}, which does not sort by time.",
            remedy="Read a query that turns it into a time, or another column.",
        )
    return _Walls(zone, notation)


def _units(cursor: ColumnInfo, notation: str) -> int:
    if notation not in ("epoch", "epoch_ms"):
        raise ConfigurationError(
            f"The column {cursor.name} holds numbers, not times written as {notation}.",
            remedy="Set the cursor's format to epoch or epoch_ms.",
        )
    return 1 if notation == "epoch" else 1000


def _of_sample(cursor: ColumnInfo, sample: str, zone: ZoneInfo) -> _Walls:
    """Text in ISO: its separator and its zone, as one value shows them. Cut to seconds, it sorts before all of them."""
    end = sample[19:].lstrip(".0123456789").replace(":", "")
    if end not in ("", "Z", "+0000", "+00"):
        raise ConfigurationError(
            f"The column {cursor.name} holds text with the offset {end}, which does not sort by time.",
            remedy="Read a query that turns it into a time of one zone.",
        )
    return _Walls(ZoneInfo("UTC") if end else zone, "T" if sample[10:11] == "T" else " ", is_cut=True)


def _key(id_: str, key: ColumnInfo) -> Any:
    """A record's id as the key column has it; None where it can't be one."""
    if key.kind != Kind.INTEGER:
        return id_
    return int(id_) if re.fullmatch(r"-?\d{1,19}", id_) else None


def to_json(position: Position | None) -> list[Any] | None:
    """A position as JSON that brings back what it was given."""
    return None if position is None else [_tagged(value) for value in position]


def from_json(value: Sequence[Any] | None) -> Position | None:
    return None if value is None else tuple(map(_untagged, value))


def _tagged(value: Any) -> Any:
    match value:
        case Decimal():
            return {"decimal": str(value)}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case datetime():
            return {"time": value.isoformat()}
        case None | bool() | int() | float() | str():
            return value
    return str(value)


def _untagged(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    ((tag, text),) = value.items()
    match tag:
        case "decimal":
            return Decimal(text)
        case "bytes":
            return base64.b64decode(text)
    return datetime.fromisoformat(text)


def in_utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
