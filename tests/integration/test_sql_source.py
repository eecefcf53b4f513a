"""Reading real databases: exact values, strange names, faults, and memory that does not grow."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import trustme

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionLostError,
    ConnectionTimeoutError,
    InsecureTransportError,
    KwikSyncError,
    SystemUnavailableError,
)
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from tests.support.mariadb import HAS_MARIADB
from tests.support.sql_database import PRODUCTS, SqlDatabase, open_database
from tests.support.tls_postgresql import HAS_TLS_POSTGRESQL, running_tls_postgresql
from tests.support.tls_postgresql import PASSWORD as TLS_PASSWORD

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def postgresql_db(tmp_path: Path) -> Iterator[SqlDatabase]:
    with open_database("postgresql", tmp_path) as database:
        yield database


@pytest.fixture
def sqlite_db(tmp_path: Path) -> Iterator[SqlDatabase]:
    with open_database("sqlite", tmp_path) as database:
        yield database


@pytest.fixture(params=PRODUCTS)
def any_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlDatabase]:
    with open_database(request.param, tmp_path) as database:
        yield database


def read(database: SqlDatabase, request: ReadRequest, limiter: Unlimited | None = None, **options: Any) -> list[Page]:
    limits = limiter or Unlimited()
    with closing(open_source("sql", database.credentials, options, limits, ManualClock())) as source:
        return list(source.read(request))


def records(pages: list[Page]) -> list[dict[str, Any]]:
    return [record for page in pages for record in page.records]


def test_every_type_of_postgresql_is_exact(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        """CREATE TABLE everything (id uuid PRIMARY KEY, n numeric, f float8, i bigint, t text, e text, b bytea,
        j jsonb, ts timestamp, tz timestamptz, d date, ti time, iv interval, a int[], at timestamptz[],
        ok boolean, m mood, c char(5), net inet, r int4range)""",
        """INSERT INTO everything VALUES ('00000000-0000-0000-0000-000000000001', 12345678901234567890.123456789, 0.1,
        9223372036854775807, 'Grüße', '', '\\x00ff', '{"price": 1.10, "big": 9007199254740993}',
        '2026-01-15 12:00:00.123456', '2026-01-15 14:00:00.5+02', '2026-01-15', '23:59:59.5', '1 day 2 hours',
        '{1,NULL,3}', '{2026-01-15 12:00:00+00}', true, 'bad', 'ab', '10.0.0.1', '[1,3)')""",
    )
    (record,) = records(read(postgresql_db, ReadRequest("everything", "id")))
    assert record == {
        "id": "00000000-0000-0000-0000-000000000001",
        "n": Decimal("12345678901234567890.123456789"),
        "f": Decimal("0.1"),
        "i": 9223372036854775807,
        "t": "Grüße",
        "e": "",
        "b": "AP8=",
        "j": {"price": Decimal("1.10"), "big": 9007199254740993},
        "ts": "2026-01-15T12:00:00.123456",
        "tz": "2026-01-15T12:00:00.5+00:00",
        "d": "2026-01-15",
        "ti": "23:59:59.5",
        "iv": "P1DT2H",
        "a": [1, None, 3],
        "at": ["2026-01-15 12:00:00+00"],
        "ok": True,
        "m": "bad",
        "c": "ab   ",
        "net": "10.0.0.1",
        "r": "[1,3)",
    }


def test_what_pythons_calendar_does_not_hold_stays_as_it_is(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        "CREATE TABLE t (id int PRIMARY KEY, at timestamptz, d date)",
        "INSERT INTO t VALUES (1, 'infinity', '10000-01-01'), (2, '0044-03-15 12:00:00+00 BC', '-infinity')",
    )
    assert [(each["at"], each["d"]) for each in records(read(postgresql_db, ReadRequest("t", "id")))] == [
        ("infinity", "10000-01-01"),
        ("0044-03-15 12:00:00+00 BC", "-infinity"),
    ]


if HAS_MARIADB:

    def test_every_type_of_mariadb_is_exact(tmp_path: Path) -> None:
        with open_database("mariadb", tmp_path) as database:
            database.execute(
                """CREATE TABLE everything (id bigint unsigned PRIMARY KEY, n decimal(38, 10), f double, t text, b blob,
                dt datetime(6), ts timestamp(6) NULL, d date, ti time(3), y year, bits bit(4), ok boolean,
                e enum('a', 'b'), j json)""",
                "SET SESSION sql_mode = ''",
                """INSERT INTO everything VALUES (9007199254740993, 1234567890123456789012345678.1234567890, 0.1,
                'Grüße', x'00ff', '2026-01-15 12:00:00.123456', '2026-01-15 12:00:00.5', '0000-00-00', '-30:00:00.5',
                2026, b'101', true, 'b', '{"a": 1}')""",
            )
            (record,) = records(read(database, ReadRequest("everything", "id")))
        assert record == {
            "id": 9007199254740993,
            "n": Decimal("1234567890123456789012345678.1234567890"),
            "f": Decimal("0.1"),
            "t": "Grüße",
            "b": "AP8=",
            "dt": "2026-01-15T12:00:00.123456",
            "ts": "2026-01-15T12:00:00.500000+00:00",
            "d": "0000-00-00",
            "ti": "-30:00:00.500",
            "y": 2026,
            "bits": 5,
            "ok": 1,
            "e": "b",
            "j": '{"a": 1}',
        }

    def test_mariadb_is_spoken_to_over_tls_with_a_certificate_of_the_named_authority_alone(tmp_path: Path) -> None:
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        with open_database("mariadb", tmp_path) as database:
            credentials = database.credentials
            database.execute("CREATE TABLE t (id int PRIMARY KEY, cipher text)")
            status = "information_schema.session_status WHERE variable_name = 'SSL_CIPHER'"
            query = f"SELECT 1 AS id, variable_value AS cipher FROM {status}"  # noqa: S608  # of this test's own
            (found,) = records(read(database, ReadRequest("t", "id"), query=query))
            assert found["cipher"].startswith("TLS")
            distrusted = replace(database, credentials=replace(credentials, ca_file=str(other)))
            with pytest.raises(SystemUnavailableError, match="certificate") as caught:
                read(distrusted, ReadRequest("t", "id"))
            assert "ca_file" in caught.value.remedy
            other_name = credentials.base_url.replace("localhost", "127.0.0.1")
            renamed = replace(credentials, base_url=other_name, allow_hosts=("127.0.0.1",))
            with pytest.raises(SystemUnavailableError, match="certificate"):
                read(replace(database, credentials=renamed), ReadRequest("t", "id"))


if HAS_TLS_POSTGRESQL:

    def test_postgresql_is_spoken_to_over_tls_with_a_certificate_of_the_named_authority_alone(tmp_path: Path) -> None:
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(str(other))
        query = "SELECT pid, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        request = ReadRequest("connection", "pid", options={"query": query})
        with running_tls_postgresql(trustme.CA()) as server:
            url = f"postgresql://localhost:{server.port}/postgres"
            who = Credentials(url, "postgres", TLS_PASSWORD, ca_file=server.ca_file, allow_hosts=("127.0.0.0/8", "::1"))
            (page,) = _source(who).read(request)
            assert page.records[0]["version"].startswith("TLSv1.")
            renamed = replace(who, base_url=url.replace("localhost", "127.0.0.1"))
            for wrong in (replace(who, ca_file=str(other)), renamed):
                with pytest.raises(SystemUnavailableError, match="certificate") as caught:
                    _source(wrong).check()
                assert "ca_file" in caught.value.remedy
            with pytest.raises(AuthenticationError):
                _source(replace(who, password="another-password")).check()
            with pytest.raises(AuthenticationError, match="no encryption"):
                _source(replace(who, ca_file=None)).check()


def test_a_read_that_is_left_early_ends_at_once(any_db: SqlDatabase) -> None:
    _numbers(any_db, 5_000)
    with closing(open_source("sql", any_db.credentials, {}, Unlimited(), ManualClock())) as source:
        pages = source.read(ReadRequest("t", "id", page_records=10))
        next(pages)
        pages.close()  # type: ignore[attr-defined]  # it is a generator
        assert len(records(list(source.read(ReadRequest("t", "id", page_records=1_000))))) == 5_000


def _numbers(database: SqlDatabase, count: int) -> None:
    """A table t of so many rows, four at each time."""
    time = {"sqlite": "text", "postgresql": "timestamptz", "mariadb": "timestamp(6) NULL"}[database.product]
    database.execute(f"CREATE TABLE t (id integer PRIMARY KEY, changed {time})")
    rows = [f"({number}, '{_stored(NOON + timedelta(seconds=number // 4))}')" for number in range(count)]
    database.execute(f"INSERT INTO t VALUES {', '.join(rows)}")  # noqa: S608  # of this test's own


def _stored(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.mark.parametrize("streaming", [True, False])
def test_both_ways_of_reading_bring_the_same(any_db: SqlDatabase, streaming: bool) -> None:
    _numbers(any_db, 95)
    request = ReadRequest("t", "id", "changed", page_records=10)
    limiter = Unlimited()
    pages = read(any_db, request, limiter, streaming=streaming)
    assert [record["id"] for record in records(pages)] == list(range(95))
    assert sum(page.calls for page in pages) == limiter.calls == (3 if streaming else 12)
    for page in pages:
        rest = read(any_db, replace(request, resume=json.loads(json.dumps(page.resume))), streaming=not streaming)
        assert [record["id"] for record in records(rest)] == list(range(min(95, page.number * 10), 95))


def test_a_window_is_read_as_it_was_asked_for_even_when_it_is_gone_on_with(any_db: SqlDatabase) -> None:
    _numbers(any_db, 95)
    since, until = NOON + timedelta(seconds=5), NOON + timedelta(seconds=10)
    request = ReadRequest("t", "id", "changed", page_records=10, since=Position(since), until=until)
    pages = read(any_db, request)
    assert [record["id"] for record in records(pages)] == list(range(20, 44))
    rest = read(any_db, replace(request, since=None, until=None, resume=pages[0].resume))
    assert [record["id"] for record in records(rest)] == list(range(30, 44))


def test_a_token_of_another_table_starts_the_read_again(sqlite_db: SqlDatabase) -> None:
    _numbers(sqlite_db, 20)
    pages = read(sqlite_db, ReadRequest("t", "id", page_records=10))
    with pytest.raises(ConfigurationError) as caught:
        read(sqlite_db, ReadRequest("t", "changed", page_records=10, resume=pages[0].resume))
    assert caught.value.facts["restart"] is True


def test_microseconds_part_pages(any_db: SqlDatabase) -> None:
    time = {"sqlite": "text", "postgresql": "timestamptz", "mariadb": "datetime(6)"}[any_db.product]
    any_db.execute(f"CREATE TABLE t (id varchar(10) PRIMARY KEY, changed {time})")
    moments = [NOON + timedelta(microseconds=number) for number in range(30)]
    rows = ", ".join(f"('{29 - number:02d}', '{_stored(moment)}')" for number, moment in enumerate(moments))
    any_db.execute(f"INSERT INTO t VALUES {rows}")  # noqa: S608  # of this test's own
    pages = read(any_db, ReadRequest("t", "id", "changed", page_records=7), streaming=False)
    assert [record["id"] for record in records(pages)] == [f"{number:02d}" for number in range(29, -1, -1)]
    if any_db.product != "sqlite":
        since = Position(moments[20], "09")
        assert len(records(read(any_db, ReadRequest("t", "id", "changed", since=since)))) == 9


def test_a_wall_time_is_read_in_the_zone_of_the_cursor(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        "CREATE TABLE t (id int PRIMARY KEY, changed timestamp)",
        "INSERT INTO t VALUES (1, '2026-01-15 12:59:59'), (2, '2026-01-15 13:00:00'), (3, '2026-01-15 13:00:01')",
    )
    request = ReadRequest("t", "id", "changed", cursor_timezone="Europe/Berlin", since=Position(NOON), until=NOON)
    assert records(read(postgresql_db, request)) == [{"id": 2, "changed": "2026-01-15T13:00:00"}]


def test_rows_without_a_time_or_a_key_come_last_and_only_with_the_whole_table(any_db: SqlDatabase) -> None:
    _numbers(any_db, 8)
    any_db.execute("INSERT INTO t VALUES (100, NULL), (101, NULL)")
    request = ReadRequest("t", "id", "changed", page_records=3)
    pages = read(any_db, request)
    assert [record["id"] for record in records(pages)][:8] == list(range(8))
    assert {record["id"] for record in records(pages)[8:]} == {100, 101}
    assert {record["id"] for record in records(read(any_db, replace(request, resume=pages[-2].resume)))} == {100, 101}
    assert records(read(any_db, replace(request, since=Position(NOON + timedelta(seconds=1))))) == records(pages)[4:8]


def test_a_query_is_read_like_a_table(any_db: SqlDatabase) -> None:
    _numbers(any_db, 40)
    query = "SELECT id, changed, 'it''s :not' AS said FROM t WHERE id < :below"
    request = ReadRequest("few", "id", "changed", page_records=10, since=Position(NOON + timedelta(seconds=2)))
    pages = read(any_db, request, query=query, params={"below": 25})
    assert [record["id"] for record in records(pages)] == list(range(8, 25))
    assert records(pages)[0]["said"] == "it's :not"


def test_a_query_with_a_column_twice_is_refused(postgresql_db: SqlDatabase) -> None:
    _numbers(postgresql_db, 1)
    with pytest.raises(ConfigurationError, match="two columns 'id'"):
        read(postgresql_db, ReadRequest("t", "id"), query="SELECT id, id FROM t")


def test_only_the_columns_that_are_wanted_are_read(any_db: SqlDatabase) -> None:
    any_db.execute("CREATE TABLE t (id integer PRIMARY KEY, a text, b text)", "INSERT INTO t VALUES (1, 'a', 'b')")
    assert records(read(any_db, ReadRequest("t", "id"), columns=["b"])) == [{"b": "b", "id": 1}]
    with pytest.raises(ConfigurationError, match="no column 'bee'"):
        read(any_db, ReadRequest("t", "id"), columns=["bee"])


def test_a_table_of_another_schema_is_read_and_a_wrong_name_is_told(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        'DROP SCHEMA IF EXISTS "my schema" CASCADE',
        'CREATE SCHEMA "my schema"',
        'CREATE TABLE "my schema"."a.b" (id int PRIMARY KEY)',
        'INSERT INTO "my schema"."a.b" VALUES (1)',
        'CREATE VIEW "my schema".seen AS SELECT * FROM "my schema"."a.b"',
    )
    assert records(read(postgresql_db, ReadRequest('"my schema"."a.b"', "id"))) == [{"id": 1}]
    assert records(read(postgresql_db, ReadRequest('"my schema".seen', "id"))) == [{"id": 1}]
    with pytest.raises(ConfigurationError, match=r"Did you mean 'seen'\?"):
        read(postgresql_db, ReadRequest("my schema.sean", "id"))


def test_text_that_is_not_unicode_rejects_its_row_alone(sqlite_db: SqlDatabase) -> None:
    sqlite_db.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, name)",
        "INSERT INTO t VALUES (1, 'good'), (2, CAST(x'ff41' AS TEXT)), (3, 9e999), (4, 'a' || char(0)), (5, 1.10)",
        "INSERT INTO t VALUES (6, x'00')",
    )
    (page,) = read(sqlite_db, ReadRequest("t", "id"))
    assert page.records == [{"id": 1, "name": "good"}, {"id": 5, "name": Decimal("1.1")}, {"id": 6, "name": "AA=="}]
    assert [(reject.code, reject.external_id, reject.field) for reject in page.rejects] == [
        ("ERR_008", "2", "name"),
        ("ERR_008", "3", "name"),
        ("ERR_008", "4", "name"),
    ]
    json.dumps(page.rejects[0].payload).encode()


def test_nothing_can_be_written_by_a_read(any_db: SqlDatabase) -> None:
    _numbers(any_db, 3)
    with closing(open_source("sql", any_db.credentials, {}, Unlimited(), ManualClock())) as source:
        session = source._database.session(source._database.own, "Trying")  # type: ignore[attr-defined]  # as a read
        with pytest.raises(KwikSyncError, match=r"(?i)read.?only"), session as opened:
            opened.connection.exec_driver_sql("DELETE FROM t")
    assert any_db.rows("SELECT count(*) FROM t") == [(3,)]


def test_a_query_that_would_write_does_not(postgresql_db: SqlDatabase) -> None:
    postgresql_db.execute(
        "CREATE TABLE t (id int)",
        "CREATE FUNCTION fill() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO t VALUES (1) RETURNING id'",
    )
    with pytest.raises(KwikSyncError, match="read-only"):
        read(postgresql_db, ReadRequest("t", "id"), query="SELECT fill() AS id")
    assert postgresql_db.rows("SELECT * FROM t") == []


def test_a_statement_that_takes_too_long_is_ended(postgresql_db: SqlDatabase) -> None:
    with pytest.raises(ConnectionTimeoutError) as caught:
        read(postgresql_db, ReadRequest("t", "id"), query="SELECT 1 AS id, pg_sleep(60)", timeouts={"statement_s": 1})
    assert caught.value.code == "ERR_002"


def test_a_statement_of_sqlite_that_takes_too_long_is_ended(sqlite_db: SqlDatabase) -> None:
    endless = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n) SELECT max(id) AS id FROM n"
    with pytest.raises(ConnectionTimeoutError):
        read(sqlite_db, ReadRequest("t", "id"), query=endless, timeouts={"statement_s": 1})


def test_a_connection_that_is_lost_in_a_read_leaves_the_pages_before_it(postgresql_db: SqlDatabase) -> None:
    _numbers(postgresql_db, 3_000)
    request = ReadRequest("t", "id", "changed", page_records=1_000)
    with closing(open_source("sql", postgresql_db.credentials, {}, Unlimited(), ManualClock())) as source:
        pages = source.read(request)
        first = next(pages)
        postgresql_db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kwiksync'"
        )
        with pytest.raises(ConnectionLostError):
            list(pages)
    rest = read(postgresql_db, replace(request, resume=first.resume))
    assert [record["id"] for record in [*first.records, *records(rest)]] == list(range(3_000))


@pytest.mark.parametrize("product", [name for name in PRODUCTS if name != "sqlite"])
def test_wrong_credentials_are_told_without_them(product: str, tmp_path: Path) -> None:
    with open_database(product, tmp_path) as database:
        who = replace(database.credentials, login="nobody", password="canary-4f1d8c9b")
        with pytest.raises(AuthenticationError) as caught:
            read(replace(database, credentials=who), ReadRequest("t", "id"))
    assert "canary" not in str(caught.value)
    assert "canary" not in repr(caught.value.__cause__)


def test_a_database_on_this_machine_needs_to_be_allowed(postgresql_db: SqlDatabase) -> None:
    barred = replace(postgresql_db, credentials=replace(postgresql_db.credentials, allow_hosts=()))
    with pytest.raises(InsecureTransportError, match="allow_hosts"):
        read(barred, ReadRequest("t", "id"))
    assert read_allowed(barred) == []


def read_allowed(database: SqlDatabase) -> list[dict[str, Any]]:
    database.execute("CREATE TABLE t (id int PRIMARY KEY)")
    return records(read(database, ReadRequest("t", "id"), allow_hosts=["localhost"]))


def test_a_check_names_product_and_tables(any_db: SqlDatabase) -> None:
    _numbers(any_db, 1)
    with closing(open_source("sql", any_db.credentials, {}, Unlimited(), ManualClock())) as source:
        said = source.check()
    assert {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}[any_db.product] in said
    assert said.endswith("can be seen: t.")


def test_a_file_that_is_missing_or_no_database_is_told(tmp_path: Path) -> None:
    missing = Credentials(f"sqlite:///{tmp_path / 'no.db'}")
    with pytest.raises(ConfigurationError, match="There is no file"), closing(_source(missing)) as source:
        source.check()
    (tmp_path / "text.db").write_text("This is a text of more than a hundred characters, no database. " * 3)
    with pytest.raises(SystemUnavailableError, match="not a database"):
        _source(Credentials(f"sqlite:///{tmp_path / 'text.db'}")).check()


def _source(credentials: Credentials) -> Any:
    return open_source("sql", credentials, {}, Unlimited(), ManualClock())


def test_a_database_that_is_not_there_is_retried_later() -> None:
    nobody = Credentials("postgresql://127.0.0.1:1/erp", login="x", allow_hosts=("127.0.0.1",))
    with pytest.raises(SystemUnavailableError, match="Connecting"):
        _source(nobody).check()


def tds_prelogin(*, encryption: int) -> bytes:
    """What SQL Server answers first (MS-TDS 2.2.6.5): its version, and what it says of encryption."""
    options = b"\x00" + struct.pack(">HH", 11, 6) + b"\x01" + struct.pack(">HH", 17, 1) + b"\xff"
    body = options + bytes([16, 0, 0, 0, 0, 0, encryption])
    return struct.pack(">BBHHBB", 4, 1, 8 + len(body), 0, 1, 0) + body


MYSQL_GREETING = b"".join(
    (b"\x0a8.0.0\0", bytes(4), b"12345678\0", struct.pack("<H", 0xF7FF), b"\x21\x02\0", bytes([0x8F, 0, 21]))
) + b"".join((bytes(10), b"123456789012\0", b"mysql_native_password\0"))
"""What a MySQL server says first, without the flag for TLS (CLIENT_SSL, 0x800)."""


@pytest.mark.parametrize(
    ("url", "greeting", "answer"),
    [
        ("postgresql", b"", b"N"),
        ("mariadb", struct.pack("<I", len(MYSQL_GREETING)) + MYSQL_GREETING, b""),
        ("mssql", b"", tds_prelogin(encryption=2)),
    ],
    ids=["postgresql", "mariadb", "mssql"],
)
def test_a_database_that_has_no_tls_gets_no_password(url: str, greeting: bytes, answer: bytes, ca_file: str) -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_talk, args=(server, greeting, answer, received))
        thread.start()
        who = Credentials(
            f"{url}://127.0.0.1:{server.getsockname()[1]}/erp",
            login="login-canary",
            password="a-password",
            ca_file=ca_file,
            allow_hosts=("127.0.0.1",),
        )
        with pytest.raises((InsecureTransportError, SystemUnavailableError)):
            _source(who).check()
        thread.join()
    assert b"login-canary" not in b"".join(received)
    assert "login-canary".encode("utf-16-le") not in b"".join(received)
    assert len(b"".join(received)) < 100


def _talk(server: socket.socket, greeting: bytes, answer: bytes, received: list[bytes]) -> None:
    """One connection: greet, hear, answer, and keep what comes then."""
    connection, _ = server.accept()
    with connection:
        connection.settimeout(10)
        connection.sendall(greeting)
        received.append(connection.recv(4096))
        connection.sendall(answer)
        with suppress(OSError):
            while data := connection.recv(4096):
                received.append(data)


MEASURE = """
import resource, sys
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
url, login, count = sys.argv[1:]
credentials = Credentials(url, login=login, allow_hosts=("localhost",))
source = open_source("sql", credentials, {}, Unlimited(), ManualClock())
query = f"SELECT g AS id, repeat('x', 200) AS text FROM generate_series(1, {count}) g"
request = ReadRequest("many", "id", page_records=1000, options={"query": query})
seen = peak = 0
for page in source.read(request):
    seen += len(page.records)
    if page.number == 5:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(seen, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak)
"""


def test_memory_is_flat_over_a_million_rows(postgresql_db: SqlDatabase) -> None:
    who = postgresql_db.credentials
    command = [sys.executable, "-c", MEASURE, who.base_url, str(who.login), "1000000"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=240)
    seen, grown_kb = map(int, done.stdout.split())
    assert seen == 1_000_000
    assert grown_kb < 10_000
