"""What a comparison of hub and system needs of the hub: rows by key, a place to note what was seen, repairs.

What was seen is noted in a temporary table on a connection of its own: it lies on the database's disk, and is gone
with the connection.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.storage.bulk import among, as_read, insert_rows
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.hub import Hub, hub_error
from kwiksync_ops.storage.models import RECORD_HISTORY, RECORD_LINK, RECORDS
from kwiksync_ops.vocabulary import Action

READ_ROWS = 1_000
WHOLE_RECORD = -1
"""As a link's modification count: the system is to be sent all of the record."""

_SEEN = sa.Table(
    "kwiksync_seen",
    sa.MetaData(),
    sa.Column("external_id", sa.String(255), primary_key=True),
    sa.Column("verdict", sa.String(20), nullable=False),
    sa.Column("ours", sa.LargeBinary(32)),
    sa.Column("theirs", sa.LargeBinary(32)),
    sa.Column("fields", sa.Text()),
    sa.Column("reading", sa.Integer(), nullable=False),
    prefixes=["TEMPORARY"],
)
_COLUMNS = ("external_id", "verdict", "ours", "theirs", "fields", "reading")


@dataclass(frozen=True)
class HubRow:
    """A record that the hub links to a system.

    Attributes:
        agreed: the record's modification count when hub and system last agreed; None where that is not known.
        version: the change time of the version that the hub last took from the system.
        is_buried: the record was deleted; only its tombstone stands.
        values: in the order of the columns that were asked for.
    """

    external_id: str
    sys_id: str
    mod_count: int
    agreed: int | None
    version: str | None
    is_buried: bool
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Sighting:
    """What was found about one key: hashes of both sides' content, None where a side has no such record."""

    external_id: str
    verdict: str
    ours: bytes | None
    theirs: bytes | None
    fields: tuple[str, ...] = ()


class Seen:
    """The keys that a comparison has seen so far, each with its newest finding."""

    def __init__(self, connection: sa.Connection, system: str, table: str) -> None:
        self._connection = connection
        self._system = system
        self._table = table

    def note(self, sightings: Sequence[Sighting], *, reading: int) -> None:
        """Write findings down; they replace earlier ones of the same keys."""
        rows = [
            (each.external_id, each.verdict, each.ours, each.theirs, json.dumps(each.fields), reading)
            for each in sightings
        ]
        with _transaction(self._connection):
            self._forget([row[0] for row in rows])
            insert_rows(self._connection, _SEEN, _COLUMNS, rows)

    def known(self, external_ids: Collection[str]) -> dict[str, Sighting]:
        wanted = sa.select(*(_SEEN.c[name] for name in _COLUMNS[:5])).where(
            among(self._connection, _SEEN.c.external_id, external_ids)
        )
        with _transaction(self._connection):
            return {row[0]: _sighting(row) for row in self._connection.execute(wanted)}

    def forget_before(self, reading: int, verdicts: Collection[str]) -> None:
        """Drop what an earlier reading found and this one did not see again."""
        with _transaction(self._connection):
            self._connection.execute(
                _SEEN.delete().where(_SEEN.c.reading < reading, _SEEN.c.verdict.in_(list(verdicts)))
            )

    def sightings(self) -> Iterator[Sighting]:
        """All of them, in no order, read as they are taken."""
        with _transaction(self._connection):
            wanted = sa.select(*(_SEEN.c[name] for name in _COLUMNS[:5]))
            with self._connection.execute(wanted, execution_options={"yield_per": READ_ROWS}) as result:
                for row in result:
                    yield _sighting(row)

    def unseen(self, columns: Sequence[str]) -> Iterator[list[HubRow]]:
        """What the hub links to the system, has not buried, and was not seen: in lists, by key."""
        after = ""
        while True:
            with _transaction(self._connection):
                rows = self._unseen_after(after, columns)
            if not rows:
                return
            yield rows
            after = rows[-1].external_id

    def _unseen_after(self, after: str, columns: Sequence[str]) -> list[HubRow]:
        key, records = RECORD_LINK.c.external_id, RECORDS[self._table]
        was_seen = sa.exists().where(_SEEN.c.external_id == key)
        wanted = _linked(self._connection, self._system, self._table, columns).where(
            key > after, records.c.sys_deleted_on.is_(None), ~was_seen
        )
        return _rows(self._connection, wanted.order_by(key).limit(READ_ROWS))

    def _forget(self, external_ids: Collection[str]) -> None:
        self._connection.execute(_SEEN.delete().where(among(self._connection, _SEEN.c.external_id, external_ids)))


@contextmanager
def opened_seen(hub: Hub, system: str, table: str) -> Iterator[Seen]:
    """An empty place to note what was seen; nothing of it is left afterwards.

    Raises:
        HubError: the hub is away, or has no room for temporary tables.
    """
    try:
        with hub.engine.connect() as connection:
            connection.detach()
            with connection.begin():
                _SEEN.create(connection)
            yield Seen(connection, system, table)
    except sa.exc.DBAPIError as exc:
        raise hub_error(exc, hub.engine) from exc


