"""What a measured process used: seconds, processor time with that of the database, and its highest memory.

Both sides import it, each in its own virtual environment: nothing but the standard library and psutil.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil


def measure(work: Callable[[], Any], database_pid: int | None) -> dict[str, Any]:
    """Run `work` once. `database_pid` is the first process of the database, of which the others are children."""
    started, client, database = time.perf_counter(), _client_s(), _database_s(database_pid)
    result = work()
    return {
        "seconds": round(time.perf_counter() - started, 3),
        "cpu_client_s": round(_client_s() - client, 3),
        "cpu_database_s": round(_database_s(database_pid) - database, 3),
        "peak_rss_mb": round(_peak_mb(), 1),
        "result": result,
    }


def tell(figures: dict[str, Any]) -> None:
    """The last line of a measured process."""
    sys.stdout.write(f"{json.dumps(figures)}\n")


def _client_s() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in used)


def _database_s(pid: int | None) -> float:
    """Of the living processes, and of those that ended: their parent keeps count of them.

    A connection that was closed takes a moment to end, in which it is neither.
    """
    if pid is None:
        return 0.0
    first = psutil.Process(pid)
    while True:
        children = first.children(recursive=True)
        used = sum(map(_process_s, [*children, first]))
        if first.children(recursive=True) == children:
            return used
        time.sleep(0.01)


def _process_s(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _peak_mb() -> float:
    """Of this program alone: what getrusage tells has the parent's memory from before `exec` in it."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024 / 1024 if sys.platform == "darwin" else peak / 1024
