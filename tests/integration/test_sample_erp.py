from __future__ import annotations

import signal
import socket
import ssl
import stat
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509

from tests.support.sample_erp import (
    CUSTOMER_KEY,
    DEMO,
    TOKEN,
    SampleErp,
    erp_command,
    make_certificates,
    running_sample_erp,
)

TABLES = {
    "locations": "location_id",
    "projects": "project_id",
    "tickets": "ticket_id",
    "tasks": "task_id",
    "assets": "asset_id",
    "deliverables": "deliverable_id",
}
BEFORE_THE_WAVE = "2016-03-24T18:30"
TIED_MINUTE = "24/3/2016 18:40"

Record = dict[str, Any]
Pages = Iterator[list[Record]]


@pytest.fixture(scope="module")
def running_erp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SampleErp]:
    with running_sample_erp(tmp_path_factory.mktemp("erp")) as erp:
        yield erp


@pytest.fixture
def erp(running_erp: SampleErp) -> SampleErp:
    """The running ERP, its clock set back to where every test begins."""
    running_erp.move_clock(now=BEFORE_THE_WAVE)
    return running_erp


def by_page_number(erp: SampleErp, **params: Any) -> Pages:
    answer, page = {"has_more": True}, 1
    while answer["has_more"]:
        answer = erp.get("/api/v1/locations", page=page, **params).json()
        page += 1
        yield answer["data"]


def by_offset(erp: SampleErp, **params: Any) -> Pages:
    answer, offset = {"has_more": True}, 0
    while answer["has_more"]:
        answer = erp.get("/api/v1/projects", offset=offset, **params).json()
        offset += len(answer["data"])
        yield answer["data"]


def by_keyset(table: str) -> Callable[..., Pages]:
    def pages(erp: SampleErp, **params: Any) -> Pages:
        answer: dict[str, Any] = {"has_more": True}
        position: dict[str, str] = {}
        while answer["has_more"]:
            answer = erp.get(f"/api/v1/{table}", **params, **position).json()
            last = answer["data"][-1]
            position = {"changed_after": last["updated_at"], "after_id": last[TABLES[table]]}
            yield answer["data"]

    return pages


def by_cursor(erp: SampleErp, **params: Any) -> Pages:
    answer: dict[str, Any] = {"next_cursor": None, "has_more": True}
    while answer["has_more"]:
        answer = erp.get("/api/v1/assets", cursor=answer["next_cursor"], **params).json()
        yield answer["data"]


def by_link_in_body(erp: SampleErp, **params: Any) -> Pages:
    answer = erp.get("/api/v1/deliverables", **params).json()
    yield answer["data"]
    while answer["links"]["next"]:
        answer = erp.session.get(answer["links"]["next"], timeout=30).json()
        yield answer["data"]


def by_link_header(erp: SampleErp, **params: Any) -> Pages:
    answer = erp.get("/api/v1/deliverables", **params)
    yield answer.json()["data"]
    while "next" in answer.links:
        answer = erp.session.get(answer.links["next"]["url"], timeout=30)
        yield answer.json()["data"]


STYLES = [
    pytest.param("locations", by_page_number, id="page-number"),
    pytest.param("projects", by_offset, id="offset"),
    pytest.param("tickets", by_keyset("tickets"), id="keyset-tickets"),
    pytest.param("tasks", by_keyset("tasks"), id="keyset-tasks"),
    pytest.param("assets", by_cursor, id="cursor"),
    pytest.param("deliverables", by_link_in_body, id="link-in-body"),
    pytest.param("deliverables", by_link_header, id="link-header"),
]


@pytest.mark.parametrize(("table", "pages"), STYLES)
@pytest.mark.parametrize("limit", [1000, 37])
def test_pages_of_every_style_hold_each_record_once(
    erp: SampleErp, table: str, pages: Callable[..., Pages], limit: int
) -> None:
    read = list(pages(erp, limit=limit))
    records = [record for page in read for record in page]
    assert all(len(page) == limit for page in read[:-1])
    assert 0 < len(read[-1]) <= limit
    assert _by_key(table, records) == _by_key(table, erp.truth(table))
    assert len(records) == len(erp.truth(table))


