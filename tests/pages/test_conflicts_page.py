"""The pages of conflicts in a browser, with conflicts that two-way syncs really had."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import conflicts, edit
from kwiksync_ops.storage.hub import Hub
from tests.conftest import StartServer
from tests.pages.browser import Look
from tests.pages.test_every_page import assert_sound
from tests.support.two_way_system import TwoWay, two_way


@pytest.fixture
def crm(sample_hub: Hub, https_server: StartServer, ca_file: str, tmp_path: Path) -> TwoWay:
    """An asset whose quantity and name were changed on both sides, and a quantity of another one."""
    manual = {"fields": {"quantity": "manual", "name": "manual"}}
    system = two_way(sample_hub, https_server(), ca_file, tmp_path / "crm", "never", conflict=manual)
    system.api.fill(2)
    system.pull()
    change(sample_hub, system.sys_id("R00000"), quantity=7, name="Pump, large")
    change(sample_hub, system.sys_id("R00001"), quantity=8)
    system.api.edit("R00000", quantity=5, name="Big pump")
    system.api.edit("R00001", quantity=6)
    system.pull()
    return system


def change(hub: Hub, sys_id: str, **values: object) -> None:
    edit.edit_record(hub, "assets", sys_id, values, who="ada", clock=SystemClock())


def test_both_pages_in_every_theme_and_size(look: Look, crm: TwoWay, subtests: pytest.Subtests) -> None:
    page = look.go("conflicts")
    expect(page.locator("tbody tr")).to_have_count(3)
    link = page.get_by_role("link", name="R00000, name: decide").get_attribute("href") or ""
    for name, path in (("conflicts", "conflicts"), ("conflict", link.partition("pages/")[2])):
        with subtests.test(name):
            assert_sound(look, look.go(path))
        look.shoot(name)
    assert look.complaints == []


def test_a_record_is_decided_field_by_field(look: Look, crm: TwoWay) -> None:
    page = look.go("conflicts")
    page.get_by_role("link", name="R00000, quantity: decide").click()
    quantity, name = page.locator("tr[data-conflict]").all()
    expect(quantity).to_contain_text("7")
    expect(name).to_contain_text("Pump, large")
    quantity.locator("input[value=system]").check()
    name.locator("[data-own]").fill("Pump")
    page.get_by_role("button", name="Decide").click()
    expect(page.locator("#said")).to_contain_text("2 fields are decided.")
    expect(page.locator("tbody tr")).to_have_count(1)
    row = crm.rows()[crm.sys_id("R00000")]
    assert (row["quantity"], row["name"]) == (5, "Pump")


def test_a_decided_conflict_tells_who_decided_what_and_when(look: Look, sample_hub: Hub, crm: TwoWay) -> None:
    (conflict,) = [each for each in conflicts.list_conflicts(sample_hub) if each.field == "name"]
    conflicts.resolve_conflict(sample_hub, conflict.sys_id, value="Pump", who="grace", clock=SystemClock())
    facts = look.go(f"conflicts/{conflict.sys_id}").locator("dl.facts")
    expect(facts).to_contain_text("another value: Pump")
    expect(facts).to_contain_text("Decided by")
    expect(facts).to_contain_text("grace")
    expect(facts.locator("time")).to_have_count(1)
    expect(look.page.locator("main")).not_to_contain_text("until you decide")


def test_the_history_of_a_record_in_conflict_tells_the_last_change_first(look: Look, crm: TwoWay) -> None:
    times = look.go(f"records/assets/{crm.sys_id('R00000')}").locator(".events > li > p:first-child > time:first-child")
    told = [each.get_attribute("datetime") or "" for each in times.all()]
    assert told == sorted(told, reverse=True)
    expect(look.page.locator(".events > li").first).to_contain_text("kept the edit of")


def test_nothing_chosen_is_told(look: Look, crm: TwoWay) -> None:
    page = look.go("conflicts")
    page.locator("tbody a").first.click()
    page.get_by_role("button", name="Decide").click()
    expect(page.locator("#decision-fault")).to_contain_text("Nothing is chosen yet.")


def test_a_field_that_was_changed_meanwhile_is_not_decided_blindly(look: Look, sample_hub: Hub, crm: TwoWay) -> None:
    page = look.go("conflicts")
    page.get_by_role("link", name="R00001, quantity: decide").click()
    change(sample_hub, crm.sys_id("R00001"), quantity=9)
    page.locator("input[value=system]").check()
    page.get_by_role("button", name="Decide").click()
    expect(page.locator("#decision-fault")).to_contain_text("was changed in the hub since")
    assert crm.rows()[crm.sys_id("R00001")]["quantity"] == 9


def test_no_conflict_says_when_one_comes(look: Look) -> None:
    page = look.go("conflicts")
    expect(page.locator("main")).to_contain_text("No conflict waits for you.")
    page = look.go("conflicts?table=assets")
    expect(page.locator("main")).to_contain_text("No conflict fits. Take a filter away.")
    page = look.go("conflicts/none")
    expect(page.locator("h1")).to_have_text("There is nothing here")
