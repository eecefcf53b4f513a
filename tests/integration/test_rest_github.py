"""The example for GitHub's GraphQL API, against a double whose queries a real GraphQL engine runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.source import Position
from kwiksync_ops.connectors.target import Outcome
from kwiksync_ops.errors import AuthenticationError, KwikSyncError, RateLimitError, SystemUnavailableError
from tests.conftest import StartServer
from tests.support.example_system import ExampleSystem
from tests.support.github_double import GitHub

TOKEN = "github-token-value-1"


@pytest.fixture
def github(https_server: StartServer) -> tuple[GitHub, str]:
    server = https_server()
    found = GitHub(TOKEN)
    found.serve(server)
    for number in range(1, 9):
        found.add(number)
    return found, server.url()


@pytest.fixture
def system(github: tuple[GitHub, str], ca_file: str) -> ExampleSystem:
    return ExampleSystem(
        "github_graphql", Credentials(github[1], token=TOKEN, ca_file=ca_file, allow_hosts=("127.0.0.1",))
    )


def test_records_come_in_pages_by_cursor_and_nested_fields_are_found(
    system: ExampleSystem, github: tuple[GitHub, str]
) -> None:
    github[0].add(
        9, body="Grüße", state="CLOSED", closedAt="2026-01-16T08:00:00Z", milestone={"title": "1.0"}, author=None
    )
    rows = system.rows("tickets")
    assert list(rows) == [f"I_{number}" for number in range(1, 10)]
    assert github[0].calls == 3
    assert rows["I_9"] == {
        "number": "9",
        "short_description": "Issue 9",
        "description": "Grüße",
        "state": "7",
        "category": "1.0",
        "opened_at": datetime(2026, 1, 15, 12, 0, 9, tzinfo=UTC),
        "closed_at": datetime(2026, 1, 16, 8, tzinfo=UTC),
    }
    assert rows["I_8"]["assigned_to"] == "anna"
    assert "200" in system.check()


def test_only_what_changed_is_asked_for(system: ExampleSystem) -> None:
    since = Position(datetime(2026, 1, 15, 12, 0, 7, tzinfo=UTC))
    assert list(system.rows("tickets", since)) == ["I_7", "I_8"]


def test_records_are_created_and_changed_field_by_field(system: ExampleSystem, github: tuple[GitHub, str]) -> None:
    row = {"short_description": "From the hub", "description": "more", "state": "1"}
    made = system.push("tickets", system.create("tickets", 1, **row))[0]
    assert (made.outcome, made.key) == (Outcome.CONFIRMED, "I_1000")
    changed = system.push("tickets", system.update("tickets", "I_1000", row, state="7"))[0]
    assert changed.outcome == Outcome.CONFIRMED
    issue = github[0].issues["I_1000"]
    assert (issue["title"], issue["body"], issue["state"]) == ("From the hub", "more", "CLOSED")


def test_a_record_that_is_not_there_is_gone(system: ExampleSystem) -> None:
    change = system.update("tickets", "I_77", {"short_description": "x"}, state="7")
    assert system.push("tickets", change)[0].outcome == Outcome.GONE
    assert system.look("tickets", change)[0].outcome == Outcome.UNSENT


def test_what_may_have_arrived_is_looked_for_and_a_new_record_waits_for_a_person(system: ExampleSystem) -> None:
    change = system.update("tickets", "I_3", {"short_description": "x"}, state="7")
    system.push("tickets", change)
    assert system.look("tickets", change)[0].outcome == Outcome.CONFIRMED
    assert system.look("tickets", system.create("tickets", 1, short_description="x"))[0].outcome == Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("RATE_LIMITED", RateLimitError),
        ("FORBIDDEN", AuthenticationError),
        ("INTERNAL", SystemUnavailableError),
    ],
)
def test_an_error_inside_a_200_ends_a_read(
    system: ExampleSystem, github: tuple[GitHub, str], kind: str, error: type[KwikSyncError]
) -> None:
    github[0].tell = kind
    with pytest.raises(error, match=f"the system tells an error: .*{kind} it is"):
        system.records("tickets")


def test_a_write_that_meets_the_rate_limit_is_unsent(system: ExampleSystem, github: tuple[GitHub, str]) -> None:
    github[0].tell = "RATE_LIMITED"
    receipt = system.push("tickets", system.create("tickets", 1, short_description="x"))[0]
    assert (receipt.outcome, receipt.code) == (Outcome.UNSENT, "ERR_007")


def test_a_write_without_the_right_raises(system: ExampleSystem, github: tuple[GitHub, str]) -> None:
    github[0].tell = "INSUFFICIENT_SCOPES"
    with pytest.raises(AuthenticationError):
        system.push("tickets", system.create("tickets", 1, short_description="x"))
