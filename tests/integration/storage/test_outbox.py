"""What is to be sent, found by key; deliveries from their queueing to the link that they leave."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.decisions import (
    DeliveryFilter,
    confirm_delivery,
    find_delivery,
    resend_deliveries,
    search_deliveries,
)
from kwiksync_ops.storage import changes, outbox
from kwiksync_ops.storage.changes import Change
from kwiksync_ops.storage.checkpoints import Watermark
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import OUTBOX, RECORD_LINK, RECORDS
from kwiksync_ops.storage.outbox import NewDelivery, Result
from kwiksync_ops.vocabulary import Action, DeliveryState

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
TICKETS = RECORDS["tickets"]


def add(hub: Hub, *sys_ids: str, at: datetime = NOW, mod_count: int = 0, **values: Any) -> None:
    rows = [
        {"sys_id": name, "external_id": name, "source_system": "hub", "sys_updated_on": at, "sys_mod_count": mod_count}
        for name in sys_ids
    ]
    hub.write(lambda connection: connection.execute(TICKETS.insert(), [{**row, **values} for row in rows]))


def link(hub: Hub, sys_id: str, external_id: str, mod_count: int | None, system: str = "crm", **values: Any) -> None:
    row = {"system": system, "table_name": "tickets", "external_id": external_id, "sys_id": sys_id}
    hub.write(lambda connection: connection.execute(RECORD_LINK.insert().values(**row, mod_count=mod_count, **values)))


def links(hub: Hub) -> dict[str, Any]:
    with hub.read() as connection:
        return {row.external_id: row for row in connection.execute(RECORD_LINK.select())}


def changed(hub: Hub, after: Watermark | None = None, limit: int = 100, until: datetime = LATER) -> list[Change]:
    with hub.read() as connection:
        return changes.read_changes(connection, "crm", "tickets", after=after, until=until, limit=limit)


def queue(hub: Hub, *deliveries: NewDelivery) -> list[str]:
    hub.write(lambda connection: outbox.queue(connection, "r1", "crm", "tickets", deliveries, now=NOW))
    with hub.read() as connection:
        return list(connection.execute(sa.select(OUTBOX.c.sys_id).order_by(OUTBOX.c.sys_id)).scalars())


def end(hub: Hub, *results: Result) -> list[str]:
    return hub.write(lambda connection: outbox.end(connection, "tickets", results, now=NOW))


def delivery(sys_id: str, external_id: str | None = None, action: Action = Action.CREATE, **facts: Any) -> NewDelivery:
    return NewDelivery(sys_id, facts.pop("mod_count", 3), external_id, action, "{}", b"h" * 16, **facts)


def test_changes_come_in_the_order_of_time_and_key_and_ties_are_not_lost(hub: Hub) -> None:
    add(hub, "b", "c", "a")
    add(hub, "0", at=NOW + timedelta(seconds=1))
    first = changed(hub, limit=2)
    assert [change.sys_id for change in first] == ["a", "b"]
    rest = changed(hub, after=first[-1].mark)
    assert [change.sys_id for change in rest] == ["c", "0"]
    assert changed(hub, after=rest[-1].mark) == []
    assert [change.sys_id for change in changed(hub, until=NOW)] == ["a", "b", "c"]


def test_a_change_says_what_the_system_agreed_to(hub: Hub) -> None:
    add(hub, "echo", "edited", mod_count=2)
    add(hub, "new", "of another system")
    add(hub, "gone", "never sent", mod_count=1, sys_deleted_on=NOW)
    link(hub, "echo", "E1", 2)
    link(hub, "edited", "E2", 1, etag="v1", hash_out=b"o" * 16)
    link(hub, "gone", "E3", 0)
    link(hub, "of another system", "X", 0, system="erp")
    found = {change.sys_id: change for change in changed(hub)}
    to_send = {name: change.action for name, change in found.items() if not change.is_agreed}
    assert to_send == {
        "edited": Action.UPDATE,
        "new": Action.CREATE,
        "of another system": Action.CREATE,
        "gone": Action.DELETE,
    }
    edited = found["edited"]
    assert (edited.external_id, edited.agreed, edited.etag, edited.hash_out) == ("E2", 1, "v1", b"o" * 16)


def test_a_confirmed_create_makes_the_link_and_a_confirmed_update_moves_it(hub: Hub) -> None:
    add(hub, "a", "b")
    link(hub, "b", "B1", 1, etag="old", version="2026")
    ids = queue(hub, delivery("a"), delivery("b", "B1", Action.UPDATE))
    confirmed = [Result(ids[0], DeliveryState.CONFIRMED, external_id="A1", etag="e1")]
    assert end(hub, *confirmed, Result(ids[1], DeliveryState.CONFIRMED)) == []
    made, moved = links(hub)["A1"], links(hub)["B1"]
    assert (made.sys_id, made.mod_count, made.etag, made.hash_out) == ("a", 3, "e1", b"h" * 16)
    assert (moved.mod_count, moved.etag, moved.hash_out, moved.version) == (3, "old", b"h" * 16, "2026")


def test_a_partial_delivery_leaves_the_agreement_where_it_was(hub: Hub) -> None:
    add(hub, "b")
    link(hub, "b", "B1", 1)
    (only,) = queue(hub, delivery("b", "B1", Action.UPDATE, is_partial=True))
    end(hub, Result(only, DeliveryState.CONFIRMED))
    assert (links(hub)["B1"].mod_count, links(hub)["B1"].hash_out) == (1, b"h" * 16)


def test_a_confirmed_delete_takes_the_link_away_and_no_other(hub: Hub) -> None:
    add(hub, "a", "b")
    link(hub, "a", "A1", 1)
    link(hub, "b", "B1", 1)
    (only,) = queue(hub, delivery("a", "A1", Action.DELETE))
    end(hub, Result(only, DeliveryState.CONFIRMED))
    assert list(links(hub)) == ["B1"]


def test_a_record_that_came_in_before_the_answer_to_its_create_is_told_as_its_double(hub: Hub) -> None:
    add(hub, "mine", "its double")
    link(hub, "its double", "N1", 0)
    (only,) = queue(hub, delivery("mine"))
    assert end(hub, Result(only, DeliveryState.CONFIRMED, external_id="N1")) == ["its double"]
    assert links(hub)["N1"].sys_id == "mine"


def test_what_was_certainly_not_sent_counts_no_attempt(hub: Hub) -> None:
    (only,) = queue(hub, delivery("a"))
    for state, attempts in ((DeliveryState.QUEUED, 0), (DeliveryState.SENDING, 1)):
        with hub.read() as connection:
            (row,) = outbox.read_rows(connection, "crm", "tickets", DeliveryState.QUEUED)
        hub.write(lambda connection, row=row: outbox.begin(connection, [row], now=NOW))  # type: ignore[misc]
        end(hub, Result(only, state))
        assert find_delivery(hub, only)["attempt"] == attempts


def test_a_newer_delivery_takes_the_place_of_those_that_did_not_go_out(hub: Hub) -> None:
    states = (DeliveryState.QUEUED, DeliveryState.REFUSED, DeliveryState.SENDING, DeliveryState.CONFIRMED)
    queue(hub, *(delivery("a", mod_count=number, state=state) for number, state in enumerate(states)))
    hub.write(lambda connection: outbox.supersede(connection, "crm", "tickets", ["a"]))
    with hub.read() as connection:
        found = connection.execute(sa.select(OUTBOX.c.state).order_by(OUTBOX.c.sys_mod_count)).scalars().all()
        assert outbox.in_the_way(connection, "crm", "tickets", ["a"]) == {"a": [(2, "sending", "create")]}
    assert found == ["superseded", "superseded", "sending", "confirmed"]


def test_a_person_confirms_an_unconfirmed_create_by_the_id_that_it_got(hub: Hub) -> None:
    add(hub, "a")
    (only,) = queue(hub, delivery("a", state=DeliveryState.UNCONFIRMED))
    with pytest.raises(ConfigurationError, match="its id there is not known"):
        confirm_delivery(hub, only, key=None, who="ann", clock=SystemClock())
    confirmed = confirm_delivery(hub, only[:20], key="A9", who="ann", clock=SystemClock())
    assert confirmed["state"] == DeliveryState.CONFIRMED
    assert links(hub)["A9"].sys_id == "a"
    with pytest.raises(ConfigurationError, match="is confirmed: there is nothing to decide"):
        resend_deliveries(hub, [only], who="ann", clock=SystemClock())


def test_a_person_has_a_refused_delivery_sent_again(hub: Hub) -> None:
    (only,) = queue(hub, delivery("a", state=DeliveryState.REFUSED, error_code="ERR_008"))
    assert [row["sys_id"] for row in search_deliveries(hub, DeliveryFilter(), limit=9)] == [only]
    assert resend_deliveries(hub, [only], who="ann", clock=SystemClock()) == 1
    assert find_delivery(hub, only)["state"] == DeliveryState.AGAIN
    with pytest.raises(ConfigurationError, match="No delivery has an id that begins with 'zzz'"):
        find_delivery(hub, "zzz")
