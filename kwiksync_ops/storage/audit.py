"""The audit trail: append-only, each row bound to the one before it by a keyed hash, in its change's transaction."""

from __future__ import annotations

import hashlib
import hmac
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.settings import key_id
from kwiksync_ops.storage.models import AUDIT

CALLED_FROM: ContextVar[str | None] = ContextVar("called_from", default=None)
"""The address of the REST call that is served, or the machine of a command or task, so that no row can lack it."""


@contextmanager
def called_from_here(means: str) -> Iterator[None]:
    """Rows that are written in the block tell this machine, and by what: `cli on host`."""
    token = CALLED_FROM.set(f"{means} on {socket.gethostname()}")
    try:
        yield
    finally:
        CALLED_FROM.reset(token)


_FIRST = "0" * 64
_UNSIGNED = ""
_LOCK = 2_026_001
_SIGNED = ("number", "at", "who", "action", "object", "run_id", "details", "key_id", "previous")
_LAST = sa.select(AUDIT.c.number, AUDIT.c.hash).order_by(AUDIT.c.number.desc()).limit(1)
_INSERT = AUDIT.insert()
_TAKE_LOCK = sa.select(sa.func.pg_advisory_xact_lock(_LOCK))


@dataclass(frozen=True)
class AuditFault:
    """The first row of the trail that is not as it was written."""

    number: int
    problem: str


def append(
    connection: sa.Connection,
    action: str,
    subject: str,
    *,
    who: str,
    now: datetime,
    details: Mapping[str, Any],
    run_id: str | None = None,
) -> None:
    """One audit row: `action` is `<noun>.<verb>`, `subject` what was changed, `details` its old and new values."""
    _lock(connection)
    place = CALLED_FROM.get()
    details = {"from": place, **details} if place else details
    last = connection.execute(_LAST).first()
    keys = connection.get_execution_options().get("kwiksync_audit_keys") or (_UNSIGNED,)
    row = {
        "number": last.number + 1 if last else 1,
        "at": now.isoformat(),
        "who": who,
        "action": action,
        "object": subject,
        "run_id": run_id,
        "details": json.dumps(details, sort_keys=True, default=str),
        "key_id": key_id(keys[0]),
        "previous": last.hash if last else _FIRST,
    }
    connection.execute(_INSERT, {**row, "hash": _sign(keys[0], row)})


_STORE = r"(region|endpoint_override)=[\w.:\[\]-]+"
ANCHOR_PLACE = rf"file:///.+|s3://[^/?@]+(/[^?]*)?(\?{_STORE}(&{_STORE})*)?"
"""URLs of where anchors may be kept. What opens a bucket stands in the environment, never in its URL, and what would
turn TLS off may not stand there."""


@dataclass(frozen=True)
class Anchor:
    """The last row at a moment, kept elsewhere: with it a tail that was cut off is seen."""

    number: int
    hash: str
    at: str
    key_id: str
    signature: str


def anchor(connection: sa.Connection, keys: tuple[str, ...], *, now: datetime) -> Anchor | None:
    """An anchor for the trail as it is; None for an empty one."""
    last = connection.execute(_LAST).first()
    if last is None:
        return None
    key = (keys or (_UNSIGNED,))[0]
    at = now.isoformat()
    return Anchor(last.number, last.hash, at, key_id(key), _sign_anchor(key, last.number, last.hash, at))


def check_anchor(connection: sa.Connection, keys: tuple[str, ...], found: Anchor) -> AuditFault | None:
    """Whether the trail still holds the row that was anchored."""
    key = {key_id(key): key for key in (keys or (_UNSIGNED,))}.get(found.key_id)
    if key is None:
        return AuditFault(found.number, f"the anchor was signed by key {found.key_id}, which is not configured")
    if not hmac.compare_digest(found.signature, _sign_anchor(key, found.number, found.hash, found.at)):
        return AuditFault(found.number, f"the anchor of {found.at} was changed")
    row = connection.execute(sa.select(AUDIT.c.hash).where(AUDIT.c.number == found.number)).first()
    if row is None:
        return AuditFault(found.number, f"the tail was cut off: on {found.at} there were {found.number} rows")
    if row.hash != found.hash:
        return AuditFault(found.number, f"row {found.number} is not the one that was anchored on {found.at}")
    return None


