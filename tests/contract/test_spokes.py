"""What every kind of system promises, read and written through the registry's seams."""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import pytest

from kwiksync_ops.batch import Page
from kwiksync_ops.connectors.source import Position
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt, Repeat, Target
from kwiksync_ops.errors import (
    AuthenticationError,
    ConnectionTimeoutError,
    KwikSyncError,
    RetriableError,
    SystemUnavailableError,
    ValidationError,
)
from kwiksync_ops.vocabulary import Action
from tests.contract import spokes
from tests.contract.spoke import Ability, Fault, Row, Spoke

BEGINNING = datetime(2026, 1, 15, 12, tzinfo=UTC)
PAGE = 10
UNUSUAL_TEXTS = (
    "Grüße aus Köln",
    "日本語のテキスト",
    "שלום עולם",
    "naïve café (decomposed: cafe\u0301)",
    "quote \" apostrophe ' comma , semicolon ; tab\tend",
    "<b>&amp;</b> {{ template }} ${dollar} %s ^NQname",
    "  padded  ",
    "line one\nline two",
)

UNUSUAL_KEYS = (
    "A/1",
    "A#2",
    "A?b=1&c=2",
    "O'Neil",
    'say "x"',
    "in the middle",
    "50%",
    "%2F",
    "a+b",
    "Größe/日本",
    "(1,2)",
    "a;b:c@d",
)

Open = Callable[[str, Path], AbstractContextManager[Spoke]]


def variants(*needed: Ability) -> list[Any]:
    """Every variant of every module of `spokes` that has the abilities."""
    found: list[Any] = []
    for name in sorted(module.name for module in pkgutil.iter_modules(spokes.__path__)):
        module = import_module(f"{spokes.__name__}.{name}")
        lacks: Mapping[str, frozenset[Ability]] = getattr(module, "LACKS", {})
        found += [
            pytest.param((module.open_spoke, variant), id=f"{name}-{variant}")
            for variant in module.VARIANTS
            if lacks.get(variant, frozenset()).isdisjoint(needed)
        ]
    return found


def needs(*abilities: Ability) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("spoke", variants(*abilities), indirect=True)


@pytest.fixture
def spoke(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Spoke]:
    opener, variant = cast("tuple[Open, str]", request.param)
    with opener(variant, tmp_path) as found:
        yield found


