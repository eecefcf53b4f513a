"""SQL databases of each product that can run here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import PushRequest, Target
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.contract.spoke import Ability, Fault, Row
from tests.support.sql_database import PRODUCTS, SqlDatabase, open_database

VARIANTS = PRODUCTS
LACKS = {product: frozenset({Ability.HTTP}) for product in PRODUCTS}

TABLE = "Order Details"
_TIME = {"sqlite": "TEXT", "postgresql": "timestamptz", "mariadb": "timestamp(6) NULL"}
_QUOTE = {"sqlite": '"', "postgresql": '"', "mariadb": "`"}


class SqlSpoke:
    call_records = 1000

    def __init__(self, database: SqlDatabase) -> None:
        self.clock = ManualClock()
        self._database = database
        quote, time = _QUOTE[database.product], _TIME[database.product]
        names = {name: f"{quote}{name}{quote}" for name in (TABLE, "order", "user")}
        database.execute(
            f"CREATE TABLE {names[TABLE]} ({names['order']} varchar(40) PRIMARY KEY, {names['user']} varchar(200), "
            f"note text, amount integer NOT NULL CHECK (amount >= 0), changed {time})"
        )
        columns = [sa.column(name) for name in ("order", "user", "note", "amount", "changed")]
        self._table = sa.table(TABLE, *columns)

    def fill(self, rows: Sequence[Row]) -> None:
        with self._database.engine.begin() as connection:
            connection.execute(sa.delete(self._table))
            if rows:
                connection.execute(sa.insert(self._table), [self._stored(row) for row in rows])

    def change(self, key: str, **fields: Any) -> None:
        row = Row(**{**self.rows()[key], **fields})
        with self._database.engine.begin() as connection:
            mine = self._table.c["order"] == key
            connection.execute(sa.update(self._table).where(mine).values(self._stored(row)))

    def rows(self) -> dict[str, Row]:
        with self._database.engine.connect() as connection:
            found = connection.execute(sa.select(self._table)).mappings().all()
        return {row["order"]: self.row_of(row) for row in found}

    def fail(self, fault: Fault, *, after_calls: int = 0) -> None:
        raise NotImplementedError("It speaks no HTTP.")

    def row_of(self, record: Any) -> Row:
        changed = record["changed"]
        moment = changed if isinstance(changed, datetime) else datetime.fromisoformat(changed or "2026-01-15T12:00:00Z")
        return Row(
            id=record["order"],
            name=record["user"],
            note=record["note"],
            amount=record["amount"],
            changed=moment if moment.tzinfo else moment.replace(tzinfo=UTC),
        )

    def payload_of(self, row: Row) -> dict[str, Any]:
        return {"order": row["id"], "user": row["name"], "note": row["note"], "amount": row["amount"]}

    def unfit_payload(self) -> dict[str, Any]:
        return {"order": "unfit", "user": "unfit", "note": "", "amount": -1}

    def source(self) -> Source:
        return open_source("sql", self._database.credentials, {}, Unlimited(), self.clock)

    def target(self) -> Target:
        options = {"push": {"actions": ["create", "update", "delete"]}}
        return open_target("sql", self._database.credentials, options, Unlimited(), self.clock)

    def request(self, **changes: Any) -> ReadRequest:
        return ReadRequest(TABLE, "order", **{"cursor_field": "changed", "page_records": 10, **changes})

    def push_request(self) -> PushRequest:
        return PushRequest(TABLE, "order")

    def _stored(self, row: Row) -> dict[str, Any]:
        moment = row["changed"].astimezone(UTC)
        is_text = self._database.product == "sqlite"
        changed: Any = moment.isoformat(timespec="microseconds") if is_text else moment
        if self._database.product == "mariadb":
            changed = moment.replace(tzinfo=None)
        return {**self.payload_of(row), "changed": changed}


@contextmanager
def open_spoke(variant: str, tmp_path: Path) -> Iterator[SqlSpoke]:
    with open_database(variant, tmp_path) as database:
        yield SqlSpoke(database)
