"""Records that hub and system both change: merged as an oracle says, on both databases, with nothing lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwiksync_ops.batch import MappedBatch
from kwiksync_ops.errors import HubError
from kwiksync_ops.storage import edits, error_log, history, outbox, records, schema, two_way
from kwiksync_ops.storage.history import Author
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.storage.models import RECORD_LINK, RECORDS
from kwiksync_ops.storage.records import Merged
from kwiksync_ops.storage.two_way import Edit, Pending
from kwiksync_ops.vocabulary import Resolution

START = datetime(2026, 1, 15, 12, tzinfo=UTC)
PROJECTS = RECORDS["projects"]
FIELDS = ("name", "state", "priority")
MANY_TYPES = ("start_date", "percent_complete", "active")


@dataclass
class Sides:
    """One record in the hub and at a system, without anything between them but `merge` and what is confirmed."""

    hub: Hub
    policies: dict[str, str]
    names: tuple[str, ...] = FIELDS
    now: datetime = START
    system: dict[str, Any] = field(default_factory=dict)
    version: datetime = START
    sys_id: str = ""

    def begin(self, **values: Any) -> Sides:
        self.system = dict.fromkeys(self.names) | values
        assert self.pull() == Merged(1, 0, 0)
        with self.hub.read() as connection:
            self.sys_id = connection.execute(sa.select(PROJECTS.c.sys_id)).scalar_one()
        return self

    def tick(self) -> datetime:
        self.now += timedelta(minutes=1)
        return self.now

    def edit(self, who: str = "ann", **values: Any) -> None:
        now = self.tick()

        def work(connection: sa.Connection) -> None:
            row = edits.read(connection, "projects", self.sys_id)
            assert row is not None
            edits.update(connection, "projects", row, values, who=who, now=now)

        self.hub.write(work)

    def change(self, **values: Any) -> None:
        """At the system."""
        self.version = self.tick()
        self.system |= values

    def pull(self, version: str | None = None) -> Merged:
        batch = self.batch(version)
        return self.hub.write(lambda connection: records.merge(connection, batch, self.author("erp")))

    def batch(self, version: str | None = None) -> MappedBatch:
        row = ("P1", *(self.system[name] for name in self.names))
        at = version or self.version.isoformat()
        return MappedBatch("projects", ("external_id", *self.names), [row], [at], [], 1)

    def author(self, system: str) -> Author:
        return Author(system, "run", "sync", self.tick(), self.policies)

    def push(self, *, is_confirmed: bool = True) -> dict[str, Any]:
        """What is pending and not held arrives at the system; it is what was sent."""
        sent = {name: edit.value for name, edit in self.pending().fields.items() if name not in self.held()}
        if sent:
            self.change(**sent)
        if is_confirmed and not self.held():
            agreed = {"P1": self.row()["sys_mod_count"]}
            self.hub.write(lambda connection: outbox.agree(connection, "erp", "projects", agreed))
        return sent

    def pending(self) -> Pending:
        with self.hub.read() as connection:
            agreed = connection.execute(sa.select(RECORD_LINK.c.mod_count)).scalar_one()
            return two_way.pending(connection, "erp", "projects", {self.sys_id: agreed}).get(self.sys_id, Pending())

    def held(self) -> frozenset[str]:
        with self.hub.read() as connection:
            return two_way.held_fields(connection, "erp", "projects", ["P1"]).get("P1", frozenset())

    def row(self) -> dict[str, Any]:
        with self.hub.read() as connection:
            return dict(connection.execute(PROJECTS.select()).mappings().one())

    def values(self) -> dict[str, Any]:
        return {name: self.row()[name] for name in self.names}

    def conflicts(self) -> list[dict[str, Any]]:
        with self.hub.read() as connection:
            rows = error_log.search(connection, code="ERR_009", limit=1_000)
        return [{**json.loads(row["payload"]), "resolution": row["resolution"]} for row in reversed(rows)]

    def entries(self) -> list[history.Entry]:
        with self.hub.read() as connection:
            return history.of_record(connection, "projects", self.sys_id)


def sides(hub: Hub, **policies: str) -> Sides:
    """`default` is the table's policy; the others are those of columns."""
    default = policies.pop("default", "newest_wins")
    return Sides(hub, {"": default, **policies}).begin(name="Dam", state="1", priority="low")


