"""`sync`, `status`, `errors` and `records` on the sample ERP: a person's day at the terminal."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage import audit, error_log, lease
from kwiksync_ops.storage.error_log import ErrorEntry
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, CHECKPOINT, ERROR_LOG, SYNC_LEASE, SYNC_LOG
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import Direction
from tests.integration.cli.conftest import Cli, Connect, assert_fits
from tests.support.https_server import HttpsServer
from tests.support.inbound import hub_records, rows_of
from tests.support.sample_erp import SampleErp

LOCATIONS_FAULTY = {"CALLF", "DESLJ", "MERIJ"}


def open_errors(cli: Cli) -> list[dict[str, Any]]:
    errors: list[dict[str, Any]] = cli.ok("errors", "list", "--json").json["errors"]
    return errors


def accept_any_longitude(cli: Cli) -> None:
    path = cli.include / "mappings" / "erp" / "locations.json"
    document = json.loads(path.read_text())
    for rule in document["fields"]:
        if rule["target_field"] == "longitude":
            rule["validation"] = {}
    path.write_text(json.dumps(document))
    cli.ok("apply")


def test_a_sync_shows_its_counts_and_exits_with_3_where_records_were_rejected(connected: Cli) -> None:
    answer = connected("sync", "erp", "-t", "locations", "-t", "projects")
    assert answer.code == 3
    assert_fits(answer.out)
    lines = {line.split()[0]: line.split() for line in answer.out.splitlines() if line.strip()}
    assert lines["locations"][1:7] == ["partial", "1,493", "1,490", "0", "0", "3"]
    assert lines["projects"][1:4] == ["partial", "443", "442"]
    assert "tickets" not in lines
    assert "4 records rejected" in answer.out


def test_a_second_sync_reads_only_what_changed_and_exits_with_0(synced: Cli, running_erp: SampleErp) -> None:
    answer = synced.ok("sync", "erp", "-t", "locations", "--json")
    (table,) = answer.json["tables"]
    assert (table["status"], table["created"], table["updated"]) == ("success", 0, 0)
    assert table["api_calls"] == 1
    assert answer.json["errors"] == answer.json["skipped"] == []
    assert (table["trigger"], table["mode"], table["table"]) == ("cli", "incremental", "locations")


def test_a_window_reads_what_changed_in_it_and_leaves_the_watermark(synced: Cli, running_erp: SampleErp) -> None:
    hub = synced.open_hub()
    before = rows_of(hub, CHECKPOINT)[0]["watermark_at"]
    window = ("--from", "2016-03-24T00:00", "--to", "2016-03-24T10:00+01:00")
    synced("sync", "erp", "-t", "locations", "--mode", "full", *window)
    assert rows_of(hub, CHECKPOINT)[0]["watermark_at"] == before
    hub.close()


def test_a_preview_tells_what_would_happen_and_writes_no_record(connected: Cli) -> None:
    answer = connected("sync", "erp", "-t", "locations", "--mode", "preview")
    assert "would be created" in answer.out
    assert connected.ok("records", "locations", "--json").json["total"] == 0


def test_an_unknown_table_or_system_names_the_near_one(connected: Cli) -> None:
    assert "Did you mean 'tickets'?" in connected("sync", "erp", "-t", "ticket").error
    answer = connected("sync", "epr")
    assert (answer.code, "Did you mean 'erp'?" in answer.error) == (1, True)


@pytest.mark.parametrize(
    "words", [("--from", "soon"), ("--to", "2016-13-01"), ("--from", "2016-03-02", "--to", "2016-03-01")]
)
def test_a_window_that_is_none_is_a_usage_error(connected: Cli, words: tuple[str, ...]) -> None:
    assert connected("sync", "erp", *words).code == 2


def test_a_sync_without_a_connection_says_how_to_make_one(applied: Cli) -> None:
    answer = applied("sync", "erp")
    assert answer.code == 1
    assert "AIRFLOW_CONN_KWIKSYNC_ERP" in answer.error
    assert "airflow connections add kwiksync_erp" in answer.error


def test_a_wrong_token_fails_the_run_once_and_is_in_the_error_log(connected: Cli, connect: Connect) -> None:
    connect(password="wrong-token-0123456789")
    answer = connected("sync", "erp", "--json")
    assert answer.code == 1
    assert [error["code"] for error in answer.json["errors"]] == ["ERR_003"]
    assert len(answer.json["skipped"]) == 5
    assert "ERR_003" in answer.error
    assert [error["code"] for error in open_errors(connected)] == ["ERR_003"]
    assert "wrong-token" not in answer.out + answer.err


def test_a_system_that_is_down_fails_at_once_without_retries(
    connected: Cli, connect: Connect, https_server: Callable[..., HttpsServer]
) -> None:
    server = https_server()
    server.close()
    connect(host=server.url())
    answer = connected("sync", "erp", "-t", "locations", "--no-retry", "--json")
    assert answer.code == 1
    assert [error["code"] for error in answer.json["errors"]] == ["ERR_011"]
    assert answer.json["tables"][0]["status"] == "failed"


def test_a_failed_table_takes_along_those_that_refer_to_it_and_no_others(connected: Cli) -> None:
    path = connected.include / "systems" / "erp.yaml"
    path.write_text(path.read_text().replace("source: /api/v1/projects", "source: /api/v1/nothing-here"))
    answer = connected("sync", "erp", "-t", "locations", "-t", "projects", "-t", "deliverables", "--no-retry", "--json")
    assert answer.code == 1
    assert [error["table"] for error in answer.json["errors"]] == ["projects"]
    assert [skipped["table"] for skipped in answer.json["skipped"]] == ["deliverables"]
    assert {table["table"]: table["status"] for table in answer.json["tables"]} == {
        "locations": "partial",
        "projects": "failed",
    }


def test_while_another_sync_runs_it_is_refused_and_named(connected: Cli) -> None:
    hub = connected.open_hub()
    take_lease(hub, "the-other-run")
    answer = connected("sync", "erp", "-t", "locations")
    assert answer.code == 1
    assert "ERR_010" in answer.error
    assert "the-other-run" in answer.error
    assert "the-other-run" in connected.ok("status").out
    assert connected.ok("status", "--json").json["run_id"] == "the-other-run"
    assert rows_of(hub, SYNC_LOG) == []
    hub.close()


def test_the_lease_is_given_back_whatever_happened(synced: Cli, connect: Connect) -> None:
    connect(password="wrong-token-0123456789")
    synced("sync", "erp")
    hub = synced.open_hub()
    assert [row["run_id"] for row in rows_of(hub, SYNC_LEASE)] == [None]
    with hub.read() as connection:
        assert audit.verify(connection, hub.audit_keys) is None
    hub.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ended_by_a_signal_it_exits_with_130_and_is_cancelled_in_the_log(
    connected: Cli, connect: Connect, https_server: Callable[..., HttpsServer], number: int
) -> None:
    server = https_server()
    server.close()
    connect(host=server.url())
    command = [str(Path(sys.executable).with_name("kwiksync")), "sync", "erp", "-t", "locations"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "Trying again in 1 min" in line:
                break
        os.kill(process.pid, number)
        assert process.wait(30) == 130
        assert "Traceback" not in process.stderr.read()
    hub = connected.open_hub()
    assert [row["status"] for row in rows_of(hub, SYNC_LOG)] == ["cancelled"]
    with hub.read() as connection:
        held = lease.state(connection)
    assert held is not None
    assert not held.is_held
    hub.close()


def test_the_status_shows_each_table_with_its_last_sync(synced: Cli) -> None:
    answer = synced.ok("status", "--runs", "3")
    assert answer.out.startswith("Idle")
    assert "3 open errors" in answer.out
    assert "erp in " in answer.out
    assert_fits(answer.out)
    document = synced.ok("status", "--runs", "3", "--json").json
    tables = {table["table"]: table for table in document["tables"]}
    assert list(tables) == ["locations", "projects", "tickets", "kw_corp_ticket_tasks", "assets", "deliverables"]
    assert tables["locations"]["records"] == 1490
    assert tables["locations"]["last"][0]["status"] == "partial"
    assert tables["tickets"]["last"] == []
    assert len(document["runs"]) == 1
    assert sum(document["open_errors"].values()) == 3
    assert document["lease"] is None


def test_a_row_whose_process_is_gone_is_called_stalled(synced: Cli) -> None:
    hub = synced.open_hub()
    hub.write(lambda connection: connection.execute(SYNC_LOG.update().values(status="running", ended=None)))
    hub.close()
    assert "stalled" in synced.ok("status").out


def test_the_error_list_fits_and_filters(synced: Cli) -> None:
    assert_fits(synced.ok("errors", "list").out)
    assert {error["external_id"] for error in open_errors(synced)} == LOCATIONS_FAULTY
    by_code = synced.ok("errors", "list", "--code", "6", "--json").json["errors"]
    assert [error["external_id"] for error in by_code] == ["DESLJ"]
    assert synced.ok("errors", "list", "--table", "tickets", "--json").json["errors"] == []
    assert synced.ok("errors", "list", "-n", "2", "--json").json["more"] is True
    assert synced("errors", "list", "--check").code == 3


def test_an_error_is_shown_whole_by_the_first_digits_of_its_id(synced: Cli) -> None:
    (error,) = synced.ok("errors", "list", "--code", "ERR_006", "--json").json["errors"]
    shown = synced.ok("errors", "show", error["sys_id"][:8]).out
    assert "name (from location_name) is required" in shown
    assert '"location_id": "DESLJ"' in shown
    assert_fits(shown)
    assert synced("errors", "show", "no-such-id").code == 1
    assert "Did you mean 'tickets'?" in synced("errors", "list", "--table", "tickts").error
    assert "There is no error code" in synced("errors", "list", "--code", "ERR_777").error


def test_a_failed_sync_is_shown_with_its_trace_on_demand(connected: Cli, connect: Connect) -> None:
    connect(password="wrong-token-0123456789")
    connected("sync", "erp", "-t", "locations")
    (error,) = open_errors(connected)
    assert "Traceback" not in connected.ok("errors", "show", error["sys_id"]).out
    assert "Traceback" in connected.ok("errors", "show", error["sys_id"], "--trace").out
    replayed = connected("errors", "replay", error["sys_id"], "--json")
    assert (replayed.code, replayed.json["outcomes"][0]["outcome"]) == (3, "skipped")
    assert "sync again" in replayed.json["outcomes"][0]["message"]


def test_a_replay_takes_what_the_mapping_takes_now_and_keeps_the_rest_open(synced: Cli) -> None:
    accept_any_longitude(synced)
    answer = synced("errors", "replay", "--system", "erp")
    assert answer.code == 3
    assert "2 taken (2 created, 0 updated), 1 rejected again" in answer.out
    assert_fits(answer.out)
    assert [error["external_id"] for error in open_errors(synced)] == ["DESLJ"]
    hub = synced.open_hub()
    assert {"CALLF", "MERIJ"} <= hub_records(hub, "locations").keys()
    rows = {row["external_id"]: row for row in rows_of(hub, ERROR_LOG)}
    assert {key: row["resolution"] for key, row in rows.items()} == {
        "CALLF": "replayed",
        "MERIJ": "replayed",
        "DESLJ": "open",
    }
    assert rows["DESLJ"]["attempt"] == 2
    (run,) = [row for row in rows_of(hub, SYNC_LOG) if row["trigger"] == "replay"]
    assert (run["status"], run["processed"], run["created"], run["failed"]) == ("partial", 3, 2, 1)
    with hub.read() as connection:
        assert audit.verify(connection, hub.audit_keys) is None
    hub.close()


def test_a_replay_of_what_is_closed_changes_nothing(synced: Cli) -> None:
    accept_any_longitude(synced)
    ids = [error["sys_id"] for error in open_errors(synced) if error["external_id"] != "DESLJ"]
    assert synced.ok("errors", "replay", *ids, "--json").json["counts"]["created"] == 2
    again = synced("errors", "replay", *ids, "--json")
    assert again.code == 3
    assert {outcome["outcome"] for outcome in again.json["outcomes"]} == {"skipped"}
    assert again.json["run_ids"] == []


def test_a_replay_does_not_move_the_watermark_nor_undo_a_newer_version(synced: Cli) -> None:
    hub = synced.open_hub()
    before = rows_of(hub, CHECKPOINT)
    synced("errors", "replay", "--code", "8")
    after = rows_of(hub, CHECKPOINT)
    assert [row["watermark_at"] for row in after] == [row["watermark_at"] for row in before]
    hub.close()


def test_a_record_with_a_masked_field_is_not_replayed_as_its_mask(synced: Cli) -> None:
    hub = synced.open_hub()
    add_error(hub, '{"location_id": "L-1", "location_name": "[redacted]", "updated_at": "2016-03-01T00:00:00Z"}')
    add_error(hub, '{"location_id": "L-2", "location_na')
    answer = synced("errors", "replay", "--run", "a-run", "--json")
    messages = {outcome["message"] for outcome in answer.json["outcomes"]}
    assert {outcome["outcome"] for outcome in answer.json["outcomes"]} == {"skipped"}
    assert any("location_name was removed as a secret" in message for message in messages)
    assert any("payload was not kept whole" in message for message in messages)
    assert "L-1" not in hub_records(hub, "locations")
    hub.close()


def add_error(hub: Hub, payload: str) -> None:
    from datetime import UTC, datetime

    run = TableRun("a-run", "erp", Direction.INBOUND, "locations")
    entry = ErrorEntry("ERR_008", "made for this test", payload=payload)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    hub.write(lambda connection: error_log.append(connection, run, [entry], now=now))


def test_resolving_is_audited_and_done_once(synced: Cli) -> None:
    ids = [error["sys_id"] for error in open_errors(synced)]
    assert synced.ok("errors", "resolve", *ids[:2], "--note", "gone at the source", "--json").json["already"] == []
    assert synced.ok("errors", "resolve", ids[0], "--json").json == {"resolved": [], "already": [ids[0]]}
    assert len(open_errors(synced)) == 1
    hub = synced.open_hub()
    (row,) = [row for row in rows_of(hub, AUDIT) if row["action"] == "error.resolve"]
    assert "gone at the source" in row["details"]
    hub.close()


@pytest.mark.parametrize("words", [("replay",), ("resolve",), ("replay", "abc", "--system", "erp")])
def test_ids_or_a_filter_are_asked_for_and_not_both(applied: Cli, words: tuple[str, ...]) -> None:
    assert applied("errors", *words).code == 2


def test_records_are_filtered_by_their_own_fields(synced: Cli) -> None:
    answer = synced.ok(
        "records", "locations", "-w", "latitude>=60", "-w", "name~harbour", "-f", "name,latitude", "-n", "5"
    )
    assert_fits(answer.out)
    assert "5 of" in answer.out
    found = synced.ok("records", "x_kwr_kwiksync_locations", "-w", "external_id=NOUTH", "--json").json
    assert (found["total"], found["records"][0]["name"]) == (1, "Uthaug Harbour")
    without = synced.ok("records", "locations", "-w", "state=", "-n", "0", "--json").json
    assert without["total"] == len(without["records"]) > 0
    assert all(record["state"] is None for record in without["records"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tckets",), "Did you mean 'tickets'?"),
        (("locations", "-w", "nme=x"), "Did you mean 'name'?"),
        (("locations", "-f", "nme"), "Did you mean 'name'?"),
        (("locations", "-w", "name"), "is not a condition"),
        (("locations", "-w", "latitude=north"), "is not a number"),
        (("tickets", "-w", "opened_at>soon"), "is not a moment"),
        (("assets", "-w", "quantity~1"), "is not a text"),
        (("assets", "-w", "quantity>"), "lacks a value"),
        (("assets", "-w", "quantity=99999999999999999999"), "is not a whole number"),
    ],
)
def test_a_wrong_question_about_records_says_what_is_wrong(applied: Cli, words: tuple[str, ...], said: str) -> None:
    answer = applied("records", *words)
    assert answer.code == 1
    assert said in answer.error
    assert_fits(answer.err)


def test_a_value_is_bound_and_never_part_of_the_statement(synced: Cli) -> None:
    for value in ("x' OR '1'='1", "x; DROP TABLE x_kwr_kwiksync_locations", "%"):
        assert synced.ok("records", "locations", "-w", f"name={value}", "--json").json["total"] == 0
        assert synced.ok("records", "locations", "-w", f"name~{value}", "--json").json["total"] == 0


def test_a_csv_export_is_whole_and_fit_for_a_spreadsheet(synced: Cli) -> None:
    command = [str(Path(sys.executable).with_name("kwiksync")), "records", "locations", "--csv"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout.startswith(b"\xef\xbb\xbfsys_id,name,")
    assert done.stdout.count(b"\n") == done.stdout.count(b"\r\n")
    rows = list(csv.DictReader(io.StringIO(done.stdout.decode("utf-8-sig"), newline="")))
    assert len(rows) == 1490
    assert done.stderr == b"1,490 records written.\n"
    assert synced("records", "locations", "--csv", "--json").code == 2
    (row,) = synced.ok("audit", "show", "--action", "records.export", "--json").json["audit"]
    assert (row["object"], row["details"]["query"]) == ("locations", "")


def test_the_audit_trail_tells_on_which_machine_a_command_was_typed(
    synced: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = f"cli on {socket.gethostname()}"
    shown = synced.ok("audit", "show", "--json").json["audit"]
    exported = [json.loads(line) for line in synced.ok("audit", "export").out.splitlines()]
    assert {row["details"]["from"] for row in shown} == {here}
    assert {json.loads(row["details"])["from"] for row in exported} == {here}
    monkeypatch.setenv("COLUMNS", "200")
    assert here in synced.ok("audit", "show", "-n", "1").out
    assert audit.CALLED_FROM.get() is None
