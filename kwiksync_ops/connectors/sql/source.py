"""Reads tables, views and queries of a database in the order of change time and key, with memory for a page or two."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.batch import Page, Reject, SourceRecord
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.source import Position as SourcePosition
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.connectors.sql.database import Database, Session
from kwiksync_ops.connectors.sql.keyset import (
    Keyset,
    Position,
    Window,
    find_keyset,
    find_window,
    from_json,
    in_utc,
    to_json,
)
from kwiksync_ops.connectors.sql.options import SqlOptions
from kwiksync_ops.connectors.sql.relation import ColumnInfo, find_relation, table_names
from kwiksync_ops.connectors.sql.values import Kind, Row, UnfitError, plain, plain_records
from kwiksync_ops.errors import ConfigurationError, SystemUnavailableError, ValidationError
from kwiksync_ops.rate_limit import CallLimiter

TOKEN_VERSION = 1
PAYLOAD_CHARS = 500

_NAMES = {"postgresql": "PostgreSQL", "mysql": "MySQL", "mariadb": "MariaDB", "sqlite": "SQLite", "mssql": "SQL Server"}


class SqlSource:
    """One database. A read has a connection of its own, in a transaction that can't write."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._database = Database(credentials, options, limiter)
        self._clock = clock

    def __repr__(self) -> str:
        return f"SqlSource({str(self._database.address)!r})"

    def read(self, request: ReadRequest) -> Iterator[Page]:
        """Pages of one table or query. See `Source.read`."""
        options = self._database.options(request.source, request.options)
        return _Read(self._database, options, request).pages()

    def check(self) -> str:
        return describe(self._database)

    def close(self) -> None:
        self._database.close()


def describe(database: Database) -> str:
    """Connect, and say what was found in one sentence."""
    with database.session(database.own, f"Connecting to {database.address}") as session:
        names = table_names(session)
        dialect = session.dialect
        version = ".".join(map(str, dialect.server_version_info or ()))
        is_mariadb = getattr(dialect, "is_mariadb", False)
        product = _NAMES["mariadb" if is_mariadb else database.address.backend]
    some = f": {', '.join(names[:5])}{', …' if len(names) > 5 else ''}" if names else ""
    return f"{product} {version} at {database.address} answered; {len(names)} tables and views can be seen{some}."


@dataclass(frozen=True)
class _Chunk:
    """Rows as they came, with where to go on after them."""

    rows: Sequence[Row]
    kinds: Sequence[Kind]
    after: Position | None
    is_placed: bool


