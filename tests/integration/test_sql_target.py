"""Writing to real databases: what a receipt claims is what the table holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kwiksync_ops.connectors.registry import open_target
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Repeat, Target
from kwiksync_ops.errors import AuthenticationError, ConfigurationError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.sql_database import PRODUCTS, SqlDatabase, open_database

REQUEST = PushRequest("t", "id")
TABLE = "CREATE TABLE t (id varchar(20) PRIMARY KEY, name varchar(20), amount decimal(10, 2), CHECK (amount >= 0))"


@pytest.fixture(params=PRODUCTS)
def any_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlDatabase]:
    with open_database(request.param, tmp_path) as database:
        yield database


@pytest.fixture
def postgresql_db(tmp_path: Path) -> Iterator[SqlDatabase]:
    with open_database("postgresql", tmp_path) as database:
        yield database


@pytest.fixture
def sqlite_db(tmp_path: Path) -> Iterator[SqlDatabase]:
    with open_database("sqlite", tmp_path) as database:
        yield database


@contextmanager
def opened(database: SqlDatabase, *, timeouts: dict[str, int] | None = None, **push: Any) -> Iterator[Target]:
    options = {"push": push, "timeouts": timeouts or {}, "timezone": "Europe/Berlin"}
    with closing(open_target("sql", database.credentials, options, Unlimited(), ManualClock())) as target:
        yield target


def delivery(number: int, action: Action = Action.CREATE, etag: str | None = None, **payload: Any) -> Delivery:
    key = None if action == Action.CREATE else f"K{number}"
    return Delivery(f"d{number}", action, key, payload, f"key-{number}", etag, record_id=f"{number:032x}")


def create(number: int, **payload: Any) -> Delivery:
    return delivery(number, id=f"K{number}", **payload)


def push(database: SqlDatabase, *deliveries: Delivery, request: PushRequest = REQUEST, **options: Any) -> list[Receipt]:
    with opened(database, **options) as target:
        return target.push(request, deliveries)


def outcomes(receipts: Sequence[Receipt]) -> list[str]:
    return [receipt.outcome for receipt in receipts]


def test_creates_updates_and_deletes_are_told_as_they_are(any_db: SqlDatabase) -> None:
    any_db.execute(TABLE)
    created = push(any_db, create(1, name="one", amount=Decimal("1.10")), create(2, name="", amount=None))
    assert [(each.outcome, each.key) for each in created] == [("confirmed", "K1"), ("confirmed", "K2")]
    updates = [delivery(1, Action.UPDATE, name="uno"), delivery(3, Action.UPDATE, name="tres")]
    assert outcomes(push(any_db, *updates)) == ["confirmed", "gone"]
    assert any_db.rows("SELECT id, name, amount IS NULL FROM t ORDER BY id") == [("K1", "uno", False), ("K2", "", True)]
    assert outcomes(push(any_db, delivery(1, Action.DELETE), delivery(9, Action.DELETE))) == ["confirmed"] * 2
    assert any_db.rows("SELECT id FROM t") == [("K2",)]


def test_a_create_that_meets_its_row_changes_it_or_is_refused(any_db: SqlDatabase) -> None:
    any_db.execute(TABLE, "INSERT INTO t VALUES ('K1', 'theirs', 1)")
    (refused,) = push(any_db, create(1, name="ours"), existing="refuse")
    assert refused.outcome == Outcome.CONFLICT
    assert any_db.rows("SELECT name FROM t") == [("theirs",)]
    assert outcomes(push(any_db, create(1, name="ours"))) == ["confirmed"]
    assert any_db.rows("SELECT name FROM t") == [("ours",)]


def test_a_thousand_records_are_one_transaction_and_the_sick_ones_are_refused_alone(any_db: SqlDatabase) -> None:
    any_db.execute(TABLE)
    sick = {0: -1, 500: -1, 501: -1, 999: -1}
    deliveries = [create(number, name=f"n{number}", amount=sick.get(number, number)) for number in range(1000)]
    with opened(any_db) as target:
        receipts = target.push(REQUEST, deliveries)
        assert target.call_records(REQUEST, Action.CREATE) == 1000
        assert target.calls < 60
    refused = {number for number, receipt in enumerate(receipts) if receipt.outcome == Outcome.REFUSED}
    assert refused == set(sick)
    assert all(receipts[number].code == "ERR_008" and receipts[number].message for number in refused)
    assert any_db.rows("SELECT count(*) FROM t") == [(996,)]


def test_a_call_without_sick_records_is_few_statements(any_db: SqlDatabase) -> None:
    any_db.execute(TABLE)
    with opened(any_db) as target:
        target.push(REQUEST, [create(number, name="n", amount=number) for number in range(1000)])
        assert target.calls == 4  # connect, look and lock, insert, read back
        before = target.calls
        target.push(REQUEST, [delivery(number, Action.UPDATE, amount=number + 1) for number in range(1000)])
        assert target.calls - before == 4
    assert any_db.rows("SELECT sum(amount) FROM t") == [(500500,)]


def test_a_value_that_the_column_would_change_is_refused_and_undone(any_db: SqlDatabase) -> None:
    if any_db.product == "sqlite":
        any_db.execute(
            "CREATE TABLE t (id text PRIMARY KEY, name text, amount numeric)",
            "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET amount = round(amount, 2) WHERE id = new.id; END",
        )
    else:
        any_db.execute(TABLE)
    receipts = push(any_db, create(1, amount=Decimal("1.50")), create(2, amount=Decimal("1.005")), create(3, amount=2))
    assert outcomes(receipts) == ["confirmed", "refused", "confirmed"]
    assert "amount holds" in str(receipts[1].message)
    assert any_db.rows("SELECT id FROM t ORDER BY id") == [("K1",), ("K3",)]
    rounded = push(any_db, create(2, amount=Decimal("1.005")), confirm="rows")
    assert outcomes(rounded) == ["confirmed"]


def test_an_update_of_another_version_is_a_conflict_with_the_row_as_it_is(any_db: SqlDatabase) -> None:
    any_db.execute(
        "CREATE TABLE t (id varchar(20) PRIMARY KEY, name varchar(20), version integer)",
        "INSERT INTO t VALUES ('K1', 'a', 3), ('K2', 'b', 3)",
    )
    updates = [
        delivery(1, Action.UPDATE, "3", name="x", version=4),
        delivery(2, Action.UPDATE, "2", name="y", version=3),
    ]
    receipts = push(any_db, *updates, version_column="version")
    assert outcomes(receipts) == ["confirmed", "conflict"]
    assert [receipt.etag for receipt in receipts] == ["4", "3"]
    assert receipts[1].record == {"id": "K2", "name": "b", "version": 3}
    deletes = [delivery(1, Action.DELETE, "3"), delivery(2, Action.DELETE, "3")]
    assert outcomes(push(any_db, *deletes, version_column="version")) == ["conflict", "confirmed"]


def test_keys_that_the_database_makes_are_told_and_found_again_by_our_id(any_db: SqlDatabase) -> None:
    serial = {"sqlite": "integer", "postgresql": "serial", "mariadb": "integer AUTO_INCREMENT"}[any_db.product]
    any_db.execute(f"CREATE TABLE t (id {serial} PRIMARY KEY, name varchar(20), hub_id varchar(32) UNIQUE)")
    deliveries = [delivery(number, name=f"n{number}") for number in range(3)]
    receipts = push(any_db, *deliveries, correlation_column="hub_id")
    assert [(each.outcome, each.key) for each in receipts] == [("confirmed", str(number)) for number in (1, 2, 3)]
    with opened(any_db, correlation_column="hub_id", existing="refuse") as target:
        assert target.repeat(REQUEST) == Repeat.LOOK
        looked = target.look(REQUEST, [deliveries[1], delivery(7, name="n7")])
        assert [(each.outcome, each.key) for each in looked] == [("confirmed", "2"), ("unsent", None)]
        again = target.push(REQUEST, [replace(deliveries[1], payload={"name": "again"})])
    assert [(each.outcome, each.key) for each in again] == [("confirmed", "2")]
    assert any_db.rows("SELECT count(*), max(name) FROM t") == [(3, "n2")]


def test_without_our_id_a_made_key_is_told_once_and_not_found_again(any_db: SqlDatabase) -> None:
    serial = {"sqlite": "integer", "postgresql": "serial", "mariadb": "integer AUTO_INCREMENT"}[any_db.product]
    any_db.execute(f"CREATE TABLE t (id {serial} PRIMARY KEY, name varchar(20))")
    with opened(any_db) as target:
        receipts = target.push(REQUEST, [delivery(1, name="a"), delivery(2, name="b")])
        assert [receipt.key for receipt in receipts] == ["1", "2"]
        (looked,) = target.look(REQUEST, [delivery(1, name="a")])
        updated = target.push(REQUEST, [replace(delivery(1, Action.UPDATE, name="c"), key="1")])
        nonsense = target.push(REQUEST, [replace(delivery(1, Action.UPDATE, name="c"), key="one")])
    assert looked.outcome == Outcome.UNKNOWN
    assert "correlation_column" in str(looked.message)
    assert outcomes(updated) == ["confirmed"]
    assert outcomes(nonsense) == ["refused"]


def test_a_duplicate_of_another_unique_column_is_told_as_one(any_db: SqlDatabase) -> None:
    any_db.execute("CREATE TABLE t (id varchar(20) PRIMARY KEY, name varchar(20) UNIQUE)")
    receipts = push(any_db, create(1, name="a"), create(2, name="a"), create(3, name="b"))
    assert outcomes(receipts) == ["confirmed", "conflict", "confirmed"]
    assert receipts[1].code == "ERR_005"
    (renamed,) = push(any_db, delivery(3, Action.UPDATE, name="a"))
    assert (renamed.outcome, renamed.code) == (Outcome.REFUSED, "ERR_005")


def test_records_with_different_fields_go_out_together(any_db: SqlDatabase) -> None:
    any_db.execute(TABLE, "INSERT INTO t VALUES ('K1', 'a', 1), ('K2', 'b', 2), ('K3', 'c', 3)")
    updates = [
        delivery(1, Action.UPDATE, name="x"),
        delivery(2, Action.UPDATE, amount=9),
        delivery(3, Action.UPDATE, amount=8, name="z"),
    ]
    assert outcomes(push(any_db, *updates)) == ["confirmed"] * 3
    rows = [(id_, name, int(amount)) for id_, name, amount in any_db.rows("SELECT * FROM t ORDER BY id")]
    assert rows == [("K1", "x", 1), ("K2", "b", 9), ("K3", "z", 8)]


def test_names_with_blanks_percent_signs_and_reserved_words_are_written(any_db: SqlDatabase) -> None:
    quote = "`" if any_db.product == "mariadb" else '"'
    names = [f"{quote}{name}{quote}" for name in ("select", "from %s", "group by", "ü:name")]
    any_db.execute(
        f"CREATE TABLE {names[0]} ({names[1]} varchar(20) PRIMARY KEY, {names[2]} varchar(20), {names[3]} varchar(20))"
    )
    request = PushRequest("select", "from %s")
    payload = {"from %s": "K1", "group by": "a", "ü:name": "b"}
    assert outcomes(push(any_db, delivery(1, **payload), request=request)) == ["confirmed"]
    changed = delivery(1, Action.UPDATE, **{"group by": "c", "ü:name": "d"})
    assert outcomes(push(any_db, changed, request=request)) == ["confirmed"]
    assert any_db.rows(f"SELECT * FROM {names[0]}") == [("K1", "c", "d")]  # noqa: S608  # of this test's own


def test_every_type_of_postgresql_is_written_exactly(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        """CREATE TABLE t (id uuid PRIMARY KEY, n numeric, f float8, b bytea, j jsonb, ts timestamp, tz timestamptz,
        d date, a text[], ok boolean, small smallint, c char(5), m text)"""
    )
    payload = {
        "id": "00000000-0000-0000-0000-000000000001",
        "n": Decimal("12345678901234567890.123456789"),
        "f": Decimal("0.1"),
        "b": "AP8=",
        "j": {"price": Decimal("1.10"), "list": [1, None]},
        "ts": "2026-07-15T12:00:00.123456+00:00",
        "tz": "2026-07-15T12:00:00.123456",
        "d": "2026-07-15",
        "a": ["x", None, "z"],
        "ok": True,
        "small": 7,
        "c": "ab",
        "m": 12,
    }
    (receipt,) = push(postgresql_db, delivery(1, **payload))
    assert (receipt.outcome, receipt.message) == (Outcome.CONFIRMED, None)
    row = "SELECT ts::text, (tz AT TIME ZONE 'UTC')::text, j::text, n::text, m FROM t"
    assert postgresql_db.rows(row) == [
        (
            "2026-07-15 14:00:00.123456",
            "2026-07-15 10:00:00.123456",
            '{"list": [1, null], "price": 1.10}',
            "12345678901234567890.123456789",
            "12",
        )
    ]


@pytest.mark.parametrize(
    ("payload", "told"),
    [({"d": "31.2.2026"}, "date"), ({"d": "2026-07-15T10:00:00"}, "d holds"), ({"n": "many"}, "numeric")],
)
def test_a_value_that_is_none_of_its_column_is_refused(
    postgresql_db: SqlDatabase, payload: dict[str, Any], told: str
) -> None:
    postgresql_db.execute("CREATE TABLE t (id text PRIMARY KEY, d date, n numeric)")
    receipts = push(postgresql_db, create(1, **payload), create(2))
    assert outcomes(receipts) == ["refused", "confirmed"]
    assert told in str(receipts[0].message)


def test_a_field_that_the_table_has_not_fails_the_call(any_db: SqlDatabase) -> None:
    any_db.execute(TABLE)
    with pytest.raises(ConfigurationError, match=r"no column 'nane'.*Did you mean 'name'"):
        push(any_db, create(1, nane="x"))
    assert any_db.rows("SELECT * FROM t") == []


def test_a_key_without_a_unique_index_is_not_written_by(any_db: SqlDatabase) -> None:
    any_db.execute("CREATE TABLE t (id varchar(20), other varchar(20), UNIQUE (id, other))")
    with pytest.raises(ConfigurationError, match="unique index"):
        push(any_db, create(1))


def test_a_user_who_may_not_write_is_told(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        TABLE, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN", "GRANT USAGE ON SCHEMA public TO reader",
        "GRANT SELECT ON t TO reader",
    )  # fmt: skip
    who = replace(postgresql_db.credentials, login="reader")
    with pytest.raises(AuthenticationError):
        push(replace(postgresql_db, credentials=who), create(1))


def test_a_row_that_another_holds_is_unsent_and_not_waited_for_long(any_db: SqlDatabase) -> None:
    any_db.execute(TABLE, "INSERT INTO t VALUES ('K1', 'a', 1)")
    with any_db.engine.connect() as other:
        if any_db.product == "sqlite":
            other.exec_driver_sql("BEGIN IMMEDIATE")
        other.exec_driver_sql("UPDATE t SET name = 'theirs'")
        (receipt,) = push(any_db, delivery(1, Action.UPDATE, name="ours"), timeouts={"lock_s": 1})
        other.rollback()
    assert receipt.outcome == Outcome.UNSENT
    assert any_db.rows("SELECT name FROM t") == [("a",)]


def at_commit(action: Callable[[Any], None]) -> Callable[[sa.Connection], None]:
    """Does something to the driver's connection as SQLAlchemy is about to commit, once."""

    def listener(connection: sa.Connection) -> None:
        if connection.dialect.driver == "psycopg" and not connection.info.get("kwiksync_test"):
            connection.info["kwiksync_test"] = True
            action(connection.connection.dbapi_connection)

    return listener


