"""The benchmark runs, checks what it measures, and writes what others read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

RUN = Path(__file__).parents[1] / "bench" / "run.py"
FIELDS = {"case", "who", "n", "seconds", "records_per_s", "cpu_s", "peak_rss_mb"}


def test_a_small_benchmark_measures_each_case_once_and_writes_its_figures(tmp_path: Path) -> None:
    target = tmp_path / "bench.json"
    environ = {**os.environ, "BENCH_N": "2000", "BENCH_DLT": "0", "BENCH_JSON": str(target)}
    done = subprocess.run([sys.executable, RUN], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(target.read_text())
    cases = {f"rest-to-{hub}-{case}" for hub in ("postgresql", "sqlite") for case in ("first", "nochange", "1pct")}
    cases |= {f"{case}-{hub}" for hub in ("postgresql", "sqlite") for case in ("push", "push-updates", "detect")}
    cases |= {"map-tickets", "files-to-postgresql-first", "sql-to-postgresql-first"}
    assert sorted(each["case"] for each in results) == sorted(cases)
    for each in results:
        assert set(each) >= FIELDS
        assert each["who"] == "kwiksync"
        assert min(each["seconds"], each["records_per_s"], each["cpu_s"], each["peak_rss_mb"]) > 0
    assert "rest-to-postgresql-first" in done.stdout