@dataclass(frozen=True)
class AuditFilter:
    """Which rows; None asks for all. `action` also takes the noun alone, such as `record`."""

    who: str | None = None
    action: str | None = None
    object: str | None = None
    since: datetime | None = None


def search(connection: sa.Connection, wanted: AuditFilter, *, limit: int) -> list[dict[str, Any]]:
    """Rows, the newest first, their details as values."""
    rows = connection.execute(AUDIT.select().where(*_where(wanted)).order_by(AUDIT.c.number.desc()).limit(limit))
    return [shown(row) for row in rows.mappings()]


def export(connection: sa.Connection, wanted: AuditFilter) -> Iterator[dict[str, Any]]:
    """All rows, the oldest first, as they are read, with what is needed to prove them."""
    query = AUDIT.select().where(*_where(wanted)).order_by(AUDIT.c.number)
    with connection.execute(query, execution_options={"yield_per": 1_000}) as result:
        yield from map(dict, result.mappings())


def count(connection: sa.Connection) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(AUDIT)).scalar_one()


def _where(wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if wanted.who:
        conditions.append(AUDIT.c.who == wanted.who)
    if wanted.action:
        of_noun = AUDIT.c.action.startswith(f"{wanted.action}.", autoescape=True)
        conditions.append(sa.or_(AUDIT.c.action == wanted.action, of_noun))
    if wanted.object:
        conditions.append(AUDIT.c.object.contains(wanted.object, autoescape=True))
    if wanted.since:
        conditions.append(AUDIT.c.at >= wanted.since.isoformat())
    return conditions


def shown(row: sa.RowMapping) -> dict[str, Any]:
    names = ("number", "at", "who", "action", "object", "run_id")
    return {**{name: row[name] for name in names}, "details": json.loads(row["details"])}


def _sign_anchor(key: str, number: int, row_hash: str, at: str) -> str:
    text = json.dumps([number, row_hash, at])
    return hmac.new(b"kwiksync-audit-anchor:" + key.encode(), text.encode(), hashlib.sha256).hexdigest()


def verify(connection: sa.Connection, keys: tuple[str, ...]) -> AuditFault | None:
    """The first row that was edited, deleted or moved, or None. A tail that was cut off needs an anchor to be seen."""
    by_id = {key_id(key): key for key in (keys or (_UNSIGNED,))}
    previous, expected = _FIRST, 1
    for row in _rows(connection):
        if row["number"] != expected:
            return AuditFault(expected, f"row {expected} is missing")
        key = by_id.get(row["key_id"])
        if key is None:
            return AuditFault(expected, f"row {expected} was signed by key {row['key_id']}, which is not configured")
        if row["previous"] != previous or not hmac.compare_digest(row["hash"], _sign(key, row)):
            return AuditFault(expected, f"row {expected} was changed")
        previous, expected = row["hash"], expected + 1
    return None


def _rows(connection: sa.Connection) -> Iterator[sa.RowMapping]:
    with connection.execute(AUDIT.select().order_by(AUDIT.c.number), execution_options={"yield_per": 1_000}) as result:
        yield from result.mappings()


def _sign(key: str, row: Mapping[str, Any] | sa.RowMapping) -> str:
    text = json.dumps([row[name] for name in _SIGNED])
    return hmac.new(b"kwiksync-audit:" + key.encode(), text.encode(), hashlib.sha256).hexdigest()


def _lock(connection: sa.Connection) -> None:
    """One writer at a time; in SQLite the transaction has that already."""
    if connection.dialect.name == "postgresql":
        connection.execute(_TAKE_LOCK)
