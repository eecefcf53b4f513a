"""Sync Log and Error Log in a browser: filtered, paged, one looked at, replayed, resolved, undone."""

from __future__ import annotations

import threading

import pytest
from playwright.sync_api import expect

from kwiksync_ops.api.pages import undo
from kwiksync_ops.services.errors import find_errors
from kwiksync_ops.services.status import run_rows
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import SYNC_LOG
from tests.pages.browser import Look
from tests.pages.sample import Sample


def test_the_sync_log_is_filtered_and_the_filter_stays(look: Look, sample: Sample) -> None:
    page = look.go("sync-log")
    page.get_by_label("Table").select_option("tickets")
    page.get_by_label("Status").select_option("partial")
    page.get_by_role("button", name="Filter").click()
    assert set(page.locator("tbody [data-name=Table]").all_inner_texts()) == {"Tickets"}
    assert set(page.locator("tbody [data-name=Status]").all_inner_texts()) == {"partial"}
    expect(page.get_by_label("Table")).to_have_value("tickets")
    page.get_by_label("From").fill("2001-01-01")
    page.get_by_label("To").fill("2001-01-02")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("main")).to_contain_text("No sync fits.")


def test_a_run_tells_what_it_changed_by_field(look: Look, sample: Sample) -> None:
    page = look.go(f"sync-log/{sample.runs[-2]}")
    expect(page.locator("main")).to_contain_text(sample.runs[-2])
    page.get_by_label("Table").last.select_option("projects")
    page.wait_for_url("**table=projects**")
    changes = page.locator("section:has(#changes) tbody tr")
    assert set(changes.locator("[data-name=Table]").all_inner_texts()) == {"Projects"}
    assert changes.locator("del").count() >= 10
    assert len(page.locator("section:has(#batches) tbody tr").all()) >= 6


def test_the_run_s_task_logs_are_a_click_away(look: Look, sample: Sample) -> None:
    page = look.go(f"sync-log/{sample.runs[-2]}")
    href = page.get_by_role("link", name="load of Tickets").get_attribute("href")
    dag_id, run_id = sample.runs[-2].split("/")
    assert href == f"/dags/{dag_id}/runs/{run_id.replace(':', '%3A').replace('+', '%2B')}/tasks/tickets.load"


def test_an_undo_says_what_it_comes_to_and_is_done(look: Look, sample: Sample, sample_hub: Hub) -> None:
    look.as_("admin")
    page = look.go(f"sync-log/{sample.runs[-1]}")
    page.get_by_role("link", name="Undo").click()
    expect(page.locator("h1")).to_have_text("Undo this run?")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#said")).to_contain_text("It was undone.")
    rows = run_rows(sample_hub, f"undo_{sample.runs[-1]}")
    assert sum(row["updated"] + row["deleted"] for row in rows) > 100
    expect(look.go(f"sync-log/{sample.runs[-1]}").locator("main")).to_contain_text("This run was undone by")


def test_a_plan_that_takes_long_is_shown_when_it_is_there(
    look: Look, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, plan_undo = threading.Event(), undo.plan_undo
    monkeypatch.setattr(undo, "plan_undo", lambda *given, **named: gate.wait(60) and plan_undo(*given, **named))
    look.as_("admin")
    page = look.go(f"undo/{sample.runs[-1]}")
    expect(page.locator("main")).to_contain_text("the plan is shown here as soon as it is made")
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    gate.set()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect(page.locator("section:has(#plan) tbody tr")).not_to_have_count(0)
    assert look.complaints == []


def test_why_a_run_can_t_be_undone_is_told_however_long_that_takes(
    look: Look, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, plan_undo = threading.Event(), undo.plan_undo
    monkeypatch.setattr(undo, "plan_undo", lambda *given, **named: gate.wait(60) and plan_undo(*given, **named))
    look.as_("admin")
    page = look.go("undo/kwiksync_erp_inbound/none")
    gate.set()
    expect(page.locator("main .fault")).to_contain_text("There is no run 'kwiksync_erp_inbound/none'.")


def test_a_user_is_offered_no_undo(look: Look, sample: Sample) -> None:
    page = look.go(f"sync-log/{sample.runs[-1]}")
    assert page.get_by_role("link", name="Undo").count() == 0
    look.go(f"undo/{sample.runs[-1]}")
    expect(look.page.locator("h1")).to_have_text("You have no access to this")


def test_an_error_is_replayed_and_stays_open_while_its_cause_does(look: Look, sample: Sample, sample_hub: Hub) -> None:
    page = look.go("error-log?table=tickets")
    page.locator("tbody a").first.click()
    expect(page.locator("main")).to_contain_text("What to do:")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#said")).to_contain_text("rejected")
    expect(page.locator("#said p")).to_have_class("fault")
    (row,) = find_errors(sample_hub, [page.url.rsplit("/", 1)[1]])
    assert (row["resolution"], row["attempt"]) == ("open", 2)


def test_an_error_is_resolved_with_a_note(look: Look, sample: Sample, sample_hub: Hub) -> None:
    page = look.go(f"error-log/{sample.error}")
    page.get_by_role("button", name="Resolve", exact=True).click()
    page.get_by_label("Why").fill("The record is a test of theirs.")
    page.locator("dialog").get_by_role("button", name="Resolve").click()
    expect(page.locator("#said")).to_contain_text("It is resolved.")
    expect(page.locator("h1 + .status")).to_have_text("resolved")
    assert find_errors(sample_hub, [sample.error])[0]["resolved_by"] == "user"


def test_pages_of_a_list_hold_every_row_once(look: Look, sample_hub: Hub) -> None:
    """Newest first, with many rows of one moment."""
    with sample_hub.read() as connection:
        row = dict(connection.execute(SYNC_LOG.select().limit(1)).mappings().one())
    many = [{**row, "sys_id": f"{number:032x}", "run_id": f"run-{number}"} for number in range(120)]
    sample_hub.write(lambda connection: connection.execute(SYNC_LOG.insert(), many))
    page, seen = look.go("sync-log?table=locations&status=partial"), []
    while True:
        seen += page.locator("tbody a").evaluate_all("links => links.map(link => link.href)")
        older = page.get_by_role("link", name="Older")
        if not older.count():
            break
        with page.expect_navigation():
            older.click()
    runs = [href for href in seen if "/sync-log/run-" in href]
    assert len(runs) == len(set(runs)) == 120