def rows_of(count: int, *, tied: int = 1) -> list[Row]:
    """Rows in the order of (changed, id); each `tied` of them have one time."""
    return [
        Row(
            id=f"R{number:05d}",
            name=f"row {number}",
            note=f"note {number}",
            amount=number,
            changed=BEGINNING + timedelta(seconds=number // tied),
        )
        for number in range(count)
    ]


def keyed_rows() -> list[Row]:
    """All of one time, and more than a page has."""
    return [
        Row(**{**row, "id": key})
        for row, key in zip(rows_of(len(UNUSUAL_KEYS), tied=PAGE * 2), UNUSUAL_KEYS, strict=True)
    ]


def read(spoke: Spoke, **changes: Any) -> list[Page]:
    with closing(spoke.source()) as source:
        return list(source.read(spoke.request(**changes)))


def taken(spoke: Spoke, pages: Sequence[Page]) -> list[Row]:
    """What the pages hold, by id and time; nothing of them was rejected."""
    assert [reject for page in pages for reject in page.rejects] == []
    found = [spoke.row_of(record) for page in pages for record in page.records]
    return sorted(found, key=lambda row: (row["id"], row["changed"]))


def read_until_fault(spoke: Spoke, resume: Any = None) -> tuple[list[Page], KwikSyncError | None]:
    """The pages that came, and the error that ended the read."""
    pages: list[Page] = []
    with closing(spoke.source()) as source:
        try:
            for page in source.read(spoke.request(resume=resume)):
                pages.append(page)  # noqa: PERF402  # those that came before an error count
        except KwikSyncError as exc:
            return pages, exc
    return pages, None


def read_over_fault(spoke: Spoke) -> tuple[list[Page], KwikSyncError | None]:
    """A read, gone on after the last page that came before an error."""
    pages, error = read_until_fault(spoke)
    if error is not None:
        assert not any(page.is_last for page in pages)
        more, none = read_until_fault(spoke, pages[-1].resume if pages else None)
        assert none is None
        pages += more
    return pages, error


# Reading


@needs()
@pytest.mark.parametrize("count", [0, 6, PAGE, PAGE + 1, 37])
def test_a_read_delivers_every_row_once(spoke: Spoke, count: int) -> None:
    rows = rows_of(count)
    spoke.fill(rows)
    pages = read(spoke)
    assert taken(spoke, pages) == rows
    assert [page.is_last for page in pages] == [False] * (len(pages) - 1) + [True]
    assert [page.number for page in pages] == list(range(1, len(pages) + 1))
    assert all(len(page.records) <= PAGE for page in pages)


@needs()
@pytest.mark.parametrize("tied", [4, PAGE, 37])
def test_rows_of_one_time_are_not_lost_at_the_border_of_a_page(spoke: Spoke, tied: int) -> None:
    rows = rows_of(37, tied=tied)
    spoke.fill(rows)
    assert taken(spoke, read(spoke)) == rows


@needs()
def test_a_read_goes_on_after_any_page(spoke: Spoke) -> None:
    spoke.fill(rows_of(37, tied=4))
    pages = read(spoke)
    for number, page in enumerate(pages, start=1):
        rest = read(spoke, resume=json.loads(json.dumps(page.resume)))
        assert taken(spoke, rest) == taken(spoke, pages[number:])
        assert rest[-1].is_last
        assert rest[0].number == number + 1


@needs()
def test_a_token_leads_to_the_same_page_again(spoke: Spoke) -> None:
    spoke.fill(rows_of(37))
    token = read(spoke)[0].resume
    once, twice = read(spoke, resume=token)[0], read(spoke, resume=token)[0]
    assert (once.records, once.resume, once.number) == (twice.records, twice.resume, twice.number)
    assert once.records


@needs()
def test_what_changed_later_is_read(spoke: Spoke) -> None:
    rows = rows_of(37, tied=4)
    spoke.fill(rows)
    since = Position(rows[21]["changed"], rows[21]["id"])
    found = taken(spoke, read(spoke, since=since))
    assert [row for row in found if row in rows[22:]] == rows[22:]


@needs(Ability.STEADY)
def test_rows_that_change_between_two_pages_are_not_lost_and_take_no_other_with_them(spoke: Spoke) -> None:
    rows = rows_of(37, tied=4)
    spoke.fill(rows)
    later = BEGINNING + timedelta(hours=1)
    changed = [Row(**{**row, "name": "changed meanwhile", "changed": later}) for row in (rows[2], rows[30])]
    with closing(spoke.source()) as source:
        reading = source.read(spoke.request())
        pages = [next(reading)]
        for row in changed:
            spoke.change(row["id"], name=row["name"], changed=later)
        pages += reading
    first = taken(spoke, pages)
    seen = max(first, key=lambda row: (row["changed"], row["id"]))
    following = taken(spoke, read(spoke, since=Position(seen["changed"], seen["id"])))
    still = [row for row in rows if row["id"] not in {each["id"] for each in changed}]
    assert [row for row in first if row["name"] != "changed meanwhile" and row in still] == still
    assert all(row in [*first, *following] for row in changed)
    assert {row["id"] for row in first} == {row["id"] for row in rows}


@needs()
def test_unusual_texts_come_as_they_are(spoke: Spoke) -> None:
    rows = [Row(**{**row, "name": text}) for row, text in zip(rows_of(len(UNUSUAL_TEXTS)), UNUSUAL_TEXTS, strict=True)]
    spoke.fill(rows)
    assert taken(spoke, read(spoke)) == rows


@needs(Ability.KEYS)
def test_unusual_keys_part_pages_as_others_do(spoke: Spoke) -> None:
    rows = sorted(keyed_rows(), key=lambda row: row["id"])
    spoke.fill(rows)
    pages = read(spoke)
    assert taken(spoke, pages) == rows
    for number, page in enumerate(pages, start=1):
        assert taken(spoke, read(spoke, resume=json.loads(json.dumps(page.resume)))) == taken(spoke, pages[number:])


@needs(Ability.NULLS)
def test_null_is_not_an_empty_text(spoke: Spoke) -> None:
    rows = rows_of(2)
    rows[0]["note"], rows[1]["note"] = None, ""
    spoke.fill(rows)
    assert [row["note"] for row in taken(spoke, read(spoke))] == [None, ""]


@needs()
def test_a_check_says_what_was_found(spoke: Spoke) -> None:
    spoke.fill(rows_of(3))
    with closing(spoke.source()) as source:
        assert source.check().strip().endswith(".")


# Faults of systems that speak HTTP


@needs(Ability.HTTP)
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault.UNAUTHORIZED, AuthenticationError),
        (Fault.SERVER_ERROR, SystemUnavailableError),
        (Fault.SILENCE, ConnectionTimeoutError),
    ],
)
@pytest.mark.parametrize("after_calls", [0, 2])
def test_a_fault_ends_a_read_that_is_gone_on_with(
    spoke: Spoke, fault: Fault, expected: type[KwikSyncError], after_calls: int
) -> None:
    rows = rows_of(37, tied=4)
    spoke.fill(rows)
    spoke.fail(fault, after_calls=after_calls)
    pages, error = read_over_fault(spoke)
    assert isinstance(error, expected)
    assert error.remedy
    assert taken(spoke, pages) == rows


