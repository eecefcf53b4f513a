"""The pages of field mappings in a browser: look, edit with what is wrong as one types, preview, save, go back."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.pages.browser import Look


def test_the_list_leads_to_the_rules_of_a_table(look: Look) -> None:
    page = look.go("mappings")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Tickets of erp, inbound"))
    expect(row).to_contain_text("tester")
    expect(row).to_contain_text("as its file")
    row.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("Tickets")
    expect(page.locator("#rule-priority")).to_contain_text("1 - Critical")
    expect(page.locator("#rule-number")).to_contain_text("required, like INC[0-9]{7}")
    expect(page.locator("#rule-external_id")).to_contain_text("key")
    assert look.complaints == []


def test_what_is_not_there_says_what_is(look: Look) -> None:
    page = look.go("mappings/erp/tikets")
    expect(page.locator("main")).to_contain_text("No inbound mapping of tikets of erp was applied yet.")
    page = look.go("mappings/erp/tickets?version=9")
    expect(page.locator("main")).to_contain_text("There is no version 9")
