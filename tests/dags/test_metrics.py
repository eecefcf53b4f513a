"""Metrics of a run, as a real StatsD server receives them from Airflow's own stats."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

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


def test_a_run_s_counts_reach_statsd(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(20)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(server.getsockname()[1]),
            "AIRFLOW__METRICS__STATSD_PREFIX": "airflow",
        }
        subprocess.run([sys.executable, "-c", EMIT], env=environment, check=True, capture_output=True, timeout=60)
        received = []
        while not received or "errors" not in received[-1]:
            received.append(server.recv(4_096).decode())
    told = "\n".join(received)
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
