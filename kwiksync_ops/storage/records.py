"""The records of the hub: looked up by a mapping, and merged batch by batch."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.batch import MappedBatch, SourceRecord
from kwiksync_ops.errors import HubError
from kwiksync_ops.storage import history, tombstones, two_way
from kwiksync_ops.storage.bulk import MANY, Rows, among, among_given, as_list, as_read, insert_all, insert_rows
from kwiksync_ops.storage.history import HISTORY_COLUMNS, Author
from kwiksync_ops.storage.hub import Hub, use_wait
from kwiksync_ops.storage.models import RECORD_HISTORY, RECORD_LINK, RECORDS
from kwiksync_ops.storage.sys_id import new_sys_ids
from kwiksync_ops.storage.two_way import Rebased
from kwiksync_ops.vocabulary import short_name

_BASE = (
    "sys_id",
    "source_system",
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "sys_updated_by",
    "sys_mod_count",
)
_LINK = ("system", "table_name", "external_id", "sys_id", "version", "hash_in", "mod_count")


@dataclass(frozen=True)
class Merged:
    """What a batch did to the hub."""

    created: int
    updated: int
    unchanged: int


@dataclass(frozen=True)
class _Link:
    """`mod_count` is that of the record when hub and system last agreed on it; None where that is not known."""

    sys_id: str
    version: str | None
    hash_in: bytes | None
    mod_count: int | None


@dataclass
class _Changes:
    created: list[tuple[Any, ...]] = field(default_factory=list)
    updated: list[dict[str, Any]] = field(default_factory=list)
    links: list[tuple[Any, ...]] = field(default_factory=list)
    relinked: list[dict[str, Any]] = field(default_factory=list)
    history: list[tuple[Any, ...]] = field(default_factory=list)
    rebased: int = 0
    unchanged: int = 0

    def take(self, rebased: Rebased) -> int | None:
        """Count a record that was merged already; on which modification hub and system agree now."""
        self.rebased += rebased.is_changed
        self.unchanged += not rebased.is_changed
        return rebased.agreed


class HubLookups:
    """What a mapping asks of the hub. `external_id` is looked up among the records that the system knows.

    A deleted record is not found: nothing new may refer to it.
    """

    def __init__(self, hub: Hub, system: str) -> None:
        self._hub = hub
        self._system = system

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        with self._hub.read() as connection:
            if match_field == "external_id":
                found = _find_linked(connection, self._system, short_name(table), return_field, values)
            else:
                records = RECORDS[short_name(table)]
                match, result = records.c[match_field], records.c[return_field]
                found = sa.select(match, result).where(
                    among(connection, match, values), result.is_not(None), records.c.sys_deleted_on.is_(None)
                )
            return {row[0]: row[1] for row in connection.execute(found).all()}


def known_states(
    connection: sa.Connection, system: str, table: str, external_ids: Collection[str]
) -> dict[str, tuple[str | None, bytes | None]]:
    """Version and fingerprint of the source record that the hub last took, by external id."""
    links = _read_links(connection, system, table, external_ids)
    return {external_id: (link.version, link.hash_in) for external_id, link in links.items()}


def fingerprint(record: SourceRecord) -> bytes | None:
    """16 bytes that tell a source record's content; None where it holds what can't be encoded."""
    try:
        return hashlib.blake2b(msgspec.msgpack.encode(record), digest_size=16).digest()
    except (TypeError, OverflowError, RecursionError):
        return None


def fingerprints(records: Sequence[SourceRecord]) -> list[bytes | None]:
    """As fingerprint, of many."""
    encode, blake2b = msgspec.msgpack.Encoder().encode, hashlib.blake2b
    try:
        return [blake2b(encode(record), digest_size=16).digest() for record in records]
    except (TypeError, OverflowError, RecursionError):
        return list(map(fingerprint, records))


def merge(connection: sa.Connection, batch: MappedBatch, author: Author) -> Merged:
    """Create and update the records of a batch, with their links and history, in the caller's transaction.

    A row that did not change is not written. A version older than the one that the hub has changes nothing.

    Raises:
        HubError: a record was changed by somebody else between our read and our write.
    """
    links = _read_links(connection, author.system, batch.table, [row[0] for row in batch.rows])
    links |= _adopt(connection, batch, author.system, links)
    sys_ids, revived = [link.sys_id for link in links.values()], set[str]()
    existing, has_buried = _read_existing(connection, batch, sys_ids)
    if has_buried and (revived := tombstones.revive_incoming(connection, batch, links, author)):
        existing, _ = _read_existing(connection, batch, sys_ids)
    rebased = two_way.rebase(connection, batch, links, existing, author)
    changes = _compare(batch, links, existing, author, rebased)
    _write(connection, batch, changes, author)
    unchanged_but_back = len(revived - {row["of"] for row in changes.updated})
    updated, unchanged = (
        len(changes.updated) + changes.rebased + unchanged_but_back,
        changes.unchanged - unchanged_but_back,
    )
    return Merged(len(changes.created), updated, unchanged)


def _find_linked(
    connection: sa.Connection, system: str, table: str, return_field: str, values: Collection[str]
) -> sa.Select[Any]:
    key = RECORD_LINK.c.external_id
    mine = (RECORD_LINK.c.system == system, RECORD_LINK.c.table_name == table, among(connection, key, values))
    records = RECORDS[table]
    result = records.c[return_field]
    joined = records.c.sys_id == RECORD_LINK.c.sys_id
    standing = (result.is_not(None), records.c.sys_deleted_on.is_(None))
    return sa.select(key, result).join_from(RECORD_LINK, records, joined).where(*mine, *standing)


def _read_links(connection: sa.Connection, system: str, table: str, external_ids: Collection[str]) -> dict[str, _Link]:
    of = {"of_system": system, "of_table": table, "keys": as_list(external_ids)}
    rows = connection.execute(_links(connection.dialect.name), of)
    return {external_id: _Link(*link) for external_id, *link in rows.all()}


@cache
def _links(dialect: str) -> sa.Select[Any]:
    names = ("external_id", "sys_id", "version", "hash_in", "mod_count")
    return sa.select(*(RECORD_LINK.c[name] for name in names)).where(
        RECORD_LINK.c.system == sa.bindparam("of_system"),
        RECORD_LINK.c.table_name == sa.bindparam("of_table"),
        among_given(dialect, RECORD_LINK.c.external_id, "keys"),
    )


def _adopt(connection: sa.Connection, batch: MappedBatch, system: str, links: Mapping[str, _Link]) -> dict[str, _Link]:
    """Records that stand in the hub under this system's key, but have no link yet."""
    unlinked = [row[0] for row in batch.rows if row[0] not in links]
    if not unlinked:
        return {}
    of = {"of_system": system, "keys": as_list(unlinked)}
    rows = connection.execute(_unlinked(connection.dialect.name, batch.table), of)
    return {row[0]: _Link(row[1], None, None, None) for row in rows.all()}