def test_edits_of_different_fields_merge_and_both_are_told_in_the_history(hub: Hub) -> None:
    both = sides(hub)
    both.edit(state="2")
    both.change(name="Dike")
    assert both.pull() == Merged(0, 1, 0)
    assert both.values() == {"name": "Dike", "state": "2", "priority": "low"}
    assert both.conflicts() == []
    assert both.push() == {"state": "2"}
    assert both.pull() == Merged(0, 0, 1)
    assert [(entry.system, entry.changes) for entry in both.entries()[2:]] == [
        ("erp", {"name": ("Dam", "Dike"), "state": ("2", "1")}),
        (None, {"state": ("1", "2")}),
    ]


def test_an_edit_that_is_put_back_is_told_at_the_time_of_the_sync_and_names_that_of_the_edit(hub: Hub) -> None:
    both = sides(hub)
    both.edit(who="ann", state="2")
    both.edit(who="bob", priority="high")
    both.change(name="Dike")
    both.pull()
    *_, by_ann, by_bob, from_system, ann_again, bob_again = both.entries()
    assert from_system.at == ann_again.at == bob_again.at > by_bob.at
    assert [each.at for each in both.entries()] == sorted(each.at for each in both.entries())
    assert [(each.who, each.edited_on) for each in (ann_again, bob_again)] == [("ann", by_ann.at), ("bob", by_bob.at)]
    assert (by_ann.edited_on, from_system.edited_on) == (None, None)


def test_the_history_is_a_chain_that_ends_at_the_record(hub: Hub) -> None:
    both = sides(hub)
    both.edit(state="2", name="Weir")
    both.change(name="Dike", state="3")
    both.pull()
    value, counts = {"state": "1", "name": "Dam"}, []
    for entry in both.entries()[1:]:
        counts.append(entry.sys_mod_count)
        for name, (old, new) in entry.changes.items():
            assert value[name] == old
            value[name] = new
    assert counts == list(range(1, both.row()["sys_mod_count"] + 1))
    assert {name: both.row()[name] for name in value} == value


def test_the_same_value_made_on_both_sides_is_no_conflict(hub: Hub) -> None:
    both = sides(hub)
    both.edit(state="2")
    both.change(state="2")
    assert both.pull() == Merged(0, 0, 1)
    assert (both.push(), both.conflicts()) == ({}, [])


def test_a_value_made_on_both_sides_is_agreed_even_while_another_field_is_pending(hub: Hub) -> None:
    """Else the system's next change of it would be taken for a conflict with an edit that it has long got."""
    both = sides(hub, default="hub_wins")
    both.edit(state="2", name="Dike")
    both.change(state="2")
    assert both.pull() == Merged(0, 0, 1)
    assert both.pending().fields.keys() == {"name"}
    both.change(state="3")
    both.pull()
    assert (both.values()["state"], both.conflicts()) == ("3", [])
    assert both.push() == {"name": "Dike"}


@pytest.mark.parametrize(
    ("policy", "hub_is_later", "winner"),
    [
        ("newest_wins", True, "hub"),
        ("newest_wins", False, "system"),
        ("hub_wins", False, "hub"),
        ("system_wins", True, "system"),
    ],
)
def test_a_policy_decides_and_the_error_log_tells_it_once(
    hub: Hub, policy: str, hub_is_later: bool, winner: str
) -> None:
    both = sides(hub, default=policy)
    if hub_is_later:
        both.change(state="system")
    both.edit(state="hub")
    if not hub_is_later:
        both.change(state="system")
    both.pull()
    assert both.values()["state"] == winner
    for _ in range(3):
        both.push()
        both.pull()
    assert both.values() == both.system
    assert both.system["state"] == winner
    (told,) = both.conflicts()
    assert (told["base"], told["hub"], told["system"], told["winner"]) == ("1", "hub", "system", winner)
    assert (told["resolution"], told["hub_changed_by"]) == (Resolution.RESOLVED, "ann")


