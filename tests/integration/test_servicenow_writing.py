"""Writing to a ServiceNow instance: by the Batch API, record by record and through import sets, against a double."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
import trustme

from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_target
from kwiksync_ops.connectors.target import Delivery, Outcome, PushRequest, Receipt, Repeat, Target
from kwiksync_ops.errors import AuthenticationError, ConfigurationError
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.testing import ManualClock
from kwiksync_ops.vocabulary import Action
from tests.support.servicenow import PASSWORD, USER, RunningInstance, start_instance

# tests.support.servicenow puts the double on the path.
from servicenow.faults import FaultKind  # isort: skip
from servicenow.imports import Staging, TransformMap  # isort: skip
from servicenow.instance import Instance  # isort: skip
from servicenow.schema import Column, Table  # isort: skip
from servicenow.writing import BusinessRule  # isort: skip

OPTIONS = {"allow_hosts": ["127.0.0.0/8"]}
BATCH, STAGING = "/api/now/v1/batch", "u_incident_import"
IMPORT = {"by": "import_set", "correlation_field": "u_our_id", "import_set": {"table": STAGING}}
STAGED = {"u_our_id": "correlation_id", "u_text": "short_description", "u_state": "state", "u_caller": "caller_id"}


@pytest.fixture
def running(certificate_authority: trustme.CA) -> Iterator[RunningInstance]:
    with start_instance(certificate_authority) as running:
        yield running


@pytest.fixture
def instance(running: RunningInstance) -> Instance:
    return running.instance


class Writer:
    """Writes incidents as the outbound sync does it, with one target."""

    def __init__(self, target: Target, push: dict[str, Any]) -> None:
        self.target = target
        self.request = PushRequest("incident", "sys_id", {**OPTIONS, "push": push})

    def push(self, *deliveries: Delivery) -> list[Receipt]:
        return self.target.push(self.request, deliveries)

    def look(self, *deliveries: Delivery) -> list[Receipt]:
        return self.target.look(self.request, deliveries)

    def confirm(self, deliveries: Sequence[Delivery], receipts: Sequence[Receipt]) -> list[Receipt]:
        told = [replace(one, job=receipt.job) for one, receipt in zip(deliveries, receipts, strict=True)]
        return self.target.confirm(self.request, told)


@pytest.fixture
def writer(request: pytest.FixtureRequest, running: RunningInstance, ca_file: str) -> Iterator[Writer]:
    push: dict[str, Any] = getattr(request, "param", {})
    credentials = Credentials(running.url, login=USER, password=PASSWORD, ca_file=ca_file)
    clock = ManualClock()
    with closing(open_target("servicenow", credentials, {**OPTIONS, "push": push}, Unlimited(), clock)) as target:
        yield Writer(target, push)


def using(**push: Any) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("writer", [push], indirect=True, ids=[str(push.get("by", "batch"))])


def create(number: int = 0, **payload: Any) -> Delivery:
    fields = {"short_description": f"ticket {number}", **payload}
    return Delivery(f"d{number}", Action.CREATE, None, fields, f"key-{number}", record_id=f"{number:032x}")


def update(key: str, number: int = 0, **payload: Any) -> Delivery:
    return Delivery(f"d{number}", Action.UPDATE, key, payload, f"key-{number}", record_id=f"{number:032x}")


def outcomes(receipts: Sequence[Receipt]) -> list[Outcome]:
    return [receipt.outcome for receipt in receipts]


def incident(instance: Instance) -> dict[str, str]:
    (row,) = instance.all("incident")
    return row


def notes(instance: Instance) -> list[tuple[str, str]]:
    return [(row["element"], row["value"]) for row in instance.all("sys_journal_field")]


class TestBatch:
    def test_a_thousand_records_are_one_call(self, instance: Instance, writer: Writer) -> None:
        receipts = writer.push(*[create(number) for number in range(1_000)])
        assert set(outcomes(receipts)) == {Outcome.CONFIRMED}
        assert {receipt.key for receipt in receipts} == {row["sys_id"] for row in instance.all("incident")}
        assert sum(call.path == BATCH for call in instance.calls) == 1
        assert writer.target.calls == len(instance.calls) == 2

    def test_what_the_instance_had_no_time_for_is_unsent(self, instance: Instance, writer: Writer) -> None:
        instance.settings.batch_item_s = 10
        receipts = writer.push(*[create(number) for number in range(5)])
        assert outcomes(receipts) == [Outcome.CONFIRMED] * 3 + [Outcome.UNSENT] * 2
        assert len(instance.all("incident")) == 3

    def test_records_that_are_too_large_for_one_call_go_in_two(self, instance: Instance, writer: Writer) -> None:
        receipts = writer.push(*[create(number, description="x" * 2_000_000) for number in range(3)])
        assert set(outcomes(receipts)) == {Outcome.CONFIRMED}
        assert sum(call.path == BATCH for call in instance.calls) == 3

    def test_a_refusal_of_us_after_a_call_that_was_applied_takes_nothing_back(
        self, instance: Instance, writer: Writer
    ) -> None:
        instance.faults.add(FaultKind.SERVER_ERROR, path=BATCH, skip=1, status=401, times=None)
        deliveries = [create(number, description="x" * 2_000_000) for number in range(3)]
        assert outcomes(writer.push(*deliveries)) == [Outcome.CONFIRMED, Outcome.UNSENT, Outcome.UNSENT]
        with pytest.raises(AuthenticationError):
            writer.push(*deliveries[1:])

    def test_a_rule_refuses_its_record_alone_and_says_why(self, instance: Instance, writer: Writer) -> None:
        instance.rules.append(BusinessRule("No jokes", "incident", lambda row: row["short_description"] == "joke"))
        receipts = writer.push(create(0), create(1, short_description="joke"), create(2))
        assert outcomes(receipts) == [Outcome.CONFIRMED, Outcome.REFUSED, Outcome.CONFIRMED]
        assert "No jokes" in (receipts[1].message or "")

    @pytest.mark.parametrize(
        "kind", [FaultKind.CANCELLED_ERROR, FaultKind.CANCELLED_RESULT, FaultKind.BROKEN_BODY, FaultKind.MAINTENANCE]
    )
    def test_an_answer_that_is_none_leaves_the_outcome_unknown_until_it_is_looked_for(
        self, instance: Instance, writer: Writer, kind: FaultKind
    ) -> None:
        instance.faults.add(kind, path=BATCH, is_done=True)
        deliveries = [create(number) for number in range(250)]
        assert set(outcomes(writer.push(*deliveries))) == {Outcome.UNKNOWN}
        before = len(instance.calls)
        looked = writer.look(*deliveries)
        assert set(outcomes(looked)) == {Outcome.CONFIRMED}
        assert {receipt.key for receipt in looked} == {row["sys_id"] for row in instance.all("incident")}
        assert len(instance.calls) - before == 1

    def test_what_is_not_there_is_unsent(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident", short_description="as it was")
        looked = writer.look(create(1), update(key, 2, short_description="changed"))
        assert outcomes(looked) == [Outcome.UNSENT, Outcome.UNSENT]

    def test_a_create_is_found_whatever_was_made_of_it_since(self, instance: Instance, writer: Writer) -> None:
        writer.push(create(0))
        instance.change("incident", incident(instance)["sys_id"], short_description="edited")
        (receipt,) = writer.look(create(0))
        assert (receipt.outcome, receipt.key) == (Outcome.CONFIRMED, incident(instance)["sys_id"])

    def test_a_dropped_call_is_unsent(self, instance: Instance, writer: Writer) -> None:
        instance.faults.add(FaultKind.DROPPED, path=BATCH)
        assert outcomes(writer.push(create(0), create(1))) == [Outcome.UNSENT] * 2

    def test_one_item_that_fails_leaves_one_outcome_unknown(self, instance: Instance, writer: Writer) -> None:
        instance.faults.add(FaultKind.SERVER_ERROR, path="/table/incident", method="POST", skip=1, is_done=True)
        assert outcomes(writer.push(create(0), create(1), create(2))) == [
            Outcome.CONFIRMED,
            Outcome.UNKNOWN,
            Outcome.CONFIRMED,
        ]

    def test_an_item_that_was_ended_in_its_middle_is_not_done(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident")
        instance.faults.add(FaultKind.CANCELLED_ERROR, path="/table/incident", method="PATCH")
        assert outcomes(writer.push(update(key, state="2"))) == [Outcome.UNKNOWN]

    def test_a_user_without_the_batch_api_is_told(self, instance: Instance, writer: Writer) -> None:
        instance.faults.add(FaultKind.SERVER_ERROR, path=BATCH, status=403)
        with pytest.raises(AuthenticationError):
            writer.push(create(0), create(1))

    def test_a_user_who_may_not_write_the_table_is_told_once(self, instance: Instance, writer: Writer) -> None:
        instance.controls.deny_table("incident", "write")
        with pytest.raises(AuthenticationError, match="Each of 3 writes"):
            writer.push(create(0), create(1), create(2))

    def test_a_record_that_the_user_may_not_write_is_refused_alone(self, instance: Instance, writer: Writer) -> None:
        keys = [instance.insert("incident") for _ in range(2)]
        instance.controls.limit_rows("incident", lambda user, row: row["sys_id"] != keys[0], "write")
        receipts = writer.push(update(keys[0], 0, state="2"), update(keys[1], 1, state="2"))
        assert outcomes(receipts) == [Outcome.REFUSED, Outcome.CONFIRMED]

    def test_updates_and_deletions_name_their_records(self, instance: Instance, writer: Writer) -> None:
        keys = [instance.insert("incident", short_description=f"old {number}") for number in range(3)]
        assert outcomes(writer.push(update(keys[0], short_description="new"), update("f" * 32, 9, state="2"))) == [
            Outcome.CONFIRMED,
            Outcome.GONE,
        ]
        gone = [Delivery(key, Action.DELETE, key, {}, key) for key in (keys[1], "e" * 32)]
        assert outcomes(writer.push(*gone)) == [Outcome.CONFIRMED] * 2
        assert {row["short_description"] for row in instance.all("incident")} == {"new", "old 2"}
        assert outcomes(writer.look(*gone)) == [Outcome.CONFIRMED] * 2

    @using(correlation_field="u_nowhere")
    def test_a_correlation_field_that_the_table_has_not_stops_before_anything_is_made(
        self, instance: Instance, writer: Writer
    ) -> None:
        instance.insert("incident")
        with pytest.raises(ConfigurationError, match="u_nowhere"):
            writer.push(create(0))
        assert len(instance.all("incident")) == 1

    def test_a_field_that_does_not_keep_our_id_stops_the_next_call(self, instance: Instance, writer: Writer) -> None:
        instance.controls.deny_field("incident", "correlation_id", "write")
        assert outcomes(writer.push(create(0))) == [Outcome.CONFIRMED]
        assert outcomes(writer.look(create(1))) == [Outcome.UNKNOWN]
        with pytest.raises(ConfigurationError, match="does not keep our id in correlation_id"):
            writer.push(create(1))
        assert len(instance.all("incident")) == 1

    @using(correlation_field="u_nowhere")
    def test_a_look_by_a_field_that_the_table_has_not_finds_nothing_out(
        self, instance: Instance, writer: Writer
    ) -> None:
        instance.settings.invalid_query_returns_no_rows = True
        instance.insert("incident")
        with pytest.raises(ConfigurationError, match="u_nowhere"):
            writer.look(create(0))

    @using(by="record")
    def test_record_by_record_nothing_is_sent_after_what_was_not_taken(
        self, instance: Instance, writer: Writer
    ) -> None:
        instance.faults.add(FaultKind.RATE_LIMITED, method="POST", skip=1, retry_after_s=9)
        receipts = writer.push(*[create(number) for number in range(4)])
        assert outcomes(receipts) == [Outcome.CONFIRMED] + [Outcome.UNSENT] * 3
        assert {receipt.retry_after_s for receipt in receipts[1:]} == {9}
        assert len(instance.calls) == 3

    @using(correlation_field="")
    def test_without_a_correlation_field_a_lost_create_stays_unknown(self, writer: Writer) -> None:
        assert outcomes(writer.look(create(0))) == [Outcome.UNKNOWN]

    def test_a_table_with_another_key_is_not_written(self, writer: Writer) -> None:
        with pytest.raises(ConfigurationError, match="key is sys_id"):
            writer.target.push(replace(writer.request, key_field="number"), [create(0)])


class TestValues:
    def test_values_go_out_as_texts_and_null_clears_a_field(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident", description="old", due_date="2026-01-01 00:00:00")
        sent = update(key, active=False, priority=2, severity=Decimal(1), description=None, due_date=None)
        assert outcomes(writer.push(sent)) == [Outcome.CONFIRMED]
        row = incident(instance)
        assert (row["active"], row["priority"], row["severity"]) == ("false", "2", "1")
        assert (row["description"], row["due_date"]) == ("", "")
        assert outcomes(writer.look(sent)) == [Outcome.CONFIRMED]

    def test_a_nested_value_is_refused_alone(self, writer: Writer) -> None:
        receipts = writer.push(create(0, caller_id={"name": "Anna"}), create(1))
        assert outcomes(receipts) == [Outcome.REFUSED, Outcome.CONFIRMED]
        assert "caller_id is a nested value" in (receipts[0].message or "")

    @using(references={"caller_id": {"table": "sys_user", "field": "email"}})
    def test_references_are_found_by_another_field_in_one_call(self, instance: Instance, writer: Writer) -> None:
        instance.settings.has_case_sensitive_values = False
        users = {f"user{number}@example.com": "" for number in range(150)} | {"comma,name": ""}
        users = {email: instance.insert("sys_user", email=email) for email in users}
        for _ in range(2):
            instance.insert("sys_user", email="two@example.com")
        deliveries = [create(number, caller_id=email.title()) for number, email in enumerate(users)]
        deliveries += [create(500, caller_id="nobody@example.com"), create(501, caller_id="two@example.com")]
        deliveries += [create(502, caller_id=None)]
        receipts = writer.push(*deliveries)
        assert outcomes(receipts)[:-3] == [Outcome.CONFIRMED] * len(users)
        assert [receipt.message for receipt in receipts[-3:]] == [
            "caller_id: sys_user has no record with email 'nobody@example.com'.",
            "caller_id: sys_user has several records with email 'two@example.com'.",
            None,
        ]
        assert {row["caller_id"] for row in instance.all("incident")} == {*users.values(), ""}
        assert len(instance.calls) == 3
        writer.push(create(600, caller_id="user7@example.com"))
        assert len(instance.calls) == 4

    @using(references={"caller_id": {"table": "sys_user", "field": "u_badge"}})
    def test_a_reference_by_an_unknown_field_finds_nobody_else(self, instance: Instance, writer: Writer) -> None:
        instance.insert("sys_user", email="anna@example.com")
        with pytest.raises(ConfigurationError, match="can't be searched by u_badge"):
            writer.push(create(0, caller_id="B-7"))
        assert instance.all("incident") == []

    @using(references={"caller_id": {"table": "sys_user", "field": "email"}})
    def test_nothing_is_sent_while_references_can_not_be_looked_up(self, instance: Instance, writer: Writer) -> None:
        instance.faults.add(FaultKind.SERVER_ERROR, path="sys_user", times=None)
        (receipt,) = writer.push(create(0, caller_id="anna@example.com"))
        assert (receipt.outcome, receipt.code) == (Outcome.UNSENT, "ERR_011")
        assert instance.all("incident") == []


class TestLooking:
    def test_queries_that_a_batch_had_no_time_for_are_asked_again(self, instance: Instance, writer: Writer) -> None:
        deliveries = [create(number) for number in range(350)]
        writer.push(*deliveries)
        instance.settings.batch_item_s = 12
        before = len(instance.calls)
        assert set(outcomes(writer.look(*deliveries))) == {Outcome.CONFIRMED}
        assert len(instance.calls) - before == 2

    @pytest.mark.parametrize("kind", [FaultKind.CANCELLED_ERROR, FaultKind.MAINTENANCE, FaultKind.SERVER_ERROR])
    @pytest.mark.parametrize("path", [BATCH, "/table/incident"])
    def test_an_answer_that_is_none_finds_nothing_out(
        self, instance: Instance, writer: Writer, kind: FaultKind, path: str
    ) -> None:
        instance.faults.add(kind, path=path, times=None)
        assert set(outcomes(writer.look(*[create(number) for number in range(250)]))) == {Outcome.UNKNOWN}

    def test_a_batch_that_answers_no_query_ends_the_look(self, instance: Instance, writer: Writer) -> None:
        instance.settings.batch_item_s = 31
        assert set(outcomes(writer.look(*[create(number) for number in range(250)]))) == {Outcome.UNKNOWN}

    def test_a_record_comes_with_what_a_read_of_it_brings(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident", short_description="as it is")
        (receipt,) = writer.look(update(key))
        assert receipt.record is not None
        assert (receipt.record["short_description"], receipt.record["description"]) == ("as it is", None)


class TestJournal:
    def test_entries_go_in_a_call_of_their_own_after_the_fields(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident")
        assert outcomes(writer.push(update(key, state="2", work_notes="called back", comments=""))) == [
            Outcome.CONFIRMED
        ]
        assert (incident(instance)["state"], notes(instance)) == ("2", [("work_notes", "called back")])
        assert [call.path for call in instance.calls].count(BATCH) == 2

    def test_a_create_holds_its_entries(self, instance: Instance, writer: Writer) -> None:
        writer.push(create(0, work_notes="from the hub"))
        assert notes(instance) == [("work_notes", "from the hub")]

    @pytest.mark.parametrize("skip", [0, 1], ids=["the fields' answer is lost", "the entry's answer is lost"])
    def test_an_entry_whose_answer_was_lost_is_never_written_twice(
        self, instance: Instance, writer: Writer, skip: int
    ) -> None:
        key = instance.insert("incident")
        sent = update(key, state="2", work_notes="called back")
        instance.faults.add(FaultKind.LOST, path=BATCH, is_done=True, skip=skip)
        assert outcomes(writer.push(sent)) == [Outcome.UNKNOWN]
        if outcomes(writer.look(sent)) == [Outcome.UNSENT]:
            assert outcomes(writer.push(sent)) == [Outcome.CONFIRMED]
        assert outcomes(writer.look(sent)) == [Outcome.CONFIRMED]
        assert notes(instance) == [("work_notes", "called back")]

    def test_an_entry_that_is_there_is_not_written_with_changed_fields(
        self, instance: Instance, writer: Writer
    ) -> None:
        key = instance.insert("incident")
        writer.push(update(key, state="2", work_notes="called back"))
        instance.change("incident", key, state="3")
        again = update(key, state="2", work_notes="called back", comments="new")
        assert outcomes(writer.look(again)) == [Outcome.UNSENT]
        assert outcomes(writer.push(again)) == [Outcome.CONFIRMED]
        assert notes(instance) == [("work_notes", "called back"), ("comments", "new")]

    def test_where_the_journal_cannot_be_read_a_person_decides(self, instance: Instance, writer: Writer) -> None:
        instance.controls.deny_table("sys_journal_field")
        key = instance.insert("incident")
        sent = update(key, state="2", work_notes="called back")
        instance.faults.add(FaultKind.LOST, path=BATCH, is_done=True, skip=1)
        (receipt,) = writer.push(sent)
        assert (receipt.outcome, receipt.code) == (Outcome.REFUSED, "ERR_013")
        assert outcomes(writer.look(sent)) == [Outcome.UNKNOWN]

    def test_an_entry_alone_needs_no_call_for_the_fields(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident")
        assert outcomes(writer.push(update(key, comments="hello"))) == [Outcome.CONFIRMED]
        assert [call.path for call in instance.calls].count(BATCH) == 1

    def test_while_the_journal_does_not_answer_an_entry_waits(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident")
        sent = update(key, state="2", work_notes="called back")
        instance.faults.add(FaultKind.SERVER_ERROR, path="sys_journal_field", times=3)
        assert outcomes(writer.push(sent)) == [Outcome.UNSENT]
        assert outcomes(writer.push(sent)) == [Outcome.CONFIRMED]
        assert notes(instance) == [("work_notes", "called back")]

    def test_an_entry_that_is_refused_says_that_the_fields_are_there(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident")
        instance.faults.add(FaultKind.SERVER_ERROR, path=key, skip=1, status=403)
        (receipt,) = writer.push(update(key, state="2", work_notes="called back"))
        assert receipt.outcome == Outcome.REFUSED
        assert "other fields are there; work_notes not" in (receipt.message or "")

    @using(by="record")
    def test_record_by_record_it_is_the_same(self, instance: Instance, writer: Writer) -> None:
        key = instance.insert("incident")
        writer.push(update(key, state="2", work_notes="called back"))
        writer.push(update(key, state="2", work_notes="called back"))
        assert notes(instance) == [("work_notes", "called back")]
        assert BATCH not in [call.path for call in instance.calls]


class TestImportSet:
    @pytest.fixture(autouse=True)
    def _staging(self, instance: Instance) -> None:
        columns = tuple(Column(name, max_length=4_000) for name in STAGED)
        row_map = TransformMap(
            "Incidents",
            "incident",
            STAGED,
            coalesce=("correlation_id",),
            lookups={"caller_id": "email"},
            ignores=lambda row: row["u_text"] == "ignore me",
        )
        instance.add_staging(
            Table(STAGING, columns, parent="sys_import_set_row"), Staging(STAGING, (row_map,), has_column_names=True)
        )
        instance.rules.append(BusinessRule("No jokes", "incident", lambda row: row["short_description"] == "joke"))

    def staged(self, number: int, text: str = "", key: str | None = None) -> Delivery:
        action = Action.UPDATE if key else Action.CREATE
        payload = {"u_text": text or f"ticket {number}", "u_state": "2"}
        return Delivery(f"d{number}", action, key, payload, f"key-{number}", record_id=f"{number:032x}")

    @using(**IMPORT)
    def test_a_thousand_records_go_in_by_one_call_and_are_asked_for_until_they_are_in(
        self, instance: Instance, writer: Writer
    ) -> None:
        instance.settings.rows_per_import_poll = 600
        deliveries = [self.staged(number) for number in range(1_000)]
        receipts = writer.push(*deliveries)
        assert set(outcomes(receipts)) == {Outcome.ACCEPTED}
        assert len(instance.calls) == 1
        assert Outcome.ACCEPTED in outcomes(writer.confirm(deliveries, receipts))
        told = writer.confirm(deliveries, receipts)
        assert set(outcomes(told)) == {Outcome.CONFIRMED}
        assert {one.key for one in told} == {row["sys_id"] for row in instance.all("incident")}

    @using(**IMPORT)
    def test_sent_twice_it_is_one_record(self, instance: Instance, writer: Writer) -> None:
        assert writer.target.repeat(writer.request) == Repeat.UPSERT
        for _ in range(2):
            receipts = writer.push(self.staged(1))
            assert outcomes(writer.confirm([self.staged(1)], receipts)) == [Outcome.CONFIRMED]
        assert len(instance.all("incident")) == 1

    @using(**IMPORT)
    def test_each_row_is_told_by_what_became_of_it(self, instance: Instance, writer: Writer) -> None:
        deliveries = [self.staged(0), self.staged(1, "joke"), self.staged(2, "ignore me")]
        told = writer.confirm(deliveries, writer.push(*deliveries))
        assert outcomes(told) == [Outcome.CONFIRMED, Outcome.REFUSED, Outcome.REFUSED]
        assert "No jokes" in (told[1].message or "")
        assert "ended as 'ignored'" in (told[2].message or "")

    @using(**IMPORT)
    def test_an_import_that_does_not_run_is_waited_for(self, instance: Instance, writer: Writer) -> None:
        instance.settings.runs_imports = False
        assert outcomes(writer.confirm([self.staged(0)], writer.push(self.staged(0)))) == [Outcome.ACCEPTED]

    @using(**IMPORT)
    def test_rows_that_are_gone_are_never_taken_for_done(self, instance: Instance, writer: Writer) -> None:
        receipts = writer.push(self.staged(0))
        instance.imports.run()
        instance.delete(STAGING, instance.all(STAGING)[0]["sys_id"])
        assert outcomes(writer.confirm([self.staged(0)], receipts)) == [Outcome.UNKNOWN]

    @using(**IMPORT)
    def test_an_update_of_a_record_without_our_id_would_be_a_second_one(
        self, instance: Instance, writer: Writer
    ) -> None:
        theirs = instance.insert("incident", short_description="began there")
        ours = instance.insert("incident", correlation_id=f"{2:032x}")
        deliveries = [self.staged(1, key=theirs), self.staged(2, key=ours), self.staged(3, key="f" * 32)]
        receipts = writer.push(*deliveries)
        assert outcomes(receipts) == [Outcome.REFUSED, Outcome.ACCEPTED, Outcome.GONE]
        assert outcomes(writer.confirm(deliveries[1:2], receipts[1:2])) == [Outcome.CONFIRMED]
        assert len(instance.all("incident")) == 2

    @using(**IMPORT)
    def test_a_map_that_made_a_second_record_is_found_out(self, instance: Instance, writer: Writer) -> None:
        instance.imports.add(Staging(STAGING, (TransformMap("Doubles", "incident", STAGED),), has_column_names=True))
        sent = self.staged(2, key=instance.insert("incident", correlation_id=f"{2:032x}"))
        (receipt,) = writer.confirm([sent], writer.push(sent))
        assert (receipt.outcome, receipt.code) == (Outcome.REFUSED, "ERR_005")

    @using(**{**IMPORT, "import_set": {"table": STAGING, "coalesce": False}})
    def test_a_map_that_does_not_coalesce_only_creates(self, writer: Writer) -> None:
        assert writer.target.repeat(writer.request) == Repeat.NEVER
        sent = [action for action in Action if writer.target.sends(writer.request, action)]
        assert sent == [Action.CREATE, Action.DELETE]

    @using(**{**IMPORT, "import_set": {"table": "u_nowhere"}})
    def test_a_staging_table_that_is_not_there_is_a_fault_of_the_configuration(self, writer: Writer) -> None:
        with pytest.raises(ConfigurationError, match="Invalid staging table u_nowhere"):
            writer.push(self.staged(0), self.staged(1))

    @using(**IMPORT)
    @pytest.mark.parametrize("kind", [FaultKind.CANCELLED_ERROR, FaultKind.MAINTENANCE, FaultKind.LOST])
    def test_an_import_without_a_sound_answer_goes_out_again(
        self, instance: Instance, writer: Writer, kind: FaultKind
    ) -> None:
        instance.faults.add(kind, path="/insertMultiple", is_done=True)
        assert outcomes(writer.push(self.staged(0))) == [Outcome.UNKNOWN]
        assert outcomes(writer.confirm([self.staged(0)], writer.push(self.staged(0)))) == [Outcome.CONFIRMED]
        instance.imports.run()
        assert len(instance.all("incident")) == 1

    @using(**IMPORT)
    def test_an_import_that_is_too_large_goes_out_in_parts(self, instance: Instance, writer: Writer) -> None:
        instance.settings.max_payload_bytes = 1_000
        assert outcomes(writer.push(*[self.staged(number) for number in range(50)])) == [Outcome.UNSENT] * 50
        assert outcomes(writer.push(self.staged(0, "x" * 1_000))) == [Outcome.REFUSED]

    @using(**IMPORT)
    def test_what_can_not_be_asked_now_is_asked_later(self, instance: Instance, writer: Writer) -> None:
        receipts = writer.push(self.staged(0))
        instance.faults.add(FaultKind.SERVER_ERROR, path=STAGING, times=3)
        assert outcomes(writer.confirm([self.staged(0)], receipts)) == [Outcome.ACCEPTED]
        assert outcomes(writer.confirm([self.staged(0)], receipts)) == [Outcome.CONFIRMED]

    @using(**IMPORT)
    def test_an_update_waits_while_its_record_can_not_be_read(self, instance: Instance, writer: Writer) -> None:
        instance.faults.add(FaultKind.SERVER_ERROR, path="/table/incident", times=None)
        assert outcomes(writer.push(self.staged(0, key="a" * 32))) == [Outcome.UNSENT]
        assert instance.all(STAGING) == []

    @using(**IMPORT)
    def test_a_delivery_without_an_import_is_for_a_person(self, writer: Writer) -> None:
        assert outcomes(writer.target.confirm(writer.request, [self.staged(0)])) == [Outcome.UNKNOWN]

    @using(**IMPORT)
    def test_a_create_is_found_by_the_field_that_the_map_fills(self, instance: Instance, writer: Writer) -> None:
        writer.push(self.staged(7))
        instance.imports.run()
        assert [receipt.key for receipt in writer.look(self.staged(7))] == [incident(instance)["sys_id"]]

    @using(**IMPORT)
    def test_journal_entries_follow_once_the_record_is_in(self, instance: Instance, writer: Writer) -> None:
        sent = replace(self.staged(0), payload={"u_text": "a ticket", "work_notes": "from the hub"})
        for _ in range(2):
            assert outcomes(writer.confirm([sent], writer.push(sent))) == [Outcome.CONFIRMED]
        assert notes(instance) == [("work_notes", "from the hub")]
