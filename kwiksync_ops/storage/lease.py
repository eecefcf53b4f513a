"""One sync at a time: a lease row with a fencing token, on the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa

from kwiksync_ops.errors import LeaseError
from kwiksync_ops.storage.hub import now_s, now_s_in
from kwiksync_ops.storage.models import SYNC_LEASE
from kwiksync_ops.vocabulary import LEASE_S

_ROW = 1


@dataclass(frozen=True)
class LeaseState:
    """Who holds the lease; `remaining_s` is negative where it has run out."""

    token: int
    run_id: str | None
    remaining_s: float

    @property
    def is_held(self) -> bool:
        return self.run_id is not None and self.remaining_s > 0


def acquire(connection: sa.Connection, run_id: str, seconds: float = LEASE_S) -> int | None:
    """The new fencing token, or None while another run holds the lease.

    A run that holds it already gets a new token too: an older process of the same run, killed but still
    writing, is shut out by it.
    """
    _ensure_row(connection)
    now = now_s(connection)
    free = sa.or_(SYNC_LEASE.c.until < now, SYNC_LEASE.c.run_id == run_id, SYNC_LEASE.c.run_id.is_(None))
    taken = connection.execute(
        SYNC_LEASE.update()
        .where(SYNC_LEASE.c.id == _ROW, free)
        .values(token=SYNC_LEASE.c.token + 1, run_id=run_id, until=now + sa.literal(float(seconds)))
        .returning(SYNC_LEASE.c.token)
    )
    return taken.scalar_one_or_none()


def renew(connection: sa.Connection, token: int, seconds: float = LEASE_S) -> None:
    """Hold the lease for `seconds` from now, in the caller's transaction.

    Raises:
        LeaseError: the token is not the newest; roll back and stop.
    """
    renewed = connection.execute(_renewal(connection.dialect.name), {"mine": token, "seconds": float(seconds)})
    if renewed.rowcount != 1:
        raise LeaseError(
            f"This sync lost its lease (token {token}): another process took over.",
            remedy="Nothing of this batch was written. The next attempt goes on after the last committed batch.",
        )


@cache
def _renewal(dialect: str) -> sa.Update:
    until = now_s_in(dialect) + sa.bindparam("seconds", type_=sa.Double())
    return (
        SYNC_LEASE.update()
        .where(SYNC_LEASE.c.id == _ROW, SYNC_LEASE.c.token == sa.bindparam("mine"))
        .values(until=until)
    )


def extend(connection: sa.Connection, run_id: str, seconds: float) -> None:
    """Keep the lease for a run that waits for its next attempt; nothing where another run has it."""
    connection.execute(
        SYNC_LEASE.update()
        .where(SYNC_LEASE.c.run_id == run_id)
        .values(until=now_s(connection) + sa.literal(float(seconds)))
    )


def release(connection: sa.Connection, run_id: str) -> bool:
    """Give the lease back; False where this run does not hold it. Safe to call twice."""
    released = connection.execute(
        SYNC_LEASE.update().where(SYNC_LEASE.c.run_id == run_id).values(run_id=None, until=0.0)
    )
    return released.rowcount == 1


def state(connection: sa.Connection) -> LeaseState | None:
    row = connection.execute(
        sa.select(SYNC_LEASE.c.token, SYNC_LEASE.c.run_id, (SYNC_LEASE.c.until - now_s(connection)).label("left"))
    ).one_or_none()
    return LeaseState(row.token, row.run_id, float(row.left)) if row else None


def _ensure_row(connection: sa.Connection) -> None:
    """The row, should it be missing. Its token starts at the clock's milliseconds, above any that was given before."""
    missing = sa.select(
        sa.literal(_ROW),
        sa.cast(now_s(connection) * 1000, sa.BigInteger()),
        sa.literal(0.0),
    ).where(~sa.exists().where(SYNC_LEASE.c.id == _ROW))
    connection.execute(SYNC_LEASE.insert().from_select(["id", "token", "until"], missing))
