"""The Connection Dashboard in a browser: a sync started by a click, seen while it runs, and what goes wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from playwright.sync_api import expect

from kwiksync_ops.services.connections import SystemConnection
from kwiksync_ops.services.table_sync import take_lease
from kwiksync_ops.storage import lease, sync_log
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.sync_log import TableRun
from kwiksync_ops.vocabulary import Direction, SyncStatus
from tests.pages.browser import Look
from tests.support.api_server import AirflowDouble

CARD = "li:has(#card-erp-tickets)"


def begin(hub: Hub, run_id: str) -> TableRun:
    """What the first steps of the DAG run write into the hub."""
    run = TableRun(run_id, "erp", Direction.INBOUND, "tickets")
    take_lease(hub, run_id)
    started = datetime.now(UTC) - timedelta(seconds=10)
    hub.write(
        lambda connection: sync_log.start(connection, run, trigger="ui", mode="incremental", who="user", now=started)
    )
    figures = {"processed": 300, "pages": 3, "api_calls": 3}
    hub.write(lambda connection: sync_log.count(connection, run, figures))
    return run


def end(hub: Hub, run: TableRun) -> None:
    now = datetime.now(UTC)
    hub.write(lambda connection: sync_log.end(connection, run, SyncStatus.SUCCESS, now=now))
    hub.write(lambda connection: lease.release(connection, run.run_id))


def test_a_card_goes_from_idle_over_queued_and_syncing_back_to_idle(
    look: Look, sample_hub: Hub, airflow: AirflowDouble
) -> None:
    page = look.go("connections")
    card = page.locator(CARD)
    expect(card.locator(".status").first).to_have_text("idle")
    card.get_by_role("button", name="SYNC Tickets from erp").click()
    expect(page.locator("#said")).to_contain_text("queued: kwiksync_erp_inbound/manual__1")
    expect(card.locator(".status").first).to_have_text("queued")
    expect(card.get_by_role("button", name="SYNC Tickets from erp")).to_be_disabled()
    (dag_run,) = airflow.runs
    assert dag_run.conf == {"tables": ["tickets"], "mode": "incremental"}

    run = begin(sample_hub, f"{dag_run.dag_id}/{dag_run.run_id}")
    expect(card.locator(".status").first).to_have_text("syncing")
    expect(card).to_contain_text("300 of about")
    expect(card).to_contain_text("3 pages, 3 calls; about")
    look.shoot("connections-syncing")

    airflow.runs.clear()
    end(sample_hub, run)
    expect(card.locator(".status").first).to_have_text("idle")
    expect(card.locator(".ways li").first).to_contain_text("s ago")
    expect(page.locator(".log li").first).to_contain_text("Tickets from erp")
    assert look.complaints == []


def test_all_tables_are_synced_by_one_click(look: Look, airflow: AirflowDouble) -> None:
    page = look.go("connections")
    page.get_by_role("button", name="SYNC ALL TABLES of erp").click()
    expect(page.locator("#said")).to_contain_text("queued")
    assert [run.conf["tables"] for run in airflow.runs] == [[]]
    expect(page.locator(".card .status-queued")).to_have_count(6)


def test_a_run_whose_process_is_gone_is_told_as_stalled(look: Look, sample_hub: Hub) -> None:
    run = begin(sample_hub, "kwiksync_erp_inbound/manual__dead")
    sample_hub.write(lambda connection: lease.release(connection, run.run_id))
    expect(look.go("connections").locator(CARD).locator(".status").first).to_have_text("stalled")


def test_events_come_once_each_though_they_are_read_with_an_overlap(look: Look, sample_hub: Hub) -> None:
    page = look.go("connections")
    run = begin(sample_hub, "kwiksync_erp_inbound/manual__once")
    expect(page.locator(".log")).to_contain_text("incremental begins")
    end(sample_hub, run)
    with page.expect_response("**/activity?after=*"):
        pass
    with page.expect_response("**/activity?after=*"):
        pass
    ids = page.locator(".log li").evaluate_all("rows => rows.map(row => row.id)")
    assert len(ids) == len(set(ids))


def test_a_lost_connection_is_told_and_found_again(look: Look) -> None:
    page = look.go("connections")
    look.offline(True)
    expect(page.locator("#connection")).to_contain_text("The connection is lost")
    page.get_by_role("button", name="SYNC Assets from erp").click()
    expect(page.locator("#said")).to_contain_text("can't be reached. Nothing was changed")
    look.offline(False)
    expect(page.locator("#connection")).to_be_hidden()


def test_a_session_that_ends_is_told_with_the_way_to_log_in(look: Look) -> None:
    page = look.go("connections")
    look.as_("expired")
    expect(page.locator("#connection")).to_contain_text("Your session has ended")
    assert "/auth/login?next=" in str(page.locator("#connection a").get_attribute("href"))


def test_who_may_not_trigger_is_told_why(look: Look, airflow: AirflowDouble) -> None:
    airflow.refuses = frozenset({"kwiksync_erp_inbound"})
    page = look.go("connections")
    page.get_by_role("button", name="SYNC Assets from erp").click()
    expect(page.locator("#said .fault")).to_contain_text("Airflow does not let user trigger kwiksync_erp_inbound")


def test_the_connection_is_tested_by_a_click_of_an_administrator(look: Look, airflow: AirflowDouble) -> None:
    look.as_("admin")
    page = look.go("connections")
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#said .fault")).to_contain_text("Airflow has no connection 'kwiksync_erp'")
    airflow.connections["kwiksync_erp"] = SystemConnection("https://127.0.0.1:9", password="t", extra={})
    page.get_by_role("button", name="Test connection").click()
    expect(page.locator("#said .fault")).not_to_contain_text("has no connection")


def test_syncs_are_started_by_keyboard_alone(look: Look, airflow: AirflowDouble) -> None:
    page = look.go("connections")
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "SYNC-erp-locations":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("queued")
    assert [run.conf["tables"] for run in airflow.runs] == [["locations"]]
