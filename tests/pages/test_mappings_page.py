"""The pages of field mappings in a browser: look, edit with what is wrong as one types, preview, save, go back."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from kwiksync_ops.api.context import Context
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.mapping.rules import TableMapping
from kwiksync_ops.services import configuration, keys
from kwiksync_ops.services.connections import SystemConnection
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.mappings import MappingKey
from kwiksync_ops.storage.models import AUDIT
from kwiksync_ops.vault import Vault
from tests.pages.browser import DESKTOP, TALLEST, Look
from tests.pages.test_every_page import assert_sound
from tests.support.api_server import AirflowDouble, ApiServer
from tests.support.sample_erp import CUSTOMER_KEY, TOKEN, SampleErp, running_sample_erp

TICKETS = MappingKey("erp", "inbound", "tickets")
EDIT = "mappings/erp/tickets/edit"
RECORD = {
    "ticket_id": "T-1",
    "ticket_number": "INC0000001",
    "description": "Leak",
    "opened_at": "1/2/2026 10:00",
    "updated_at": "1/2/2026 10:00",
}
OWN_FORM = {"Cookie": "_token=admin-token", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def erp(context: Context, airflow: AirflowDouble, sample_hub: Hub, tmp_path: Path) -> Iterator[SampleErp]:
    """The system of the mappings, answering."""
    (tmp_path / "erp").mkdir()
    with running_sample_erp(tmp_path / "erp") as running:
        extra = {"ca_file": running.ca_file, "allow_hosts": "127.0.0.1,localhost"}
        airflow.connections["kwiksync_erp"] = SystemConnection(running.url, None, TOKEN, extra)
        vault = Vault(context.settings.secret_keys)
        keys.set_customer_key(sample_hub, vault, "erp", CUSTOMER_KEY, who="ada", clock=SystemClock())
        yield running


def active(hub: Hub) -> TableMapping:
    with hub.read() as connection:
        return configuration.applied_mapping(connection, "erp", "tickets")


def without_last_rule(hub: Hub, who: str) -> None:
    mapping = active(hub)
    shorter = replace(mapping, rules=mapping.rules[:-1])
    configuration.change_mapping(hub, TICKETS, shorter, who=who, clock=SystemClock())


def paste(page: Page, records: Any) -> None:
    page.locator("#sample-details").evaluate("(details) => { details.open = true; }")
    page.locator("#sample").fill(records if isinstance(records, str) else json.dumps(records))


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


def test_the_editor_in_every_theme_and_size(look: Look, sample_hub: Hub) -> None:
    without_last_rule(sample_hub, "ada")
    look.as_("admin")
    page = look.go(f"{EDIT}?rule=priority")
    assert_sound(look, page)
    paste(page, [{**RECORD, "closed_at": "13/2/2026 11:00"}, {**RECORD, "ticket_number": "1"}])
    page.locator("#suggest").click()
    expect(page.locator("#suggested tbody tr").first).to_be_visible()
    page.locator("#preview").click()
    expect(page.locator("#tried-sum")).to_have_text("1 taken, 1 rejected")
    page.get_by_label("Default").first.fill("9")
    expect(page.locator("#state")).to_have_text("1 change, no faults")
    page.evaluate("scrollTo(0, 0)")
    assert_sound(look, page)
    assert look.complaints == []
    look.size(DESKTOP[0], TALLEST)
    look.shoot("mapping-edit")


def test_a_rule_is_edited_with_what_is_wrong_as_one_types(look: Look, sample_hub: Hub) -> None:
    look.as_("admin")
    page = look.go("mappings/erp/tickets")
    page.get_by_role("link", name="Edit number").click()
    page.get_by_label("Pattern").fill("INC[")
    expect(page.locator("[id='in-validation.pattern-fault']")).to_contain_text("unclosed character class")
    expect(page.get_by_label("Pattern")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#faults")).to_contain_text("validation.pattern")
    page.locator("#save").click()
    expect(page.locator("#faults h2")).to_have_text("1 fault")
    assert active(sample_hub).version == 1
    page.get_by_label("Pattern").fill("INC[0-9]{7,8}")
    expect(page.locator("#state")).to_have_text("1 change, no faults")
    page.locator("#save").click()
    expect(page.locator("main")).to_contain_text("Version 2 is active")
    saved = active(sample_hub)
    assert (saved.version, saved.rules[1].validation.pattern) == (2, "INC[0-9]{7,8}")
    with sample_hub.read() as connection:
        told = connection.execute(AUDIT.select().where(AUDIT.c.action == "mapping.change")).mappings().one()
    assert told["who"] == "admin"
    assert look.complaints == []


def test_a_transform_brings_its_own_inputs(look: Look) -> None:
    look.as_("admin")
    page = look.go(f"{EDIT}?rule=category")
    page.get_by_label("Transform", exact=True).select_option("value_map")
    expect(page.locator("#faults")).to_contain_text("config")
    page.get_by_label("Value 1", exact=True).fill("Category 35")
    page.get_by_label("Value 1 becomes").fill("35")
    expect(page.locator("#state")).to_have_text("1 change, no faults")
    expect(page.locator("#changes")).to_contain_text("config.mappings.Category 35")


def test_a_draft_is_tried_before_it_is_saved(look: Look, sample_hub: Hub) -> None:
    look.as_("admin")
    page = look.go(f"{EDIT}?rule=number")
    paste(page, [RECORD])
    page.locator("#preview").click()
    expect(page.locator("#tried-sum")).to_have_text("1 taken, 0 rejected")
    page.get_by_label("Pattern").fill("REQ[0-9]+")
    expect(page.locator("#tried-sum")).to_have_text("0 taken, 1 rejected")
    row = page.locator("#tried tr.rejected")
    expect(row).to_contain_text("INC0000001")
    expect(row).to_contain_text("ERR_008")
    assert active(sample_hub).version == 1


def test_a_preview_names_all_fields_of_a_concatenation(look: Look, erp: SampleErp) -> None:
    look.as_("admin")
    page = look.go("mappings/erp/tickets/preview")
    page.locator("#sample-live").click()
    row = page.locator("#tried-1 tr").filter(has_text="assignment_group")
    fields = ["symptom", "contact_type", "impact", "urgency", "assignment_group", "resolution_code"]
    expect(row.locator("[data-name='Source field'] code")).to_have_text(fields)
    expect(row.locator("[data-name=Before] dt")).to_have_text(fields)
    expect(row.locator("[data-name=Before]")).not_to_contain_text("[")
    assert_sound(look, page)
    assert look.complaints == []


def test_live_records_are_asked_for_and_a_lost_connection_is_told(look: Look, erp: SampleErp) -> None:
    look.as_("admin")
    page = look.go("mappings/erp/tickets/preview")
    page.locator("#sample-live").click()
    expect(page.locator("#sample-details summary")).to_contain_text("10 records")
    expect(page.locator("#tried-sum")).to_contain_text("10 taken")
    erp.process.kill()
    erp.process.wait()
    page.locator("#sample-live").click()
    expect(page.locator("#sample-fault")).to_contain_text("ERR_011")
    expect(page.locator("#sample")).to_have_value(re.compile("ticket_number"))


def test_a_suggested_rule_is_added_with_one_click(look: Look, sample_hub: Hub) -> None:
    without_last_rule(sample_hub, "ada")
    look.as_("admin")
    page = look.go(EDIT)
    paste(page, [{**RECORD, "closed_at": "13/2/2026 11:00"}])
    page.locator("#suggest").click()
    row = page.locator("#suggested tr").filter(has_text="closed_at").first
    expect(row).to_contain_text("dates written as D/M/YYYY HH:mm")
    row.get_by_role("button", name="Add closed_at to closed_at").click()
    expect(page.locator("#state")).to_have_text("1 change, no faults")
    expect(page.locator("#suggested").get_by_text("closed_at")).to_have_count(0)
    page.locator("#save").click()
    expect(page.locator("main")).to_contain_text("Version 3 is active")
    assert active(sample_hub).rules[-1].target_field == "closed_at"


def test_what_is_not_sent_yet_is_suggested_from_the_way_in(look: Look) -> None:
    look.as_("admin")
    page = look.go(f"{EDIT}?direction=outbound")
    page.locator("#suggest").click()
    row = page.locator("#suggested tr").filter(has_text="ticket_number")
    expect(row).to_contain_text("the way in reads number from it")
    page.locator("#preview").click()
    expect(page.locator("#tried-sum")).to_contain_text("10 sent")


def test_versions_are_compared_and_gone_back_to(look: Look, sample_hub: Hub) -> None:
    without_last_rule(sample_hub, "ada")
    look.as_("admin")
    page = look.go("mappings/erp/tickets/versions")
    expect(page.locator("#diff")).to_have_text("From version 1 to 2")
    expect(page.locator(".changes")).to_contain_text("closed_at removed")
    assert_sound(look, page)
    look.shoot("mapping-versions")
    page.get_by_role("button", name="Roll back to version 1").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#said")).to_contain_text("Version 3 is active; it says what version 1 says.")
    page.get_by_label("version 1 as the old").check()
    page.get_by_label("version 3 as the new").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("main")).to_contain_text("They say the same.")
    assert (active(sample_hub).version, len(active(sample_hub).rules)) == (3, 13)


def test_nobody_saves_over_what_another_saved_meanwhile(look: Look, sample_hub: Hub) -> None:
    look.as_("admin")
    page = look.go(f"{EDIT}?rule=number")
    page.get_by_label("Pattern").fill("INC[0-9]+")
    without_last_rule(sample_hub, "ada")
    page.locator("#save").click()
    expect(page.locator(".warned")).to_contain_text("ada made version 2 active at")
    assert active(sample_hub).version == 2
    page.get_by_role("button", name="Go on from version 2").click()
    expect(page.locator("#changes")).to_contain_text("closed_at added")
    expect(page.get_by_label("Pattern")).to_have_value("INC[0-9]+")
    page.locator("#save").click()
    expect(page.locator("main")).to_contain_text("Version 3 is active")


def test_json_that_is_none_says_where(look: Look) -> None:
    look.as_("admin")
    page = look.go(EDIT)
    page.locator("#view").click()
    text = page.locator("#document").input_value()
    page.locator("#document").fill(text.replace('"target_table": "tickets",', '"target_table": "tickets"', 1))
    expect(page.locator("#faults")).to_contain_text("line 4, column 3")
    page.locator("#view").click()
    expect(page.locator("main")).to_contain_text("Correct it as JSON.")
    page.locator("#view").click()
    page.locator("#document").fill(text.replace('"target_field": "number"', '"target_field": "numbr"'))
    expect(page.locator("#faults")).to_contain_text("Did you mean 'number'?")
    line = text[: text.index('"number"')].count("\n") + 1
    expect(page.locator("#faults")).to_contain_text(f"line {line}")
    page.locator("#document").fill(text.replace('"tickets"', '"assets"'))
    expect(page.locator("#faults")).to_contain_text("assets has no field")


def test_records_that_are_none_say_where(look: Look) -> None:
    page = look.go("mappings/erp/tickets/preview")
    paste(page, '[{"ticket_id": 1},\n {"ticket_id": }]')
    page.locator("#preview").click()
    expect(page.locator("#sample-fault")).to_contain_text("The records are not JSON: line 2")


def test_a_lost_connection_keeps_what_was_typed(look: Look) -> None:
    look.as_("admin")
    page = look.go(f"{EDIT}?rule=number")
    page.get_by_label("Pattern").fill("INC[0-9]+")
    expect(page.locator("#state")).to_have_text("1 change, no faults")
    look.offline(True)
    page.locator("#save").click()
    expect(page.locator("#lost")).to_contain_text("The server can't be reached. Nothing was saved")
    look.offline(False)
    page.locator("#save").click()
    expect(page.locator("main")).to_contain_text("Version 2 is active")


def test_an_ended_session_keeps_what_was_typed(look: Look) -> None:
    look.as_("admin")
    page = look.go(f"{EDIT}?rule=number")
    look.as_("expired")
    page.get_by_label("Pattern").fill("INC[0-9]+")
    expect(page.locator("#lost")).to_contain_text("Your session has ended")
    expect(page.get_by_label("Pattern")).to_have_value("INC[0-9]+")


def test_a_user_looks_and_tries_and_does_not_edit(look: Look) -> None:
    page = look.go("mappings/erp/tickets")
    expect(page.locator("#rule-priority")).to_be_visible()
    assert page.get_by_role("link", name="Edit").count() == 0
    page.get_by_role("link", name="Versions").click()
    assert page.get_by_role("button", name="Roll back").count() == 0
    page = look.go("mappings/erp/tickets/preview")
    expect(page.locator("#tried-sum")).to_contain_text("rejected")
    page = look.go(EDIT)
    expect(page.locator("h1")).to_have_text("You have no access to this")
    expect(page.locator("main")).to_contain_text("user is not an administrator of KWikSync.")


def test_by_keyboard_alone(look: Look, sample_hub: Hub) -> None:
    look.as_("admin")
    page = look.go(EDIT)
    page.locator("#open-1").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Source field")).to_be_focused()
    page.get_by_label("Pattern").focus()
    page.keyboard.press("End")
    page.keyboard.type("?")
    expect(page.locator("#state")).to_have_text("1 change, no faults")
    page.locator("#save").focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("Version 2 is active")


def test_without_a_script(browser: Any, server: ApiServer, sample_hub: Hub) -> None:
    person = browser.new_context(ignore_https_errors=True, java_script_enabled=False)
    person.add_cookies([{"name": "_token", "value": "admin-token", "url": server.url}])
    page = person.new_page()
    page.goto(f"{server.url}/pages/{EDIT}?rule=number")
    page.get_by_label("Pattern").fill("INC[")
    page.get_by_label("Pattern").press("Enter")
    expect(page.locator("#faults")).to_contain_text("unclosed character class")
    page.get_by_label("Pattern").fill("INC[0-9]+")
    page.locator("#save").click()
    expect(page.locator("main")).to_contain_text("Version 2 is active")
    person.close()


@pytest.mark.parametrize("sent", [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {}])
def test_a_form_of_another_site_changes_nothing(sent: dict[str, str], server: ApiServer, sample_hub: Hub) -> None:
    body = {"do": "save", "seen": "1", "document": "{}"}
    answer = server.call("POST", f"/pages/{EDIT}", data=body, headers={"Cookie": "_token=admin-token", **sent})
    assert answer.status_code == 403
    assert "may be another site's" in html.unescape(answer.text)
    assert active(sample_hub).version == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"do": "open:99", "document": "[]", "opened": "x"},
        {"do": "add:no json", "document": '{"fields": [3, {"transform": []}]}', "opened": "1", "rule.transform": "x"},
        {"do": "remove:0", "document": '{"fields": []}', "view": "none"},
        {"do": "preview", "document": '{"fields": "x"}', "sample": "[1, 2]", "shown": "suggestions"},
        {"do": "suggestions", "document": "null", "sample": '[{"a": {"b": [1]}}]'},
        {"do": "save", "document": '{"fields": [{"config": {"script": "\\ud800"}}]}'},
        {"do": "check", "document": "[" * 100_000},
    ],
)
def test_whatever_is_sent_is_answered_with_a_page(body: dict[str, str], server: ApiServer) -> None:
    answer = server.call("POST", f"/pages/{EDIT}", data=body, headers=OWN_FORM)
    assert answer.status_code == 200
    assert 'id="draft"' in answer.text


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("mappings/erp/tikets", "No inbound mapping of tikets of erp was applied yet."),
        ("mappings/erp/tickets?version=9", "There is no version 9"),
        ("mappings/erp/tickets?direction=up", "This can't be understood"),
        ("mappings/erp/tickets/versions?old=1&new=9", "There is no version 9"),
        ("mappings/erp/tikets/edit", "erp has no table 'tikets'. Did you mean 'tickets'?"),
        ("mappings/erpp/tickets/preview", "declares 'erpp'. Did you mean 'erp'?"),
    ],
)
def test_what_is_not_there_says_what_is(path: str, says: str, server: ApiServer) -> None:
    answer = server.call("GET", f"/pages/{path}", who="admin")
    assert answer.status_code in (404, 422)
    assert says in html.unescape(answer.text)


def test_a_file_that_cannot_be_read_says_where(look: Look, context: Context, tmp_path: Path) -> None:
    include = tmp_path / "include"
    shutil.copytree(context.settings.include, include, ignore=shutil.ignore_patterns("demo", "examples"))
    path = include / "mappings" / "erp" / "tickets.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"number"', '"numbr"'), encoding="utf-8")
    context.given = replace(context.settings, include=include)
    page = look.go("mappings")
    expect(page.locator(".faults")).to_contain_text(
        "tickets.json:7: fields[1].target_field: tickets has no field 'numbr'"
    )
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Tickets of erp, inbound"))
    expect(row).to_contain_text("faulty file")
