"""A Customer Key that is rotated in the middle of `kwiksync sync`, which goes on with the new one."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kwiksync_ops.storage.models import ERROR_LOG, SYNC_LOG
from tests.integration.cli.conftest import Cli
from tests.support.inbound import hub_records, rows_of
from tests.support.sample_erp import CUSTOMER_KEY, SampleErp

NEW_KEY = CUSTOMER_KEY[::-1]
PAGE = 30


@pytest.fixture
def erp(running_erp: SampleErp) -> Iterator[SampleErp]:
    yield running_erp
    accept(running_erp, CUSTOMER_KEY)


def test_a_key_rotated_in_the_middle_of_a_sync_costs_no_record(
    connected: Cli, erp: SampleErp, give: Callable[[str], None]
) -> None:
    spec = connected.include / "systems" / "erp.yaml"
    spec.write_text(re.sub(r"batch_records: \d+", f"batch_records: {PAGE}", spec.read_text()))
    before = calls(erp)
    command = [str(Path(sys.executable).with_name("kwiksync")), "sync", "erp", "-t", "locations", "--no-retry"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while calls(erp) < before + 2:
            time.sleep(0.01)
        accept(erp, CUSTOMER_KEY, NEW_KEY)
        give(NEW_KEY + "\n")
        connected.ok("keys", "set", "erp")
        accept(erp, NEW_KEY)
        assert process.poll() is None
        _, said = process.communicate()
    assert process.returncode == 3, said
    hub = connected.open_hub()
    assert [(row["status"], row["failed"]) for row in rows_of(hub, SYNC_LOG)] == [("partial", 3)]
    assert "ERR_001" not in {row["code"] for row in rows_of(hub, ERROR_LOG)}
    assert len(hub_records(hub, "locations")) == 1490
    hub.close()


def calls(erp: SampleErp) -> int:
    counted = erp.get("/admin/calls").json()
    return sum(number for table, number in counted["by_path"].items() if "locations" in table)


def accept(erp: SampleErp, *keys: str) -> None:
    erp.session.post(f"{erp.url}/admin/customer-keys", json={"keys": keys}, timeout=30).raise_for_status()
