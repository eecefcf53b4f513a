"""`edit`, `create`, `delete`, `conflicts` and `outbox`, as a person types them, with a system over real HTTPS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kwiksync_ops.storage.batches import Counts
from tests.conftest import StartServer
from tests.integration.cli.conftest import Cli
from tests.support.two_way_system import TwoWay, status, two_way


@pytest.fixture
def crm(applied: Cli, https_server: StartServer, ca_file: str, tmp_path: Path) -> Iterator[TwoWay]:
    """Three assets that came from the system; a quantity that both changed is for a person to decide."""
    hub = applied.open_hub()
    system = two_way(
        hub, https_server(), ca_file, tmp_path / "crm", "never", conflict={"fields": {"quantity": "manual"}}
    )
    system.api.fill(3)
    system.pull()
    yield system
    hub.close()


def test_an_edit_is_shown_delivered_and_checked(cli: Cli, crm: TwoWay) -> None:
    first = crm.sys_id("R00000")
    assert "quantity: 0 → 7" in cli.ok("edit", "assets", first, "quantity=7").out
    assert "these values already" in cli.ok("edit", "assets", first, "quantity=7").out
    assert crm.push() == Counts(processed=1, updated=1)
    assert crm.api.records["R00000"]["quantity"] == 7
    for words, said in (
        (["quantity=many"], "quantity is not a whole number"),
        (["quantitty=1"], "Did you mean 'quantity'?"),
        (["location=x"], "there is none with the sys_id 'x'"),
        (["sys_id=x"], "has no field 'sys_id' that can be edited"),
    ):
        answer = cli("edit", "assets", first, *words)
        assert (answer.code, said in answer.error) == (1, True), answer.error
    assert cli("edit", "assets", "nobody", "name=x").code == 1
    assert cli("edit", "assets", first, "name").code == 2


def test_a_record_is_created_and_deleted_by_hand(cli: Cli, crm: TwoWay) -> None:
    sys_id = cli.ok("create", "assets", "name=Pump", "quantity=2", "--json").json["sys_id"]
    assert crm.push() == Counts(processed=1, created=1)
    assert [one["name"] for one in crm.api.records.values() if one.get("ours") == sys_id] == ["Pump"]
    assert "Deleted 1 record." in cli.ok("delete", "assets", sys_id).out
    assert cli("delete", "assets", sys_id).code == 1
    assert sys_id in {row["sys_id"] for row in cli.ok("records", "assets", "--deleted", "--json").json["records"]}


@pytest.mark.parametrize(("use", "hub", "system"), [("hub", 1, 1), ("system", 2, 2)])
def test_a_conflict_is_listed_shown_and_decided(cli: Cli, crm: TwoWay, use: str, hub: int, system: int) -> None:
    first = crm.sys_id("R00000")
    cli.ok("edit", "assets", first, "quantity=1")
    crm.api.edit("R00000", quantity=2)
    crm.pull()
    assert crm.push().updated == 0
    listed = cli("conflicts", "list", "--check")
    assert listed.code == 3
    assert max(map(len, listed.out.splitlines())) <= 80
    (conflict,) = cli.ok("conflicts", "list", "--json").json["conflicts"]
    assert (conflict["base"], conflict["hub"], conflict["theirs"]) == (0, 1, 2)
    assert "you decide" not in cli.ok("conflicts", "show", conflict["sys_id"][:8]).err
    cli.ok("conflicts", "resolve", conflict["sys_id"][:8], "--use", use)
    assert cli("conflicts", "resolve", conflict["sys_id"], "--use", use).code == 1
    assert cli.ok("conflicts", "list", "--check").code == 0
    decided = cli.ok("conflicts", "list", "--all")
    assert "Decide one" in listed.error + listed.out
    assert ("Decide one" in decided.err + decided.out, f"the {use}" in decided.out) == (False, True)
    shown = cli.ok("conflicts", "show", conflict["sys_id"])
    assert f"the {use}'s" in shown.out + shown.err
    assert "ended" in shown.out + shown.err
    crm.push()
    assert (crm.rows()[first]["quantity"], crm.api.records["R00000"]["quantity"]) == (hub, system)
    crm.pull()
    assert crm.push() == Counts()


def test_a_conflict_whose_field_was_changed_since_is_decided_by_force_only(cli: Cli, crm: TwoWay) -> None:
    first = crm.sys_id("R00000")
    cli.ok("edit", "assets", first, "quantity=1")
    crm.api.edit("R00000", quantity=2)
    crm.pull()
    cli.ok("edit", "assets", first, "quantity=5")
    (conflict,) = cli.ok("conflicts", "list", "--json").json["conflicts"]
    refused = cli("conflicts", "resolve", conflict["sys_id"], "--use", "system")
    assert (refused.code, "changed in the hub since" in refused.error) == (1, True)
    assert cli("conflicts", "resolve", conflict["sys_id"]).code == 2
    assert cli("conflicts", "resolve", conflict["sys_id"], "--use", "both").code == 2
    cli.ok("conflicts", "resolve", conflict["sys_id"], "--value", "9", "--force")
    crm.push()
    assert crm.api.records["R00000"]["quantity"] == 9


def test_an_unconfirmed_delivery_is_listed_and_decided(cli: Cli, crm: TwoWay) -> None:
    crm.api.plan = [status(500)]
    sys_id = cli.ok("create", "assets", "name=Pump", "--json").json["sys_id"]
    crm.push()
    assert "Every delivery" not in cli.ok("outbox", "list").out
    replayed = cli("errors", "replay", "--code", "13", "--json")
    assert (replayed.code, "kwiksync outbox resend" in replayed.out) == (3, True)
    (row,) = cli.ok("outbox", "list", "--json").json["deliveries"]
    assert (row["state"], row["code"], row["record_sys_id"]) == ("unconfirmed", "ERR_013", sys_id)
    assert cli("outbox", "confirm", row["sys_id"]).code == 1
    key = next(name for name, one in crm.api.records.items() if one["name"] == "Pump")
    assert key in cli.ok("outbox", "confirm", row["sys_id"][:20], "--key", key).out
    assert cli("outbox", "resend", row["sys_id"]).code == 1
    assert "Every delivery has ended well." in cli.ok("outbox", "list").out
    cli.ok("edit", "assets", sys_id, "quantity=3")
    assert crm.push() == Counts(processed=1, updated=1)
    assert crm.api.records[key]["quantity"] == 3