def rows_by_key(
    connection: sa.Connection, system: str, table: str, columns: Sequence[str], external_ids: Collection[str]
) -> dict[str, HubRow]:
    """What the hub links to these keys of a system, buried records among them."""
    wanted = _linked(connection, system, table, columns).where(
        among(connection, RECORD_LINK.c.external_id, external_ids)
    )
    return {row.external_id: row for row in _rows(connection, wanted)}


def count_linked(connection: sa.Connection, system: str, table: str) -> int:
    counted = sa.select(sa.func.count()).select_from(RECORD_LINK)
    return connection.execute(
        counted.where(RECORD_LINK.c.system == system, RECORD_LINK.c.table_name == table)
    ).scalar_one()


def unsent_fields(
    connection: sa.Connection, system: str, table: str, rows: Collection[HubRow]
) -> dict[str, dict[str, Any]]:
    """By sys_id: the columns that the hub, or another system, changed last since hub and system agreed.

    Each with the value that both had then, as the history has it.
    """
    edited = {row.sys_id: row.agreed for row in rows if row.agreed is not None and row.agreed != row.mod_count}
    if not edited:
        return {}
    entry = RECORD_HISTORY.c
    entries = connection.execute(
        sa.select(entry.sys_id, entry.sys_mod_count, entry.changes, entry.system)
        .where(
            entry.table_name == table,
            entry.action != Action.CREATE.value,
            among(connection, entry.sys_id, edited),
        )
        .order_by(entry.id)
    )
    latest: dict[str, dict[str, tuple[Any, str | None]]] = {sys_id: {} for sys_id in edited}
    for sys_id, mod_count, changes, author in entries:
        if mod_count is not None and mod_count > (edited[sys_id] or 0) and changes:
            fields = latest[sys_id]
            for name, (old, _) in json.loads(changes).items():
                fields[name] = (fields[name][0] if name in fields else old, author)
    return {
        sys_id: {name: base for name, (base, who) in fields.items() if who != system}
        for sys_id, fields in latest.items()
    }


def send_again(
    connection: sa.Connection, table: str, rows: Mapping[str, Mapping[str, Any]], whole: Collection[str], author: Author
) -> None:
    """Make records look changed in the hub, so that the next outbound sync sends them.

    Args:
        rows: by sys_id, of each column that differs what the system has and what the hub has.
        whole: sys_ids of those that the system is to be sent entirely, since it has nothing of them.
    """
    records = RECORDS[table]
    connection.execute(
        records.update()
        .where(among(connection, records.c.sys_id, rows))
        .values(sys_mod_count=records.c.sys_mod_count + 1, sys_updated_on=author.now, sys_updated_by=author.who)
    )
    counts = connection.execute(
        sa.select(records.c.sys_id, records.c.sys_mod_count).where(among(connection, records.c.sys_id, rows))
    )
    connection.execute(
        RECORD_HISTORY.insert(),
        [
            {
                "table_name": table,
                "sys_id": sys_id,
                "action": Action.UPDATE.value,
                "changes": json.dumps(rows[sys_id], default=str),
                "system": None,
                "sys_mod_count": count,
                "run_id": author.run_id,
                "sys_created_on": author.now,
                "sys_created_by": author.who,
            }
            for sys_id, count in counts.all()
        ],
    )
    _disagree(connection, author.system, table, rows, whole)


def _disagree(
    connection: sa.Connection, system: str, table: str, sys_ids: Collection[str], whole: Collection[str]
) -> None:
    """What the system has is not what the hub thought."""
    link = RECORD_LINK
    mine = (link.c.system == system, link.c.table_name == table)
    connection.execute(link.update().where(*mine, among(connection, link.c.sys_id, sys_ids)).values(hash_out=None))
    unknown = sa.or_(link.c.mod_count.is_(None), among(connection, link.c.sys_id, whole))
    connection.execute(
        link.update().where(*mine, among(connection, link.c.sys_id, sys_ids), unknown).values(mod_count=WHOLE_RECORD)
    )


def _linked(connection: sa.Connection, system: str, table: str, columns: Sequence[str]) -> sa.Select[Any]:
    records, link = RECORDS[table], RECORD_LINK
    return (
        sa.select(
            link.c.external_id,
            link.c.sys_id,
            records.c.sys_mod_count,
            link.c.mod_count,
            link.c.version,
            records.c.sys_deleted_on,
            *(as_read(connection.dialect.name, records.c[name]) for name in columns),
        )
        .join_from(link, records, records.c.sys_id == link.c.sys_id)
        .where(link.c.system == system, link.c.table_name == table)
    )


def _rows(connection: sa.Connection, wanted: sa.Select[Any]) -> list[HubRow]:
    return [
        HubRow(row[0], row[1], row[2] or 0, row[3], row[4], row[5] is not None, tuple(row[6:]))
        for row in connection.execute(wanted).all()
    ]


def _sighting(row: Sequence[Any]) -> Sighting:
    external_id, verdict, ours, theirs, fields = row
    return Sighting(external_id, verdict, ours, theirs, tuple(json.loads(fields)))


@contextmanager
def _transaction(connection: sa.Connection) -> Iterator[None]:
    """A short one: a long one would hold back what the database cleans up."""
    with connection.begin():
        yield