@needs(Ability.HTTP)
def test_a_broken_body_gives_nothing_or_everything(spoke: Spoke) -> None:
    rows = rows_of(37, tied=4)
    spoke.fill(rows)
    spoke.fail(Fault.BROKEN_BODY, after_calls=2)
    pages, error = read_over_fault(spoke)
    assert error is None or isinstance(error, RetriableError)
    assert taken(spoke, pages) == rows


@needs(Ability.HTTP)
def test_a_system_that_is_busy_is_waited_for_as_long_as_it_asks(spoke: Spoke) -> None:
    rows = rows_of(37, tied=4)
    spoke.fill(rows)
    spoke.fail(Fault.TOO_MANY, after_calls=1)
    pages, error = read_until_fault(spoke)
    assert error is None
    assert taken(spoke, pages) == rows
    assert spoke.clock.slept == [7.0]


@needs(Ability.HTTP)
def test_every_call_is_counted(spoke: Spoke) -> None:
    spoke.fill(rows_of(37))
    calm = sum(page.calls for page in read(spoke))
    spoke.fail(Fault.TOO_MANY, after_calls=1)
    assert sum(page.calls for page in read(spoke)) == calm + 1


# Writing


def delivery_of(
    spoke: Spoke, number: int, action: Action = Action.CREATE, key: str | None = None, **fields: Any
) -> Delivery:
    row = Row(**{**rows_of(number + 1)[number], **fields})
    return Delivery(
        id=f"d{number}-{action}",
        action=action,
        key=key,
        payload=spoke.payload_of(row) if action != Action.DELETE else {},
        idempotency_key=f"key-{number}-{action}",
        record_id=f"{number:032x}",
    )


def deliver(spoke: Spoke, target: Target, deliveries: Sequence[Delivery]) -> list[Receipt]:
    """Receipts in order: in calls of the target's size, halved where a call was refused whole, confirmed at the end."""
    request = spoke.push_request()
    size = target.call_records(request, deliveries[0].action)
    receipts: list[Receipt] = []
    for start in range(0, len(deliveries), size):
        receipts += _deliver_call(spoke, target, deliveries[start : start + size])
    by_id = {delivery.id: delivery for delivery in deliveries}
    waiting = [
        replace(by_id[each.delivery_id], key=each.key or by_id[each.delivery_id].key, job=each.job)
        for each in receipts
        if each.outcome == Outcome.ACCEPTED
    ]
    told = {each.delivery_id: each for each in target.confirm(request, waiting)} if waiting else {}
    return [told.get(each.delivery_id, each) for each in receipts]


