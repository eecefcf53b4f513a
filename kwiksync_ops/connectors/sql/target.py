"""Writes to tables of a database: one transaction a call, each row read back before it is committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.sql.binding import Binder, check_unique
from kwiksync_ops.connectors.sql.database import Database, Session
from kwiksync_ops.connectors.sql.options import PushOptions, SqlOptions
from kwiksync_ops.connectors.sql.relation import find_table, table_name
from kwiksync_ops.connectors.sql.source import describe
from kwiksync_ops.connectors.sql.writing import TableWriter, Writing, holds
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Repeat
from kwiksync_ops.errors import ConfigurationError, FatalError, KwikSyncError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import Action

STATEMENTS = 3
"""Of one call, beside the connection: rows are looked up, written and read back. Halves count as their whole."""


class SqlTarget:
    """One database. Each call has a connection of its own."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._database = Database(credentials, options, limiter, writes=True)
        self._tables: dict[str, TableWriter] = {}

    @property
    def calls(self) -> int:
        return self._database.calls

    def repeat(self, request: PushRequest) -> Repeat:
        return Repeat.LOOK

    def sends(self, request: PushRequest, action: Action) -> bool:
        return action in self._push(request)[1].actions

    def sends_changes_only(self, request: PushRequest) -> bool:
        return True

    def call_records(self, request: PushRequest, action: Action) -> int:
        return self._push(request)[1].records

    def push(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """See `Target.push`. What fails before the commit was not applied; a commit without an answer is unknown."""
        options, _ = self._push(request)
        is_committing = False
        receipts: dict[str, Receipt] = {}
        try:
            with self._database.session(options, f"Writing to {request.source}", calls=STATEMENTS) as session:
                writing = Writing(session, self._table(session, request))
                writing.write(deliveries)
                is_committing, receipts = True, writing.receipts
                session.connection.commit()
        except FatalError:
            if not is_committing:
                raise
            return self._failed(deliveries, receipts, Outcome.UNKNOWN, None)
        except KwikSyncError as exc:
            return self._failed(deliveries, receipts, Outcome.UNKNOWN if is_committing else Outcome.UNSENT, exc)
        return [receipts[delivery.id] for delivery in deliveries]

    def confirm(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """See `Target.confirm`. Nothing is left accepted here; asked all the same, the rows are read."""
        return [
            replace(receipt, outcome=Outcome.UNKNOWN, message="Read back, it is not there as it was sent.")
            if receipt.outcome == Outcome.UNSENT
            else receipt
            for receipt in self.look(request, deliveries)
        ]

    def look(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """See `Target.look`. A database that can't be asked now is told by a `retry_after_s`."""
        options, _ = self._push(request)
        try:
            with self._database.session(options, f"Looking into {request.source}", calls=1) as session:
                return self._look(session, self._table(session, request), deliveries)
        except FatalError:
            raise
        except KwikSyncError as exc:
            told = self._failed(deliveries, {}, Outcome.UNKNOWN, exc)
            return [replace(receipt, retry_after_s=0.0) for receipt in told]

    def check(self) -> str:
        return describe(self._database)

    def close(self) -> None:
        self._database.close()

    def _push(self, request: PushRequest) -> tuple[SqlOptions, PushOptions]:
        options = self._database.options(request.source, request.options)
        if options.push is None:
            raise ConfigurationError(
                f"It is not said how {request.source} is written.", remedy="Set push in the table's sql options."
            )
        return options, options.push

    def _table(self, session: Session, request: PushRequest) -> TableWriter:
        """The table as the database declares it, asked once. Raises ConfigurationError."""
        if request.source not in self._tables:
            _, push = self._push(request)
            relation = find_table(session, request.source)
            key = relation.column(request.key_field, "key")
            table = TableWriter(relation, key, push, Binder.of(relation, session.backend, session.options))
            schema, name = table_name(request.source)
            inspector = sa.inspect(session.connection)
            for column in (key, table.correlation):
                if column is not None:
                    check_unique(inspector, name, schema, column.name, request.source)
            self._tables[request.source] = table
        return self._tables[request.source]

    def _look(self, session: Session, table: TableWriter, deliveries: Sequence[Delivery]) -> list[Receipt]:
        items = {}
        for delivery in deliveries:
            try:
                items[delivery.id] = table.item(delivery)
            except ValueError:
                continue
        there = table.stored(session, items.values())
        receipts = []
        for delivery in deliveries:
            item, stored = items.get(delivery.id), there.get(delivery.id)
            if item is None or item.identity is None:
                told = "The database makes the key, and without correlation_column the row can't be told from others."
                receipts.append(Receipt(delivery.id, Outcome.UNKNOWN, message=told))
            elif stored is None:
                is_done = delivery.action == Action.DELETE
                receipts.append(Receipt(delivery.id, Outcome.CONFIRMED if is_done else Outcome.UNSENT))
            else:
                is_there = delivery.action != Action.DELETE and holds(item, stored)
                outcome = Outcome.CONFIRMED if is_there else Outcome.UNSENT
                receipts.append(
                    Receipt(delivery.id, outcome, key=stored.key, etag=stored.version, record=stored.record)
                )
        return receipts

    def _failed(
        self,
        deliveries: Sequence[Delivery],
        receipts: Mapping[str, Receipt],
        outcome: Outcome,
        error: KwikSyncError | None,
    ) -> list[Receipt]:
        """What was refused stays so; all else shares one fate."""
        code, message = (error.code, error.message) if error else (None, None)
        return [
            receipts[delivery.id]
            if delivery.id in receipts and receipts[delivery.id].outcome == Outcome.REFUSED
            else Receipt(delivery.id, outcome, code=code, message=message)
            for delivery in deliveries
        ]


open_target = SqlTarget
