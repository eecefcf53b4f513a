"""The example for Directus, against a strict double of its items API."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.source import Position
from kwiksync_ops.connectors.target import Outcome
from kwiksync_ops.errors import AuthenticationError
from tests.conftest import StartServer
from tests.support.directus_double import Directus
from tests.support.example_system import ExampleSystem
from tests.support.https_server import HttpsServer

TOKEN = "directus-static-token-1"


@pytest.fixture
def directus() -> Directus:
    found = Directus(TOKEN)
    for number in range(1, 8):
        found.add(title=f"Ticket {number}", changed_at=f"2026-01-15T12:00:{number:02d}.000Z")
    return found


@pytest.fixture
def server(https_server: StartServer, directus: Directus) -> HttpsServer:
    started = https_server()
    directus.serve(started)
    return started


@pytest.fixture
def system(server: HttpsServer, ca_file: str) -> ExampleSystem:
    return ExampleSystem(
        "directus", Credentials(server.url(), token=TOKEN, ca_file=ca_file, allow_hosts=("127.0.0.1",))
    )


def test_records_come_in_pages_by_their_ids(system: ExampleSystem, directus: Directus) -> None:
    directus.items[4].update(assignee={"email": "anna@example.com", "id": "u1"}, due_on="2026-02-01", status="archived")
    rows = system.rows("tickets")
    assert list(rows) == [str(number) for number in range(1, 8)]
    assert rows["4"] == {
        "short_description": "Ticket 4",
        "state": "7",
        "assigned_to": "anna@example.com",
        "due_date": datetime(2026, 2, 1, tzinfo=UTC),
    }
    assert "200" in system.check()


def test_only_what_changed_is_asked_for(system: ExampleSystem) -> None:
    since = Position(datetime(2026, 1, 15, 12, 0, 6, tzinfo=UTC))
    assert list(system.rows("tickets", since)) == ["6", "7"]


def test_many_records_are_created_by_one_call(system: ExampleSystem, server: HttpsServer, directus: Directus) -> None:
    new = [system.create("tickets", number, short_description=f"New {number}", state="2") for number in range(1, 4)]
    receipts = system.push("tickets", *new)
    assert [(receipt.outcome, receipt.key) for receipt in receipts] == [
        (Outcome.CONFIRMED, str(number)) for number in (8, 9, 10)
    ]
    assert len(server.requests) == 1
    assert directus.items[9]["hub_id"] == f"{2:032x}"
    assert directus.items[9]["status"] == "published"


def test_a_call_that_is_refused_whole_says_to_send_fewer(system: ExampleSystem, directus: Directus) -> None:
    first, second = (system.create("tickets", number, short_description=f"New {number}") for number in (1, 2))
    system.push("tickets", first)
    assert {receipt.outcome for receipt in system.push("tickets", first, second)} == {Outcome.UNSENT}
    assert len(directus.items) == 8
    alone = system.push("tickets", first)[0]
    assert (alone.outcome, "RECORD_NOT_UNIQUE" in (alone.message or "")) == (Outcome.REFUSED, True)


def test_records_are_changed_and_deleted(system: ExampleSystem, directus: Directus) -> None:
    row = {"short_description": "Ticket 3"}
    change = system.update("tickets", "3", row, description="more")
    assert system.look("tickets", change)[0].outcome == Outcome.UNSENT
    assert system.push("tickets", change)[0].outcome == Outcome.CONFIRMED
    assert system.look("tickets", change)[0].outcome == Outcome.CONFIRMED
    assert directus.items[3]["text"] == "more"
    assert system.push("tickets", system.delete("3"))[0].outcome == Outcome.CONFIRMED
    assert 3 not in directus.items
    assert system.look("tickets", change)[0].outcome == Outcome.UNSENT


def test_a_record_that_may_have_arrived_is_found_by_the_hubs_id(system: ExampleSystem) -> None:
    sent = system.create("tickets", 5, short_description="Sent, and not answered")
    assert system.look("tickets", sent)[0].outcome == Outcome.UNSENT
    system.push("tickets", sent)
    assert (system.look("tickets", sent)[0].outcome, system.look("tickets", sent)[0].key) == (Outcome.CONFIRMED, "8")


def test_a_wrong_token_is_told(server: HttpsServer, ca_file: str) -> None:
    credentials = Credentials(server.url(), token="another", ca_file=ca_file, allow_hosts=("127.0.0.1",))
    with pytest.raises(AuthenticationError, match="INVALID_CREDENTIALS"):
        ExampleSystem("directus", credentials).records("tickets")