def _deliver_call(spoke: Spoke, target: Target, deliveries: Sequence[Delivery]) -> list[Receipt]:
    receipts = target.push(spoke.push_request(), deliveries)
    assert [receipt.delivery_id for receipt in receipts] == [delivery.id for delivery in deliveries]
    if len(deliveries) == 1 or any(receipt.outcome != Outcome.UNSENT for receipt in receipts):
        return receipts
    half = len(deliveries) // 2
    return _deliver_call(spoke, target, deliveries[:half]) + _deliver_call(spoke, target, deliveries[half:])


def deliver_again(spoke: Spoke, target: Target, delivery: Delivery) -> Receipt:
    """As the outbound sync does it where the outcome of an attempt is not known."""
    request = spoke.push_request()
    if target.repeat(request) in (Repeat.LOOK, Repeat.NEVER):
        found = target.look(request, [delivery])[0]
        if found.outcome != Outcome.UNSENT:
            return found
    return deliver(spoke, target, [delivery])[0]


def created(spoke: Spoke, target: Target, number: int = 0) -> str:
    """A record that our target made at the system; its id there."""
    receipt = deliver(spoke, target, [delivery_of(spoke, number)])[0]
    assert receipt.outcome == Outcome.CONFIRMED
    return the_row(spoke, number)["id"]


def the_row(spoke: Spoke, number: int) -> Row:
    found = [row for row in spoke.rows().values() if row["name"] == f"row {number}"]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def target(spoke: Spoke) -> Iterator[Target]:
    spoke.fill([])
    with closing(spoke.target()) as found:
        yield found


@needs(Ability.WRITES)
def test_a_record_is_created(spoke: Spoke, target: Target) -> None:
    receipt = deliver(spoke, target, [delivery_of(spoke, 0)])[0]
    row = the_row(spoke, 0)
    assert receipt.outcome == Outcome.CONFIRMED
    assert receipt.key in (None, row["id"])
    assert (row["note"], row["amount"]) == ("note 0", 0)


@needs(Ability.WRITES)
def test_a_delivery_that_is_sent_twice_is_one_record(spoke: Spoke, target: Target) -> None:
    delivery = delivery_of(spoke, 0)
    deliver(spoke, target, [delivery])
    assert deliver_again(spoke, target, delivery).outcome in (Outcome.CONFIRMED, Outcome.UNKNOWN)
    assert len(spoke.rows()) == 1


@needs(Ability.WRITES)
def test_many_records_go_out_in_as_few_calls_as_the_system_takes(spoke: Spoke, target: Target) -> None:
    assert target.call_records(spoke.push_request(), Action.CREATE) == spoke.call_records
    receipts = deliver(spoke, target, [delivery_of(spoke, number) for number in range(25)])
    assert {receipt.outcome for receipt in receipts} == {Outcome.CONFIRMED}
    assert sorted(row["amount"] for row in spoke.rows().values()) == list(range(25))


@needs(Ability.WRITES, Ability.REFUSES)
def test_a_record_that_is_refused_takes_no_other_with_it(spoke: Spoke, target: Target) -> None:
    deliveries = [delivery_of(spoke, number) for number in range(5)]
    deliveries[2] = replace(deliveries[2], payload=spoke.unfit_payload())
    receipts = deliver(spoke, target, deliveries)
    assert [receipt.outcome == Outcome.REFUSED for receipt in receipts] == [False, False, True, False, False]
    assert {receipt.outcome for receipt in receipts} == {Outcome.CONFIRMED, Outcome.REFUSED}
    assert receipts[2].code == ValidationError.code
    assert receipts[2].message
    assert sorted(row["amount"] for row in spoke.rows().values()) == [0, 1, 3, 4]


@needs(Ability.WRITES)
def test_an_update_changes_the_record(spoke: Spoke, target: Target) -> None:
    key = created(spoke, target)
    receipt = deliver(spoke, target, [delivery_of(spoke, 0, Action.UPDATE, key, note="changed")])[0]
    assert receipt.outcome == Outcome.CONFIRMED
    assert the_row(spoke, 0)["note"] == "changed"
    assert list(spoke.rows()) == [key]


