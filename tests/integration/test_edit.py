"""Edits by a person in the hub, and what a person decides about conflicts: checked, told, in one transaction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from kwiksync_ops import redaction
from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.errors import ConfigurationError, ConflictError, ValidationError
from kwiksync_ops.services.conflicts import Conflict, find_conflict, list_conflicts, resolve_conflict
from kwiksync_ops.services.edit import create_record, delete_records, edit_record
from kwiksync_ops.services.errors import find_errors, resolve_errors
from kwiksync_ops.storage import audit, changes, history, records, two_way
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import AUDIT, RECORD_LINK, RECORDS
from kwiksync_ops.vocabulary import Action

CLOCK = SystemClock()
DUE = datetime(2026, 2, 1, 9, tzinfo=UTC)
COLUMNS = ("external_id", "number", "state", "due_date", "project")


def edit(hub: Hub, sys_id: str, table: str = "tickets", **values: Any) -> Any:
    return edit_record(hub, table, sys_id, values, who="ann", clock=CLOCK)


def create(hub: Hub, table: str = "tickets", **values: Any) -> str:
    return create_record(hub, table, values, who="ann", clock=CLOCK)


def row(hub: Hub, sys_id: str, table: str = "tickets") -> dict[str, Any]:
    records_of = RECORDS[table]
    with hub.read() as connection:
        return dict(connection.execute(records_of.select().where(records_of.c.sys_id == sys_id)).mappings().one())


def pull(hub: Hub, version: str, policy: str = "manual", **values: Any) -> str:
    """A ticket as the system has it now; its sys_id."""
    ticket = {"external_id": "T1", "number": "T1", "state": "1", "due_date": DUE, "project": None} | values
    batch = MappedBatch("tickets", COLUMNS, [tuple(ticket[name] for name in COLUMNS)], [version], [], 1)
    author = Author("erp", "run", "sync", CLOCK.now(), {"": policy})
    hub.write(lambda connection: records.merge(connection, batch, author))
    with hub.read() as connection:
        return str(connection.execute(sa.select(RECORD_LINK.c.sys_id)).scalar_one())


def conflict(hub: Hub, field: str, ours: Any, theirs: Any) -> Conflict:
    sys_id = pull(hub, "2026-01-01T00:00:00+00:00")
    edit(hub, sys_id, **{field: ours})
    pull(hub, "2026-01-02T00:00:00+00:00", **{field: theirs})
    (found,) = list_conflicts(hub)
    return found


def pending(hub: Hub, sys_id: str) -> dict[str, Any]:
    with hub.read() as connection:
        (change,) = changes.changes_of(connection, "erp", "tickets", [sys_id])
        found = two_way.pending(connection, "erp", "tickets", {sys_id: change.agreed or 0})
    return {name: one.value for name, one in found[sys_id].fields.items()} if sys_id in found else {}


def held(hub: Hub) -> frozenset[str]:
    with hub.read() as connection:
        return two_way.held_fields(connection, "erp", "tickets", ["T1"]).get("T1", frozenset())


def decide(hub: Hub, found: Conflict, use: str | None = None, **extra: Any) -> Any:
    return resolve_conflict(hub, found.sys_id, use=use, who="bob", clock=CLOCK, **extra)


def audited(hub: Hub) -> list[tuple[str, str]]:
    with hub.read() as connection:
        assert audit.verify(connection, ("test-audit-key",)) is None
        return [tuple(one) for one in connection.execute(sa.select(AUDIT.c.action, AUDIT.c.who).order_by("number"))]


def last_details(hub: Hub) -> Any:
    with hub.read() as connection:
        return audit.search(connection, audit.AuditFilter(), limit=1)[0]["details"]


def test_an_edit_is_typed_counted_and_told_in_history_and_audit(hub: Hub) -> None:
    sys_id = create(hub, number="T1", state="1")
    changed = edit(hub, sys_id, state="2", due_date="2026-02-01T10:00:00+01:00", description="")
    assert changed == {"state": ("1", "2"), "due_date": (None, DUE)}
    after = row(hub, sys_id)
    assert (after["state"], after["due_date"], after["sys_mod_count"], after["sys_updated_by"]) == ("2", DUE, 1, "ann")
    with hub.read() as connection:
        *_, entry = history.of_record(connection, "tickets", sys_id)
    assert (entry.system, entry.sys_mod_count, entry.who) == (None, 1, "ann")
    assert entry.changes == {"state": ("1", "2"), "due_date": (None, "2026-02-01T09:00:00Z")}
    assert audited(hub) == [("record.create", "ann"), ("record.update", "ann")]


def test_an_edit_that_changes_nothing_writes_nothing(hub: Hub) -> None:
    sys_id = create(hub, state="1")
    assert edit(hub, sys_id, state="1") == {}
    assert row(hub, sys_id)["sys_mod_count"] == 0
    assert len(audited(hub)) == 1


def test_a_record_made_in_the_hub_is_its_own_source(hub: Hub) -> None:
    sys_id = create(hub, state="1")
    after = row(hub, sys_id)
    assert (after["source_system"], after["external_id"], after["active"]) == ("kwiksync", sys_id, True)
    with hub.read() as connection:
        (change,) = changes.changes_of(connection, "erp", "tickets", [sys_id])
    assert (change.action, change.is_agreed) == (Action.CREATE, False)


def test_all_that_is_wrong_with_values_is_told_at_once_and_nothing_is_changed(hub: Hub) -> None:
    sys_id = create(hub, state="1")
    with pytest.raises(ValidationError, match=r"state .*40.*due_date ") as told:
        edit(hub, sys_id, state="x" * 41, due_date="soon", description="fine")
    assert told.value.code == "ERR_008"
    assert row(hub, sys_id)["description"] is None


@pytest.mark.parametrize("name", ["stat", "sys_id", "source_system", "sys_mod_count", "external_id"])
def test_a_field_that_is_not_the_person_s_to_edit_is_refused(hub: Hub, name: str) -> None:
    sys_id = create(hub, state="1")
    with pytest.raises(ConfigurationError, match=r"has no field .* that can be edited"):
        edit_record(hub, "tickets", sys_id, {name: "1"}, who="ann", clock=CLOCK)


def test_a_reference_must_lead_to_a_record_that_is_there(hub: Hub) -> None:
    project, sys_id = create(hub, "projects", name="Dam"), create(hub, state="1")
    edit(hub, sys_id, project=project)
    delete_records(hub, "projects", [project], who="ann", clock=CLOCK)
    for missing in (project, "0" * 32):
        with pytest.raises(ValidationError, match="project refers to a record of projects"):
            create(hub, state="2", project=missing)


def test_a_deleted_record_is_a_tombstone_that_can_t_be_edited(hub: Hub) -> None:
    sys_id = create(hub, state="1")
    assert delete_records(hub, "tickets", [sys_id], who="ann", clock=CLOCK) == 1
    after = row(hub, sys_id)
    assert (after["sys_deleted_on"] is not None, after["active"], after["sys_mod_count"]) == (True, False, 1)
    with pytest.raises(ConfigurationError, match="is deleted"):
        edit(hub, sys_id, state="2")
    with pytest.raises(ConfigurationError, match="has no record"):
        delete_records(hub, "tickets", [sys_id], who="ann", clock=CLOCK)
    assert audited(hub)[-1] == ("record.delete", "ann")


def test_the_audit_of_a_deletion_keeps_what_the_record_held_but_no_secret(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    sys_id = create(hub, number="T1", state="1", due_date=DUE)
    delete_records(hub, "tickets", [sys_id], who="ann", clock=CLOCK)
    held = {"external_id": sys_id, "active": True, "number": "T1", "state": "1", "due_date": str(DUE)}
    assert last_details(hub) == {"old": held}
    monkeypatch.setattr(redaction, "is_secret_name", lambda name: name == "state")
    sys_id = create(hub, state="1")
    delete_records(hub, "tickets", [sys_id], who="ann", clock=CLOCK)
    assert last_details(hub) == {"old": {"external_id": sys_id, "active": True, "state": redaction.MASK}}


def test_an_edit_of_what_somebody_else_changed_since_is_refused(hub: Hub) -> None:
    sys_id = create(hub, state="1")
    edit(hub, sys_id, state="2")
    with pytest.raises(ConflictError, match="was changed by ann since you looked"):
        edit_record(hub, "tickets", sys_id, {"state": "3"}, who="bob", clock=CLOCK, expected_mod_count=0)
    assert row(hub, sys_id)["state"] == "2"


@pytest.mark.parametrize(
    ("field", "ours", "theirs"),
    [("state", "hub", "system"), ("state", None, "system"), ("due_date", DUE.replace(day=2), DUE.replace(day=3))],
)
@pytest.mark.parametrize("use", ["hub", "system"])
def test_a_conflict_is_decided_for_either_side(hub: Hub, field: str, ours: Any, theirs: Any, use: str) -> None:
    found = conflict(hub, field, ours, theirs)
    assert held(hub) == {field}
    done = decide(hub, found, use)
    assert (done.value, done.is_sent) == ((ours, True) if use == "hub" else (theirs, False))
    assert row(hub, found.record)[field] == done.value
    assert pending(hub, found.record).keys() == ({field} if use == "hub" else set())
    assert (held(hub), list_conflicts(hub)) == (frozenset(), [])
    assert audited(hub)[-1] == ("conflict.resolve", "bob")
    assert find_conflict(hub, found.sys_id).resolution == "resolved"


def test_a_third_value_is_checked_and_goes_out(hub: Hub) -> None:
    found = conflict(hub, "due_date", DUE.replace(day=2), DUE.replace(day=3))
    with pytest.raises(ValidationError):
        decide(hub, found, value="soon")
    assert held(hub) == {"due_date"}
    done = decide(hub, found, value="2026-02-04T09:00:00Z")
    assert (done.value, done.is_sent) == (DUE.replace(day=4), True)
    assert pending(hub, found.record) == {"due_date": "2026-02-04T09:00:00Z"}


def test_a_third_value_that_is_the_system_s_is_not_sent(hub: Hub) -> None:
    found = conflict(hub, "due_date", DUE.replace(day=2), DUE.replace(day=3))
    assert not decide(hub, found, value="2026-02-03 09:00").is_sent
    assert pending(hub, found.record) == {}


def test_a_decision_about_an_old_value_needs_force_and_never_undoes_the_newer_edit(hub: Hub) -> None:
    found = conflict(hub, "state", "hub", "system")
    edit(hub, found.record, state="newer")
    for use in ("hub", "system"):
        with pytest.raises(ConflictError, match="changed in the hub since, from 'hub' to 'newer'"):
            decide(hub, found, use)
    assert decide(hub, found, "hub", force=True).value == "newer"
    assert row(hub, found.record)["state"] == "newer"


def test_a_conflict_is_decided_once(hub: Hub) -> None:
    found = conflict(hub, "state", "hub", "system")
    decide(hub, found, "system")
    with pytest.raises(ConfigurationError, match="is decided already"):
        decide(hub, found, "hub")
    assert row(hub, found.record)["state"] == "system"


def test_what_is_unknown_or_not_said_is_refused(hub: Hub) -> None:
    found = conflict(hub, "state", "hub", "system")
    with pytest.raises(ConfigurationError, match="has no row"):
        resolve_conflict(hub, "ffff", use="hub", who="bob", clock=CLOCK)
    for use in (None, "both"):
        with pytest.raises(ConfigurationError, match="not said which value stands"):
            decide(hub, found, use)


def test_of_a_record_that_was_deleted_there_is_nothing_to_decide(hub: Hub) -> None:
    found = conflict(hub, "state", "hub", "system")
    delete_records(hub, "tickets", [found.record], who="ann", clock=CLOCK)
    with pytest.raises(ConfigurationError, match="was deleted in the hub"):
        decide(hub, found, "system")


def test_a_conflict_that_is_set_down_as_an_error_lets_the_hub_s_value_go_out(hub: Hub) -> None:
    found = conflict(hub, "state", "hub", "system")
    before = row(hub, found.record)["sys_updated_on"]
    resolve_errors(hub, find_errors(hub, [found.sys_id]), note=None, who="bob", clock=CLOCK)
    (ended,) = list_conflicts(hub, decided=True)
    assert (ended.stands, ended.decision, ended.decided_by) == ("the hub's", "hub", "bob")
    assert (held(hub), pending(hub, found.record)) == (frozenset(), {"state": "hub"})
    assert row(hub, found.record)["sys_updated_on"] > before
