"""`preview`: a mapping on sample records before it goes live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kwiksync_ops.storage.models import SYNC_LOG
from tests.integration.cli.conftest import Cli, assert_fits
from tests.support.inbound import rows_of

GOOD = {
    "location_id": "L1",
    "location_name": "Harbour",
    "country": "Andorra",
    "coordinates": "4230N 00131E",
    "status": "OPEN",
    "updated_at": "2026-01-01T00:00:00Z",
}


def written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_a_sample_file_is_mapped_by_the_mapping_of_the_files(applied: Cli, tmp_path: Path) -> None:
    sample = written(tmp_path / "sample.json", json.dumps([GOOD, {**GOOD, "location_id": "L2", "location_name": ""}]))
    answer = applied("preview", "erp", "locations", "--sample", sample)
    assert answer.code == 3
    assert "1 record would be taken, 1 rejected." in answer.out
    assert "ERR_006  name (from location_name) is required and has no value." in answer.out
    assert_fits(answer.out)
    document = applied("preview", "erp", "locations", "--sample", sample, "--json").json
    assert [record["key"] for record in document["records"]] == ["L1", "L2"]
    assert document["records"][0]["after"]["latitude"] == "42.500000"
    assert document["records"][1]["after"] is None
    assert applied.ok("records", "locations", "--json").json["total"] == 0


@pytest.mark.parametrize(
    "text",
    [json.dumps(GOOD), json.dumps({"data": [GOOD], "has_more": False}), f"{json.dumps(GOOD)}\n{json.dumps(GOOD)}\n"],
)
def test_a_sample_may_be_a_record_a_page_or_lines(applied: Cli, tmp_path: Path, text: str) -> None:
    sample = written(tmp_path / "sample.json", text)
    assert applied.ok("preview", "erp", "locations", "--sample", sample, "-n", "1", "--json").json["rejected"] == 0


@pytest.mark.parametrize(("text", "said"), [("[]", "no record"), ("{", "not JSON"), ("{}\n{\n", "line 2 is not JSON")])
def test_a_sample_that_is_none_says_why(applied: Cli, tmp_path: Path, text: str, said: str) -> None:
    answer = applied("preview", "erp", "locations", "--sample", written(tmp_path / "sample.json", text))
    assert answer.code == 1
    assert said in answer.error


def test_without_a_sample_the_system_is_asked_by_one_call(connected: Cli) -> None:
    answer = connected.ok("preview", "erp", "locations", "-n", "3", "--json")
    assert len(answer.json["records"]) == 3
    assert connected.ok("status", "--json").json["syncing"] is False
    hub = connected.open_hub()
    assert rows_of(hub, SYNC_LOG) == []
    hub.close()


def test_a_faulty_mapping_is_told_with_its_line(applied: Cli, tmp_path: Path) -> None:
    path = applied.include / "mappings" / "erp" / "locations.json"
    path.write_text(path.read_text().replace('"name"', '"nme"'))
    answer = applied("preview", "erp", "locations", "--sample", written(tmp_path / "sample.json", json.dumps(GOOD)))
    assert answer.code == 1
    assert "Did you mean 'name'?" in answer.error


def test_outbound_shows_what_the_system_would_get_of_the_hubs_records(applied: Cli) -> None:
    assert "no record of tickets" in applied("preview", "erp", "tickets", "--outbound").error
    applied.ok("create", "tickets", "short_description=Lamp", "state=2", "opened_at=2026-01-15T12:30:00Z")
    answer = applied.ok("preview", "erp", "tickets", "--outbound")
    assert "1 record would be sent, 0 rejected." in answer.out
    assert_fits(answer.out)
    (record,) = applied.ok("preview", "erp", "tickets", "--outbound", "--json").json["records"]
    assert record["key"] == record["before"]["sys_id"]
    assert record["before"]["state"] == "2"
    assert (record["after"]["description"], record["after"]["state"]) == ("Lamp", "Active")
    assert record["after"]["opened_at"] == "15/1/2026 12:30"
    assert record["after"]["due_at"] == "?"


def test_outbound_names_every_reason_why_a_record_can_not_go(applied: Cli) -> None:
    applied.ok("create", "tickets", "number=INC1", "state=99")
    answer = applied("preview", "erp", "tickets", "-o")
    assert answer.code == 3
    assert "0 records would be sent, 1 rejected." in answer.out
    for said in ("ERR_006  description", "ERR_004  state (from state)", "ERR_006  opened_at"):
        assert said in answer.out


def test_outbound_takes_no_sample_and_needs_a_file(applied: Cli, tmp_path: Path) -> None:
    sample = written(tmp_path / "sample.json", json.dumps([GOOD]))
    assert applied("preview", "erp", "tickets", "--outbound", "--sample", sample).code == 2
    missing = applied("preview", "erp", "locations", "--outbound")
    assert missing.code == 1
    assert "locations.outbound.json" in missing.error
