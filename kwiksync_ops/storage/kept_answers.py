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


@dataclass(frozen=True)
class Call:
    """Of whom, under which Idempotency-Key; `digest` of what it says."""

    caller: str
    key: str
    digest: str = ""


def begin(connection: sa.Connection, call: Call, *, now: datetime) -> KeptAnswer | None:
    """Note a call as under way; or what is known of one that came with this key before."""
    forget_old(connection, now=now)
    known = find(connection, call)
    if known is None:
        connection.execute(_new(call, None, now))
    return known


def find(connection: sa.Connection, call: Call) -> KeptAnswer | None:
    """What is known of the call; nobody else begins or ends it until this transaction ends."""
    serialize(connection, f"kept_answer:{call.caller}:{call.key}")
    row = connection.execute(sa.select(KEPT_ANSWER.c.digest, KEPT_ANSWER.c.answer).where(*_same(call))).first()
    return KeptAnswer(row.digest, row.answer) if row else None


def forget_old(connection: sa.Connection, *, now: datetime) -> int:
    """Remove what is kept no longer; how many there were."""
    columns = KEPT_ANSWER.c
    lost = sa.and_(columns.answer.is_(None), columns.sys_created_on < now - IN_FLIGHT_FOR)
    return connection.execute(
        KEPT_ANSWER.delete().where(sa.or_(columns.sys_created_on < now - KEPT_FOR, lost))
    ).rowcount


def keep(connection: sa.Connection, call: Call, answer: str, *, now: datetime) -> None:
    """The answer of a call that has begun, or that took so long that it was forgotten."""
    if not connection.execute(KEPT_ANSWER.update().where(*_same(call)).values(answer=answer)).rowcount:
        connection.execute(_new(call, answer, now))


def forget(connection: sa.Connection, call: Call) -> None:
    """The call failed. An answer that is kept stays."""
    connection.execute(KEPT_ANSWER.delete().where(*_same(call), KEPT_ANSWER.c.answer.is_(None)))


def _same(call: Call) -> tuple[sa.ColumnElement[bool], ...]:
    return KEPT_ANSWER.c.caller == call.caller, KEPT_ANSWER.c.idempotency_key == call.key


def _new(call: Call, answer: str | None, now: datetime) -> sa.Insert:
    values = {"caller": call.caller, "idempotency_key": call.key, "digest": call.digest}
    return KEPT_ANSWER.insert().values(**values, answer=answer, sys_created_on=now)
