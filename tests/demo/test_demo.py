"""`make demo`, as a person at a terminal types it: to its end, interrupted, refused."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-u", str(ROOT / "include" / "demo" / "run.py")]
END_S = 360
TABLES = ("locations", "projects", "tickets", "kw_corp_ticket_tasks", "assets", "deliverables")

pytestmark = pytest.mark.timeout(2 * END_S)


@contextmanager
def started(**variables: str) -> Iterator[subprocess.Popen[str]]:
    """A demo in a session of its own, which is ended whatever happens."""
    environ = {**os.environ, "DEMO_ONCE": "1", **variables}
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ, start_new_session=True
    ) as demo:
        try:
            yield demo
        finally:
            if demo.poll() is None:
                demo.send_signal(signal.SIGTERM)


def lines_until(demo: subprocess.Popen[str], wanted: str) -> str:
    """What the demo says up to a line that holds the text."""
    said = []
    for line in demo.stdout or ():
        said.append(line)
        if wanted in line:
            return "".join(said)
    raise AssertionError(f"{wanted!r} was not said, but: {''.join(said)}")


def demo_processes() -> list[str]:
    """The living processes that a demo of this repository started: they name its folder, or its Airflow home."""
    folder = str(ROOT / "build" / "demo")
    return [line for process in psutil.process_iter() if folder in (line := _described(process))]


def _described(process: psutil.Process) -> str:
    try:
        return " ".join([*process.cmdline(), process.environ().get("AIRFLOW_HOME", "")])
    except psutil.Error:
        return ""


def test_the_demo_syncs_twice_and_ends_with_a_hub_that_equals_the_erp() -> None:
    with started() as demo:
        assert demo.stdout
        said = demo.stdout.read()
        assert demo.wait(END_S) == 0, said
    full, changed, both_ways, way_back, rejects, proof = re.split(r"^\d  .*\n", said, flags=re.MULTILINE)[1:]
    assert all(re.search(rf"^  {table} +(partial|success) ", full, re.MULTILINE) for table in TABLES)
    assert re.search(r"^  tickets +success +\d+ +0 +422 ", changed, re.MULTILINE)
    assert re.search(r"^  7 API calls instead of 18, 426 rows written instead of 13,405\.", changed, re.MULTILINE)
    assert len(re.findall("^  ERR_009 .* priority: was ", both_ways, re.MULTILINE)) == 2
    assert re.search(r"^  tickets +success +4 +0 +[34] ", way_back, re.MULTILINE)
    assert all(text in way_back for text in ("edited in the hub", "Resolver 7: Edited in the ERP", "1 - Critical"))
    assert {"ERR_004", "ERR_006", "ERR_008"} == set(re.findall("ERR_...", rejects))
    assert all(re.search(rf"^  {table} .* 0 *$", proof, re.MULTILINE) for table in TABLES)
    assert "no process is left" in proof
    assert max(map(len, said.splitlines())) <= 100
    assert demo_processes() == []


def test_an_interrupt_in_the_middle_of_a_sync_leaves_no_process_and_a_second_demo_was_refused() -> None:
    with started() as demo:
        lines_until(demo, "1  Everything")
        second = subprocess.run(COMMAND, capture_output=True, text=True, timeout=60, check=False)
        lines_until(demo, "locations ")
        assert demo_processes() != []
        demo.send_signal(signal.SIGINT)
        assert demo.stdout
        assert "Stopped by you" in demo.stdout.read()
        assert demo.wait(60) == 130
    assert second.returncode == 1
    assert f"A demo runs already, as process {demo.pid}" in second.stdout
    assert "Remedy: Stop it" in second.stdout
    assert demo_processes() == []


def test_what_a_killed_demo_left_running_is_ended_by_the_next_one() -> None:
    with started() as killed:
        lines_until(killed, "Sample ERP")
        killed.kill()
    assert demo_processes() != []
    with started() as demo:
        lines_until(demo, "KWikSync")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 130
    assert demo_processes() == []


def test_a_port_in_use_is_named_with_the_remedy() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            COMMAND,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "DEMO_ONCE": "1", "DEMO_PORT": port},
            check=False,
        )
    assert done.returncode == 1
    assert f"Port {port} can't be used for Airflow" in done.stdout
    assert "choose another by DEMO_PORT" in done.stdout


def test_a_port_that_is_none_is_refused() -> None:
    done = subprocess.run(
        COMMAND, capture_output=True, text=True, timeout=60, env={**os.environ, "DEMO_PORT": "70000"}, check=False
    )
    assert done.returncode == 1
    assert "DEMO_PORT=70000 is no port" in done.stdout
