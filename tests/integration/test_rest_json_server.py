"""The example for json-server, against a real one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.source import Position
from kwiksync_ops.connectors.target import Outcome
from kwiksync_ops.errors import AuthenticationError
from tests.support.example_system import ExampleSystem
from tests.support.json_server import JsonServer, running_json_server

TOKEN = "json-server-token-1"


def ticket(number: int, **fields: Any) -> dict[str, Any]:
    changed = f"2026-01-15T12:00:{number:02d}Z"
    return {"id": f"t{number}", "title": f"Ticket {number}", "done": number % 2 == 0, "updatedAt": changed, **fields}


DATA = {
    "locations": [
        {"id": f"l{number}", "name": f"Yard {number}", "address": {"city": "Köln"}, "updatedAt": "2026-01-15T12:00:00Z"}
        for number in range(7)
    ],
    "tickets": [ticket(1, text=None, locationId="l1", dueOn="2026-02-01"), *map(ticket, range(2, 8))],
}


@pytest.fixture
def server(tmp_path: Path, certificate_authority: trustme.CA) -> Iterator[JsonServer]:
    with running_json_server(tmp_path, certificate_authority, DATA, TOKEN) as running:
        yield running


@pytest.fixture
def system(server: JsonServer, ca_file: str) -> ExampleSystem:
    credentials = Credentials(server.url, token=TOKEN, ca_file=ca_file, allow_hosts=("127.0.0.1",))
    return ExampleSystem("json_server", credentials)


def test_records_come_in_pages_and_nested_fields_are_found(system: ExampleSystem) -> None:
    assert [record["id"] for record in system.records("tickets")] == [f"t{number}" for number in range(1, 8)]
    assert system.rows("locations")["l3"] == {"name": "Yard 3", "city": "Köln"}
    assert system.rows("tickets")["t1"] == {
        "short_description": "Ticket 1",
        "state": "1",
        "location": "l1",
        "due_date": datetime(2026, 2, 1, tzinfo=UTC),
    }
    assert "200" in system.check()


def test_only_what_changed_is_asked_for(system: ExampleSystem) -> None:
    since = Position(datetime(2026, 1, 15, 12, 0, 6, tzinfo=UTC))
    assert list(system.rows("tickets", since)) == ["t6", "t7"]


def test_records_are_created_changed_and_deleted(system: ExampleSystem, server: JsonServer) -> None:
    row = {"short_description": "From the hub", "location": "l2"}
    made = system.push("tickets", system.create("tickets", 1, **row))[0]
    assert made.outcome == Outcome.CONFIRMED
    assert made.key is not None
    changed = system.push("tickets", system.update("tickets", made.key, row, description="more"))[0]
    assert changed.outcome == Outcome.CONFIRMED
    record = server.records("tickets")[made.key]
    assert record["hubId"] == f"{1:032x}"
    assert (record["title"], record["text"], record["locationId"]) == ("From the hub", "more", "l2")
    assert system.push("tickets", system.delete(made.key))[0].outcome == Outcome.CONFIRMED
    assert made.key not in server.records("tickets")
    assert system.push("tickets", system.update("tickets", made.key, row, description="x"))[0].outcome == Outcome.GONE


def test_a_record_that_may_have_arrived_is_found_by_the_hubs_id(system: ExampleSystem) -> None:
    sent = system.create("tickets", 1, short_description="Sent, and not answered")
    assert system.look("tickets", sent)[0].outcome == Outcome.UNSENT
    made = system.push("tickets", sent)[0]
    found = system.look("tickets", sent)[0]
    assert (found.outcome, found.key) == (Outcome.CONFIRMED, made.key)


def test_a_wrong_token_is_told(system: ExampleSystem, server: JsonServer, ca_file: str) -> None:
    credentials = Credentials(server.url, token="another", ca_file=ca_file, allow_hosts=("127.0.0.1",))
    with pytest.raises(AuthenticationError):
        ExampleSystem("json_server", credentials).records("tickets")
