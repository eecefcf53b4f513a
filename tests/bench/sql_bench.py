"""SQL to hub: one PostgreSQL table with the benchmark's tickets, first load, by KWikSync and by dlt."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cases import BenchError, Figures, Place, measured, say

HERE = Path(__file__).parent
CASE = "sql-to-{database}-first"


def make_table(source_url: str, n: int) -> None:
    """Fill the table, before anything is measured."""
    subprocess.run([sys.executable, HERE / "sql_side.py", "make", source_url, str(n)], check=True)


def measure_sql(place: Place, source_url: str) -> Figures:
    """A first load of the table into an empty hub."""
    side = HERE / "sql_side.py"
    subprocess.run([sys.executable, side, "prepare", place.database_url], check=True)
    told = measured([sys.executable, side, "sync", place.database_url, source_url, str(place.database_pid)])
    counts = {"processed": place.n, "created": place.n, "updated": 0, "unchanged": 0, "failed": 0, "deleted": 0}
    return _figures(place, "kwiksync", told, counts)


def measure_dlt_sql(place: Place, source_url: str, python: Path) -> Figures:
    """The same by dlt, into an empty database."""
    work = place.folder / "dlt-sql"
    environ = {
        **os.environ,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        "DLT_DATA_DIR": str(work),
    }
    urls = [place.database_url.replace("+psycopg", ""), source_url.replace("+psycopg", "+psycopg2")]
    told = measured([python, HERE / "sql_dlt_side.py", work, *urls, str(place.database_pid)], environ)
    return _figures(place, "dlt", told, {"processed": place.n, "stored": place.n})


def _figures(place: Place, who: str, told: Mapping[str, Any], expected: Mapping[str, int]) -> Figures:
    """Raises BenchError when not everything arrived."""
    name = CASE.format(database=place.database)
    if told["result"] != expected:
        raise BenchError(f"{who}, {name}: expected {expected}, found {told['result']}")
    cpu_s = round(told["cpu_client_s"] + told["cpu_database_s"], 3)
    rate = round(place.n / told["seconds"])
    peak = told["peak_rss_mb"]
    say(f"  {who:8} {name:28} {told['seconds']:8.2f} s {rate:8,} records/s {cpu_s:7.2f} s CPU {peak:5.0f} MB")
    return Figures(name, who, place.n, told["seconds"], rate, cpu_s, told["cpu_client_s"], told["cpu_database_s"], peak)