class _Read:
    """One read: what it asks for, and how far it is."""

    def __init__(self, database: Database, options: SqlOptions, request: ReadRequest) -> None:
        self._database = database
        self._options = options
        self._what = f"Reading {request.source}"
        token = _checked_token(request)
        self._number: int = token.get("pages", 0)
        self._size: int = token.get("size") or request.page_records
        self._after = from_json(token.get("after"))
        self._phase: str = token.get("phase", "placed")
        self._request = _kept(request, token)

    def pages(self) -> Iterator[Page]:
        if self._phase == "end":
            yield Page(self._number + 1, [], is_last=True, resume=self._token("end"), calls=0)
            return
        before = self._database.calls
        with (
            self._database.session(self._options, self._what) as session,
            closing(self._chunks(session)) as chunks,
        ):
            chunk = next(chunks, None)
            while True:
                following = next(chunks, None) if chunk else None
                calls, before = self._database.calls - before, self._database.calls
                yield self._page(chunk, session.now, calls, is_last=following is None)
                if following is None:
                    return
                chunk = following

    def _chunks(self, session: Session) -> Generator[_Chunk]:
        relation = find_relation(session, self._request.source)
        keyset = find_keyset(relation, self._request, session.backend)
        columns = keyset.columns(relation.chosen(self._options.columns))
        self._names = [column.name for column in columns]
        self._key = self._names.index(keyset.key.name)
        if self._phase == "placed":
            window = find_window(self._request, keyset.cursor, keyset.key, self._sample(session, keyset))
            yield from self._placed(session, keyset, columns, window)
        unplaced = keyset.unplaced(columns) if self._request.since is None else None
        if unplaced is not None:
            for kinds, rows in session.stream(unplaced, self._size):
                yield _Chunk(rows, _declared(kinds, columns), None, is_placed=False)

    def _placed(
        self, session: Session, keyset: Keyset, columns: Sequence[ColumnInfo], window: Window
    ) -> Iterator[_Chunk]:
        places = [self._names.index(part.name) for part in keyset.parts]
        after = self._after
        for kinds, rows in self._rows(session, keyset, columns, window):
            after = self._moved(after, tuple(rows[-1][place] for place in places))
            yield _Chunk(rows, _declared(kinds, columns), after, is_placed=True)

    def _rows(
        self, session: Session, keyset: Keyset, columns: Sequence[ColumnInfo], window: Window
    ) -> Iterator[tuple[list[Kind], list[Row]]]:
        """A page at a time: of one statement, or by a statement each, between which nothing is held in the database."""
        if self._is_streamed(session):
            yield from session.stream(keyset.placed(columns, window, self._after, None), self._size)
            return
        places, after = [self._names.index(part.name) for part in keyset.parts], self._after
        rows: Sequence[Row] = [()] * self._size
        while len(rows) == self._size:
            _, kinds, rows = session.run(keyset.placed(columns, window, after, self._size))
            if rows:
                after = tuple(rows[-1][place] for place in places)
                yield kinds, rows

    def _is_streamed(self, session: Session) -> bool:
        wanted = self._options.streaming
        return session.backend != "sqlite" if wanted is None else wanted

    def _moved(self, before: Position | None, after: Position) -> Position:
        if after == before:
            raise SystemUnavailableError(
                f"{self._what} does not get on: page after page ends at {self._request.key} {after[-1]!r}.",
                remedy="The key must name one record alone; give the table a key with a unique index.",
            )
        return after

    def _sample(self, session: Session, keyset: Keyset) -> Any:
        """A value of a change time whose type does not say how it is written."""
        cursor, request = keyset.cursor, self._request
        if cursor is None or (request.since is None and request.until is None):
            return None
        if cursor.kind not in (Kind.TEXT, Kind.OTHER):
            return None
        column = cursor.expression
        first = sa.select(column).select_from(keyset.relation.source).where(column.is_not(None)).limit(1)
        _, _, rows = session.run(first)
        return rows[0][0] if rows else None

    def _page(self, chunk: _Chunk | None, now: datetime | None, calls: int, *, is_last: bool) -> Page:
        self._number += 1
        records, rejects = self._records(chunk) if chunk else ([], [])
        if chunk:
            self._after = chunk.after
        phase = "end" if is_last else "placed" if chunk and chunk.is_placed else "unplaced"
        return Page(self._number, records, is_last, self._token(phase), calls=calls, server_time=now, rejects=rejects)

    def _records(self, chunk: _Chunk) -> tuple[list[SourceRecord], list[Reject]]:
        found = plain_records(self._names, chunk.kinds, chunk.rows, self._options.bytes)
        rejects = [
            Reject(
                code=ValidationError.code,
                message=fault.message,
                field=fault.column,
                external_id=self._id_of(chunk.rows[fault.at]),
                payload=self._shown(chunk.rows[fault.at]),
            )
            for fault in found.faults
        ]
        return found.records, rejects

    def _id_of(self, row: Sequence[Any]) -> str | None:
        try:
            value = plain(row[self._key], self._options.bytes)
        except UnfitError:
            return None
        return None if value is None else str(value)[:255]

    def _shown(self, row: Sequence[Any]) -> dict[str, Any]:
        """A row that is no record, as far as it can be told."""
        shown = {name: _shown(value) for name, value in zip(self._names, row, strict=True)}
        payload: dict[str, Any] = self._database.redactor.payload(shown)
        return payload

    def _token(self, phase: str) -> dict[str, Any]:
        request = self._request
        return {
            "v": TOKEN_VERSION,
            "of": _identity(request),
            "phase": phase,
            "after": to_json(self._after),
            "pages": self._number,
            "size": self._size,
            "since": [in_utc(request.since.updated_at), request.since.id] if request.since else None,
            "until": in_utc(request.until),
        }


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    return str(value)[:PAYLOAD_CHARS].replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _declared(kinds: Sequence[Kind], columns: Sequence[ColumnInfo]) -> list[Kind]:
    """As the driver says it of this very result, else as the table is declared."""
    return [kind if kind != Kind.OTHER else column.kind for kind, column in zip(kinds, columns, strict=True)]


def _identity(request: ReadRequest) -> list[str | None]:
    """What must be as it was for a token to lead anywhere."""
    return [request.source, request.key, request.cursor_field]


def _checked_token(request: ReadRequest) -> Mapping[str, Any]:
    token = request.resume
    if token is None:
        return {}
    if token.get("v") != TOKEN_VERSION or token.get("of") != _identity(request):
        raise ConfigurationError(
            f"The read of {request.source} can't go on: its table, key or cursor was changed since it was interrupted.",
            remedy="The read starts again.",
            restart=True,
        )
    return token


def _kept(request: ReadRequest, token: Mapping[str, Any]) -> ReadRequest:
    """The request with the window that the read began with."""
    if not token:
        return request
    since, until = token["since"], token["until"]
    return replace(
        request,
        since=SourcePosition(datetime.fromisoformat(since[0]), since[1]) if since else None,
        until=datetime.fromisoformat(until) if until else None,
    )


open_source = SqlSource