def test_of_two_changes_at_the_same_moment_the_hub_s_stands(hub: Hub) -> None:
    both = sides(hub)
    both.edit(state="hub")
    both.system |= {"state": "system"}
    both.version = both.now
    both.pull()
    assert both.values()["state"] == "hub"


def test_a_version_without_a_zone_is_utc(hub: Hub) -> None:
    both = sides(hub)
    both.edit(state="hub")
    both.system |= {"state": "system"}
    both.pull(version="2026-01-15")
    assert both.values()["state"] == "hub"


def test_an_edit_keeps_its_time_and_author_when_other_fields_are_merged_below_it(hub: Hub) -> None:
    """Else a merge would make an old edit the newest."""
    both = sides(hub)
    both.edit(who="ann", state="hub")
    edited = both.now
    late = both.tick()
    both.edit(who="bob", priority="high")
    both.change(name="Dike")
    both.pull()
    assert {name: (edit.who, edit.at) for name, edit in both.pending().fields.items()} == {
        "state": ("ann", edited),
        "priority": ("bob", edited + timedelta(minutes=2)),
    }
    both.system |= {"state": "system"}
    both.version += timedelta(seconds=1)
    assert late < both.version
    both.pull()
    assert both.values()["state"] == "system"


def test_a_manual_conflict_holds_its_field_alone_until_it_is_decided(hub: Hub) -> None:
    both = sides(hub, state="manual")
    both.edit(state="hub", name="Dike")
    both.change(state="system")
    both.pull()
    assert both.values() == {"name": "Dike", "state": "hub", "priority": "low"}
    assert both.held() == {"state"}
    assert both.push() == {"name": "Dike"}
    for _ in range(3):
        assert both.pull() == Merged(0, 0, 1)
        assert both.push() == {}
    (told,) = both.conflicts()
    assert (told["winner"], told["resolution"]) == (None, Resolution.OPEN)


def test_a_newer_conflict_takes_the_place_of_an_open_one(hub: Hub) -> None:
    both = sides(hub, state="manual")
    both.edit(state="hub")
    for value in ("system", "newer"):
        both.change(state=value)
        both.pull()
    assert [(told["system"], told["resolution"]) for told in both.conflicts()] == [
        ("system", Resolution.RESOLVED),
        ("newer", Resolution.OPEN),
    ]


def test_an_open_conflict_is_closed_when_both_sides_have_come_to_the_same_value(hub: Hub) -> None:
    both = sides(hub, state="manual")
    both.edit(state="hub")
    both.change(state="system")
    both.pull()
    both.change(state="hub")
    both.pull()
    assert (both.held(), both.pending().fields) == (frozenset(), {})


def test_the_owner_s_value_stands_and_goes_back_to_the_other_side_once(hub: Hub) -> None:
    both = sides(hub, state="hub", name="system")
    both.edit(name="mine")
    both.change(state="theirs")
    both.pull()
    assert both.values() == {"name": "Dam", "state": "1", "priority": "low"}
    mod_count = both.row()["sys_mod_count"]
    both.pull()
    assert both.row()["sys_mod_count"] == mod_count
    assert (both.push(), both.system["state"], both.conflicts()) == ({"state": "1"}, "1", [])
    both.pull()
    assert both.push() == {}


def test_an_edit_that_was_taken_back_leaves_the_field_to_the_system(hub: Hub) -> None:
    both = sides(hub, default="hub_wins")
    both.edit(state="2", name="Dike")
    both.edit(state="1")
    assert both.pending().fields.keys() == {"name"}
    both.change(state="3")
    both.pull()
    assert (both.values()["state"], both.conflicts()) == ("3", [])


