"""`connect` to databases, files, OData services and ServiceNow: what it finds is what was put there."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import trustme
import yaml

from tests.integration.cli.conftest import Cli, assert_fits
from tests.support.odata_server import ROOT, ODataServer, ODataService, Settings
from tests.support.postgresql import empty_database
from tests.support.servicenow import DEMO, PASSWORD, USER, Instance, start_instance

START = datetime(2026, 1, 5, 8, 30, 0, 123456, tzinfo=UTC)
STATES = ("open", "in progress", "on hold", "closed")

metadata = sa.MetaData()
SITES = sa.Table(
    "Sites",
    metadata,
    sa.Column("SiteID", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("Site Name", sa.String(80), nullable=False),
    sa.Column("City", sa.String(80)),
    sa.Column("PostalCode", sa.String(10)),
    sa.Column("CountryCode", sa.String(2)),
    sa.Column("Lat", sa.Float),
    sa.Column("LastModified", sa.DateTime(timezone=True), nullable=False),
)
ORDERS = sa.Table(
    "Work Orders",
    metadata,
    sa.Column("OrderNo", sa.String(20), primary_key=True),
    sa.Column("Subject", sa.String(200), nullable=False),
    sa.Column("Details", sa.Text),
    sa.Column("Status", sa.String(20)),
    sa.Column("Prio", sa.Integer),
    sa.Column("Plant", sa.Integer, sa.ForeignKey("Sites.SiteID")),
    sa.Column("Technician", sa.String(80)),
    sa.Column("Created", sa.DateTime),
    sa.Column("ModifiedAt", sa.DateTime(timezone=True), nullable=False),
)
CURRENCIES = sa.Table(
    "currencies", metadata, sa.Column("iso", sa.String(3), primary_key=True), sa.Column("rate", sa.Float)
)


def sites() -> list[dict[str, Any]]:
    names = ("SiteID", "Site Name", "City", "PostalCode", "CountryCode", "Lat", "LastModified")
    rows = [
        (at, f"Büro {at}", "Oslo", f"0{at:03d}", "NO", 59.5 + at / 8, START + timedelta(days=at)) for at in range(1, 30)
    ]
    return [dict(zip(names, row, strict=True)) for row in rows]


def orders() -> list[dict[str, Any]]:
    return [
        {
            "OrderNo": f"WO-{at:05d}",
            "Subject": "Lamp broken",
            "Details": f"The lamp in hall {at}. " * 9,
            "Status": STATES[at % 4],
            "Prio": at % 4 + 1,
            "Plant": at % 29 + 1,
            "Technician": "Ann",
            "Created": START.replace(tzinfo=None) + timedelta(hours=at),
            "ModifiedAt": START + timedelta(days=30, hours=at),
        }
        for at in range(80)
    ]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database that knows nothing of KWikSync."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'crm.db'}"
        return
    with empty_database(request.getfixturevalue("postgresql")) as url:
        yield url


@pytest.fixture
def filled(database: str) -> str:
    engine = sa.create_engine(database)
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(SITES.insert(), sites())
        connection.execute(ORDERS.insert(), orders())
    engine.dispose()
    return database


def name_connection(monkeypatch: pytest.MonkeyPatch, host: str, **fields: Any) -> None:
    extra = {"allow_hosts": ["localhost", "127.0.0.0/8"], **fields.pop("extra", {})}
    monkeypatch.setenv("AIRFLOW_CONN_KWIKSYNC_NEO", json.dumps({"host": host, "extra": extra, **fields}))


def connect_url(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """The connection of a database: its user and password are no part of the address."""
    parts = sa.make_url(url)
    bare = sa.URL.create(parts.drivername, host=parts.host, port=parts.port, database=parts.database, query=parts.query)
    host = bare.render_as_string(hide_password=False)
    name_connection(monkeypatch, host, login=parts.username, password=parts.password)


def connected(cli: Cli, kind: str, *more: str) -> dict[str, dict[str, Any]]:
    """What was proposed, by table; the files are applied and synced without a reject."""
    answer = cli.ok("connect", kind, "--name", "neo", "--json", "--calls-per-minute", "1000", *more)
    cli.ok("apply", "neo")
    cli.ok("sync", "neo")
    return {table["table"]: table for table in answer.json["tables"]}


def sources(table: dict[str, Any]) -> dict[str, str]:
    return {field["column"]: field["source"] for field in table["fields"]}


def system_file(cli: Cli) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((cli.include / "systems" / "neo.yaml").read_text())
    return spec


def test_a_database_is_connected_by_what_it_declares(
    applied: Cli, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_url(monkeypatch, filled)
    found = connected(applied, "sql")
    assert {table["object"] for table in found.values()} == {"Sites", "Work Orders"}
    orders = found["tickets"]
    assert (orders["key"]["field"], orders["cursor"]["field"]) == ("OrderNo", "ModifiedAt")
    assert (
        sources(orders).items()
        >= {
            "short_description": "Subject",
            "description": "Details",
            "state": "Status",
            "priority": "Prio",
            "location": "Plant",
            "assigned_to": "Technician",
            "opened_at": "Created",
        }.items()
    )
    plant = next(field for field in orders["fields"] if field["column"] == "location")
    assert "the system says that it refers to Sites" in plant["reason"]
    assert sources(found["locations"])["latitude"] == "Lat"
    assert system_file(applied)["limits"] == {"calls_per_minute": 1000}
    held = applied.ok("records", "tickets", "--where", "source_system=neo", "--json").json
    assert held["total"] == 80
    assert {record["state"] for record in held["records"]} <= {"1", "2", "3", "7"}


def held_by(cli: Cli, external_id: str) -> str:
    """The `sys_id` of a ticket that came from the system."""
    found = cli.ok("records", "tickets", "--where", f"external_id={external_id}", "--json").json["records"]
    return str(found[0]["sys_id"])


def rows_of(url: str) -> dict[str, dict[str, Any]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        rows = {row["OrderNo"]: dict(row) for row in connection.execute(sa.select(ORDERS)).mappings()}
    engine.dispose()
    return rows


def test_a_database_that_is_connected_both_ways_is_written_to(
    applied: Cli, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_url(monkeypatch, filled)
    found = connected(applied, "sql", "--direction", "both")
    way = found["tickets"]["outbound"]
    assert way["push"] == {"actions": ["create", "update"]}
    assert {field["field"]: (field["column"], field["transform"]) for field in way["fields"]} == {
        "OrderNo": ("number", "direct"),
        "Subject": ("short_description", "direct"),
        "Details": ("description", "direct"),
        "Status": ("state", "value_map"),
        "Prio": ("priority", "value_map"),
        "Plant": ("location", "lookup"),
        "Technician": ("assigned_to", "direct"),
        "Created": ("opened_at", "date_format"),
        "ModifiedAt": ("sys_updated_on", "direct"),
    }
    assert all(field["reason"] and 0.5 <= field["score"] <= 1 for field in way["fields"])
    status = next(field for field in way["fields"] if field["field"] == "Status")
    assert status["open_values"] == ["4", "6", "8"]
    before = rows_of(filled)
    sys_id = held_by(applied, "WO-00007")
    applied.ok("edit", "tickets", sys_id, "state=2", "priority=1", "description=Seen", "opened_at=2026-02-03 04:05:06")
    applied.ok("create", "tickets", "number=WO-90000", "short_description=Made in the hub", "state=1")
    applied.ok("sync", "neo", "--outbound")
    after = rows_of(filled)
    created = START.replace(tzinfo=None).replace(month=2, day=3, hour=4, minute=5, second=6, microsecond=0)
    changed = {"Status": "in progress", "Prio": 1, "Details": "Seen", "Created": created}
    assert after["WO-00007"] == {**before["WO-00007"], **changed}
    assert (after["WO-90000"]["Subject"], after["WO-90000"]["Status"]) == ("Made in the hub", "open")
    assert {key: row for key, row in after.items() if key not in ("WO-00007", "WO-90000")} == {
        key: row for key, row in before.items() if key != "WO-00007"
    }
    applied.ok("sync", "neo")
    applied.ok("sync", "neo", "--outbound")
    assert rows_of(filled) == after
    assert applied.ok("records", "tickets", "--json").json["total"] == 81


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_view_is_not_written_to(applied: Cli, filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = sa.create_engine(filled)
    with engine.begin() as connection:
        connection.execute(sa.text('CREATE VIEW open_tickets AS SELECT * FROM "Work Orders" WHERE "Prio" < 3'))
    engine.dispose()
    connect_url(monkeypatch, filled)
    words = ("connect", "sql", "--name", "neo", "--yes", "--direction", "both", "--key", "tickets=OrderNo")
    answer = applied(*words, "--object", "open_tickets")
    assert answer.code == 1
    assert "tickets is not written to: open_tickets has no rows of its own" in answer.out
    assert "No object of the system is written to" in answer.error
    assert not (applied.include / "systems" / "neo.yaml").exists()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_person_sees_what_is_sent_and_may_keep_us_from_writing(
    applied: Cli, filled: str, monkeypatch: pytest.MonkeyPatch, give: Callable[[str], None]
) -> None:
    connect_url(monkeypatch, filled)
    give("\n".join(["Work Orders", "y", "n"]) + "\n")
    answer = applied("connect", "sql", "--name", "neo", "--connection", "kwiksync_neo", "--direction", "both")
    assert answer.code == 1
    for said in ("tickets → Work Orders", "its words turned round", "no word is known for 4, 6, 8", "are created"):
        assert said in answer.out, said
    assert_fits(answer.out, ignore=("✓",))
    assert "No object of the system is written to" in answer.error
    assert not (applied.include / "systems" / "neo.yaml").exists()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_system_may_be_connected_to_be_written_to_only(
    applied: Cli, filled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_url(monkeypatch, filled)
    words = ("connect", "sql", "--name", "neo", "--yes", "--direction", "outbound", "--object", "Work Orders")
    applied.ok(*words)
    written = sorted(path.name for path in (applied.include / "mappings" / "neo").iterdir())
    assert written == ["tickets.outbound.json"]
    planned = applied.ok("plan", "neo", "--json").json["tables"]
    assert [(table["direction"], table["action"]) for table in planned] == [("outbound", "new")]


def test_a_query_is_connected_as_one_object(applied: Cli, filled: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connect_url(monkeypatch, filled)
    query = 'SELECT "OrderNo" AS number, "Subject" AS title FROM "Work Orders" WHERE "Prio" < 3'
    found = connected(applied, "sql", "--object", "urgent=tickets", "--option", f"tickets:query={json.dumps(query)}")
    assert sources(found["tickets"]) == {"external_id": "number", "number": "number", "short_description": "title"}
    assert applied.ok("records", "tickets", "--json").json["total"] == 40


def test_a_table_that_is_empty_is_connected_by_its_columns_alone(
    applied: Cli, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = sa.create_engine(database)
    metadata.create_all(engine)
    engine.dispose()
    connect_url(monkeypatch, database)
    found = connected(applied, "sql", "--object", "Work Orders")
    assert (found["tickets"]["sample"], found["tickets"]["key"]["field"]) == (0, "OrderNo")
    assert sources(found["tickets"])["short_description"] == "Subject"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--object", "Work Order"], "Did you mean 'Work Orders'"),
        (["--object", "currencies"], "like no KWikSync table"),
    ],
)
def test_a_table_that_can_not_be_used_is_named(
    applied: Cli, filled: str, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    connect_url(monkeypatch, filled)
    answer = applied("connect", "sql", "--name", "neo", "--yes", *words)
    assert answer.code == 1
    assert said.lower() in answer.error.lower()
    assert not (applied.include / "systems" / "neo.yaml").exists()


NOTES = sa.Table(
    "order notes",
    metadata,
    sa.Column("OrderNo", sa.String(20), nullable=False),
    sa.Column("line", sa.String(8), nullable=False),
    sa.Column("Remark", sa.String(200)),
    sa.Column("ChangedOn", sa.DateTime),
)


@pytest.fixture
def keyless(filled: str) -> str:
    """A table in which no column names a row alone."""
    engine = sa.create_engine(filled)
    rows = [
        {"OrderNo": f"WO-{at // 2:05d}", "line": str(at % 2), "Remark": "Seen", "ChangedOn": START.replace(tzinfo=None)}
        for at in range(20)
    ]
    with engine.begin() as connection:
        connection.execute(NOTES.insert(), rows)
    engine.dispose()
    return filled


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_table_without_a_key_is_refused_without_a_person(
    applied: Cli, keyless: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_url(monkeypatch, keyless)
    words = ("connect", "sql", "--name", "neo", "--yes", "--object", "order notes=kw_corp_ticket_tasks")
    answer = applied(*words)
    assert answer.code == 1
    assert "--key kw_corp_ticket_tasks=FIELD" in answer.error
    assert not (applied.include / "systems" / "neo.yaml").exists()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_person_is_asked_for_tables_keys_and_changes(
    applied: Cli, keyless: str, monkeypatch: pytest.MonkeyPatch, give: Callable[[str], None]
) -> None:
    connect_url(monkeypatch, keyless)
    answers = [
        *("currencies, 9", "order notes, currencies"),  # what to look at: one is not in the list
        *("nonsense", "kw_corp_ticket_tasks"),  # what the notes become
        "assets",  # what currencies become: they are empty, and declare a key
        *("name", "OrderNo"),  # their key: one is no field
        *("n", "cursor=Remark", "cursor=", "n", "work_notes=Remark", "n", "", "y"),  # their changes
        *("y", "y"),
    ]
    give("\n".join(answers) + "\n")
    answer = applied("connect", "sql", "--name", "neo", "--connection", "kwiksync_neo")
    assert answer.code in (0, 3), answer.err
    for said in ("no object '9'", "no KWikSync table 'nonsense'", "no field 'name'", "holds no dates"):
        assert said in answer.error, said
    tables = {table["table"]: table for table in system_file(applied)["tables"]}
    assert tables["kw_corp_ticket_tasks"] == {
        "table": "kw_corp_ticket_tasks",
        "source": "order notes",
        "key": "OrderNo",
    }
    rules = json.loads((applied.include / "mappings" / "neo" / "kw_corp_ticket_tasks.json").read_text())["fields"]
    assert {rule["target_field"]: rule["source_field"] for rule in rules}["work_notes"] == "Remark"


def test_a_database_that_refuses_or_is_away_is_named(
    applied: Cli, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect_url(monkeypatch, sa.make_url(postgresql).set(database="nowhere").render_as_string(hide_password=False))
    answer = applied("connect", "sql", "--name", "neo", "--yes")
    assert answer.code == 1
    assert "nowhere" in answer.error


@pytest.fixture
def instance(ca_file: str, certificate_authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    """A ServiceNow instance with the records of a small company."""
    monkeypatch.syspath_prepend(str(DEMO))
    from servicenow.sample import fill

    instance = Instance()
    fill(instance)
    with start_instance(certificate_authority, instance) as running:
        name_connection(monkeypatch, running.url, login=USER, password=PASSWORD, extra={"ca_file": ca_file})
        yield instance


def test_a_servicenow_instance_is_connected_by_its_dictionary(applied: Cli, instance: Instance) -> None:
    found = connected(
        applied, "servicenow", "--object", "incident", "--object", "cmn_location", "--object", "alm_asset"
    )
    assert {table["table"]: table["object"] for table in found.values()} == {
        "locations": "cmn_location",
        "tickets": "incident",
        "assets": "alm_asset",
    }
    assert {table["key"]["field"] for table in found.values()} == {"sys_id"}
    assert {table["cursor"]["field"] for table in found.values()} == {"sys_updated_on"}
    tickets = sources(found["tickets"])
    assert {name: tickets[name] for name in ("short_description", "state", "location")} == {
        "short_description": "short_description",
        "state": "state",
        "location": "location",
    }
    status = next(field for field in found["assets"]["fields"] if field["column"] == "status")
    assert status["config"]["mappings"]["1"] == "in_use"
    assert applied.ok("records", "tickets", "--json").json["total"] == len(instance.records.all("incident"))


def test_an_instance_that_is_connected_both_ways_is_written_to(applied: Cli, instance: Instance) -> None:
    found = connected(applied, "servicenow", "--object", "incident", "--direction", "both")
    way = found["tickets"]["outbound"]
    assert way["push"]["actions"] == ["create", "update"]
    assert not [field for field in way["fields"] if field["field"].startswith("sys_")]
    first = applied.ok("records", "tickets", "--json").json["records"][0]
    applied.ok("edit", "tickets", first["sys_id"], "short_description=Changed in the hub")
    applied.ok("sync", "neo", "--outbound")
    changed = [row for row in instance.records.all("incident") if row["short_description"] == "Changed in the hub"]
    assert [row["sys_id"] for row in changed] == [first["external_id"]]


def test_a_user_who_may_not_read_the_dictionary_connects_by_the_records(applied: Cli, instance: Instance) -> None:
    for table in ("sys_db_object", "sys_dictionary", "sys_choice"):
        instance.controls.deny_table(table)
    answer = applied("connect", "servicenow", "--name", "neo", "--yes")
    assert "has no list of its objects" in answer.error
    found = connected(applied, "servicenow", "--object", "incident", "--timezone", "Europe/Berlin")
    assert system_file(applied)["timezone"] == "Europe/Berlin"
    assert "timezone" not in system_file(applied)["tables"][0]["cursor"]
    assert sources(found["tickets"])["external_id"] == "sys_id"
    assert found["tickets"]["cursor"]["field"] == "sys_updated_on"


PLACES = [
    ["Standort-Nr", "Name", "Straße", "PLZ", "Ort", "Land", "Status", "Geändert am"],
    *(
        [
            f"S{at}",
            f"Büro {at}",
            f"Gasse {at}",
            f"0{at:04d}",
            "München",
            "Deutschland",
            "aktiv",
            f"{at + 1:02d}.03.2026 10:00",
        ]
        for at in range(30)
    ),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files as people have them."""
    from openpyxl import Workbook

    folder = tmp_path / "in"
    (folder / "export").mkdir(parents=True)
    text = "\n".join(";".join(row) for row in PLACES)
    for day in (1, 2):
        (folder / f"standorte_2026-03-0{day}.csv").write_bytes(text.encode("cp1252"))
    tickets = [
        {"id": at, "title": "Lamp", "state": "open", "site": f"S{at}", "opened_at": "2026-01-02T10:00:00Z"}
        for at in range(20)
    ]
    (folder / "export" / "tickets.json").write_text(json.dumps({"export": {"tickets": tickets}}))
    book = Workbook()
    assert book.active is not None
    for row in [
        ["Asset Tag", "Description", "Qty", "Site"],
        *([f"A{at}", f"Chair {at}", at, f"S{at}"] for at in range(20)),
    ]:
        book.active.append(row)
    book.save(folder / "inventory.xlsx")
    (folder / "notes.md").write_text("nothing to sync")
    name_connection(monkeypatch, folder.as_uri())
    return folder


