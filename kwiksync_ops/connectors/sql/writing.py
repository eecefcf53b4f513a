"""One call's deliveries written in one transaction: looked up and locked, written, read back.

A record that the database refuses is found by halving, behind savepoints, and takes no other with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from kwiksync_ops.connectors.sql.binding import Binder, Bound
from kwiksync_ops.connectors.sql.database import Session, bound, named
from kwiksync_ops.connectors.sql.failures import concerns_all, is_duplicate
from kwiksync_ops.connectors.sql.options import PushOptions
from kwiksync_ops.connectors.sql.relation import ColumnInfo, Relation
from kwiksync_ops.connectors.sql.values import Kind, plain, plain_records, same
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import DuplicateRecordError, SystemUnavailableError, ValidationError
from kwiksync_ops.vocabulary import Action

IN_AT_ONCE = 1000


@dataclass(frozen=True)
class Stored:
    """A row as it is in the table: its record, key and version as texts."""

    record: Mapping[str, Any]
    key: str
    version: str | None


@dataclass
class Item:
    """A delivery with its values, and how its row is named: `identity` in the column `by`."""

    delivery: Delivery
    by: ColumnInfo
    identity: Any
    values: dict[str, Bound] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.delivery.id

    @property
    def name(self) -> str:
        return _text(self.identity)


@dataclass(frozen=True)
class TableWriter:
    """What is known of a table that is written to."""

    relation: Relation
    key: ColumnInfo
    push: PushOptions
    binder: Binder

    @property
    def correlation(self) -> ColumnInfo | None:
        name = self.push.correlation_column
        return self.relation.column(name, "correlation_column") if name else None

    @property
    def version(self) -> ColumnInfo | None:
        name = self.push.version_column
        return self.relation.column(name, "version_column") if name else None

    def item(self, delivery: Delivery) -> Item:
        """Raises ValueError where the delivery is none that the table can hold."""
        values = self.binder.row(delivery.payload) if delivery.action != Action.DELETE else {}
        if delivery.key is not None:
            return Item(delivery, self.key, self.binder.key(self.key, delivery.key), values)
        if self.correlation is not None:
            values[self.correlation.name] = Bound(delivery.record_id, delivery.record_id)
            return Item(delivery, self.correlation, delivery.record_id, values)
        given = values.get(self.key.name)
        return Item(delivery, self.key, given.value if given else None, values)

    def stored(self, session: Session, items: Iterable[Item], *, lock: bool = False) -> dict[str, Stored]:
        """The rows of these items that are there, by the ids of their deliveries."""
        found: dict[str, Stored] = {}
        known = [item for item in items if item.identity is not None]
        for by in {item.by.name: item.by for item in known}.values():
            mine = [item for item in known if item.by.name == by.name]
            rows: dict[str, Stored] = {}
            for start in range(0, len(mine), IN_AT_ONCE):
                rows |= self._rows(session, by, [item.identity for item in mine[start : start + IN_AT_ONCE]], lock=lock)
            alike = {_folded(name): stored for name, stored in rows.items()}
            told = ((item.id, rows.get(item.name) or alike.get(_folded(item.name))) for item in mine)
            found |= {id_: stored for id_, stored in told if stored}
        return found

    def _rows(self, session: Session, by: ColumnInfo, identities: Sequence[Any], *, lock: bool) -> dict[str, Stored]:
        columns = list(self.relation.columns.values())
        statement = lookup(self.relation, by.name, identities, session.backend if lock else None)
        names, told, rows = session.run(statement)
        kinds = [kind if kind != Kind.OTHER else column.kind for kind, column in zip(told, columns, strict=True)]
        records = plain_records(names, kinds, rows, session.options.bytes).records
        version = self.version
        return {
            _text(record[by.name]): Stored(
                record, _text(record[self.key.name]), _text(record[version.name]) if version else None
            )
            for record in records
        }


class Writing:
    """The writing of one call; `receipts` by delivery."""

    def __init__(self, session: Session, table: TableWriter) -> None:
        self._session = session
        self._table = table
        self.receipts: dict[str, Receipt] = {}

    def write(self, deliveries: Sequence[Delivery]) -> None:
        """Write deliveries of one action. Nothing is committed yet.

        Raises:
            DBAPIError: what concerns them all; nothing of the transaction stands then.
        """
        action = deliveries[0].action
        items = [item for delivery in deliveries if (item := self._item(delivery))]
        there = self._table.stored(self._session, items, lock=True)
        if action == Action.DELETE:
            self._delete([item for item in items if self._is_to_be_changed(item, there)])
            return
        inserts = [item for item in items if item.id not in there] if action == Action.CREATE else []
        updates = [item for item in items if item not in inserts and self._is_to_be_changed(item, there)]
        self._written(updates, self._update)
        self._written(inserts, self._insert)

    def _item(self, delivery: Delivery) -> Item | None:
        try:
            return self._table.item(delivery)
        except ValueError as exc:
            self._refuse(delivery.id, f"{exc}.")
            return None

    def _is_to_be_changed(self, item: Item, there: Mapping[str, Stored]) -> bool:
        """Whether a row is as the delivery takes it to be; a receipt says so if not."""
        delivery, stored = item.delivery, there.get(item.id)
        if stored is None:
            is_done = delivery.action == Action.DELETE
            self._tell(Receipt(item.id, Outcome.CONFIRMED if is_done else Outcome.GONE, key=delivery.key))
            return False
        if delivery.action == Action.CREATE:
            return self._may_adopt(item, stored)
        if delivery.etag is None or stored.version is None or delivery.etag == stored.version:
            return True
        told = f"The row has version {stored.version}, the change is based on {delivery.etag}."
        self._tell(_with(item.id, Outcome.CONFLICT, stored, told))
        return False

    def _may_adopt(self, item: Item, stored: Stored) -> bool:
        """Whether a create may change the row that it met; one with our own id was made by an earlier attempt."""
        correlation = self._table.correlation
        if self._table.push.existing == "update" or (correlation and item.by.name == correlation.name):
            return True
        told = f"The table has a row of {item.by.name} {item.name} already."
        self._tell(_with(item.id, Outcome.CONFLICT, stored, told))
        return False

    def _written(self, items: list[Item], apply: Callable[[Sequence[Item]], None]) -> None:
        """Write, read back, and undo what does not hold what was sent; the others once more without it."""
        while items:
            savepoint = self._session.connection.begin_nested()
            refused = self._halved(items, apply)
            left = [item for item in items if item.id not in refused]
            there = self._table.stored(self._session, left)
            faults = {item.id: told for item in left if (told := self._fault(item, there.get(item.id)))}
            if not faults:
                savepoint.commit()
                for item in left:
                    self._tell(_with(item.id, Outcome.CONFIRMED, there[item.id]))
                return
            savepoint.rollback()
            for id_, told in faults.items():
                self._refuse(id_, told)
            items = [item for item in left if item.id not in faults]

    def _fault(self, item: Item, stored: Stored | None) -> str | None:
        """What a row that was written does not hold of what was sent."""
        if stored is None:
            return "Read back, the row is not there: a trigger or a rule of the database took it away."
        if self._table.push.confirm == "rows":
            return None
        for name, given in item.values.items():
            if not same(given.expected, stored.record[name]):
                return (
                    f"Read back, {name} holds {_shown(stored.record[name])}, not {_shown(given.expected)}: the column "
                    f"is too small, or a trigger changes it (then set confirm to rows). It was undone."
                )
        return None

    def _halved(self, items: Sequence[Item], apply: Callable[[Sequence[Item]], None]) -> set[str]:
        """Apply to all; where the database refuses that, to halves of them, down to the records that spoil it."""
        savepoint = self._session.connection.begin_nested()
        try:
            apply(items)
            savepoint.commit()
            return set()
        except DBAPIError as exc:
            if exc.connection_invalidated or concerns_all(exc, self._session.backend):
                raise
            savepoint.rollback()
            if len(items) == 1:
                self._tell_refusal(items[0], exc)
                return {items[0].id}
        half = len(items) // 2
        return self._halved(items[:half], apply) | self._halved(items[half:], apply)

    def _tell_refusal(self, item: Item, error: DBAPIError) -> None:
        said = self._session.database.failures.said(error)
        if not is_duplicate(error):
            self._refuse(item.id, said)
        elif item.delivery.action != Action.CREATE:
            self._refuse(item.id, said, DuplicateRecordError.code)
        elif item.id in self._table.stored(self._session, [item]):
            # Another process made it just now: the next attempt finds it.
            self._tell(Receipt(item.id, Outcome.UNSENT, code=SystemUnavailableError.code, message=said))
        else:
            self._tell(Receipt(item.id, Outcome.CONFLICT, code=DuplicateRecordError.code, message=said))

    def _update(self, items: Sequence[Item]) -> None:
        for (by, *names), group in _by_columns(items):
            if names:
                rows = [{"identity": item.identity, **_numbered(item, names)} for item in group]
                self._session.connection.execute(update_of(self._table.relation, by, names), rows)

    def _insert(self, items: Sequence[Item]) -> None:
        for (_, *names), group in _by_columns(items):
            statement = insert_of(self._table.relation, names)
            known = [_numbered(item, names) for item in group if item.identity is not None]
            if known:
                self._session.connection.execute(statement, known)
            for item in group:
                if item.identity is None:
                    item.identity = self._insert_alone(statement, _numbered(item, names))

    def _insert_alone(self, statement: sa.Insert, values: Mapping[str, Any]) -> Any:
        """The key that the database gives a row that can't be told from others by what is in it."""
        connection, key = self._session.connection, self._table.relation.source.c[self._table.key.name]
        if connection.dialect.insert_returning:
            return connection.execute(statement.returning(key), values).scalar_one()
        return connection.execute(statement, values).lastrowid

    def _delete(self, items: Sequence[Item]) -> None:
        def apply(some: Sequence[Item]) -> None:
            wanted = [item.identity for item in some]
            self._session.connection.execute(delete_of(self._table.relation, self._table.key.name, wanted))

        if not items:
            return
        refused = self._halved(items, apply)
        left = [item for item in items if item.id not in refused]
        still = self._table.stored(self._session, left)
        for item in left:
            if item.id in still:
                self._refuse(item.id, "The row is still there: a trigger or a rule of the database keeps it.")
            else:
                self._tell(Receipt(item.id, Outcome.CONFIRMED, key=item.delivery.key))

    def _refuse(self, delivery_id: str, message: str, code: str = ValidationError.code) -> None:
        text = self._session.database.redactor.text(message)
        self._tell(Receipt(delivery_id, Outcome.REFUSED, code=code, message=text))

    def _tell(self, receipt: Receipt) -> None:
        self.receipts[receipt.delivery_id] = receipt