@pytest.mark.parametrize(("table", "pages"), STYLES)
def test_the_filter_by_change_time_holds_over_all_pages(
    erp: SampleErp, table: str, pages: Callable[..., Pages]
) -> None:
    since, until = datetime(2016, 3, 9, 11, 30, tzinfo=UTC), datetime(2016, 3, 24, 9, tzinfo=UTC)
    if table == "deliverables":
        since = datetime(2015, 1, 1, tzinfo=UTC)
    window = {"updated_since": since.isoformat(), "updated_until": until.isoformat()}
    records = [record for page in pages(erp, limit=20, **window) for record in page]
    expected = [record for record in erp.truth(table) if since <= _changed_at(record) <= until]
    assert len(expected) > 20
    assert len(records) == len(expected)
    assert _by_key(table, records) == _by_key(table, expected)


def test_a_full_read_takes_fewer_calls_than_a_minute_allows(erp: SampleErp) -> None:
    before = erp.get("/admin/calls").json()["calls"]
    for style in STYLES[:-1]:
        pages: Callable[..., Pages] = style.values[1]
        for _ in pages(erp, limit=1000):
            pass
    assert erp.get("/admin/calls").json()["calls"] - before <= 30


def test_hundreds_of_tickets_change_in_one_minute_and_the_keyset_loses_none_of_them(erp: SampleErp) -> None:
    assert erp.move_clock(advance_minutes=10)["tickets"] >= 400
    tied = [ticket for ticket in erp.truth("tickets") if ticket["updated_at"] == TIED_MINUTE]
    assert len(tied) >= 400
    read = [ticket for page in by_keyset("tickets")(erp, limit=100, updated_since=TIED_MINUTE) for ticket in page]
    assert [ticket["ticket_id"] for ticket in read] == sorted(ticket["ticket_id"] for ticket in tied)


def test_a_moment_without_an_id_reads_that_moment_too(erp: SampleErp) -> None:
    erp.move_clock(advance_minutes=10)
    assert len(erp.records("tickets", changed_after=TIED_MINUTE, limit=1000)) >= 400
    assert len(erp.records("tickets", changed_after="2016-03-24T18:40:00Z", limit=1000)) >= 400
    assert erp.records("tickets", changed_after=TIED_MINUTE, after_id="T-9999999", limit=1000) == []


def test_the_keyset_is_sorted_by_change_time_then_id(erp: SampleErp) -> None:
    read = [ticket for page in by_keyset("tickets")(erp, limit=1000) for ticket in page]
    positions = [(_changed_at(ticket), ticket["ticket_id"]) for ticket in read]
    assert positions == sorted(positions)


def test_records_that_change_between_two_pages_are_not_lost_by_the_keyset(erp: SampleErp) -> None:
    read: dict[str, Record] = {}
    for page in by_keyset("tickets")(erp, limit=500):
        read |= {ticket["ticket_id"]: ticket for ticket in page}
        if len(read) == 500:
            erp.move_clock(advance_minutes=10)
    assert read == _by_key("tickets", erp.truth("tickets"))


@pytest.mark.parametrize("table", TABLES)
def test_moving_the_clock_changes_exactly_the_records_that_say_so(erp: SampleErp, table: str) -> None:
    start = datetime(2016, 3, 22, 12, tzinfo=UTC)
    erp.move_clock(now=start.isoformat())
    before = _by_key(table, erp.truth(table))
    changed = erp.move_clock(advance_minutes=2 * 24 * 60)[table]
    after = _by_key(table, erp.truth(table))
    differing = {key for key, record in after.items() if before.get(key) != record}
    assert differing == {key for key, record in after.items() if _changed_at(record) > start}
    assert len(differing) == changed > 0
    assert before.keys() <= after.keys()


def test_a_ticket_shows_its_last_event_up_to_the_clock(erp: SampleErp) -> None:
    erp.move_clock(now="2016-03-05T12:48")
    assert "T-0002833" not in _by_key("tickets", erp.truth("tickets"))
    erp.move_clock(now="2016-03-05T12:49")
    opened = _by_key("tickets", erp.truth("tickets"))["T-0002833"]
    assert (opened["state"], opened["updated_at"], opened["closed_at"]) == ("New", "5/3/2016 12:49", "?")
    erp.move_clock(now="2016-03-24T18:59")
    closed = _by_key("tickets", erp.truth("tickets"))["T-0002833"]
    assert (closed["state"], closed["updated_at"], closed["closed_at"]) == (
        "Closed",
        "24/3/2016 18:59",
        "24/3/2016 18:59",
    )


