"""The way back over real HTTPS: every edit arrives once, nothing comes back as an echo, both sides' edits are kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import get_contextvars

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import AuthenticationError, SystemUnavailableError
from kwiksync_ops.services.decisions import resend_deliveries
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.vocabulary import Mode
from tests.conftest import StartServer
from tests.support.https_server import Exchange, json_response
from tests.support.two_way_system import TwoWay, status, two_way

Start = Callable[..., TwoWay]


@pytest.fixture
def start(hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path) -> Start:
    def started(promise: str = "idempotent", **table: Any) -> TwoWay:
        return two_way(hub, https_server(), ca_file, tmp_path, promise, **table)

    return started


def ids(count: int) -> list[str]:
    return [f"{number:032x}" for number in range(count)]


def linked(system: TwoWay, count: int = 3) -> list[str]:
    """Records that came from the system: their sys_ids, in the order of its ids R00000, R00001, …"""
    system.api.fill(count)
    assert system.pull().created == count
    return [system.sys_id(f"R{number:05d}") for number in range(count)]


def sent(system: TwoWay) -> list[dict[str, Any]]:
    return [dict(values) for _, values in system.api.applied]


@pytest.mark.parametrize("promise", ["idempotent", "bulk", "upsert", "look", "read", "job"])
@pytest.mark.parametrize("staged", [False, True])
def test_what_is_created_and_edited_in_the_hub_arrives_once(start: Start, promise: str, staged: bool) -> None:
    system = start(promise)
    system.staged = staged
    count = 120 if promise in ("bulk", "upsert", "job") else 12
    system.create(*ids(count), quantity=1)
    assert system.push() == Counts(processed=count, created=count)
    assert len(system.api.records) == count
    system.edit(ids(9)[7], quantity=9)
    assert system.push() == Counts(processed=1, updated=1)
    assert [record["ours"] for record in system.api.records.values() if record["quantity"] == 9] == [ids(9)[7]]
    assert system.push() == Counts()
    assert len(system.api.applied) == count + 1
    assert system.errors() == []


@pytest.mark.parametrize("staged", [False, True])
def test_a_log_line_of_a_batch_carries_its_number_and_no_other_line_does(
    start: Start, caplog: pytest.LogCaptureFixture, staged: bool
) -> None:
    numbers: dict[str, Any] = {}

    def note(record: logging.LogRecord) -> bool:
        numbers[record.getMessage().partition(":")[0]] = get_contextvars().get("batch")
        return True

    system = start()
    system.staged = staged
    system.create(*ids(2), quantity=1)
    caplog.handler.addFilter(note)
    with caplog.at_level(logging.INFO, "kwiksync_ops.services.outbound"):
        system.push()
    caplog.handler.removeFilter(note)
    assert {text: number for text, number in numbers.items() if "assets" in text} == {
        "Batch of assets": 1,
        "assets to crm": None,
    }


def test_an_echo_is_not_sent_back_and_a_partial_update_holds_the_edited_fields_alone(start: Start) -> None:
    system = start()
    first, *_ = linked(system)
    assert system.push() == Counts()
    system.edit(first, quantity=7)
    assert system.push() == Counts(processed=1, updated=1)
    assert sent(system) == [{"quantity": 7}]
    assert system.pull().updated == 0
    assert system.push() == Counts()


def test_an_edit_that_is_taken_back_and_fields_that_are_not_mapped_send_nothing(start: Start) -> None:
    system = start()
    first, *_ = linked(system)
    system.edit(first, quantity=7)
    system.push()
    system.edit(first, quantity=8)
    system.edit(first, quantity=7)
    system.edit(first, serial_number="S1")
    assert system.push() == Counts(processed=1, unchanged=1)
    assert len(sent(system)) == 1
    assert system.push(Mode.FULL) == Counts()


def test_a_deletion_is_sent_where_it_is_mirrored_and_takes_the_link_along(start: Start) -> None:
    system = start(deletes={"mirror": True})
    first, second, _ = linked(system)
    system.bury(first)
    assert system.push().processed == 1
    assert "R00000" not in system.api.records
    system.api.drop("R00001")
    system.bury(second)
    assert system.push().processed == 1
    assert system.push() == Counts()
    assert system.errors() == []


def test_a_deletion_is_not_sent_where_it_is_not_mirrored(start: Start) -> None:
    system = start()
    system.bury(linked(system)[0])
    assert system.push() == Counts()
    assert "R00000" in system.api.records


def test_edits_to_different_fields_of_one_record_merge(start: Start) -> None:
    system = start()
    first, *_ = linked(system)
    system.edit(first, quantity=70)
    system.api.edit("R00000", name="renamed there")
    assert system.pull().updated == 1
    assert (system.rows()[first]["quantity"], system.rows()[first]["name"]) == (70, "renamed there")
    assert system.push() == Counts(processed=1, updated=1)
    assert sent(system) == [{"quantity": 70}]
    assert system.api.records["R00000"]["name"] == "renamed there"
    assert system.pull().updated == 0
    assert system.push() == Counts()
    assert system.errors() == []


def test_a_change_at_the_system_in_between_is_met_merged_and_the_edit_goes_out_on_top_of_it(start: Start) -> None:
    system = start()
    first, *_ = linked(system)
    system.edit(first, quantity=5)
    system.push()
    system.api.edit("R00000", name="renamed there")
    system.edit(first, quantity=6)
    counts = system.push()
    assert (counts.updated, counts.failed) == (1, 0)
    assert (system.rows()[first]["quantity"], system.rows()[first]["name"]) == (6, "renamed there")
    assert system.api.records["R00000"]["quantity"] == 6
    assert system.push() == Counts()


@pytest.mark.parametrize(
    ("policy", "in_hub", "at_system"), [("hub_wins", 1, 1), ("system_wins", 2, 2), ("newest_wins", 1, 1)]
)
def test_a_field_that_both_changed_is_a_conflict_that_the_policy_decides(
    start: Start, policy: str, in_hub: int, at_system: int
) -> None:
    system = start(conflict={"policy": policy})
    first, *_ = linked(system)
    system.edit(first, quantity=1)
    system.api.edit("R00000", quantity=2)
    system.pull()
    system.push()
    assert system.rows()[first]["quantity"] == in_hub
    assert system.api.records["R00000"]["quantity"] == at_system
    (conflict,) = system.errors()
    assert (conflict["code"], conflict["field"], conflict["resolution"]) == ("ERR_009", "quantity", "resolved")
    told = json.loads(conflict["payload"])
    assert (told["base"], told["hub"], told["system"]) == (0, 1, 2)
    for _ in range(3):
        assert system.pull().updated == 0
        assert system.push() == Counts()
    assert len(system.errors()) == 1


def test_a_manual_conflict_holds_its_field_and_no_other(start: Start) -> None:
    system = start(conflict={"fields": {"quantity": "manual"}})
    first, *_ = linked(system)
    system.edit(first, quantity=1, status="stock")
    system.api.edit("R00000", quantity=2)
    system.pull()
    assert system.push() == Counts(processed=1, updated=1)
    assert sent(system) == [{"status": "stock"}]
    assert system.rows()[first]["quantity"] == 1
    (conflict,) = system.errors()
    assert (conflict["field"], conflict["resolution"]) == ("quantity", "open")
    assert system.push().updated == 0


def test_an_owned_field_stands_whatever_the_other_side_does(start: Start) -> None:
    system = start(conflict={"fields": {"quantity": "hub", "name": "system"}})
    first, *_ = linked(system)
    system.edit(first, name="renamed here")
    system.api.edit("R00000", quantity=99)
    system.pull()
    assert (system.rows()[first]["quantity"], system.rows()[first]["name"]) == (0, "record 0")
    system.push()
    assert (system.api.records["R00000"]["quantity"], system.api.records["R00000"]["name"]) == (0, "record 0")


def test_a_hundred_rounds_without_an_edit_send_nothing(start: Start) -> None:
    system = start("bulk")
    first, *_ = linked(system, 20)
    system.create(*ids(3))
    system.edit(first, quantity=3)
    system.pull()
    system.push()
    before = len(system.api.applied)
    for _ in range(100):
        assert system.pull().updated == 0
        assert system.push() == Counts()
    assert len(system.api.applied) == before == 4


def test_a_record_that_is_refused_holds_up_no_other_and_is_sent_when_it_changes(start: Start) -> None:
    system = start("bulk")
    system.api.poison = frozenset({"bad"})
    system.create(*ids(10))
    system.create("f" * 32, name="bad")
    assert system.push() == Counts(processed=11, created=10, failed=1)
    (error,) = system.errors()
    assert (error["code"], error["direction"], error["external_id"]) == ("ERR_008", "outbound", "f" * 32)
    assert "is not allowed here" in error["message"]
    assert system.push() == Counts()
    system.edit("f" * 32, name="good")
    assert system.push() == Counts(processed=1, created=1)
    assert system.states()["superseded"] == 1


def test_a_refused_record_is_sent_again_when_a_person_says_so(start: Start) -> None:
    system = start()
    system.api.poison = frozenset({"bad"})
    system.create("f" * 32, name="bad")
    system.push()
    system.api.poison = frozenset()
    (error,) = system.errors()
    resend_deliveries(system.hub, [error["remedy"].split()[-1].rstrip(".")], who="ann", clock=SystemClock())
    assert system.push().created == 1
    assert system.push() == Counts()


def test_what_was_applied_but_answered_500_arrives_once(start: Start) -> None:
    system = start()
    system.api.plan = [status(500)]
    system.create(*ids(3))
    assert system.push() == Counts(processed=3, created=3)
    assert len(system.api.applied) == 3


@pytest.mark.parametrize("promise", ["idempotent", "look"])
def test_what_was_applied_and_never_answered_arrives_once(start: Start, promise: str) -> None:
    system = start(promise)
    system.api.plan = [lambda _answer: Exchange.wait_for_end]
    system.create(*ids(2))
    assert system.push() == Counts(processed=2, created=2)
    assert len(system.api.records) == len(system.api.applied) == 2


def test_a_target_that_is_looked_at_gets_nothing_twice_after_a_500(start: Start) -> None:
    system = start("look")
    system.api.plan = [status(500)]
    system.create(*ids(3))
    assert system.push() == Counts(processed=3, created=3)
    assert len(system.api.records) == 3


def test_a_target_that_promises_nothing_is_never_sent_to_blindly(start: Start) -> None:
    system = start("never")
    system.api.plan = [status(500)]
    system.create(*ids(3))
    assert system.push() == Counts(processed=3, created=2, failed=1)
    (error,) = system.errors()
    assert (error["code"], system.states()) == ("ERR_013", {"confirmed": 2, "unconfirmed": 1})
    system.edit(error["external_id"], quantity=4)
    assert system.push() == Counts()
    assert len(system.api.records) == 3


def test_an_unconfirmed_update_that_a_later_edit_replaces_leaves_one_open_error(start: Start) -> None:
    system = start("never")
    system.create(*ids(1))
    system.push()
    for quantity in (4, 5):
        system.edit(*ids(1), quantity=quantity)
        system.api.plan = [status(500)]
        assert system.push() == Counts(processed=1, failed=1)
    assert system.states() == {"confirmed": 1, "superseded": 1, "unconfirmed": 1}
    assert sorted(error["resolution"] for error in system.errors()) == ["open", "resolved"]


def test_a_429_in_the_middle_is_waited_for_and_nothing_is_lost(start: Start) -> None:
    system = start("bulk")
    system.api.before = [json_response({}, 429, {"Retry-After": "0"})] * 2
    system.create(*ids(120))
    assert system.push() == Counts(processed=120, created=120)
    assert len(system.api.applied) == 120


def test_a_body_that_is_refused_whole_goes_out_in_halves_until_the_one_is_found(start: Start) -> None:
    system = start("bulk")
    system.create(*ids(8))
    system.api.before = [json_response({"error": "bad body"}, 400)] * 3
    assert system.push().created == 8


def test_a_system_that_is_away_leaves_the_deliveries_for_the_next_attempt(start: Start) -> None:
    system = start("bulk")
    system.api.before = [json_response({}, 503, {"Retry-After": "0"})] * 9
    system.create(*ids(60))
    with pytest.raises(SystemUnavailableError):
        system.push(run_id="r1")
    assert system.states() == {"queued": 60}
    system.api.before = []
    assert system.push(run_id="r1") == Counts(processed=60, created=60)
    assert len(system.api.applied) == 60


def test_credentials_that_are_refused_end_the_run_with_nothing_applied(start: Start) -> None:
    system = start("bulk")
    system.api.before = [json_response({}, 401)]
    system.create(*ids(60))
    with pytest.raises(AuthenticationError):
        system.push()
    assert system.states() == {"queued": 60}
    assert system.push().created == 60


@pytest.mark.parametrize(("policy", "outcome"), [("newest_wins", "refused"), ("hub_wins", "created")])
def test_an_edit_of_a_record_that_is_gone_at_the_system_is_told_or_creates_it_again(
    start: Start, policy: str, outcome: str
) -> None:
    system = start(conflict={"policy": policy})
    first, *_ = linked(system)
    system.api.drop("R00000")
    system.edit(first, quantity=4)
    counts = system.push()
    if outcome == "created":
        assert (counts.created, counts.failed) == (1, 0)
        assert [record["quantity"] for record in system.api.records.values() if record.get("ours") == first] == [4]
    else:
        assert counts.failed == 1
        assert system.errors()[0]["code"] == "ERR_009"
    assert system.push() == Counts()


def test_a_record_that_came_back_before_its_answer_is_no_second_record(start: Start) -> None:
    system = start()
    system.create(*ids(1))
    system.api.plan = [status(500), status(500), status(500), status(500)]
    with pytest.raises(SystemUnavailableError):
        system.push()
    assert system.pull().created == 1
    system.api.plan = []
    assert system.push().created == 1
    assert list(system.rows()) == ids(1)
    assert len(system.api.records) == 1


def test_a_preview_sends_nothing_and_says_what_would_be(start: Start) -> None:
    system = start()
    system.create(*ids(3))
    assert system.push(Mode.PREVIEW).processed == 3
    assert system.api.applied == []
    assert system.push().created == 3
