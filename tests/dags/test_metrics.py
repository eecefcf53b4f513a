"""Metrics of a run, as a real StatsD server receives them from Airflow's own stats."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.airflow_runs import ROOT

EMIT = """
from datetime import UTC, datetime, timedelta
from airflow.sdk.observability import stats
from kwiksync_ops.operators.metrics import emit

now = datetime(2026, 1, 15, 3, tzinfo=UTC)
counts = dict.fromkeys(("processed", "created", "updated", "unchanged", "deleted", "failed", "api_calls"), 7)
row = {"system": "erp", "direction": "inbound", "table_name": "tickets", "status": "partial", **counts}
times = {"started": now - timedelta(seconds=90), "ended": now, "watermark_after": "2026-01-15T02:00:00+00:00 T-7"}
newest = {"table_name": "assets", "watermark_after": "2026-01-15T03:00:00+00:00 A-1"}
emit([{**row, **times, **newest}, {**row, **times}], {("tickets", "ERR_008"): 2}, now)
"""


WAIT = """
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors import registry
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.operators.run_context import opened_source, opened_target
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage.hub import now_s, open_hub
from kwiksync_ops.storage.models import API_CALL
from kwiksync_ops.storage.schema import upgrade
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.vocabulary import Mode, Trigger

class Called:
    def __init__(self, kind, credentials, options, limiter, clock):
        with limiter.call():
            pass

    def close(self):
        pass

registry.open_source = registry.open_target = Called
system = load_system(Path(sys.argv[1]), None)
hub = open_hub(sys.argv[2])
upgrade(hub)
sync = TableSync(hub, Run("run", system, Trigger.CLI, Mode.FULL, "t"), system.tables[0], SystemClock(), 0)
sync = replace(sync, token=take_lease(hub, "run"))
limit = system.limits.calls_per_minute
with opened_source(sync, Credentials("https://erp")):
    pass
for opened in (opened_source, opened_target):
    with hub.engine.begin() as connection:
        connection.execute(API_CALL.delete())
        for number in range(limit):
            connection.execute(API_CALL.insert().values(system=system.system, at=now_s(connection) - 59.8))
    with opened(sync, Credentials("https://erp")):
        pass
"""


def told_to_statsd(home: Path, program: str, *arguments: str, until: str, times: int = 1) -> str:
    """What the program's metrics are, one a line, until as many of one name came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(server.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_PREFIX": "airflow",
        }
        command = [sys.executable, "-c", program, *arguments]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
        received: list[str] = []
        while sum(until in line for line in received) < times:
            received.append(server.recv(4_096).decode())
    return "\n".join(received)


def test_a_run_s_counts_reach_statsd(tmp_path: Path) -> None:
    told = told_to_statsd(tmp_path, EMIT, until="errors")
    for wanted in (
        "airflow.kwiksync.records.created:7|c",
        "airflow.kwiksync.api_calls:7|c",
        "airflow.kwiksync.syncs.partial:1|c",
        "airflow.kwiksync.sync.duration:90000",
        "airflow.kwiksync.watermark.lag_s:0",
        "airflow.kwiksync.watermark.lag_s:3600",
        "airflow.kwiksync.errors.ERR_008:2|c",
    ):
        assert wanted in told


def test_each_wait_for_the_call_limit_reaches_statsd_and_no_call_that_need_not_wait(tmp_path: Path) -> None:
    system = str(ROOT / "include" / "systems" / "erp.yaml")
    told = told_to_statsd(tmp_path, WAIT, system, f"sqlite:///{tmp_path}/hub.db", until="call_limit.wait:", times=2)
    assert told.count("airflow.kwiksync.call_limit.waits:1|c") == 2
    for milliseconds in re.findall(r"airflow\.kwiksync\.call_limit\.wait:([\d.]+)\|ms", told):
        assert 0 < float(milliseconds) < 60_000