@pytest.mark.parametrize(
    ("table", "field", "referred"),
    [
        ("tickets", "project_id", "projects"),
        ("tickets", "location_id", "locations"),
        ("tasks", "ticket_id", "tickets"),
        ("projects", "customer_id", "locations"),
        ("projects", "location_id", "locations"),
        ("assets", "location_id", "locations"),
        ("deliverables", "project_id", "projects"),
    ],
)
@pytest.mark.parametrize("now", ["2016-03-01T09:00", BEFORE_THE_WAVE, "2016-04-15T00:00"])
def test_references_lead_to_records_that_exist_and_are_sound(
    erp: SampleErp, table: str, field: str, referred: str, now: str
) -> None:
    erp.move_clock(now=now)
    faulty = {(fault["table"], fault["id"]) for fault in erp.faults()}
    sound = {key for key in _by_key(referred, erp.truth(referred)) if (referred, key) not in faulty}
    lost = [record[TABLES[table]] for record in erp.truth(table) if record[field] != "?" and record[field] not in sound]
    assert lost == [fault["id"] for fault in erp.faults() if (fault["table"], fault["field"]) == (table, field)]


def test_a_known_handful_of_records_is_faulty_and_the_clock_heals_one_and_spoils_another(erp: SampleErp) -> None:
    before = {(fault["table"], fault["id"]) for fault in erp.faults()}
    assert Counter(table for table, _ in before) == {
        "locations": 3,
        "projects": 1,
        "tickets": 3,
        "assets": 1,
        "deliverables": 1,
    }
    erp.move_clock(advance_minutes=60)
    after = {(fault["table"], fault["id"]) for fault in erp.faults()}
    assert before - after == {("tickets", "T-0003938")}
    assert after - before == {("tickets", "T-0004157")}
    for fault in erp.faults():
        record = _by_key(fault["table"], erp.truth(fault["table"]))[fault["id"]]
        assert record[fault["field"]] == fault["value"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-Customer-Key": None}, "ERR_001"),
        ({"X-Customer-Key": "wrong"}, "ERR_001"),
        ({"X-Customer-Key": CUSTOMER_KEY + "x"}, "ERR_001"),
        ({"X-Customer-Key": "w\xf6rong".encode("latin-1")}, "ERR_001"),
        ({"Authorization": None}, "ERR_003"),
        ({"Authorization": "Bearer wrong"}, "ERR_003"),
        ({"Authorization": f"Basic {TOKEN}"}, "ERR_003"),
    ],
)
@pytest.mark.parametrize("table", TABLES)
def test_a_caller_without_the_token_or_the_customer_key_is_refused(
    erp: SampleErp, table: str, headers: dict[str, str | None], code: str
) -> None:
    answer = erp.session.get(f"{erp.url}/api/v1/{table}", headers=headers, timeout=30)
    assert (answer.status_code, answer.json()["code"]) == (401, code)


def test_the_administration_needs_the_token(erp: SampleErp) -> None:
    refused = [
        erp.session.get(f"{erp.url}/admin/{path}", headers={"Authorization": "Bearer wrong"}, timeout=30).status_code
        for path in ("calls", "clock", "faults", "truth/tickets")
    ]
    moved = erp.session.post(
        f"{erp.url}/admin/clock", json={"advance_minutes": 10}, headers={"Authorization": None}, timeout=30
    )
    assert [*refused, moved.status_code] == [401] * 5
    assert erp.get("/admin/clock").json() == {"now": "2016-03-24T18:30:00Z"}


def test_answers_carry_the_erps_own_date_and_are_packed_on_request(erp: SampleErp) -> None:
    answer = erp.get("/api/v1/tickets", limit=1000)
    assert answer.headers["Date"] == "Thu, 24 Mar 2016 18:30:00 GMT"
    assert answer.json()["server_time"] == "2016-03-24T18:30:00Z"
    assert answer.headers["Content-Encoding"] == "gzip"
    plain = erp.session.get(f"{erp.url}/api/v1/tickets", headers={"Accept-Encoding": "identity"}, timeout=30)
    assert "Content-Encoding" not in plain.headers


def test_every_call_is_counted_refused_ones_too(erp: SampleErp) -> None:
    before = erp.get("/admin/calls").json()
    erp.records("tickets")
    erp.session.get(f"{erp.url}/api/v1/tickets", headers={"X-Customer-Key": "wrong"}, timeout=30)
    after = erp.get("/admin/calls").json()
    assert after["calls"] - before["calls"] == 2
    assert after["by_path"]["/api/v1/tickets"] - before["by_path"].get("/api/v1/tickets", 0) == 2
    assert after["busiest_60_s"] >= 2


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/api/v1/tickets?limit=1001", "limit"),
        ("/api/v1/tickets?limit=0", "limit"),
        ("/api/v1/tickets?updated_since=yesterday", "updated_since"),
        ("/api/v1/tickets?changed_after=31/2/2016+10:00", "changed_after"),
        ("/api/v1/tickets?updated_until=0001-01-01T00:00%2B14:00", "updated_until"),
        ("/api/v1/locations?page=0", "page"),
        ("/api/v1/projects?offset=-1", "offset"),
        ("/api/v1/assets?cursor=made-up", "position"),
        ("/api/v1/assets?cursor=WyIyMDE2LTAzLTA5Il0=", "position"),
        ("/api/v1/deliverables?position=%FF", "position"),
    ],
)
def test_a_parameter_that_can_not_be_read_is_named(erp: SampleErp, path: str, named: str) -> None:
    answer = erp.get(path)
    assert (answer.status_code, answer.json()["code"]) == (400, "BAD_PARAMETER")
    assert named in answer.json()["message"]


