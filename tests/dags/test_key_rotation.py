"""A Customer Key that is rotated in the middle of a read: the run goes on with the new one, and no record is missed."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

from tests.support.airflow_runs import ROOT, AirflowHome
from tests.support.inbound import hub_records
from tests.support.sample_erp import CUSTOMER_KEY, SampleErp, running_sample_erp

NEW_KEY = CUSTOMER_KEY[::-1]
PAGE = 30


def test_a_key_rotated_in_the_middle_of_a_sync_costs_no_record(tmp_path: Path) -> None:
    include = tmp_path / "include"
    shutil.copytree(ROOT / "include" / "mappings", include / "mappings")
    (include / "systems").mkdir()
    text = (ROOT / "include" / "systems" / "erp.yaml").read_text()
    (include / "systems" / "erp.yaml").write_text(re.sub(r"batch_records: \d+", f"batch_records: {PAGE}", text))
    airflow = AirflowHome(tmp_path, include)
    with running_sample_erp(tmp_path) as erp:
        erp.move_clock(now="2016-03-24T18:30")
        hub = airflow.new_hub(f"sqlite:///{tmp_path}/hub.db", erp)
        process = airflow.start(tables=["locations"])
        while calls(erp) < 2:
            time.sleep(0.01)
        rotate(erp, CUSTOMER_KEY, NEW_KEY)
        airflow.set_customer_key(hub, NEW_KEY)
        rotate(erp, NEW_KEY)
        run = airflow.result(process)
        pages = calls(erp)
        locations = len(hub_records(hub, "locations"))
        hub.close()
    assert run.state == "success", "\n".join(
        line for line in run.output.splitlines() if "ERR_" in line or "Attempt" in line or "rotated" in line
    )
    assert "The Customer Key was rotated" in run.output
    assert locations == 1490
    assert pages <= 1500 // PAGE + 4


def calls(erp: SampleErp) -> int:
    counted = erp.get("/admin/calls").json()
    return sum(number for table, number in counted["by_path"].items() if "locations" in table)


def rotate(erp: SampleErp, *keys: str) -> None:
    erp.session.post(f"{erp.url}/admin/customer-keys", json={"keys": keys}, timeout=30).raise_for_status()
