"""A table of a database kept in step with a hub, both ways: its keys are made there, its versions are its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import configuration
from kwiksync_ops.storage import schema
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.system_spec.loader import load_system
from tests.support.sql_database import PRODUCTS, SqlDatabase, open_database
from tests.support.two_way_system import TwoWay, TwoWayApi

INBOUND = {"id": "external_id", "name": "name", "amount": "quantity", "note": "status"}
OUTBOUND = {"name": "name", "quantity": "amount", "status": "note"}
TABLES = {
    "sqlite": [
        """CREATE TABLE assets (id integer PRIMARY KEY, hub_id varchar(32) UNIQUE, name varchar(80), amount integer,
        note varchar(40), changed text NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')))""",
        """CREATE TRIGGER touch AFTER UPDATE ON assets WHEN new.changed = old.changed BEGIN
        UPDATE assets SET changed = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE id = new.id; END""",
    ],
    "postgresql": [
        """CREATE TABLE assets (id bigserial PRIMARY KEY, hub_id varchar(32) UNIQUE, name varchar(80), amount integer,
        note varchar(40), changed timestamptz NOT NULL DEFAULT clock_timestamp())""",
        """CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN new.changed := clock_timestamp(); RETURN new; END'""",
        "CREATE TRIGGER touch BEFORE UPDATE ON assets FOR EACH ROW EXECUTE FUNCTION touch()",
    ],
    "mariadb": [
        """CREATE TABLE assets (id bigint AUTO_INCREMENT PRIMARY KEY, hub_id varchar(32) UNIQUE, name varchar(80),
        amount integer, note varchar(40),
        changed timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6))"""
    ],
}


def write_system(include: Path) -> None:
    (include / "systems").mkdir(parents=True)
    (include / "mappings" / "erp").mkdir(parents=True)
    assets = {
        "table": "assets",
        "source": "assets",
        "key": "id",
        "cursor": {"field": "changed"},
        "deletes": {"mirror": True},
    }
    push = {"correlation_column": "hub_id", "version_column": "changed"}
    system = {"system": "erp", "kind": "sql", "connection": "none", "direction": "both", "sql": {"push": push}}
    (include / "systems" / "erp.yaml").write_text(json.dumps({**system, "tables": [assets]}))  # YAML reads JSON
    for name, fields in (("assets.json", INBOUND), ("assets.outbound.json", OUTBOUND)):
        rules = [
            {"source_field": source, "target_field": target, "transform": "direct"} for source, target in fields.items()
        ]
        mapping = {"source_table": "assets", "target_table": "assets", "fields": rules}
        (include / "mappings" / "erp" / name).write_text(json.dumps(mapping))


class Step:
    """A database, a hub, and the syncs between them."""

    def __init__(self, database: SqlDatabase, sync: TwoWay) -> None:
        self.database = database
        self.sync = sync

    def at_database(self) -> dict[str, Any]:
        return {
            name: (amount, note) for name, amount, note in self.database.rows("SELECT name, amount, note FROM assets")
        }

    def in_hub(self) -> dict[str, Any]:
        return {row["name"]: (row["quantity"], row["status"]) for row in self.sync.rows().values()}


@pytest.fixture(params=PRODUCTS)
def step(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Step]:
    write_system(tmp_path / "include")
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.db'}", audit_keys=("test-audit-key",))
    schema.upgrade(hub)
    configuration.apply(hub, tmp_path / "include", who="tester", clock=SystemClock())
    spec = load_system(tmp_path / "include" / "systems" / "erp.yaml", tmp_path / "include" / "mappings")
    with open_database(request.param, tmp_path) as database:
        database.execute(*TABLES[request.param])
        yield Step(database, TwoWay(hub, TwoWayApi(), spec, database.credentials, f"file://{tmp_path}/stage"))
    hub.close()


def test_database_and_hub_are_kept_in_step(step: Step) -> None:
    rows = ", ".join(f"('asset {number}', {number}, 'new')" for number in range(25))
    step.database.execute(f"INSERT INTO assets (name, amount, note) VALUES {rows}")  # noqa: S608  # of this test's own
    assert step.sync.pull().created == 25
    again = step.sync.pull()
    assert (again.created, again.updated) == (0, 0)

    for number in range(1, 4):
        step.sync.edit(step.sync.sys_id(str(number)), quantity=100 + number)
    step.sync.create("a" * 32, "b" * 32, quantity=7)
    step.sync.bury(step.sync.sys_id("25"))
    pushed = step.sync.push()
    assert (pushed.created, pushed.updated, pushed.deleted, pushed.failed) == (2, 3, 1, 0)
    assert step.at_database() == step.in_hub()
    assert len(step.at_database()) == 26

    echo = step.sync.pull()
    assert (echo.created, echo.updated, step.sync.push().updated) == (0, 0, 0)

    for number in range(1, 4):  # their versions are known since the push
        step.sync.edit(step.sync.sys_id(str(number)), quantity=200 + number)
    step.database.execute("UPDATE assets SET note = 'theirs' WHERE id = 2")
    assert step.sync.push().failed == 0
    step.sync.pull()
    step.sync.push()
    assert step.at_database() == step.in_hub()
    assert step.at_database()["asset 1"] == (202, "theirs")
    assert step.sync.errors() == []