@pytest.mark.parametrize(
    "move", [{"advance_minutes": -1}, {"to": "x"}, {"now": "soon"}, {"now": "9999-12-31", "advance_minutes": 9999}]
)
def test_a_clock_move_that_makes_no_sense_moves_nothing(erp: SampleErp, move: dict[str, Any]) -> None:
    assert erp.session.post(f"{erp.url}/admin/clock", json=move, timeout=30).status_code == 400
    assert erp.get("/admin/clock").json() == {"now": "2016-03-24T18:30:00Z"}


def test_an_unknown_table_is_not_found(erp: SampleErp) -> None:
    assert erp.get("/api/v1/invoices").status_code == 404
    assert "locations, projects" in erp.get("/admin/truth/invoices").json()["message"]


def test_a_client_that_does_not_trust_the_authority_is_not_served(erp: SampleErp, ca_file: str) -> None:
    with requests.Session() as stranger:
        stranger.trust_env = False
        with pytest.raises(requests.exceptions.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get(f"{erp.url}/api/v1/tickets", verify=ca_file, timeout=30)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_without_a_word_while_a_caller_keeps_its_connection(tmp_path: Path, ending: signal.Signals) -> None:
    with running_sample_erp(tmp_path) as erp:
        erp.records("tickets")
        erp.process.send_signal(ending)
        assert erp.process.wait(timeout=30) in (0, -ending)
    assert (tmp_path / "erp.log").read_text(encoding="utf-8") == ""


def test_a_port_in_use_is_named_with_a_remedy(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = _start_and_fail(erp_command(tmp_path, "--port", str(port)))
    assert f"port {port}" in ended
    assert "--port" in ended


def test_a_missing_or_short_secret_is_named(tmp_path: Path) -> None:
    command = erp_command(tmp_path)
    (tmp_path / "customer-key").write_text("short", encoding="utf-8")
    assert "customer-key" in _start_and_fail(command)
    (tmp_path / "token").unlink()
    assert "token can't be read" in _start_and_fail(command)


def test_the_private_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    paths = make_certificates(tmp_path / "made")
    assert stat.S_IMODE(Path(paths["key"]).stat().st_mode) == 0o600


def test_certificates_are_kept_while_they_are_valid_and_replaced_when_spoiled(tmp_path: Path) -> None:
    first = _contents(make_certificates(tmp_path))
    assert _contents(make_certificates(tmp_path)) == first
    expired = _contents(make_certificates(tmp_path, "--expired"))
    assert x509.load_pem_x509_certificate(expired["certificate"]).not_valid_after_utc < datetime.now(UTC)
    assert _contents(make_certificates(tmp_path)) != expired
    (tmp_path / "server.pem").write_bytes(b"spoiled")
    renewed = make_certificates(tmp_path)
    context = ssl.create_default_context(cafile=renewed["authority"])
    context.load_cert_chain(renewed["certificate"], renewed["key"])


def test_the_committed_sample_is_under_two_megabytes() -> None:
    files = [path for path in (DEMO / "data").iterdir() if path.is_file()]
    assert len(files) == 5
    assert sum(path.stat().st_size for path in files) < 2_000_000


def _start_and_fail(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr
    return ended.stderr


def _contents(paths: dict[str, str]) -> dict[str, bytes]:
    return {name: Path(path).read_bytes() for name, path in paths.items()}


def _by_key(table: str, records: list[Record]) -> dict[str, Record]:
    return {record[TABLES[table]]: record for record in records}


def _changed_at(record: Record) -> datetime:
    if "changed_at" in record:
        return datetime.fromtimestamp(record["changed_at"], UTC)
    text = record["updated_at"]
    if "/" in text:
        return datetime.strptime(text, "%d/%m/%Y %H:%M").replace(tzinfo=UTC)
    return datetime.fromisoformat(text)
