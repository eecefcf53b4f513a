"""Sick data over the whole way, with the same outcome in both databases: the row is rejected, the run goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import ErrorBudgetError, SystemUnavailableError
from kwiksync_ops.services import configuration
from kwiksync_ops.storage.models import AUDIT, CHECKPOINT, ERROR_LOG, SYNC_LOG
from kwiksync_ops.vocabulary import Mode
from tests.faults.conftest import StartSystem
from tests.support.https_server import Response, json_response
from tests.support.inbound import hub_records, rows_of
from tests.support.lean_system import LeanSystem, write_mapping

TOP = '"id": "sick", "updated_at": "2026-01-01T00:02:30Z", "name": "n"'
SICK = {
    "NaN": f'{{{TOP}, "quantity": NaN}}',
    "beyond any float": f'{{{TOP}, "quantity": 1e400}}',
    "200 digits": f'{{{TOP}, "quantity": {"9" * 200}}}',
    "beyond 64 bits": f'{{{TOP}, "quantity": {2**63}}}',
    "a fraction where a whole number belongs": f'{{{TOP}, "quantity": 1.5}}',
    "depth 10,000": f'{{{TOP}, "quantity": {"[" * 10_000}{"]" * 10_000}}}',
    "duplicate keys": f'{{{TOP}, "quantity": 1, "quantity": 2}}',
    "NUL": f'{{{TOP}, "quantity": 1, "more": "a\\u0000b"}}',
    "lone surrogate": f'{{{TOP}, "quantity": 1, "more": "\\ud800"}}',
    "15 MB": f'{{{TOP}, "quantity": 1, "more": "{"x" * 15_000_000}"}}',
    "10,000 fields": f'{{{TOP}, "quantity": 1, {", ".join(f"{chr(34)}f{n}{chr(34)}: 1" for n in range(10_000))}}}',
    "no key": '{"updated_at": "2026-01-01T00:02:30Z", "name": "n", "quantity": 1}',
    "null key": '{"id": null, "updated_at": "2026-01-01T00:02:30Z", "name": "n", "quantity": 1}',
    "padded key": '{"id": " sick ", "updated_at": "2026-01-01T00:02:30Z", "name": "n", "quantity": 1}',
    "no change time": '{"id": "sick", "name": "n", "quantity": 1}',
    "retyped": f'{{{TOP}, "quantity": {{"amount": 1}}}}',
    "not an object": "1",
}


def answer(*records: str) -> Response:
    body = f'{{"data": [{", ".join(records)}]}}'.encode()
    return Response(200, body, {"Content-Type": "application/json"})


def sound(number: int) -> str:
    at = f"2026-01-01T00:0{number}:00Z"
    return json.dumps({"id": f"R{number}", "updated_at": at, "name": f"n{number}", "quantity": number})


CODES = {"no key": "ERR_006", "null key": "ERR_006", "no change time": "ERR_006", "retyped": "ERR_004"}
"""ERR_008 for all others."""


@pytest.mark.parametrize(
    ("name", "place"), [*((name, 1) for name in SICK), ("NUL", 0), ("NUL", 3), ("retyped", 0), ("retyped", 3)]
)
def test_a_sick_record_first_in_the_middle_or_last_is_put_aside_alone(
    start_system: StartSystem, name: str, place: int
) -> None:
    system = start_system("whole")
    records = [sound(1), sound(2), sound(3)]
    records.insert(place, SICK[name])
    system.api.instead = {1: answer(*records)}
    counts = system.sync("r1", Mode.FULL)
    assert (counts.processed, counts.created, counts.failed) == (4, 3, 1)
    assert hub_records(system.hub, "assets").keys() == {"R1", "R2", "R3"}
    assert [error["code"] for error in rows_of(system.hub, ERROR_LOG)] == [CODES.get(name, "ERR_008")]


def test_records_that_are_all_sick_fail_the_run_and_leave_the_checkpoint(start_system: StartSystem) -> None:
    system = start_system("whole")
    system.api.instead = {1: answer(*[SICK["retyped"].replace("sick", f"sick{n}") for n in range(5)])}
    with pytest.raises(ErrorBudgetError, match="5 of 5"):
        system.sync("r1", Mode.FULL)
    assert rows_of(system.hub, CHECKPOINT) == []
    assert len(rows_of(system.hub, ERROR_LOG)) == 5


def test_the_largest_whole_numbers_are_exact(start_system: StartSystem) -> None:
    system = start_system("whole")
    system.api.put("most", name="-0", quantity=2**63 - 1)
    system.api.put("least", name="n", quantity=-(2**63))
    system.sync("r1")
    stored = hub_records(system.hub, "assets")
    assert (stored["most"]["quantity"], stored["least"]["quantity"]) == (2**63 - 1, -(2**63))


def test_the_same_page_twice_or_a_cycle_of_pages_is_an_error(start_system: StartSystem) -> None:
    system = start_system("numbered")
    page = json_response({"data": [json.loads(sound(1))], "more": True})
    system.api.instead = dict.fromkeys(range(1, 10), page)
    for _ in range(2):
        with pytest.raises(SystemUnavailableError, match="loop"):
            system.sync("r1", Mode.FULL)


def test_of_one_record_on_two_pages_the_newest_version_wins_in_any_order(start_system: StartSystem) -> None:
    system = start_system("numbered")
    old, new = (json.loads(sound(number)) | {"id": "R"} for number in (1, 2))
    first, second = json_response({"data": [new], "more": True}), json_response({"data": [old], "more": False})
    system.api.instead = {1: first, 2: second}
    system.sync("r1", Mode.FULL)
    assert hub_records(system.hub, "assets")["R"]["name"] == "n2"


def test_thousands_of_records_of_one_moment_are_all_read_over_many_pages(
    start_system: StartSystem, is_staged: bool
) -> None:
    system = start_system("keyset", staged=is_staged, batch_records=1_000)
    system.api.page_cap = 1_000
    for number in range(5_000):
        system.api.put(f"R{number:05d}", minute=1, name="tied", quantity=number)
    assert system.sync("r1").created == 5_000
    system.api.put("late", minute=1, name="committed late", quantity=1)
    assert system.sync("r2").created == 1


@pytest.mark.parametrize("date", ["Tue, 01 Jan 2999 00:00:00 GMT", None])
def test_a_change_time_in_2999_hides_nothing_that_comes_after(start_system: StartSystem, date: str | None) -> None:
    """Whether the system's clock is wrong as well, or is not told."""
    system = start_system("keyset")
    system.api.headers = {"Date": date} if date else {}
    system.api.fill(20)
    system.api.records["R00019"]["updated_at"] = "2999-01-01T00:00:00Z"
    system.sync("r1")
    (checkpoint,) = rows_of(system.hub, CHECKPOINT)
    assert datetime.fromisoformat(checkpoint["watermark_at"]) <= datetime.now(UTC) + timedelta(minutes=6)


