"""A person in Airflow's own UI: logs in, finds KWikSync in the navigation, clicks SYNC, and watches the card."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page, expect

from kwiksync_ops.services.status import recent_runs
from kwiksync_ops.storage.hub import Hub
from tests.pages.browser import SCREENSHOTS
from tests.support.airflow_runs import ROOT, AirflowHome
from tests.support.sample_erp import running_sample_erp

USER, PASSWORD = "admin", "a-password-of-tests"
START_S, SYNC_MS = 180, 120_000
FRAME = "iframe[title=KWikSync]"

pytestmark = pytest.mark.timeout(420)


@contextmanager
def running_airflow(home: AirflowHome) -> Iterator[str]:
    """The URL of an api-server with its scheduler and DAG processor, as `airflow standalone` starts them."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    folder = Path(home.environment["AIRFLOW_HOME"])
    (folder / "passwords.json").write_text(json.dumps({USER: PASSWORD}), encoding="utf-8")
    environment = home.environment | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
    }
    with (folder / "airflow.log").open("w") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("airflow")), "standalone"],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield url
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(30)


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def test_sync_is_clicked_in_airflow_s_ui_and_the_card_goes_syncing_and_back(page: Page, tmp_path: Path) -> None:
    home = AirflowHome(tmp_path / "airflow")
    with running_sample_erp(tmp_path) as erp, running_airflow_over(home, erp, tmp_path) as (url, hub):
        log_in(page, url)
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
        assert (run["table_name"], run["created"]) == ("locations", 1490)
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


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/auth/login")
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{url}/")


@contextmanager
def running_airflow_over(home: AirflowHome, erp: Any, folder: Path) -> Iterator[tuple[str, Hub]]:
    hub = home.new_hub(f"sqlite:///{folder / 'hub.db'}", erp)
    with running_airflow(home) as url:
        wait_until_ready(url)
        yield url, hub
    hub.close()


def wait_until_ready(url: str) -> None:
    """All components are healthy, and the DAG is there and switched on."""
    with requests.Session() as session:
        session.trust_env = False
        wait_for(lambda: is_healthy(session, url))
        told = session.post(f"{url}/auth/token", json={"username": USER, "password": PASSWORD}, timeout=30).json()
        session.headers["Authorization"] = f"Bearer {told['access_token']}"
        wait_for(lambda: session.get(f"{url}/api/v2/dags/kwiksync_erp_inbound", timeout=30).ok)


def is_healthy(session: requests.Session, url: str) -> bool:
    try:
        parts = session.get(f"{url}/api/v2/monitor/health", timeout=10).json()
    except (requests.ConnectionError, requests.Timeout):
        return False
    return all(parts[name]["status"] == "healthy" for name in ("metadatabase", "scheduler", "dag_processor"))


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not is_so():
        assert time.monotonic() < deadline, "Airflow did not get ready"
        time.sleep(0.5)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port
