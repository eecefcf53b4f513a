"""Incidents: what went wrong and lasts, each told once however often it is seen."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from kwiksync_ops.storage.locks import serialize
from kwiksync_ops.storage.models import INCIDENT

_COLUMNS = INCIDENT.c


@dataclass(frozen=True)
class Incident:
    """`subject` is what it befell, such as a DAG; `told` when somebody was alerted, None where nobody was yet."""

    sys_id: str
    kind: str
    system: str
    subject: str
    opened: datetime
    last_seen: datetime
    times: int
    run_id: str | None
    told: datetime | None
    closed: datetime | None


def see(
    connection: sa.Connection, kind: str, system: str, subject: str, *, run_id: str | None, now: datetime
) -> Incident:
    """Open an incident, or note that an open one goes on. The same run is counted once."""
    serialize(connection, f"incident:{kind}:{system}:{subject}")
    known = _open(connection, kind, system, subject)
    if known is None:
        made = Incident(uuid.uuid4().hex, kind, system, subject, now, now, 1, run_id, None, None)
        connection.execute(INCIDENT.insert().values(vars(made)))
        return made
    if run_id is None or known.run_id != run_id:
        seen = {"last_seen": now, "times": known.times + 1, "run_id": run_id}
        connection.execute(INCIDENT.update().where(_COLUMNS.sys_id == known.sys_id).values(seen))
    return known


def close(connection: sa.Connection, kinds: Sequence[str], system: str, subject: str, *, now: datetime) -> int:
    """It is over; how many were open."""
    mine = (_COLUMNS.kind.in_(kinds), _COLUMNS.system == system, _COLUMNS.subject == subject)
    return connection.execute(INCIDENT.update().where(*mine, _COLUMNS.closed.is_(None)).values(closed=now)).rowcount


def untold(connection: sa.Connection, *, closed_after: datetime) -> list[Incident]:
    """Those that nobody was alerted of yet, the oldest first; also if they ended since, but not before that moment."""
    lasts = sa.or_(_COLUMNS.closed.is_(None), _COLUMNS.closed > closed_after)
    wanted = INCIDENT.select().where(_COLUMNS.told.is_(None), lasts).order_by(_COLUMNS.opened)
    return [Incident(**row) for row in connection.execute(wanted).mappings()]


def is_untold(connection: sa.Connection, sys_id: str) -> bool:
    wanted = sa.select(_COLUMNS.sys_id).where(_COLUMNS.sys_id == sys_id, _COLUMNS.told.is_(None))
    return connection.execute(wanted).first() is not None


def note_told(connection: sa.Connection, sys_id: str, *, now: datetime) -> None:
    """The alert arrived."""
    connection.execute(INCIDENT.update().where(_COLUMNS.sys_id == sys_id).values(told=now))


def latest(connection: sa.Connection, limit: int) -> list[Incident]:
    """The newest, open ones first."""
    order = (_COLUMNS.closed.is_not(None), _COLUMNS.last_seen.desc())
    return [Incident(**row) for row in connection.execute(INCIDENT.select().order_by(*order).limit(limit)).mappings()]


def _open(connection: sa.Connection, kind: str, system: str, subject: str) -> Incident | None:
    same = (_COLUMNS.kind == kind, _COLUMNS.system == system, _COLUMNS.subject == subject)
    row = connection.execute(INCIDENT.select().where(*same, _COLUMNS.closed.is_(None))).mappings().first()
    return Incident(**row) if row else None