def commit_and_break(raw: Any) -> None:
    raw.commit()
    raw.close()


@pytest.mark.parametrize(
    ("action", "outcome", "count"),
    [(lambda raw: raw.close(), Outcome.UNSENT, 0), (commit_and_break, Outcome.CONFIRMED, 1)],
    ids=["before", "after"],
)
def test_a_connection_that_is_lost_at_the_commit_is_unknown_until_it_was_looked_at(
    postgresql_db: SqlDatabase, action: Callable[[Any], None], outcome: Outcome, count: int
) -> None:
    postgresql_db.execute(TABLE)
    with opened(postgresql_db) as target:
        listener = at_commit(action)
        sa.event.listen(sa.Engine, "commit", listener)
        try:
            (receipt,) = target.push(REQUEST, [create(1, name="one")])
        finally:
            sa.event.remove(sa.Engine, "commit", listener)
        assert receipt.outcome == Outcome.UNKNOWN
        assert postgresql_db.rows("SELECT count(*) FROM t") == [(count,)]
        (looked,) = target.look(REQUEST, [create(1, name="one")])
        assert looked.outcome == outcome
        if looked.outcome == Outcome.UNSENT:
            assert outcomes(target.push(REQUEST, [create(1, name="one")])) == ["confirmed"]
    assert postgresql_db.rows("SELECT count(*) FROM t") == [(1,)]