@cache
def _unlinked(dialect: str, table: str) -> sa.Select[Any]:
    records = RECORDS[table]
    return sa.select(records.c.external_id, records.c.sys_id).where(
        records.c.source_system == sa.bindparam("of_system"), among_given(dialect, records.c.external_id, "keys")
    )


def _read_existing(
    connection: sa.Connection, batch: MappedBatch, sys_ids: Collection[str]
) -> tuple[dict[str, tuple[int, tuple[Any, ...]]], bool]:
    """By sys_id: the modification count and the values in the order of the batch's columns, without external_id.

    Then whether one of them is deleted.
    """
    if not sys_ids:
        return {}, False
    statement = _existing(connection.dialect.name, batch.table, batch.columns[1:])
    if len(sys_ids) >= MANY:
        use_wait(connection)
    rows = [tuple(row) for row in connection.execute(statement, {"sys_ids": as_list(sys_ids)})]
    return {row[0]: (row[1], row[3:]) for row in rows}, any(row[2] for row in rows)


@lru_cache
def _existing(dialect: str, table: str, columns: tuple[str, ...]) -> sa.Select[Any]:
    records = RECORDS[table]
    wanted = [as_read(dialect, records.c[name]) for name in columns]
    is_deleted = records.c.sys_deleted_on.is_not(None)
    return sa.select(records.c.sys_id, records.c.sys_mod_count, is_deleted, *wanted).where(
        among_given(dialect, records.c.sys_id, "sys_ids")
    )


