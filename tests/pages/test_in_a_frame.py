"""The pages in a frame as Airflow makes it: its sandbox, its theme, its window for its own pages."""

from __future__ import annotations

from playwright.sync_api import FrameLocator, expect

from tests.pages.browser import Look
from tests.pages.sample import Sample

SANDBOX = "allow-scripts allow-same-origin allow-forms allow-downloads"
"""Of the navigation's frame; beside a DAG or a run it is allow-forms alone."""


def framed(look: Look, path: str, sandbox: str = SANDBOX) -> FrameLocator:
    shell = (
        f'<!doctype html><html class="dark" lang="en"><title>Airflow</title><base href="/">'
        f'<iframe title="KWikSync" sandbox="{sandbox}" src="pages/{path}" width="1200" height="800"></iframe>'
    )
    look.page.route("**/shell", lambda route: route.fulfill(content_type="text/html", body=shell))
    look.page.goto(f"{look.url}/shell")
    return look.page.frame_locator("iframe")


def test_the_theme_follows_airflow_s_until_a_person_chooses(look: Look) -> None:
    frame = framed(look, "")
    html = frame.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    look.page.evaluate("document.documentElement.className = 'light'")
    expect(html).to_have_attribute("data-theme", "light")
    frame.get_by_role("button", name="Display").click()
    frame.get_by_label("Theme").select_option("contrast")
    frame.get_by_label("Text").select_option("large")
    expect(html).to_have_attribute("data-theme", "contrast")
    look.page.evaluate("document.documentElement.className = 'dark'")
    expect(html).to_have_attribute("data-text", "large")
    expect(html).to_have_attribute("data-theme", "contrast")
    assert look.complaints == []


def test_airflow_s_pages_open_in_its_window(look: Look, sample: Sample) -> None:
    frame = framed(look, f"sync-log/{sample.runs[-1]}")
    look.page.route("**/dags/**", lambda route: route.fulfill(content_type="text/html", body="<h1>Airflow's run</h1>"))
    frame.get_by_role("link", name="Run in Airflow").click()
    expect(look.page.locator("h1")).to_have_text("Airflow's run")


def test_a_dialog_asks_where_confirm_may_not(look: Look, sample: Sample) -> None:
    frame = framed(look, f"error-log/{sample.error}")
    frame.get_by_role("button", name="Resolve", exact=True).click()
    expect(frame.locator("dialog#resolve")).to_be_visible()


def test_beside_a_run_there_is_what_it_synced_and_nothing_that_a_bare_frame_refuses(look: Look, sample: Sample) -> None:
    dag_id, run_id = sample.runs[0].split("/")
    frame = framed(look, f"airflow/{dag_id}/{run_id}", "allow-forms")
    expect(frame.locator("h1")).to_have_text("What this run synced")
    expect(frame.locator("main")).to_contain_text("Rejected")
    assert frame.locator("script, main a").count() == 0
    assert look.complaints == []


def test_beside_a_task_there_is_its_table(look: Look, sample: Sample) -> None:
    dag_id, run_id = sample.runs[0].split("/")
    page = look.go(f"airflow/{dag_id}/{run_id}?task=tickets.load")
    assert page.locator("section[aria-label=Tables] th[scope=row]").all_inner_texts() == ["Tickets"]


def test_a_dag_of_somebody_else_is_told_apart(look: Look) -> None:
    assert look.go("airflow/their_dag/manual__1").inner_text("h1") == "Not one of KWikSync's"
    assert look.go("airflow/their_dag").inner_text("h1") == "Not one of KWikSync's"