def test_files_are_connected_as_they_are_written(applied: Cli, folder: Path) -> None:
    found = connected(applied, "files")
    assert {table["table"]: table["object"] for table in found.values()} == {
        "locations": "standorte_*.csv",
        "tickets": "export/tickets.json",
        "assets": "inventory.xlsx",
    }
    assert found["locations"]["options"] == {"encoding": "cp1252", "csv": {"delimiter": ";"}}
    assert found["locations"]["cursor"]["field"] == "Geändert am"
    assert sources(found["locations"])["city"] == "Ort"
    assert sources(found["assets"])["location"] == "Site"
    records = applied.ok("records", "locations", "--where", "source_system=neo", "--json").json
    assert records["total"] == 30
    assert {record["city"] for record in records["records"]} == {"München"}
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["export", "inventory.xlsx", "notes.md", "standorte_2026-03-01.csv", "standorte_2026-03-02.csv"]
    )


def test_a_folder_that_is_connected_both_ways_gets_files_of_what_changed(applied: Cli, folder: Path) -> None:
    found = connected(applied, "files", "--object", "standorte_*.csv", "--direction", "both")
    push = found["locations"]["outbound"]["push"]
    assert (push["file"], push["columns"][:2]) == ("standorte_{time}_{digest}.csv", ["action", "Standort-Nr"])
    first = applied.ok("records", "locations", "--where", "external_id=S4", "--json").json["records"][0]
    applied.ok("edit", "locations", first["sys_id"], "city=Köln")
    applied.ok("sync", "neo", "--outbound")
    (written,) = (folder / "out").iterdir()
    header, row = written.read_bytes().decode("cp1252").splitlines()
    told = dict(zip(header.split(";"), row.split(";"), strict=True))
    assert {name: told[name] for name in ("action", "Standort-Nr", "Ort")} == {
        "action": "update",
        "Standort-Nr": "S4",
        "Ort": "Köln",
    }


