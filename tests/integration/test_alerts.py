"""Alerts: one an incident, after the last retry, at a real SMTP server and a real webhook."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services import alerts
from kwiksync_ops.services.alerts import Kind
from kwiksync_ops.services.settings import change_setting
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage import incidents
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.kept_answers import IN_FLIGHT_FOR
from kwiksync_ops.storage.models import ERROR_LOG, SYNC_LOG
from kwiksync_ops.system_spec.spec import SyncWindow, SystemSpec
from kwiksync_ops.testing import ManualClock
from tests.conftest import StartServer
from tests.support.https_server import Response

NOW = datetime(2026, 1, 15, 6, tzinfo=UTC)
DAG = "kwiksync_erp_inbound"


@dataclass
class Mailbox:
    """Takes mail as an SMTP server; `refuses` so many times first."""

    refuses: int = 0
    mails: list[Any] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        if self.refuses:
            self.refuses -= 1
            return "451 try again later"
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


@dataclass
class Office:
    """A hub whose runs a test makes up, and the mailbox that its alerts go to."""

    hub: Hub
    mailbox: Mailbox
    settings: Settings
    clock: ManualClock
    runs: int = 0

    def run(
        self,
        status: str = "success",
        *,
        processed: int = 100,
        failed: int = 0,
        minutes: int = 5,
        table: str = "tickets",
    ) -> str:
        self.runs += 1
        run_id = f"{DAG}/run-{self.runs}"
        started = self.clock.now()
        self.clock.sleep(minutes * 60)
        row = {"system": "erp", "direction": "inbound", "table_name": table, "trigger": "schedule", "mode": "full"}
        row |= {"sys_id": f"{self.runs:032x}", "run_id": run_id, "status": status, "who": "airflow"}
        counts = {"started": started, "ended": self.clock.now(), "processed": processed, "failed": failed}
        if status == "failed":
            counts |= {"error_code": "ERR_011", "message": "the ERP is away"}
        self.hub.write(lambda connection: connection.execute(SYNC_LOG.insert().values({**row, **counts})))
        return run_id

    def ended(self, run_id: str) -> int:
        """What the log task does."""
        alerts.judge_run(self.hub, run_id, self.clock)
        return alerts.tell_all(self.hub, self.settings, self.clock)

    def open_kinds(self) -> set[str]:
        with self.hub.read() as connection:
            return {each.kind for each in incidents.latest(connection, 100) if each.closed is None}


@pytest.fixture
def office(hub: Hub, tmp_path: Path) -> Iterator[Office]:
    mailbox = Mailbox()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Controller(mailbox, hostname="127.0.0.1", port=port)
    server.start()
    url = f"mailto://127.0.0.1:{port}?from=kwiksync@example.com&to=oncall@example.com&mode=insecure"
    settings = Settings(str(hub.engine.url), tmp_path, f"file://{tmp_path}", home=tmp_path, alert_urls=(url,))
    yield Office(hub, mailbox, settings, ManualClock(NOW))
    server.stop()


def test_a_failed_run_is_told_once_with_what_is_needed_at_night(office: Office) -> None:
    change_setting(office.hub, "alerts.link", "https://airflow.example.com", who="ann", clock=office.clock)
    run_id = office.run("failed", failed=3)
    error = {"sys_id": "e" * 32, "occurred": NOW, "code": "ERR_008", "message": "the city is too long"}
    error |= {"severity": "error", "system": "erp", "table_name": "tickets", "external_id": "T-7"}
    row = {**error, "run_id": run_id, "resolution": "open"}
    office.hub.write(lambda connection: connection.execute(ERROR_LOG.insert().values(row)))
    assert office.ended(run_id) == 1
    assert office.ended(run_id) == 0
    (mail,) = office.mailbox.mails
    assert mail["subject"] == f"KWikSync: {DAG} failed"
    assert "oncall@example.com" in mail["to"]
    body = mail.get_body(("plain", "html")).get_content()
    for told in (run_id, "the ERP is away", "ERR_008: 1", "T-7: the city is too long"):
        assert told in body
    assert f"https://airflow.example.com/dags/{DAG}/runs/run-1" in body


def test_a_failure_that_goes_on_is_one_incident_until_a_run_is_sound(office: Office) -> None:
    for _ in range(3):
        office.ended(office.run("failed"))
    assert len(office.mailbox.mails) == 1
    office.ended(office.run("success"))
    assert office.open_kinds() == set()
    office.ended(office.run("failed"))
    assert len(office.mailbox.mails) == 2


def test_too_many_rejects_are_told_and_a_few_are_not(office: Office) -> None:
    office.ended(office.run("partial", failed=19))
    assert office.mailbox.mails == []
    office.ended(office.run("partial", failed=20))
    (mail,) = office.mailbox.mails
    assert mail["subject"] == f"KWikSync: {DAG} rejected too many records"


def test_rejects_that_grow_far_over_their_usual_share_are_one_incident_until_they_are_usual_again(
    office: Office,
) -> None:
    for _ in range(5):
        office.ended(office.run("partial", processed=1_000, failed=10))
    office.ended(office.run("partial", processed=1_000, failed=30))
    assert office.open_kinds() == set()
    for failed in (31, 60):
        office.ended(office.run("partial", processed=1_000, failed=failed))
        assert office.open_kinds() == {Kind.REJECTS}
    office.ended(office.run("partial", processed=1_000, failed=12))
    assert office.open_kinds() == set()
    (mail,) = office.mailbox.mails
    assert mail["subject"] == f"KWikSync: {DAG} rejected too many records"


@pytest.mark.parametrize(("processed", "failed"), [(3, 1), (50, 9), (100_000, 999)])
def test_a_few_rejects_are_no_growth(office: Office, processed: int, failed: int) -> None:
    change_setting(office.hub, "alerts.error_share", 100, who="ann", clock=office.clock)
    for _ in range(5):
        office.ended(office.run())
    office.ended(office.run("partial", processed=processed, failed=failed))
    assert office.open_kinds() == set()


def test_a_share_is_usual_for_nothing_before_there_were_some_runs(office: Office) -> None:
    for _ in range(4):
        office.ended(office.run())
    office.ended(office.run("partial", failed=19))
    assert office.open_kinds() == set()


def test_a_table_is_compared_with_itself(office: Office) -> None:
    for _ in range(5):
        office.ended(office.run("partial", failed=19, table="assets"))
        office.ended(office.run(table="tickets"))
    office.ended(office.run("partial", failed=19, table="assets"))
    assert office.open_kinds() == set()
    office.ended(office.run("partial", failed=19, table="tickets"))
    assert office.open_kinds() == {Kind.REJECTS}


def test_a_run_that_takes_far_longer_than_usual_is_told(office: Office) -> None:
    for _ in range(5):
        office.ended(office.run(minutes=5))
    office.ended(office.run(minutes=15))
    assert office.open_kinds() == set()
    office.ended(office.run(minutes=16))
    assert office.open_kinds() == {Kind.SLOW}


def test_an_alert_that_does_not_arrive_is_sent_by_the_next_who_looks(office: Office) -> None:
    office.mailbox.refuses = 1
    assert office.ended(office.run("failed")) == 0
    assert alerts.tell_all(office.hub, office.settings, office.clock) == 1
    assert len(office.mailbox.mails) == 1


def test_a_failure_that_reached_no_sync_log_is_told_by_airflow_s_callback_once(office: Office) -> None:
    for _ in range(2):
        alerts.run_failed(office.hub, "erp", DAG, f"{DAG}/lost", office.clock)
        alerts.tell_all(office.hub, office.settings, office.clock)
    assert len(office.mailbox.mails) == 1


def test_a_maintenance_that_fails_again_after_a_sound_run_is_told_again(office: Office) -> None:
    for number in range(3):
        alerts.run_failed(office.hub, "kwiksync", "kwiksync_watch", f"kwiksync_watch/{number}", office.clock)
        alerts.tell_all(office.hub, office.settings, office.clock)
        if number:
            alerts.run_was_sound(office.hub, "kwiksync", "kwiksync_watch", office.clock)
    assert office.open_kinds() == set()
    assert len(office.mailbox.mails) == 2


def test_an_alert_whose_sending_breaks_is_told_by_the_next_who_looks(office: Office) -> None:
    def broken(_title: str, _body: str) -> bool:
        raise OSError("no route")

    alerts.run_failed(office.hub, "erp", DAG, f"{DAG}/lost", office.clock)
    with pytest.raises(OSError, match="no route"):
        alerts.tell(office.hub, broken, office.clock)
    assert alerts.tell_all(office.hub, office.settings, office.clock) == 1


KILLED_WHILE_SENDING = """
import os, signal, sys
from datetime import datetime
from kwiksync_ops.services import alerts
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.testing import ManualClock

