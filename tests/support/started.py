"""A server of another program, started for a test and ended with it."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_S = 60


@contextmanager
def started(
    command: Sequence[str | Path], says: str, *, folder: Path, env: Mapping[str, str]
) -> Iterator[re.Match[str]]:
    """The program while it runs, from the line of its output on that matches `says`."""
    process = subprocess.Popen(
        command, cwd=folder, env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    watchdog = threading.Timer(START_S, process.kill)
    watchdog.start()
    reader = threading.Thread(target=_drain, args=(process,))
    try:
        found = _line_of(process, says)
        watchdog.cancel()
        reader.start()
        yield found
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        if reader.ident:
            reader.join()
        if process.stdout:
            process.stdout.close()


def _line_of(process: subprocess.Popen[str], says: str) -> re.Match[str]:
    said: list[str] = []
    for line in process.stdout or ():
        said.append(line)
        if found := re.search(says, line):
            return found
    raise RuntimeError(f"{process.args} did not start: {''.join(said)[-2000:]}")


def _drain(process: subprocess.Popen[str]) -> None:
    """What it says of each request must go somewhere, or it waits."""
    for _ in process.stdout or ():
        pass
