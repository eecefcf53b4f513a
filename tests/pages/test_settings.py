"""Settings in a browser: changed, refused, and keys that are shown once or never."""

from __future__ import annotations

from playwright.sync_api import expect

from kwiksync_ops.api.context import Context
from kwiksync_ops.services.keys import customer_key
from kwiksync_ops.services.settings import list_settings
from kwiksync_ops.storage.hub import Hub
from tests.pages.browser import Look


def setting(hub: Hub, key: str) -> object:
    return next(found.value for found in list_settings(hub) if found.key == key)


def test_settings_are_changed_by_their_type(look: Look, sample_hub: Hub) -> None:
    look.as_("admin")
    page = look.go("settings")
    page.get_by_label("alerts.error_share", exact=False).first.fill("35")
    page.get_by_role("button", name="Save alerts.error_share").click()
    expect(page.locator("#said")).to_contain_text("alerts.error_share is 35 now.")
    page.locator("[id='set-alerts.enabled']").uncheck()
    page.get_by_role("button", name="Save alerts.enabled").click()
    expect(page.locator("#said")).to_contain_text("alerts.enabled is false now.")
    assert (setting(sample_hub, "alerts.error_share"), setting(sample_hub, "alerts.enabled")) == (35, False)


def test_a_value_out_of_its_bounds_is_refused_before_it_is_sent(look: Look, sample_hub: Hub) -> None:
    look.as_("admin")
    page = look.go("settings")
    page.locator("[id='set-alerts.error_share']").fill("1000")
    page.get_by_role("button", name="Save alerts.error_share").click()
    assert page.locator("[id='set-alerts.error_share']:invalid").count() == 1
    assert setting(sample_hub, "alerts.error_share") == 20


def test_a_customer_key_is_set_and_never_shown(look: Look, sample_hub: Hub, context: Context) -> None:
    look.as_("admin")
    page = look.go("settings")
    page.get_by_label("Set the Customer Key").fill("the-key-of-the-erp")
    page.get_by_role("button", name="Set", exact=True).click()
    expect(page.locator("#said")).to_contain_text("The key is set")
    expect(page.get_by_label("Rotate to a new Customer Key")).to_have_value("")
    assert "the-key-of-the-erp" not in page.content()
    assert customer_key(sample_hub, context.settings.secret_keys, "erp") == "the-key-of-the-erp"


def test_an_issued_key_is_shown_once(look: Look) -> None:
    look.as_("admin")
    page = look.go("settings")
    page.get_by_label("Customer", exact=True).fill("Acme")
    page.get_by_role("button", name="Issue a key").click()
    expect(page.locator("#secret-text")).to_contain_text("kwk_")
    text = page.locator("#secret-text").inner_text()
    page.get_by_role("button", name="I have it").click()
    expect(page.locator("tbody")).to_contain_text("Acme")
    assert text not in page.content()
    page.get_by_role("button", name="Revoke all keys of Acme").click()
    page.locator("#confirm").get_by_role("button", name="Cancel").click()
    expect(page.locator("tbody")).to_contain_text("Acme")
    page.get_by_role("button", name="Revoke all keys of Acme").click()
    page.locator("#confirm").get_by_role("button", name="Revoke").click()
    expect(page.locator("#said")).to_contain_text("They are revoked.")