def send(title, body):
    os.kill(os.getpid(), signal.SIGKILL)

alerts.tell(open_hub(sys.argv[1]), send, ManualClock(datetime.fromisoformat(sys.argv[2])))
"""


def kill_while_sending(office: Office) -> None:
    url = office.hub.engine.url.render_as_string(hide_password=False)
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_SENDING, url, NOW.isoformat()], check=False)
    assert killed.returncode == -signal.SIGKILL


def test_an_alert_whose_sender_was_killed_is_sent_by_the_next_who_looks(office: Office) -> None:
    alerts.run_failed(office.hub, "erp", DAG, f"{DAG}/lost", office.clock)
    kill_while_sending(office)
    assert alerts.tell_all(office.hub, office.settings, office.clock) == 0
    office.clock.sleep(IN_FLIGHT_FOR.total_seconds() + 1)
    assert [alerts.tell_all(office.hub, office.settings, office.clock) for _ in range(3)] == [1, 0, 0]
    assert len(office.mailbox.mails) == 1


def test_an_alert_whose_sender_was_killed_is_sent_though_it_is_over_by_then(office: Office) -> None:
    alerts.run_failed(office.hub, "kwiksync", "kwiksync_watch", "kwiksync_watch/1", office.clock)
    kill_while_sending(office)
    office.clock.sleep(600)
    alerts.run_was_sound(office.hub, "kwiksync", "kwiksync_watch", office.clock)
    assert alerts.tell_all(office.hub, office.settings, office.clock) == 1
    (mail,) = office.mailbox.mails
    assert "Over since 2026-01-15 06:10 UTC" in mail.get_body(("plain", "html")).get_content()


def test_an_incident_that_is_long_over_is_not_told(office: Office) -> None:
    alerts.run_failed(office.hub, "kwiksync", "kwiksync_watch", "kwiksync_watch/1", office.clock)
    alerts.run_was_sound(office.hub, "kwiksync", "kwiksync_watch", office.clock)
    office.clock.sleep(alerts.TOLD_WITHIN.total_seconds())
    assert alerts.tell_all(office.hub, office.settings, office.clock) == 0


def test_two_who_look_at_once_send_one(office: Office) -> None:
    alerts.run_failed(office.hub, "erp", DAG, f"{DAG}/lost", office.clock)
    inner: list[int] = []

    def send(title: str, body: str) -> bool:
        inner.append(alerts.tell_all(office.hub, office.settings, office.clock))
        return True

    assert alerts.tell(office.hub, send, office.clock) == 1
    assert inner == [0]
    assert alerts.tell_all(office.hub, office.settings, office.clock) == 0


def test_switched_off_nothing_is_sent_and_nothing_lost(office: Office) -> None:
    change_setting(office.hub, "alerts.enabled", False, who="ann", clock=office.clock)
    assert office.ended(office.run("failed")) == 0
    change_setting(office.hub, "alerts.enabled", True, who="ann", clock=office.clock)
    assert alerts.tell_all(office.hub, office.settings, office.clock) == 1


@pytest.mark.parametrize("window", [None, SyncWindow(time(2), time(4))])
def test_a_sync_that_did_not_run_when_it_was_due_is_told(office: Office, window: SyncWindow | None) -> None:
    system = SystemSpec("erp", "rest", "c", "inbound", (), schedule="0 1 * * *", sync_window=window)
    office.clock.sleep(-timedelta(hours=3.5).total_seconds())
    office.run()
    office.clock.sleep(timedelta(hours=1).total_seconds())
    alerts.watch(office.hub, [system], office.clock)
    assert office.open_kinds() == set()
    office.clock.sleep(timedelta(hours=24).total_seconds())
    alerts.watch(office.hub, [system], office.clock)
    alerts.watch(office.hub, [system], office.clock)
    assert alerts.tell_all(office.hub, office.settings, office.clock) == 1
    (mail,) = office.mailbox.mails
    assert mail["subject"] == f"KWikSync: {DAG} did not run when it was due"
    office.run()
    alerts.watch(office.hub, [system], office.clock)
    assert office.open_kinds() == set()


def test_a_webhook_gets_it_too(https_server: StartServer, ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", ca_file)
    server = https_server()
    server.on("/hook", Response(200, b"{}", {"Content-Type": "application/json"}))
    host = server.url().removeprefix("https://")
    send = alerts.sender(Settings("", Path(), "", alert_urls=(f"jsons://{host}/hook",)))
    assert send("title", "body")
    (request,) = server.requests
    told = json.loads(request.body)
    assert (told["title"], told["message"]) == ("title", "body")


def test_an_address_that_is_none_is_told_without_its_secret() -> None:
    settings = Settings("", Path(), "", alert_urls=("nonsense://user:hunter2@host",))
    with pytest.raises(ConfigurationError) as caught:
        alerts.sender(settings)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigurationError, match="no address"):
        alerts.sender(Settings("", Path(), ""))