def _compare(
    batch: MappedBatch,
    links: Mapping[str, _Link],
    existing: Mapping[str, tuple[int, tuple[Any, ...]]],
    author: Author,
    rebased: Mapping[str, Rebased],
) -> _Changes:
    changes = _Changes()
    new_ids = iter(new_sys_ids(len(batch.rows) - len(links)))
    mine = (author.system, author.now, author.who, author.now, author.who, 0)
    tail = () if "active" in batch.columns else (True,)
    fingerprints = batch.fingerprints or [None] * len(batch.rows)
    for row, version, hash_in in zip(batch.rows, batch.versions, fingerprints, strict=True):
        link = links.get(row[0])
        if link is None:
            sys_id = next(new_ids)
            changes.created.append((sys_id, *mine, *row, *tail))
            changes.links.append((author.system, batch.table, row[0], sys_id, version, hash_in, 0))
        elif link.version and version and version < link.version:
            changes.unchanged += 1
        else:
            if row[0] in rebased:
                agreed = changes.take(rebased[row[0]])
            else:
                agreed = _compare_known(batch, row, link, existing.get(link.sys_id), changes, author)
            if (version, hash_in, agreed) != (link.version, link.hash_in, link.mod_count):
                relinked = {"of": row[0], "to": link.sys_id, "at": version, "hashed": hash_in, "agreed": agreed}
                changes.relinked.append(relinked)
    return changes


def _compare_known(
    batch: MappedBatch,
    row: tuple[Any, ...],
    link: _Link,
    known: tuple[int, tuple[Any, ...]] | None,
    changes: _Changes,
    author: Author,
) -> int:
    """The record's modification count after the batch, on which hub and system agree."""
    if known is None:
        raise HubError(
            f"The hub links {row[0]} of {author.system} to {batch.table} {link.sys_id}, which does not exist.",
            remedy="Restore the record, or delete its row in record_link; then sync the table again.",
        )
    mod_count, old = known
    if old == row[1:]:
        changes.unchanged += 1
        return mod_count
    values = dict(zip(batch.columns[1:], row[1:], strict=True))
    fields = {
        name: (before, after) for (name, after), before in zip(values.items(), old, strict=True) if before != after
    }
    changes.updated.append({**values, "of": link.sys_id, "seen": mod_count})
    entry = (batch.table, link.sys_id, "update", msgspec.json.encode(fields).decode())
    changes.history.append((*entry, author.system, mod_count + 1, author.run_id, author.now, author.who))
    return mod_count + 1


def _write(connection: sa.Connection, batch: MappedBatch, changes: _Changes, author: Author) -> None:
    records = RECORDS[batch.table]
    columns = (*_BASE, *batch.columns) if "active" in batch.columns else (*_BASE, *batch.columns, "active")
    inserts = (
        Rows(records, columns, changes.created),
        Rows(RECORD_LINK, _LINK, changes.links),
        Rows(RECORD_HISTORY, HISTORY_COLUMNS, changes.history),
    )
    insert_all(connection, inserts)
    _update(connection, records, batch, changes.updated, author)
    if changes.relinked:
        _relink(connection, batch.table, changes.relinked, author)
    if changes.created:
        history.note_created(connection, batch.table, [row[0] for row in changes.created], author)


def _update(
    connection: sa.Connection, records: sa.Table, batch: MappedBatch, rows: list[dict[str, Any]], author: Author
) -> None:
    if not rows:
        return
    values = {name: sa.bindparam(name, type_=records.c[name].type) for name in batch.columns[1:]}
    statement = (
        records.update()
        .where(records.c.sys_id == sa.bindparam("of"), records.c.sys_mod_count == sa.bindparam("seen"))
        .values(
            **values,
            sys_updated_on=author.now,
            sys_updated_by=author.who,
            sys_mod_count=records.c.sys_mod_count + 1,
        )
    )
    if connection.execute(statement, rows).rowcount != len(rows):
        raise HubError(
            f"A record of {batch.table} was changed by somebody else while a batch of {len(batch.rows)} was merged.",
            remedy="Nothing of the batch was written; it is tried again.",
        )


def _relink(connection: sa.Connection, table: str, rows: list[dict[str, Any]], author: Author) -> None:
    """Note the newest version; make the link of an adopted record."""
    mine = (RECORD_LINK.c.system == author.system, RECORD_LINK.c.table_name == table)
    linked = _read_links(connection, author.system, table, [row["of"] for row in rows])
    known = [row for row in rows if row["of"] in linked]
    if known:
        connection.execute(
            RECORD_LINK.update()
            .where(*mine, RECORD_LINK.c.external_id == sa.bindparam("of"))
            .values(
                version=sa.bindparam("at"),
                hash_in=sa.bindparam("hashed"),
                mod_count=sa.bindparam("agreed"),
                hash_out=None,
            ),
            [{name: row[name] for name in ("of", "at", "hashed", "agreed")} for row in known],
        )
    adopted = [row for row in rows if row["of"] not in linked]
    insert_rows(
        connection,
        RECORD_LINK,
        _LINK,
        [(author.system, table, *(row[name] for name in ("of", "to", "at", "hashed", "agreed"))) for row in adopted],
    )