@needs(Ability.WRITES)
def test_unusual_texts_arrive_as_they_are(spoke: Spoke, target: Target) -> None:
    deliveries = [delivery_of(spoke, number, note=text) for number, text in enumerate(UNUSUAL_TEXTS)]
    receipts = deliver(spoke, target, deliveries)
    assert {receipt.outcome for receipt in receipts} == {Outcome.CONFIRMED}
    assert [the_row(spoke, number)["note"] for number in range(len(UNUSUAL_TEXTS))] == list(UNUSUAL_TEXTS)


@needs(Ability.WRITES, Ability.KEYS)
def test_a_record_is_changed_by_its_key_whatever_signs_that_has(spoke: Spoke, target: Target) -> None:
    rows = {row["id"]: row for row in keyed_rows()}
    spoke.fill(list(rows.values()))
    deliveries = [
        replace(delivery_of(spoke, number, Action.UPDATE, key), payload=spoke.payload_of(Row(**{**row, "note": key})))
        for number, (key, row) in enumerate(rows.items())
    ]
    receipts = deliver(spoke, target, deliveries)
    assert {receipt.outcome for receipt in receipts} == {Outcome.CONFIRMED}
    assert {key: row["note"] for key, row in spoke.rows().items()} == {key: key for key in rows}


@needs(Ability.WRITES, Ability.DELETES)
def test_a_record_is_deleted_and_may_be_gone_already(spoke: Spoke, target: Target) -> None:
    keys = [created(spoke, target, number) for number in range(2)]
    delivery = delivery_of(spoke, 0, Action.DELETE, keys[0])
    assert deliver(spoke, target, [delivery])[0].outcome == Outcome.CONFIRMED
    assert list(spoke.rows()) == [keys[1]]
    again = replace(delivery, id="again", idempotency_key="another")
    assert deliver(spoke, target, [again])[0].outcome == Outcome.CONFIRMED
    assert list(spoke.rows()) == [keys[1]]


@needs(Ability.WRITES)
def test_an_update_of_a_record_that_is_gone_claims_no_more_than_is_true(spoke: Spoke, target: Target) -> None:
    key = created(spoke, target)
    spoke.fill([])
    receipt = deliver(spoke, target, [delivery_of(spoke, 0, Action.UPDATE, key, note="changed")])[0]
    if receipt.outcome != Outcome.GONE:  # a system that upserts makes it again
        assert receipt.outcome == Outcome.CONFIRMED
        assert the_row(spoke, 0)["note"] == "changed"
    else:
        assert spoke.rows() == {}


@needs(Ability.WRITES, Ability.HTTP)
@pytest.mark.parametrize("fault", [Fault.SERVER_ERROR, Fault.SILENCE, Fault.BROKEN_BODY])
def test_a_write_without_a_clear_answer_is_one_record_in_the_end(spoke: Spoke, target: Target, fault: Fault) -> None:
    delivery = delivery_of(spoke, 0)
    spoke.fail(fault)
    receipt = deliver(spoke, target, [delivery])[0]
    assert receipt.outcome in (Outcome.UNKNOWN, Outcome.ACCEPTED)
    assert deliver_again(spoke, target, delivery).outcome == Outcome.CONFIRMED
    assert the_row(spoke, 0)["amount"] == 0


@needs(Ability.WRITES, Ability.HTTP)
def test_a_write_to_a_busy_system_is_not_sent_and_says_how_long_to_wait(spoke: Spoke, target: Target) -> None:
    spoke.fail(Fault.TOO_MANY)
    receipt = target.push(spoke.push_request(), [delivery_of(spoke, 0)])[0]
    assert (receipt.outcome, receipt.retry_after_s) == (Outcome.UNSENT, 7.0)
    assert spoke.rows() == {}


@needs(Ability.WRITES, Ability.HTTP)
def test_a_write_that_is_not_allowed_raises(spoke: Spoke, target: Target) -> None:
    spoke.fail(Fault.UNAUTHORIZED)
    with pytest.raises(AuthenticationError):
        target.push(spoke.push_request(), [delivery_of(spoke, 0)])
    assert spoke.rows() == {}
