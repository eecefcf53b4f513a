"""The outbox: each delivery is written before its call, and ended in one transaction with what it brought."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.bulk import among, insert_rows
from kwiksync_ops.storage.models import BATCH, OUTBOX, RECORD_LINK, RECORDS
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.storage.sys_id import new_sys_ids
from kwiksync_ops.vocabulary import Action, DeliveryState

OPEN = (DeliveryState.QUEUED, DeliveryState.SENDING, DeliveryState.SENT)
"""States of a delivery that a run still has to end."""

REPLACEABLE = (
    DeliveryState.QUEUED,
    DeliveryState.REFUSED,
    DeliveryState.AGAIN,
    DeliveryState.UNCONFIRMED,
)

"""States in which a newer delivery of the record takes its place."""

ENDED = (DeliveryState.CONFIRMED, DeliveryState.SUPERSEDED)
"""States that ask nothing of anybody."""

_NEW = (
    "sys_id",
    "run_id",
    "system",
    "table_name",
    "record_sys_id",
    "sys_mod_count",
    "external_id",
    "action",
    "payload",
    "hash_out",
    "is_partial",
    "idempotency_key",
    "etag",
    "state",
    "error_code",
    "message",
    "sys_created_on",
)
_ROW = (*_NEW[:-3], "attempt", "job")


@dataclass(frozen=True)
class NewDelivery:
    """What is to be sent of a record, or why it can't be: then `state` is `refused`.

    `is_partial`: fields are held back by an open conflict, so that hub and system do not agree when it has arrived.
    """

    record_sys_id: str
    sys_mod_count: int
    external_id: str | None
    action: Action
    payload: str
    hash_out: bytes
    is_partial: bool = False
    etag: str | None = None
    state: DeliveryState = DeliveryState.QUEUED
    error_code: str | None = None
    message: str | None = None


@dataclass(frozen=True)
class OutboxRow:
    """A delivery as it stands in the outbox; `idempotency_key` is the same at every attempt."""

    sys_id: str
    run_id: str
    system: str
    table_name: str
    record_sys_id: str
    sys_mod_count: int
    external_id: str | None
    action: str
    payload: str
    hash_out: bytes
    is_partial: bool
    idempotency_key: str
    etag: str | None
    state: str
    attempt: int
    job: str | None


@dataclass(frozen=True)
class Result:
    """How a delivery stands after a call: values that stay None leave the row as it is."""

    sys_id: str
    state: DeliveryState
    external_id: str | None = None
    etag: str | None = None
    job: str | None = None
    error_code: str | None = None
    message: str | None = None


def queue(
    connection: sa.Connection,
    run_id: str,
    system: str,
    table: str,
    deliveries: Sequence[NewDelivery],
    *,
    now: datetime,
) -> None:
    """Write deliveries, each with a sys_id and an idempotency key of its own."""
    ids, keys = new_sys_ids(len(deliveries)), new_sys_ids(len(deliveries))
    rows = [
        (
            sys_id,
            run_id,
            system,
            table,
            new.record_sys_id,
            new.sys_mod_count,
            new.external_id,
            str(new.action),
            new.payload,
            new.hash_out,
            new.is_partial,
            key,
            new.etag,
            str(new.state),
            new.error_code,
            new.message,
            now,
        )
        for sys_id, key, new in zip(ids, keys, deliveries, strict=True)
    ]
    insert_rows(connection, OUTBOX, _NEW, rows)


def note_page(
    connection: sa.Connection,
    run: TableRun,
    deliveries: Sequence[NewDelivery],
    counts: Counts,
    *,
    token: int,
    now: datetime,
) -> bool:
    """Number a page of the run. False where an earlier try of it has committed: it is known by what it holds."""
    content = [(new.record_sys_id, new.sys_mod_count, new.action, new.hash_out) for new in deliveries]
    digest = hashlib.sha256(msgspec.msgpack.encode((content, counts.unchanged))).hexdigest()
    mine = (BATCH.c.run_id == run.run_id, BATCH.c.direction == run.direction, BATCH.c.table_name == run.table)
    if deliveries and connection.execute(sa.select(BATCH.c.number).where(*mine, BATCH.c.digest == digest)).first():
        return False
    number = connection.execute(sa.select(sa.func.coalesce(sa.func.max(BATCH.c.number), 0) + 1).where(*mine))
    connection.execute(
        BATCH.insert().values(
            run_id=run.run_id,
            direction=run.direction,
            table_name=run.table,
            number=number.scalar_one(),
            fencing_token=token,
            digest=digest,
            committed=now,
            **vars(counts),
        )
    )
    return True


def read_rows(
    connection: sa.Connection,
    system: str,
    table: str,
    state: DeliveryState,
    *,
    action: Action | None = None,
    limit: int | None = None,
) -> list[OutboxRow]:
    """The deliveries of a table in a state, oldest first."""
    wanted = [*_of(system, table), OUTBOX.c.state == state]
    if action:
        wanted.append(OUTBOX.c.action == action)
    query = sa.select(*(OUTBOX.c[name] for name in _ROW)).where(*wanted).order_by(OUTBOX.c.sys_id).limit(limit)
    return [OutboxRow(*row) for row in connection.execute(query).all()]


def search(
    connection: sa.Connection,
    *,
    system: str | None,
    table: str | None,
    state: DeliveryState | None,
    is_open: bool,
    limit: int,
) -> Sequence[sa.RowMapping]:
    """Deliveries, newest first."""
    wanted = {"system": system, "table_name": table, "state": state}
    conditions = [OUTBOX.c[name] == value for name, value in wanted.items() if value is not None]
    if is_open and state is None:
        conditions.append(OUTBOX.c.state.not_in(ENDED))
    query = OUTBOX.select().where(*conditions).order_by(OUTBOX.c.sys_id.desc()).limit(limit)
    return connection.execute(query).mappings().all()


def starting_with(connection: sa.Connection, sys_id: str) -> Sequence[sa.RowMapping]:
    """At most two deliveries whose sys_id begins so."""
    query = OUTBOX.select().where(OUTBOX.c.sys_id.startswith(sys_id, autoescape=True)).limit(2)
    return connection.execute(query).mappings().all()


def count(connection: sa.Connection, system: str, table: str, states: Collection[DeliveryState]) -> int:
    counted = sa.select(sa.func.count()).select_from(OUTBOX).where(*_of(system, table), OUTBOX.c.state.in_(states))
    return int(connection.execute(counted).scalar_one())


def in_the_way(
    connection: sa.Connection, system: str, table: str, record_sys_ids: Collection[str]
) -> dict[str, list[tuple[int, str, str]]]:
    """Deliveries of these records that did not end well or have not ended: (modification count, state, action)."""
    rows = connection.execute(
        sa.select(OUTBOX.c.record_sys_id, OUTBOX.c.sys_mod_count, OUTBOX.c.state, OUTBOX.c.action).where(
            *_of(system, table),
            OUTBOX.c.state.not_in(ENDED),
            among(connection, OUTBOX.c.record_sys_id, record_sys_ids),
        )
    )
    found: dict[str, list[tuple[int, str, str]]] = {}
    for record, *delivery in rows.all():
        found.setdefault(record, []).append(tuple(delivery))
    return found


def supersede(connection: sa.Connection, system: str, table: str, record_sys_ids: Collection[str]) -> list[str]:
    """A newer delivery of these records takes the place of those that were not sent, or did not end well.

    Returns the names by which the Error Log knows the records of those that had an error: their new delivery tells now.
    """
    replaced = (
        *_of(system, table),
        OUTBOX.c.state.in_(REPLACEABLE),
        among(connection, OUTBOX.c.record_sys_id, record_sys_ids),
    )
    name = sa.func.coalesce(OUTBOX.c.external_id, OUTBOX.c.record_sys_id)
    told = list(connection.execute(sa.select(name).where(*replaced, OUTBOX.c.error_code.is_not(None))).scalars())
    connection.execute(OUTBOX.update().where(*replaced).values(state=str(DeliveryState.SUPERSEDED)))
    return told


def try_again(connection: sa.Connection, system: str, tables: Collection[str], error_code: str) -> None:
    """Deliveries of these tables that were refused for this reason are formatted anew by the next step of theirs."""
    connection.execute(
        OUTBOX.update()
        .where(
            OUTBOX.c.system == system,
            OUTBOX.c.table_name.in_(tables),
            OUTBOX.c.state == DeliveryState.REFUSED,
            OUTBOX.c.error_code == error_code,
        )
        .values(state=str(DeliveryState.AGAIN))
    )


def linked(connection: sa.Connection, system: str, table: str, record_sys_ids: Collection[str]) -> dict[str, str]:
    """The ids that the system has for these records by now, by sys_id."""
    link = RECORD_LINK
    # By the record alone: with the system in the condition, a planner may read all links of the system.
    wanted = sa.select(link.c.sys_id, link.c.external_id, link.c.system, link.c.table_name)
    rows = connection.execute(wanted.where(among(connection, link.c.sys_id, record_sys_ids)))
    return {row[0]: row[1] for row in rows.all() if (row[2], row[3]) == (system, table)}


def begin(connection: sa.Connection, rows: Collection[OutboxRow], *, now: datetime) -> None:
    """About to be sent: from here on the system may have got them."""
    connection.execute(
        OUTBOX.update()
        .where(among(connection, OUTBOX.c.sys_id, [row.sys_id for row in rows]))
        .values(state=str(DeliveryState.SENDING), attempt=OUTBOX.c.attempt + 1, sent=now)
    )


def still_open(connection: sa.Connection, sys_ids: Collection[str]) -> set[str]:
    """Those of the deliveries that no earlier try of this transaction has ended."""
    wanted = (among(connection, OUTBOX.c.sys_id, sys_ids), OUTBOX.c.state.in_((*OPEN, DeliveryState.AGAIN)))
    return set(connection.execute(sa.select(OUTBOX.c.sys_id).where(*wanted)).scalars())


def end(connection: sa.Connection, table: str, results: Sequence[Result], *, now: datetime) -> list[str]:
    """Note how deliveries stand. What is confirmed stands in the record's link too: hub and system agree.

    Returns the sys_ids of records that came in under the id of a create before its answer was known: they double it.
    """
    for state in dict.fromkeys(result.state for result in results):
        ids = [result.sys_id for result in results if result.state == state]
        values: dict[str, Any] = {"state": str(state)}
        if state == DeliveryState.CONFIRMED:
            values["confirmed"] = now
        if state == DeliveryState.QUEUED:
            values["attempt"] = OUTBOX.c.attempt - 1
        connection.execute(OUTBOX.update().where(among(connection, OUTBOX.c.sys_id, ids)).values(**values))
    for name in ("external_id", "etag", "job", "error_code", "message"):
        values_of = ((result.sys_id, getattr(result, name)) for result in results)
        if told := {sys_id: value for sys_id, value in values_of if value is not None}:
            _set(connection, name, told)
    confirmed = [result.sys_id for result in results if result.state == DeliveryState.CONFIRMED]
    doubles = _doubles(connection, table, confirmed) if confirmed else []
    _link(connection, confirmed)
    return doubles


def _set(connection: sa.Connection, name: str, values: Mapping[str, str]) -> None:
    """One column of deliveries, by sys_id, in one statement."""
    given = sa.bindparam(None, msgspec.json.encode(values).decode(), type_=sa.Text())
    is_postgresql = connection.dialect.name == "postgresql"
    each = sa.func.json_each_text(sa.cast(given, sa.JSON)) if is_postgresql else sa.func.json_each(given)
    pairs = each.table_valued("key", "value")
    connection.execute(OUTBOX.update().where(OUTBOX.c.sys_id == pairs.c.key).values({name: pairs.c.value}))


def agree(connection: sa.Connection, system: str, table: str, agreed: Mapping[str, int]) -> None:
    """Hub and system agree on these records, by external id, at these modification counts, with nothing sent."""
    if not agreed:
        return
    link = RECORD_LINK
    of = (link.c.system == system, link.c.table_name == table, link.c.external_id == sa.bindparam("of"))
    values = [{"of": external_id, "at": mod_count} for external_id, mod_count in agreed.items()]
    connection.execute(link.update().where(*of).values(mod_count=sa.bindparam("at")), values)


def unlink(connection: sa.Connection, system: str, table: str, external_ids: Collection[str]) -> None:
    """The system has these records no more."""
    link = RECORD_LINK
    mine = (link.c.system == system, link.c.table_name == table)
    connection.execute(link.delete().where(*mine, among(connection, link.c.external_id, external_ids)))


def note_etags(connection: sa.Connection, system: str, table: str, etags: Mapping[str, str]) -> None:
    """The versions that the system said its records are at, by external id."""
    if not etags:
        return
    link = RECORD_LINK
    of = (link.c.system == system, link.c.table_name == table, link.c.external_id == sa.bindparam("of"))
    values = [{"of": external_id, "it": etag} for external_id, etag in etags.items()]
    connection.execute(link.update().where(*of).values(etag=sa.bindparam("it")), values)


def _link(connection: sa.Connection, confirmed: Sequence[str]) -> None:
    """From the confirmed rows to the links: moved on after an update, made after a create, gone after a delete."""
    if not confirmed:
        return
    link, box = RECORD_LINK, OUTBOX
    mine = among(connection, box.c.sys_id, confirmed)
    same = (
        link.c.system == box.c.system,
        link.c.table_name == box.c.table_name,
        link.c.external_id == box.c.external_id,
    )
    deleted = sa.select(box.c.system, box.c.table_name, box.c.external_id).where(mine, box.c.action == Action.DELETE)
    connection.execute(
        link.delete().where(sa.tuple_(link.c.system, link.c.table_name, link.c.external_id).in_(deleted))
    )
    connection.execute(
        link.update()
        .where(mine, box.c.action != Action.DELETE, *same)
        .values(
            sys_id=box.c.record_sys_id,
            hash_out=box.c.hash_out,
            etag=sa.func.coalesce(box.c.etag, link.c.etag),
            mod_count=sa.case((box.c.is_partial, link.c.mod_count), else_=box.c.sys_mod_count),
        )
    )
    names = ("system", "table_name", "external_id", "sys_id", "hash_out", "etag", "mod_count")
    new = (
        sa.select(
            box.c.system,
            box.c.table_name,
            box.c.external_id,
            box.c.record_sys_id,
            box.c.hash_out,
            box.c.etag,
            box.c.sys_mod_count,
        )
        .where(mine, box.c.action != Action.DELETE, box.c.external_id.is_not(None))
        .where(~sa.exists().where(*same))
    )
    connection.execute(link.insert().from_select(names, new))


def _doubles(connection: sa.Connection, table: str, confirmed: Sequence[str]) -> list[str]:
    link, box, records = RECORD_LINK, OUTBOX, RECORDS[table]
    same = sa.and_(
        link.c.system == box.c.system,
        link.c.table_name == box.c.table_name,
        link.c.external_id == box.c.external_id,
    )
    rows = connection.execute(
        sa.select(link.c.sys_id)
        .join_from(link, box, same)
        .join(records, records.c.sys_id == link.c.sys_id)
        .where(
            among(connection, box.c.sys_id, confirmed),
            box.c.action == Action.CREATE,
            link.c.sys_id != box.c.record_sys_id,
            records.c.sys_deleted_on.is_(None),
        )
    )
    return list(rows.scalars())


def _of(system: str, table: str) -> tuple[sa.ColumnElement[bool], ...]:
    return OUTBOX.c.system == system, OUTBOX.c.table_name == table
