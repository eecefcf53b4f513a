"""The example for Tryton, against a real one: JSON-RPC, sessions that end, errors inside a 200."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trustme

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.source import Position, ReadRequest
from kwiksync_ops.connectors.target import Outcome
from kwiksync_ops.errors import AuthenticationError, SystemUnavailableError
from tests.support.example_system import ExampleSystem
from tests.support.tryton import LOGIN, PASSWORD, Tryton, running_tryton


@pytest.fixture(scope="module")
def tryton(tmp_path_factory: pytest.TempPathFactory, certificate_authority: trustme.CA) -> Iterator[Tryton]:
    with running_tryton(tmp_path_factory.mktemp("tryton"), certificate_authority) as running:
        yield running


@pytest.fixture
def system(tryton: Tryton, ca_file: str) -> ExampleSystem:
    credentials = Credentials(tryton.url, login=LOGIN, password=PASSWORD, ca_file=ca_file, allow_hosts=("127.0.0.1",))
    return ExampleSystem("tryton", credentials)


@pytest.fixture
def addresses(tryton: Tryton) -> list[str]:
    """Ids of seven new addresses."""
    party = tryton.call("model.party.party.create", [{"name": "Grüße AG"}])[0]
    made = [{"party": party, "city": f"Köln {number}", "street": "Domplatz 1"} for number in range(7)]
    return [str(key) for key in tryton.call("model.party.address.create", made)]


def test_records_come_in_pages_by_one_session(system: ExampleSystem, addresses: list[str]) -> None:
    rows = system.rows("locations")
    assert [key for key in rows if key in addresses] == addresses
    assert rows[addresses[3]] == {"name": "Grüße AG, Domplatz 1, Köln 3", "street": "Domplatz 1", "city": "Köln 3"}
    assert "200" in system.check()


def test_only_what_changed_is_asked_for(system: ExampleSystem, addresses: list[str]) -> None:
    now = datetime.now(UTC)
    assert set(addresses) <= set(system.rows("locations", Position(now - timedelta(hours=1))))
    assert system.rows("locations", Position(now + timedelta(hours=1))) == {}


def test_a_record_is_changed_and_read_back(system: ExampleSystem, addresses: list[str]) -> None:
    row = {"street": "Domplatz 1", "city": "Köln 2"}
    change = system.update("locations", addresses[2], row, city="Bonn", zip="53111")
    assert system.look("locations", change)[0].outcome == Outcome.UNSENT
    assert system.push("locations", change)[0].outcome == Outcome.CONFIRMED
    assert system.look("locations", change)[0].outcome == Outcome.CONFIRMED
    assert system.rows("locations")[addresses[2]]["city"] == "Bonn"


def test_what_tryton_refuses_is_told_in_its_words(system: ExampleSystem, addresses: list[str]) -> None:
    receipt = system.push("locations", system.update("locations", "999999", {}, city="Bonn"))[0]
    assert (receipt.outcome, receipt.code) == (Outcome.REFUSED, "ERR_008")
    assert "don't exist" in (receipt.message or "")
    assert system.look("locations", system.update("locations", "999999", {}, city="Bonn"))[0].outcome == Outcome.UNSENT


def test_a_session_that_ended_is_opened_again(system: ExampleSystem, tryton: Tryton, addresses: list[str]) -> None:
    change = system.update("locations", addresses[0], {}, city="Bonn")
    target: Any = system.target()
    request = system.push_request("locations")
    assert target.push(request, [change])[0].outcome == Outcome.CONFIRMED
    tryton.end_sessions()
    again = replace(change, id="d2", payload={"city": "Aachen"})
    assert target.push(request, [again])[0].outcome == Outcome.CONFIRMED
    target.close()
    assert target.calls == 5
    assert system.rows("locations")[addresses[0]]["city"] == "Aachen"


def test_a_wrong_password_is_told(tryton: Tryton, ca_file: str) -> None:
    credentials = Credentials(
        tryton.url, login=LOGIN, password="wrong-password", ca_file=ca_file, allow_hosts=("127.0.0.1",)
    )
    with pytest.raises(AuthenticationError, match="Logging in at"):
        ExampleSystem("tryton", credentials).records("locations")


def test_a_request_that_tryton_does_not_take_is_told_in_its_words(system: ExampleSystem) -> None:
    table = system.table("locations")
    body = {"id": 0, "method": "model.party.address.search_read", "params": [[["nosuch", "=", 1]], 0, 1, None, [], {}]}
    request = ReadRequest(table.source, "id", options={**table.options, "request": {"body": body}})
    with closing(system.source()) as source, pytest.raises(SystemUnavailableError, match=r"an error: .*nosuch"):
        list(source.read(request))