def test_what_arrived_without_its_confirmation_is_an_echo_also_when_the_hub_has_moved_on(hub: Hub) -> None:
    both = sides(hub, default="system_wins")
    both.edit(state="2")
    both.push(is_confirmed=False)
    both.edit(state="3")
    both.pull()
    assert (both.values()["state"], both.conflicts()) == ("3", [])
    assert both.push() == {"state": "3"}


def test_an_older_version_changes_nothing(hub: Hub) -> None:
    both = sides(hub, default="system_wins")
    both.change(state="2")
    both.pull()
    both.edit(state="hub")
    both.system |= {"state": "old"}
    assert both.pull(version=START.isoformat()) == Merged(0, 0, 1)
    assert both.values()["state"] == "hub"


def test_a_system_that_is_only_read_from_overwrites_edits(hub: Hub) -> None:
    both = sides(hub)
    both.edit(state="hub")
    both.change(name="Dike")
    both.policies = None  # type: ignore[assignment]  # as of a system that is only read from
    both.pull()
    assert (both.values()["state"], both.pending().fields) == ("1", {})


def test_dates_decimals_and_booleans_are_compared_as_values(hub: Hub) -> None:
    both = Sides(hub, {"": "manual"}, names=MANY_TYPES)
    day = START.date()
    both.begin(start_date=day, percent_complete=Decimal("12.50"), active=True)
    both.edit(start_date=day + timedelta(days=1))
    both.change(active=False)
    both.pull()
    assert both.conflicts() == []
    assert both.pending().fields == {
        "start_date": Edit("2026-01-15", "2026-01-16", START + timedelta(minutes=2), "ann")
    }
    both.change(start_date=day + timedelta(days=2), percent_complete=Decimal("50.00"))
    both.pull()
    (told,) = both.conflicts()
    assert (told["base"], told["hub"], told["system"]) == ("2026-01-15", "2026-01-16", "2026-01-17")
    assert both.row()["percent_complete"] == Decimal("50.00")


