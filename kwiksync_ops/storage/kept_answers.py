"""Answers to calls that carried an Idempotency-Key, kept for a day so that the same call has the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from kwiksync_ops.storage.locks import serialize
from kwiksync_ops.storage.models import KEPT_ANSWER

KEPT_FOR = timedelta(hours=24)
IN_FLIGHT_FOR = timedelta(minutes=2)
"""A call that did not end by then was lost with its process."""


@dataclass(frozen=True)
class KeptAnswer:
    """`answer` is None while the call is under way."""

    digest: str
    answer: str | None


def begin(connection: sa.Connection, caller: str, key: str, digest: str, *, now: datetime) -> KeptAnswer | None:
    """Note a call as under way; or what is known of one that came with this key before."""
    serialize(connection, f"kept_answer:{caller}:{key}")
    forget_old(connection, now=now)
    columns = KEPT_ANSWER.c
    same = (columns.caller == caller, columns.idempotency_key == key)
    row = connection.execute(sa.select(columns.digest, columns.answer).where(*same)).first()
    if row is not None:
        return KeptAnswer(row.digest, row.answer)
    connection.execute(
        KEPT_ANSWER.insert().values(caller=caller, idempotency_key=key, digest=digest, sys_created_on=now)
    )
    return None


def forget_old(connection: sa.Connection, *, now: datetime) -> int:
    """Remove what is kept no longer; how many there were."""
    columns = KEPT_ANSWER.c
    lost = sa.and_(columns.answer.is_(None), columns.sys_created_on < now - IN_FLIGHT_FOR)
    return connection.execute(
        KEPT_ANSWER.delete().where(sa.or_(columns.sys_created_on < now - KEPT_FOR, lost))
    ).rowcount


def keep(connection: sa.Connection, caller: str, key: str, answer: str) -> None:
    same = (KEPT_ANSWER.c.caller == caller, KEPT_ANSWER.c.idempotency_key == key)
    connection.execute(KEPT_ANSWER.update().where(*same).values(answer=answer))


def forget(connection: sa.Connection, caller: str, key: str) -> None:
    same = (KEPT_ANSWER.c.caller == caller, KEPT_ANSWER.c.idempotency_key == key)
    connection.execute(KEPT_ANSWER.delete().where(*same))
