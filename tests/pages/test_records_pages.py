"""Pages of records in a browser: found, filtered, sorted, looked at, edited and deleted."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from kwiksync_ops.api.pages import records as records_pages
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.services import edit
from kwiksync_ops.storage import record_search
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.models import RECORDS
from kwiksync_ops.storage.record_search import Condition, OtherField, Sort
from kwiksync_ops.vocabulary import RECORD_TABLES
from tests.pages.axe import found_by_axe
from tests.pages.browser import Look
from tests.pages.test_every_page import assert_sound

ROW = "#found tbody tr"
LOW = Condition("quantity", "<", OtherField("minimum_quantity"))


def some(hub: Hub, table: str, *conditions: Condition, sort: Sort | None = None, limit: int = 1) -> list[Any]:
    with hub.read() as connection:
        return record_search.read_page(connection, table, conditions, sort=sort or Sort("sys_id"), limit=limit)


def count(hub: Hub, table: str, *conditions: Condition) -> int:
    with hub.read() as connection:
        return record_search.count(connection, table, conditions)


@pytest.fixture
def ticket(sample_hub: Hub) -> Any:
    """One that belongs to a project and a location."""
    (row,) = some(sample_hub, "tickets", Condition("project", "!=", None), Condition("location", "!=", None))
    return row


def address(row: Any, table: str = "tickets") -> str:
    return f"records/{table}/{row['sys_id']}"


def test_each_page_in_every_theme_and_size(look: Look, sample_hub: Hub, ticket: Any, subtests: pytest.Subtests) -> None:
    (location,) = some(sample_hub, "locations", Condition("latitude", "!=", None))
    (project,) = some(sample_hub, "projects", Condition("sys_mod_count", ">=", 2))
    look.as_("admin")
    for name, path in {
        "records": "records",
        "records-locations": "records/locations",
        "records-projects": "records/projects",
        "records-tickets": "records/tickets?state=3&filter=closed_at=",
        "records-assets": "records/assets?category=Engineering",
        "record-project": address(project, "projects"),
        "record-location": address(location, "locations"),
        "record-edit": address(ticket) + "/edit",
        "record-new": f"records/tickets/new?project={project['sys_id']}&priority=2",
        "nothing": "records/tickets?state=nothing",
    }.items():
        with subtests.test(name):
            assert_sound(look, look.go(path))
        if name != "nothing":
            look.shoot(name)
    assert look.complaints == []


def test_every_table_has_a_list_that_leads_to_its_records(look: Look, sample_hub: Hub) -> None:
    for table in RECORD_TABLES:
        page = look.go("records")
        page.locator(f".tile[href$='records/{table}']").click()
        expect(page.locator(".title .note")).to_have_text(f"{count(sample_hub, table):,} records in the hub")
        link = page.locator(f"{ROW} th a, .bin .head a").first
        called = link.inner_text()
        link.click()
        expect(page.locator("h1")).to_contain_text(called)
        expect(page.locator("section:has(#history)")).to_contain_text("created by")
    assert look.complaints == []


def test_pages_of_a_list_hold_every_record_once(look: Look, sample_hub: Hub) -> None:
    seen: list[str] = []
    page = look.go("records/projects?sort=-percent_complete")
    while True:
        seen += page.locator(f"{ROW} th a").evaluate_all("links => links.map((link) => link.pathname)")
        following = page.get_by_role("link", name="Next page")
        if not following.count():
            break
        with page.expect_navigation():
            following.click()
    assert len(seen) == len(set(seen)) == count(sample_hub, "projects")


def test_a_search_a_choice_and_a_field_of_ones_own_are_combined(look: Look, sample_hub: Hub) -> None:
    page = look.go("records/tickets")
    page.locator("select[name=state]").select_option("3")
    page.get_by_label("Search").fill("category 4")
    page.get_by_role("button", name="Search").click()
    page.get_by_text("Another field").click()
    page.locator("select[name=field]").select_option("priority")
    page.get_by_label("Comparison").select_option("!=")
    page.get_by_label("Value").fill("3")
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".chip.on")).to_contain_text("Priority is not 3 - Moderate")
    conditions = (
        Condition("state", "=", "3"),
        Condition("short_description", "~", "category 4"),
        Condition("priority", "!=", "3"),
    )
    wanted = some(sample_hub, "tickets", *conditions, sort=Sort(), limit=50)
    assert wanted
    expect(page.locator(f"{ROW} th")).to_have_text([row["number"] for row in wanted])
    page.get_by_role("link", name="Priority is not 3 - Moderate: take the filter away").click()
    expect(page.locator(".chip.on")).to_have_count(0)
    assert page.get_by_label("Search").input_value() == "category 4"


def test_a_number_is_found_first_wherever_it_stands(look: Look, sample_hub: Hub) -> None:
    (row,) = some(sample_hub, "tickets", sort=Sort("sys_id", is_descending=False))
    page = look.go(f"records/tickets?q={row['number'].lower()}")
    expect(page.locator(f"{ROW} th").first).to_have_text(row["number"])


def test_a_column_is_sorted_by_its_header_both_ways(look: Look, sample_hub: Hub) -> None:
    page = look.go("records/tickets")
    for direction, is_descending in (("ascending", False), ("descending", True)):
        page.get_by_role("link", name="Number", exact=False).first.click()
        expect(page.locator("th[aria-sort]")).to_have_attribute("aria-sort", direction)
        (first,) = some(sample_hub, "tickets", sort=Sort("number", is_descending))
        expect(page.locator(f"{ROW} th").first).to_have_text(first["number"])


def test_stock_below_its_minimum_stands_out_and_can_be_had_alone(look: Look, sample_hub: Hub) -> None:
    low = count(sample_hub, "assets", LOW)
    assert low
    page = look.go("records/assets")
    page.get_by_role("link", name="Below minimum").click()
    bins = page.locator(".bin")
    expect(bins).to_have_count(min(low, 50))
    expect(page.locator(".bin.low")).to_have_count(min(low, 50))
    expect(bins.first.locator(".status")).to_contain_text("below minimum")


def test_the_csv_holds_what_is_filtered(look: Look, sample_hub: Hub) -> None:
    page = look.go("records/assets?filter=quantity<minimum_quantity&status=in_use")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of these").click()
    lines = download.value.path().read_text(encoding="utf-8-sig").splitlines()
    assert len(lines) - 1 == count(sample_hub, "assets", LOW, Condition("status", "=", "in_use"))


def test_the_map_says_how_many_it_shows(look: Look, sample_hub: Hub) -> None:
    located = count(sample_hub, "locations", Condition("latitude", "!=", None), Condition("country", "=", "Germany"))
    page = look.go("records/locations?country=Germany")
    expect(page.locator("svg.map")).to_have_attribute("aria-label", f"Map of {located:,} locations")
    assert look.complaints == []


def test_projects_have_a_bar_from_start_to_end_that_says_how_complete_they_are(look: Look, sample_hub: Hub) -> None:
    (row,) = some(sample_hub, "projects", Condition("percent_complete", "<", Decimal(100)), sort=Sort("start_date"))
    page = look.go("records/projects")
    bar = page.locator(f"tr:has(a[href$='{row['sys_id']}']) svg.span")
    expect(bar).to_have_attribute(
        "aria-label", re.compile(f"{row['start_date']} to {row['end_date']}, .* complete, late")
    )
    expect(page.locator(f"tr:has(a[href$='{row['sys_id']}']) td.days .status")).to_have_text("late")
    expect(page.locator(".legend li")).to_have_text(
        ["from start to end", "complete", "late: past its end, not complete", "today"]
    )
    done = page.locator("tr:has(svg.span[aria-label*='100% complete'])").first
    expect(done.locator("td.days .status")).to_have_count(0)
    page = look.go(address(row, "projects"))
    expect(page.locator(".title .status")).to_have_text("late")


def test_states_and_priorities_are_told_in_words_and_chosen_by_them(look: Look, sample_hub: Hub, ticket: Any) -> None:
    edit.edit_record(
        sample_hub, "tickets", ticket["sys_id"], {"state": "3", "priority": "1"}, who="ada", clock=SystemClock()
    )
    page = look.go(f"records/tickets?state=3&q={ticket['number']}")
    row = page.locator(f"tr:has(a[href$='{ticket['sys_id']}'])")
    expect(row.locator("[data-name=State]")).to_have_text("On Hold (3)")
    expect(row.locator("[data-name=Priority]")).to_have_text("1 - Critical")
    expect(page.locator("select[name=state] option:checked")).to_have_text("On Hold (3)")
    expect(page.locator("select[name=priority] option")).to_contain_text(["all", "1 - Critical", "2 - High"])
    page = look.go(address(ticket) + "/edit")
    page.get_by_label("State").select_option("Resolved (6)")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".facts").first).to_contain_text("Resolved (6)")
    change = page.locator(".events li").first.locator(".diff")
    expect(change.locator("del")).to_have_text("On Hold (3)")
    expect(change.locator("ins")).to_have_text("Resolved (6)")
    assert some(sample_hub, "tickets", Condition("sys_id", "=", ticket["sys_id"]))[0]["state"] == "6"
    assert look.complaints == []


def test_a_value_that_is_none_of_the_choices_is_kept(look: Look, sample_hub: Hub, ticket: Any) -> None:
    sys_id = ticket["sys_id"]
    edit.edit_record(sample_hub, "tickets", sys_id, {"state": "Odd & 17"}, who="ada", clock=SystemClock())
    page = look.go(address(ticket) + "/edit")
    expect(page.get_by_label("State")).to_have_value("Odd & 17")
    page.get_by_label("Priority").select_option("5")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".facts").first).to_contain_text("5 - Planning")
    (row,) = some(sample_hub, "tickets", Condition("sys_id", "=", sys_id))
    assert (row["state"], row["priority"]) == ("Odd & 17", "5")


def test_a_record_leads_to_those_it_refers_to_and_back(look: Look, sample_hub: Hub, ticket: Any) -> None:
    page = look.go(address(ticket))
    page.locator(f"a[href$='records/projects/{ticket['project']}']").click()
    tickets = page.locator("section:has(#by-tickets-project)")
    expect(tickets).to_be_visible()
    tickets.locator(".head a").click()
    expect(page.locator(ROW)).to_have_count(
        min(count(sample_hub, "tickets", Condition("project", "=", ticket["project"])), 50)
    )


def test_an_edit_is_saved_and_stands_in_the_history(look: Look, ticket: Any) -> None:
    page = look.go(address(ticket))
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Assigned to").fill("Ada <b>Lovelace</b>")
    page.get_by_label("Due date").fill("2026-02-03T04:05:06")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#said")).to_contain_text("It is saved.")
    newest = page.locator(".events li").first
    expect(newest).to_contain_text("assigned_to")
    expect(newest).to_contain_text("Ada <b>Lovelace</b>")
    expect(newest).to_contain_text("by hand")
    expect(page.locator(".facts").first).to_contain_text("2026-02-03 04:05")
    assert look.complaints == []


def test_a_record_is_made_of_what_is_filled_in(look: Look, sample_hub: Hub) -> None:
    (project,) = some(sample_hub, "projects")
    page = look.go(f"records/tickets?project={project['sys_id']}")
    page.get_by_role("link", name="New ticket").click()
    expect(page.get_by_label("Project")).to_have_value(re.compile(f"^{project['number']} {project['name'][:60]}"))
    page.get_by_label("Number").fill("TKT-NEW")
    page.get_by_label("Short description").fill("Ada's <b>pump</b> leaks")
    page.get_by_label("Due date").fill("2026-02-03T04:05:06")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#said")).to_contain_text("It is made.")
    expect(page.locator("h1")).to_have_text("TKT-NEW Ada's <b>pump</b> leaks")
    (made,) = some(sample_hub, "tickets", Condition("number", "=", "TKT-NEW"))
    assert (made["project"], made["sys_created_by"], made["active"]) == (project["sys_id"], "user", True)
    assert page.url.endswith(made["sys_id"])
    expect(page.locator(".events li")).to_contain_text("created by user")
    assert look.complaints == []


def test_what_keeps_a_record_from_being_made_stands_beside_each_field_with_its_code(
    look: Look, sample_hub: Hub
) -> None:
    before = count(sample_hub, "tickets")
    page = look.go("records/tickets/new")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#edit-fault")).to_contain_text("Nothing is filled in yet.")
    page.get_by_label("Number").fill("TKT-NEW")
    page.get_by_label("Project").fill("nobody")
    page.get_by_label("Location").fill("nowhere")
    page.get_by_role("button", name="Create").click()
    for name, value in (("project", "nobody"), ("location", "nowhere")):
        expect(page.locator(f"#field-{name}-fault")).to_contain_text(re.compile(f"^ERR_008 .* the sys_id '{value}'"))
    expect(page.get_by_label("Project")).to_be_focused()
    expect(page.get_by_label("Number")).to_have_value("TKT-NEW")
    assert found_by_axe(page) == []
    assert count(sample_hub, "tickets") == before


def test_a_record_whose_answer_was_lost_is_made_once(look: Look, sample_hub: Hub) -> None:
    page = look.go("records/locations/new")
    page.get_by_label("Name").fill("Dam 3")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    page.route("**/records/locations", lose, times=1)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#edit-fault")).to_contain_text("The server can't be reached.")
    page.get_by_role("button", name="Create").click()
    expect(page.locator("h1")).to_have_text("Dam 3")
    assert count(sample_hub, "locations", Condition("name", "=", "Dam 3")) == 1


def test_what_is_wrong_stands_beside_its_field(look: Look, ticket: Any) -> None:
    page = look.go(address(ticket) + "/edit")
    page.get_by_label("Project").fill("nobody")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#field-project-fault")).to_contain_text("there is none with the sys_id 'nobody'")
    expect(page.get_by_label("Project")).to_be_focused()
    assert page.get_by_label("Project").get_attribute("aria-invalid") == "true"
    assert found_by_axe(page) == []


def test_an_edit_of_what_another_changed_meanwhile_is_not_lost_and_not_made(
    look: Look, sample_hub: Hub, ticket: Any
) -> None:
    page = look.go(address(ticket) + "/edit")
    edit.edit_record(sample_hub, "tickets", ticket["sys_id"], {"state": "6"}, who="another", clock=SystemClock())
    page.get_by_label("Assigned to").fill("Ada")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#edit-fault")).to_contain_text("was changed by another since you looked")
    assert page.get_by_label("Assigned to").input_value() == "Ada"
    page.get_by_role("link", name="Look at it again").click()
    expect(page.get_by_label("State")).to_have_value("6")


def test_a_record_to_refer_to_is_found_by_its_name(look: Look, sample_hub: Hub, ticket: Any) -> None:
    (other,) = some(sample_hub, "projects", Condition("sys_id", "!=", ticket["project"]))
    page = look.go(address(ticket) + "/edit")
    field = page.get_by_label("Project")
    field.fill(other["number"][:-1])
    expect(page.locator("#field-project-note")).to_contain_text("found: choose one")
    label = f"{other['number']} {other['name']}"
    assert label in page.locator("#field-project-list option").evaluate_all("all => all.map((o) => o.value)")
    field.fill(label)
    expect(page.locator("#field-project-note")).to_have_text("chosen")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(f".facts a[href$='{other['sys_id']}']")).to_be_visible()


def test_records_of_the_same_name_are_told_apart(look: Look, sample_hub: Hub, ticket: Any) -> None:
    made = [
        edit.create_record(sample_hub, "locations", {"name": "Dam 9"}, who="ada", clock=SystemClock()) for _ in range(2)
    ]
    page = look.go(address(ticket) + "/edit")
    page.get_by_label("Location").fill("Dam 9")
    options = page.locator("#field-location-list option")
    expect(options).to_have_count(2)
    (other,) = [text for text in options.evaluate_all("all => all.map((o) => o.value)") if text != "Dam 9"]
    page.get_by_label("Location").fill(other)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#said")).to_contain_text("It is saved.")
    (row,) = some(sample_hub, "tickets", Condition("sys_id", "=", ticket["sys_id"]))
    (chosen,) = [sys_id for sys_id in made if sys_id in other]
    assert row["location"] == chosen


@pytest.mark.parametrize(("what", "noted"), [("number", "chosen"), ("sys_id", "by its sys_id")])
def test_a_record_to_refer_to_can_be_told_outright(
    look: Look, sample_hub: Hub, ticket: Any, what: str, noted: str
) -> None:
    (other,) = some(sample_hub, "projects", Condition("sys_id", "!=", ticket["project"]))
    page = look.go(address(ticket) + "/edit")
    page.get_by_label("Project").fill(other[what])
    expect(page.locator("#field-project-note")).to_have_text(noted)
    page.get_by_role("button", name="Save").click()
    expect(page.locator(f".facts a[href$='{other['sys_id']}']")).to_be_visible()


def test_only_an_admin_deletes_and_is_asked_first(look: Look, ticket: Any) -> None:
    page = look.go(address(ticket))
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
    look.as_("admin")
    page.reload()
    page.get_by_role("button", name="Delete").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#said")).to_contain_text("It is deleted.")
    page = look.go(address(ticket))
    expect(page.locator(".title .status")).to_have_text("deleted")
    expect(page.get_by_role("link", name="Edit")).to_have_count(0)


def test_by_keyboard_alone_a_record_is_found_and_opened(look: Look, sample_hub: Hub) -> None:
    (row,) = some(sample_hub, "tickets")
    page = look.go("records/tickets")
    tab_to(page, page.get_by_label("Search"))
    page.keyboard.type(row["number"])
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q="))
    tab_to(page, page.locator(f"{ROW} th a").first)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(row["number"])


def tab_to(page: Page, wanted: Any) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if wanted.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError("not reached by the tab key")


def test_a_search_looks_at_a_bounded_number_of_records_and_goes_on_by_itself(
    look: Look, sample_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_pages, "CANDIDATES", 1_000)
    monkeypatch.setattr(records_pages, "SORTED_AT_ONCE", 500)
    (oldest,) = some(sample_hub, "tickets", sort=Sort(is_descending=False))
    sys_id = oldest["sys_id"]
    page = look.go(f"records/tickets?filter=sys_id~{sys_id}")
    expect(page.locator(f"{ROW} th")).to_have_text(oldest["number"])
    expect(page).to_have_url(re.compile("looked=2000"))
    page = look.go("records/tickets?sort=priority")
    expect(page.locator("h1")).to_have_text("This can't be understood")
    expect(page.locator("main")).to_contain_text("too many tickets to sort them by priority")


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("records/tickets?state=nothing", 200, "No record fits. Take a filter away"),
        ("records/tickets?cursor=garbage", 400, "The cursor is not one of this read."),
        ("records/tickets?cursor=WzEsMl0&sort=number", 200, "Tickets"),
        ("records/tickets?stat=1", 400, "Did you mean 'state'?"),
        ("records/tickets?filter=due_date>soon", 400, "is not a moment"),
        ("records/tickets?filter=nonsense", 400, "is not a condition"),
        ("records/tickets?sort=nothing", 400, "has no field 'nothing'"),
        ("records/tickets?field=state&sign=LIKE&value=1", 400, "compares nothing"),
        ("records/tickets?looked=-1", 422, "looked"),
        ("records/tikets", 404, "Did you mean 'tickets'?"),
        ("records/tickets/none", 404, "There is no record none among the tickets."),
        ("records/tickets/none/edit", 404, "There is no record none"),
        ("records/tikets/new", 404, "Did you mean 'tickets'?"),
        ("records/assets/new?quantity=many", 400, "is not a whole number"),
        ("records/tickets?q=<script>alert(1)</script>", 200, "No record fits."),
    ],
)
def test_bad_input_is_told_and_what_to_do(look: Look, path: str, status: int, said: str) -> None:
    answer = look.page.goto(f"{look.root}/{path}")
    assert answer is not None
    assert answer.status == status
    expect(look.page.locator("main")).to_contain_text(said)


def test_an_empty_table_says_how_records_come(sample_hub: Hub, look: Look) -> None:
    def empty(connection: Connection) -> None:
        connection.execute(RECORDS["deliverables"].delete())

    sample_hub.write(empty)
    page = look.go("records/deliverables")
    expect(page.locator("#found")).to_contain_text("There are no deliverables yet. They come with the first sync")