def test_an_edit_in_the_middle_of_a_merge_is_not_lost(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    both = sides(hub)
    both.edit(state="2")
    both.change(name="Dike")
    read = two_way._edits

    def edited_meanwhile(connection: sa.Connection, *arguments: Any) -> Any:
        """As another transaction does on a database that lets it."""
        found = read(connection, *arguments)
        row = edits.read(connection, "projects", both.sys_id)
        assert row is not None
        edits.update(connection, "projects", row, {"priority": "high"}, who="bob", now=both.tick())
        return found

    monkeypatch.setattr(two_way, "_edits", edited_meanwhile)
    with pytest.raises(HubError, match="was edited in the hub while"):
        both.pull()
    assert both.values() == {"name": "Dam", "state": "2", "priority": "low"}


# --- any order of edits, changes and syncs, against an oracle

POLICIES = ["newest_wins", "hub_wins", "system_wins", "manual", "hub", "system"]
VALUE = st.sampled_from(["a", "b", "c", None])
MOVE = st.one_of(
    st.tuples(st.just("edit"), st.sampled_from(FIELDS), VALUE),
    st.tuples(st.just("change"), st.sampled_from(FIELDS), VALUE),
    st.just(("pull",)),
    st.just(("push",)),
    st.just(("push unconfirmed",)),
)


@dataclass
class Field:
    """The oracle's idea of a field: what both agreed on, what each side has, and what the hub had in between."""

    base: Any
    hub: Any
    system: Any
    at: datetime = START
    past: list[Any] = field(default_factory=list)
    is_held: bool = False

    def settle(self, value: Any) -> None:
        self.base, self.past = value, []


@dataclass
class Oracle:
    policies: dict[str, str]
    fields: dict[str, Field]
    conflicts: int = 0

    def edit(self, name: str, value: Any, at: datetime) -> None:
        one = self.fields[name]
        if one.hub != value:
            if one.past or one.hub != one.base:
                one.past.append(one.hub)
            one.hub, one.at = value, at

    def pull(self, version: datetime) -> None:
        for name, one in self.fields.items():
            self._pull(one, self.policies[name], version)

    def _pull(self, one: Field, policy: str, version: datetime) -> None:
        if one.hub == one.system:
            one.is_held = False
        elif policy == "system":
            self.conflicts += one.hub != one.base and one.system != one.base
            one.hub = one.system
        elif one.system == one.base:
            return
        elif one.system in one.past or (one.hub == one.base and policy == "hub"):
            pass
        elif one.hub == one.base:
            one.hub = one.system
        else:
            self.conflicts += 1
            one.is_held = policy == "manual"
            if policy == "system_wins" or (policy == "newest_wins" and version > one.at):
                one.hub = one.system
        one.settle(one.system)

    def push(self) -> dict[str, Any]:
        sent = {name: one.hub for name, one in self.fields.items() if one.hub != one.base and not one.is_held}
        for name, value in sent.items():
            self.fields[name].system = value
        return sent

    def confirm(self) -> None:
        if not any(one.is_held for one in self.fields.values()):
            for one in self.fields.values():
                one.settle(one.hub)


@pytest.fixture(scope="session")
def empty_hub_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "hub.db"
    hub = open_hub(f"sqlite:///{path}")
    schema.upgrade(hub)
    hub.close()
    return path


@contextmanager
def copied_hub(empty: Path) -> Iterator[Hub]:
    with TemporaryDirectory() as folder:
        shutil.copy(empty, folder)
        hub = open_hub(f"sqlite:///{folder}/hub.db", audit_keys=("test-audit-key",))
        yield hub
        hub.close()


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(policies=st.tuples(*[st.sampled_from(POLICIES)] * len(FIELDS)), moves=st.lists(MOVE, min_size=4, max_size=14))
def test_any_order_of_edits_and_syncs_ends_as_the_oracle_says(
    empty_hub_file: Path, policies: tuple[str, ...], moves: list[tuple[Any, ...]]
) -> None:
    with copied_hub(empty_hub_file) as hub:
        of = dict(zip(FIELDS, policies, strict=True))
        both = sides(hub, **of)
        oracle = Oracle(of, {name: Field(*[value] * 3) for name, value in both.system.items()})
        for move in moves:
            play(both, oracle, *move)
            assert both.values() == {name: one.hub for name, one in oracle.fields.items()}, move
            assert both.system == {name: one.system for name, one in oracle.fields.items()}, move
        assert len(both.conflicts()) == oracle.conflicts
        come_to_rest(both)


def play(both: Sides, oracle: Oracle, kind: str, name: str = "", value: Any = None) -> None:
    match kind:
        case "edit":
            both.edit(**{name: value})
            oracle.edit(name, value, both.now)
        case "change":
            both.change(**{name: value})
            oracle.fields[name].system = value
        case "pull":
            oracle.pull(both.version)
            both.pull()
        case "push" | "push unconfirmed":
            # A system that checks versions would refuse otherwise: what changed there comes in before.
            oracle.pull(both.version)
            both.pull()
            assert both.push(is_confirmed=kind == "push") == oracle.push()
            if kind == "push":
                oracle.confirm()


def come_to_rest(both: Sides) -> None:
    """After one more round both sides are the same but for what a person decides, and nothing moves any more."""
    both.pull()
    both.push()
    both.pull()
    differing = {name for name in both.names if both.values()[name] != both.system[name]}
    assert differing == both.held()
    at_rest = both.row()["sys_mod_count"]
    for _ in range(3):
        assert both.pull() == Merged(0, 0, 1)
        assert both.push() == {}
    assert both.row()["sys_mod_count"] == at_rest