def holds(item: Item, stored: Stored) -> bool:
    """Whether a row has all values of a delivery."""
    return all(same(given.expected, stored.record[name]) for name, given in item.values.items())


def _with(delivery_id: str, outcome: Outcome, stored: Stored, message: str | None = None) -> Receipt:
    record = stored.record if outcome == Outcome.CONFLICT else None
    return Receipt(delivery_id, outcome, key=stored.key, etag=stored.version, message=message, record=record)


def lookup(relation: Relation, by: str, identities: Sequence[Any], locking: str | None) -> sa.Select[Any]:
    """The rows of these identities, locked until the transaction ends where a backend is named."""
    columns, source = relation.columns.values(), relation.source
    statement = sa.select(*(column.expression for column in columns)).where(source.c[by].in_(map(bound, identities)))
    if locking == "mssql":
        return statement.with_hint(source, "WITH (UPDLOCK, ROWLOCK)")
    return statement.with_for_update() if locking else statement


def update_of(relation: Relation, by: str, names: Sequence[str]) -> sa.Update:
    """For many rows: `identity` names each, `v0`, `v1`, … are the values of these columns."""
    table: Any = relation.source
    return sa.update(table).where(table.c[by] == named("identity")).values(_places(names))


def insert_of(relation: Relation, names: Sequence[str]) -> sa.Insert:
    """For many rows: `v0`, `v1`, … are the values of these columns."""
    table: Any = relation.source
    return sa.insert(table).values(_places(names))


def delete_of(relation: Relation, by: str, identities: Sequence[Any]) -> sa.Delete:
    table: Any = relation.source
    return sa.delete(table).where(table.c[by].in_(map(bound, identities)))


def _places(names: Sequence[str]) -> dict[str, Any]:
    return {name: named(f"v{at}") for at, name in enumerate(names)}


def _by_columns(items: Sequence[Item]) -> Iterable[tuple[tuple[str, ...], list[Item]]]:
    """Items that are named by one column and have the same others go out by one statement: (by, *columns)."""
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        groups.setdefault((item.by.name, *item.values), []).append(item)
    return groups.items()


def _numbered(item: Item, names: Sequence[str]) -> dict[str, Any]:
    return {f"v{at}": item.values[name].value for at, name in enumerate(names)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(plain(value, "base64"))


def _folded(name: str) -> str:
    """As those databases compare that take no notice of case and blanks at the end."""
    return name.casefold().rstrip(" ")


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(str(value)[:60])