def test_a_mapping_that_is_edited_while_a_run_is_tried_again_does_not_change_it(
    start_system: StartSystem, tmp_path: Any
) -> None:
    system = start_system("numbered")
    system.api.fill(150)
    system.api.instead = {2: json_response({}, 500)}
    with pytest.raises(SystemUnavailableError):
        system.sync("r1", Mode.FULL)
    fields = {"external_id": {"source_field": "id"}, "name": {"source_field": "id"}}
    write_mapping(tmp_path / "include", "numbered", fields)
    configuration.apply(system.hub, tmp_path / "include", who="editor", clock=SystemClock())
    system.sync("r1", Mode.FULL)
    assert hub_records(system.hub, "assets")["R00149"]["name"] == "record 149"
    assert [row["mapping_version"] for row in rows_of(system.hub, SYNC_LOG)] == [1]
    system.sync("r2", Mode.FULL)
    assert hub_records(system.hub, "assets")["R00149"]["name"] == "R00149"


def test_a_field_that_comes_new_is_no_fault_and_one_that_goes_is_no_value(start_system: StartSystem) -> None:
    system = start_system("keyset")
    system.api.fill(10)
    system.api.put("R00001", extra="new")
    del system.api.records["R00002"]["quantity"]
    assert system.sync("r1", Mode.FULL).failed == 0
    assert hub_records(system.hub, "assets")["R00002"]["quantity"] is None


def test_a_secret_in_sick_records_and_failures_is_in_no_row(
    start_system: StartSystem, caplog: pytest.LogCaptureFixture, is_staged: bool
) -> None:
    canary = "canary-5f2c9e7d1b"
    system = start_system("keyset", staged=is_staged)
    system.api.fill(150)
    for number in (3, 120):
        system.api.put(f"R{number:05d}", quantity="many", password=canary, nested={"api_key": canary})
    system.api.instead = {2: json_response({"password": canary}, 500)}
    with caplog.at_level("DEBUG"), pytest.raises(SystemUnavailableError) as failure:
        system.sync("r1", Mode.FULL)
    system.sync("r1", Mode.FULL)
    told = [str(failure.value), caplog.text, *everything(system)]
    assert not [text for text in told if canary in text]
    assert len(rows_of(system.hub, ERROR_LOG)) == 2


def everything(system: LeanSystem) -> list[str]:
    return [str(dict(row)) for table in (ERROR_LOG, SYNC_LOG, AUDIT) for row in rows_of(system.hub, table)]
