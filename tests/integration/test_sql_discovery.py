"""What `kwiksync connect sql` learns of a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kwiksync_ops.connectors.discovery import Discovery, FieldInfo
from kwiksync_ops.connectors.registry import open_discovery
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import ColumnType
from tests.support.sql_database import PRODUCTS, SqlDatabase, open_database


@pytest.fixture(params=PRODUCTS)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlDatabase]:
    with open_database(request.param, tmp_path) as found:
        time = {"sqlite": "datetime", "postgresql": "timestamptz", "mariadb": "datetime(6)"}[found.product]
        found.execute(
            "CREATE TABLE sites (site_id integer PRIMARY KEY, name varchar(80) NOT NULL)",
            f"""CREATE TABLE tickets (number varchar(20) PRIMARY KEY, site integer NOT NULL, hours decimal(6, 2),
            is_open boolean, note text, due date, changed {time}, FOREIGN KEY (site) REFERENCES sites (site_id))""",
            "CREATE VIEW open_tickets AS SELECT * FROM tickets",
            "INSERT INTO sites VALUES (1, 'Hamburg'), (2, 'Wien')",
        )
        yield found


@pytest.fixture
def discovery(database: SqlDatabase) -> Iterator[Discovery]:
    with closing(open_discovery("sql", database.credentials, {}, Unlimited(), ManualClock())) as found:
        yield found


def test_tables_and_views_are_listed(discovery: Discovery) -> None:
    names = [info.name for info in discovery.objects()]
    assert [name for name in names if "." not in name] == ["open_tickets", "sites", "tickets"]


def test_columns_come_with_types_keys_and_references(discovery: Discovery) -> None:
    fields = {field.name: field for field in discovery.fields("tickets", {})}
    number = FieldInfo("number", ColumnType.STRING, required=fields["number"].required, is_key=True)
    assert fields["number"] == number
    assert fields["site"] == FieldInfo("site", ColumnType.INTEGER, required=True, references="sites")
    assert [fields[name].type for name in ("hours", "is_open", "note", "due", "changed")] == [
        ColumnType.DECIMAL,
        ColumnType.BOOLEAN,
        ColumnType.TEXT,
        ColumnType.DATE,
        ColumnType.DATETIME,
    ]


def test_a_sample_is_the_first_records(discovery: Discovery) -> None:
    sample = discovery.sample("sites", 1, discovery.options("sites", {}))
    assert (sample.records, sample.is_complete) == ([{"site_id": 1, "name": "Hamburg"}], False)
    assert discovery.sample("tickets", 10, {}).is_complete


def test_a_query_is_sampled_too(discovery: Discovery) -> None:
    options = {"query": "SELECT name, site_id FROM sites"}
    assert [field.name for field in discovery.fields("places", options)] == ["name", "site_id"]
    assert len(discovery.sample("places", 5, options).records) == 2


def test_a_table_of_another_schema_carries_its_name(tmp_path: Path) -> None:
    with open_database("postgresql", tmp_path) as database:
        database.execute(
            "DROP SCHEMA IF EXISTS sales CASCADE", "CREATE SCHEMA sales", 'CREATE TABLE sales."a.b" (id int)'
        )
        with closing(open_discovery("sql", database.credentials, {}, Unlimited(), ManualClock())) as discovery:
            assert 'sales."a.b"' in [info.name for info in discovery.objects()]
            assert [field.name for field in discovery.fields('sales."a.b"', {})] == ["id"]
        database.execute("DROP SCHEMA sales CASCADE")