def test_a_pattern_without_a_file_is_named(applied: Cli, folder: Path) -> None:
    answer = applied("connect", "files", "--name", "neo", "--yes", "--object", "places_*.csv=locations")
    assert answer.code == 1
    assert "No file" in answer.error


def test_files_that_can_not_be_read_are_named_and_stay_where_they_are(applied: Cli, folder: Path) -> None:
    (folder / "sites.json").write_text("{broken")
    answer = applied("connect", "files", "--name", "neo", "--yes", "--object", "sites.json=locations")
    assert answer.code == 1
    assert "No record of sites.json can be read" in answer.error
    assert (folder / "sites.json").exists()
    others = applied("connect", "files", "--name", "neo", "--yes")
    assert "sites.json is left out" in others.out
    assert others.code == 0


@pytest.mark.parametrize("version", ["v2", "v4"])
def test_an_odata_service_is_connected_by_its_metadata(
    applied: Cli,
    ca_file: str,
    certificate_authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
) -> None:
    service = ODataService(version, Settings(page_cap=10))
    for at in range(25):
        row = {"ID": f"O'Neil/{at}", "name": "Lamp", "amount": Decimal("1.25"), "visits": at, "changedAt": START}
        service.put("Tickets", **row, note="The lamp is dark.", due=datetime(2026, 2, 1, tzinfo=UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate_authority.issue_cert("127.0.0.1").configure_cert(context)
    with closing(ODataServer(context, service)) as server:
        name_connection(monkeypatch, server.url(ROOT), login="u", password="a-token", extra={"ca_file": ca_file})
        found = connected(applied, "odata", "--object", "Tickets", "--direction", "both")
        first = applied.ok("records", "tickets", "--json").json["records"][0]
        applied.ok("edit", "tickets", first["sys_id"], "short_description=Changed in the hub")
        applied.ok("sync", "neo", "--outbound")
        changed = [key for key, entity in service.entities["Tickets"].items() if entity["name"] == "Changed in the hub"]
    assert changed == [(first["external_id"],)]
    assert found["tickets"]["outbound"]["push"]["actions"] == ["create", "update"]
    assert (found["tickets"]["key"]["field"], found["tickets"]["cursor"]["field"]) == ("ID", "changedAt")
    assert sources(found["tickets"]).items() >= {"short_description": "name", "due_date": "due"}.items()
    assert applied.ok("records", "tickets", "--json").json["total"] == 25
