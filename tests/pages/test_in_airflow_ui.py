"""A person in the demo's Airflow: logs in, finds KWikSync in the navigation, clicks SYNC, and watches the card."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Page, expect

from kwiksync_ops.services.status import recent_runs
from kwiksync_ops.storage.hub import open_hub
from tests.pages.browser import SCREENSHOTS
from tests.support.demo import RunningDemo, running_demo

USER = "admin"
START_S, SYNC_MS = 180, 120_000
FRAME = "iframe[title=KWikSync]"

pytestmark = pytest.mark.timeout(420)


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def test_sync_is_clicked_in_the_demo_and_the_card_goes_syncing_and_back(page: Page, tmp_path: Path) -> None:
    with running_demo(tmp_path) as demo, closing(open_hub(demo.hub_url)) as hub:
        url = demo.url
        log_in(page, demo)
        page.get_by_role("link", name="KWikSync").first.click()
        frame = page.frame_locator(FRAME)
        frame.get_by_role("link", name="Connections").click()
        card = frame.locator("li:has(#card-erp-locations)")
        state = card.locator(".status").first
        expect(state).to_have_text("idle")
        card.get_by_role("button", name="SYNC Locations from erp").click()
        expect(frame.locator("#said")).to_contain_text("queued")
        expect(state).to_have_text("syncing", timeout=SYNC_MS)
        expect(state).to_have_text("idle", timeout=SYNC_MS)
        expect(card.locator(".ways")).to_contain_text("ago")
        (run,) = recent_runs(hub, limit=5)
        assert run["table_name"] == "locations"
        assert run["created"] > 1_000
        expect(card).to_contain_text(f"{run['created']:,} records in the hub")
        if os.environ.get("KWIKSYNC_SCREENSHOTS"):
            page.screenshot(path=SCREENSHOTS / "in-airflow.png")
        assert "/plugin/kwiksync/api/x_kwr_kwiksync/pages/connections" in page.url
        card.get_by_role("link", name="ago").click()
        frame.get_by_role("link", name="Run in Airflow").click()
        expect(page).to_have_url(re.compile("/dags/kwiksync_erp_inbound/runs/manual__"))
        page.goto(link_of_task(page, url, run["run_id"]))
        expect(page.frame_locator(FRAME).locator("main")).to_contain_text(run["run_id"])


def link_of_task(page: Page, url: str, run_id: str) -> str:
    """What the button KWikSync of a task opens; Airflow has it once the task has ended."""
    dag_id, of_dag = run_id.split("/")
    links = f"{url}/api/v2/dags/{dag_id}/dagRuns/{quote(of_dag)}/taskInstances/locations.load/links"
    wait_for(lambda: bool(page.request.get(links).json().get("extra_links", {}).get("KWikSync")))
    return str(page.request.get(links).json()["extra_links"]["KWikSync"])


def log_in(page: Page, demo: RunningDemo) -> None:
    page.goto(f"{demo.url}/auth/login")
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{demo.url}/")


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not is_so():
        assert time.monotonic() < deadline, "Airflow did not get ready"
        time.sleep(0.5)
