"""The Hub in a browser: what it says is what the hub holds, and it stays so while one looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from kwiksync_ops.storage import record_search
from kwiksync_ops.storage.hub import Hub
from tests.pages.browser import Look
from tests.pages.sample import DAG, DAYS, Sample
from tests.support.api_server import AirflowDouble


def test_it_counts_what_the_hub_holds(look: Look, sample_hub: Hub) -> None:
    with sample_hub.read() as connection:
        counts = [f"{found.records:,}" for found in record_search.count_tables(connection)]
    page = look.go("")
    expect(page.locator("section:has(#tables) [data-name=Records]")).to_have_text(counts)
    assert look.complaints == []


def test_it_tells_the_next_scheduled_sync(look: Look, airflow: AirflowDouble) -> None:
    page = look.go("")
    expect(page.locator(".tiles")).to_contain_text("no DAG with a schedule is switched on")
    airflow.starts[DAG] = datetime.now(UTC) + timedelta(hours=5, minutes=30)
    expect(page.locator(".tiles")).to_contain_text("in 5 h", timeout=10_000)


def test_its_charts_have_a_bar_a_sync_and_say_in_words_what_they_show(look: Look, sample: Sample) -> None:
    page = look.go("")
    for title, begins in (
        ("durations", f"Duration of the last {DAYS} syncs"),
        ("records", f"Records of the last {DAYS}"),
    ):
        chart = page.locator(f"section:has(#{title}) svg[role=img]")
        assert str(chart.get_attribute("aria-label")).startswith(begins)
        assert chart.locator("g").count() == DAYS


def test_every_table_of_activity_leads_to_its_run(look: Look, sample: Sample) -> None:
    page = look.go("")
    page.locator("section:has(#activity) tbody a").first.click()
    expect(page.locator("main")).to_contain_text(sample.runs[-1])