def test_a_deferred_constraint_refuses_its_record_alone(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        "CREATE TABLE p (id text PRIMARY KEY)",
        "INSERT INTO p VALUES ('x')",
        "CREATE TABLE t (id text PRIMARY KEY, p text REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    )
    assert outcomes(push(postgresql_db, create(1, p="x"), create(2, p="y"))) == ["confirmed", "refused"]


def test_a_database_that_is_away_is_unsent_and_looking_there_is_put_off(postgresql_db: SqlDatabase) -> None:
    away = replace(postgresql_db.credentials, base_url="postgresql://127.0.0.1:1/erp", allow_hosts=("127.0.0.1",))
    with opened(replace(postgresql_db, credentials=away)) as target:
        (receipt,) = target.push(REQUEST, [create(1)])
        assert (receipt.outcome, receipt.code) == (Outcome.UNSENT, "ERR_011")
        (looked,) = target.look(REQUEST, [create(1)])
        assert (looked.outcome, looked.retry_after_s) == (Outcome.UNKNOWN, 0.0)


def test_a_table_without_push_is_not_written(postgresql_db: SqlDatabase) -> None:
    with closing(open_target("sql", postgresql_db.credentials, {}, Unlimited(), ManualClock())) as target:
        with pytest.raises(ConfigurationError, match="not said how"):
            target.push(REQUEST, [create(1)])
        with pytest.raises(ConfigurationError, match="not said how"):
            target.sends(REQUEST, Action.CREATE)


def test_only_what_is_named_is_sent(postgresql_db: SqlDatabase) -> None:
    with opened(postgresql_db, actions=["update"], records=7) as target:
        assert [target.sends(REQUEST, action) for action in Action] == [False, True, False]
        assert target.sends_changes_only(REQUEST)
        assert target.call_records(REQUEST, Action.UPDATE) == 7


def test_a_key_is_found_as_the_database_compares_it(any_db: SqlDatabase) -> None:
    column = {
        "sqlite": "text COLLATE NOCASE",
        "postgresql": "char(5)",
        "mariadb": "varchar(5) COLLATE utf8mb4_general_ci",
    }
    any_db.execute(
        f"CREATE TABLE t (id {column[any_db.product]} PRIMARY KEY, name varchar(20))",
        "INSERT INTO t VALUES ('K1', 'old')",
    )
    key = "K1" if any_db.product == "postgresql" else "k1"
    assert outcomes(push(any_db, replace(delivery(1, Action.UPDATE, name="new"), key=key))) == ["confirmed"]
    assert any_db.rows("SELECT name FROM t") == [("new",)]


def test_a_row_that_the_database_takes_away_or_keeps_is_told(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        TABLE,
        "INSERT INTO t VALUES ('K1', 'a', 1)",
        "CREATE RULE swallow AS ON INSERT TO t DO INSTEAD NOTHING",
        "CREATE RULE keep AS ON DELETE TO t DO INSTEAD NOTHING",
    )
    (created,) = push(postgresql_db, create(2, name="b"))
    assert (created.outcome, "not there" in str(created.message)) == (Outcome.REFUSED, True)
    (deleted,) = push(postgresql_db, delivery(1, Action.DELETE))
    assert (deleted.outcome, "still there" in str(deleted.message)) == (Outcome.REFUSED, True)


def test_asked_once_more_a_delivery_is_read_back(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(TABLE, "INSERT INTO t VALUES ('K1', 'a', 1)")
    with opened(postgresql_db) as target:
        told = target.confirm(REQUEST, [create(1, name="a"), create(2, name="b")])
        assert target.check().startswith("PostgreSQL ")
    assert outcomes(told) == ["confirmed", "unknown"]


def test_a_database_that_fills_up_stops_the_call_as_a_whole(sqlite_db: SqlDatabase) -> None:
    sqlite_db.execute("CREATE TABLE t (id text PRIMARY KEY, name text)")
    full = create(2, name="x" * 2_000_000)
    with opened(sqlite_db) as target, limited():
        receipts = target.push(REQUEST, [create(1, name="a"), full])
    assert outcomes(receipts) == ["unsent", "unsent"]
    assert sqlite_db.rows("SELECT * FROM t") == []


@contextmanager
def limited() -> Iterator[None]:
    """Connections that are made meanwhile let the database grow no further than 20 pages."""

    def limit(connection: Any, _: object) -> None:
        connection.execute("PRAGMA max_page_count = 20")

    sa.event.listen(sa.Engine, "connect", limit)
    try:
        yield
    finally:
        sa.event.remove(sa.Engine, "connect", limit)
