"""The sample ERP, the hub and Airflow, as `make demo` starts them: by its own code, in a folder of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

DEMO = Path(__file__).parents[2] / "include" / "demo"
MARK = "READY "
END_S = 60
START = """
import json, sys
from pathlib import Path

import demo_workspace

demo_workspace.FOLDER = Path(sys.argv[1])  # before the others take it over
from demo_processes import Interrupts, Processes
from demo_screen import Screen
from demo_story import set_up

processes = Processes(Interrupts())
try:
    with open(sys.argv[1] + ".lock", "w") as file:
        demo, password = set_up(Screen(), processes, demo_workspace.Lock(file))
        told = {"url": demo.airflow.url, "password": password, "hub_url": str(demo.hub.engine.url)}
        print("READY " + json.dumps(told), flush=True)
        sys.stdin.read()
finally:
    processes.end()
"""


@dataclass(frozen=True)
class RunningDemo:
    """`url` is Airflow's, `password` its administrator's."""

    url: str
    password: str
    hub_url: str


@contextmanager
def running_demo(folder: Path) -> Iterator[RunningDemo]:
    """Everything is up, and nothing is synced yet."""
    command = [sys.executable, "-c", START, str(folder / "demo")]
    with subprocess.Popen(
        command, cwd=DEMO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield _ready(process)
        finally:
            process.communicate(timeout=END_S)  # the end of its input is the end of it


def _ready(process: subprocess.Popen[str]) -> RunningDemo:
    said = []
    for line in process.stdout or ():
        if line.startswith(MARK):
            return RunningDemo(**json.loads(line.removeprefix(MARK)))
        said.append(line)
    raise AssertionError("".join(said))
