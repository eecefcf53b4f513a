"""Tries of a sync in processes of their own, which a test ends with kill -9, or stops and lets go on.

A helper process imports everything once and forks for each try, so that a try costs no start of an interpreter. It
has one thread, as a process that forks should.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.vocabulary import Mode
from tests.support.broken_loader import checkpoint_first
from tests.support.lean_system import AUDIT_KEYS, LeanApi, LeanSystem, lean_spec

ROOT = Path(__file__).parents[2]
KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Try:
    """One try of a run. `is_broken` loads by the loader that the harness must find out."""

    hub_url: str
    include: str
    system: str
    base_url: str
    ca_file: str
    stage_url: str
    run_id: str
    mode: str
    staged: bool
    is_broken: bool = False


class SyncProcesses:
    """Starts tries one at a time; each is waited for before the next. `module` is the helper's program."""

    def __init__(self, module: str = "tests.support.killed_sync") -> None:
        self._helper = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    def __enter__(self) -> SyncProcesses:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._helper.communicate(timeout=60)

    def start(self, wanted: Any) -> int:
        """The process id of a try that begins now."""
        self._tell(asdict(wanted))
        return int(self._answer())

    def wait(self) -> int:
        """How the try ended: 0, a positive exit code, or the negative number of the signal that ended it."""
        self._tell({})
        return int(self._answer())

    def run(self, wanted: Any, *, kill_after_s: float) -> int:
        pid = self.start(wanted)
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
        return self.wait()

    def _tell(self, message: dict[str, Any]) -> None:
        assert self._helper.stdin
        self._helper.stdin.write(json.dumps(message) + "\n")
        self._helper.stdin.flush()

    def _answer(self) -> str:
        assert self._helper.stdout
        return self._helper.stdout.readline()


def _import_what_tries_need() -> None:
    """What libraries would import lazily, in each try again: pyarrow asks for pandas, SQLAlchemy for its driver."""
    for name in ("pandas", "pyarrow.compute", "pyarrow.parquet", "psycopg", "sqlalchemy.dialects.postgresql.psycopg"):
        import_module(name)


def serve(work: Callable[[dict[str, Any]], None]) -> None:
    """The helper: a line in starts a try and answers its process id, an empty object waits for its end."""
    _import_what_tries_need()
    pid = 0
    for line in sys.stdin:
        message = json.loads(line)
        if message:
            pid = os.fork() or _child(work, message)
            answer = pid
        else:
            # The child stays a zombie until here: its id can't be another's when the parent kills it.
            answer = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


def _child(work: Callable[[dict[str, Any]], None], message: dict[str, Any]) -> int:
    code = 1
    try:
        work(message)
        code = 0
    except Exception:  # noqa: BLE001  # the exit code tells it to the test
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _sync(wanted: Try) -> None:
    hub = open_hub(wanted.hub_url, audit_keys=AUDIT_KEYS)
    system = LeanSystem(
        hub,
        LeanApi(wanted.system),
        lean_spec(Path(wanted.include), wanted.system),
        Credentials(wanted.base_url, ca_file=wanted.ca_file),
        wanted.stage_url,
        wanted.staged,
        clock=SystemClock(),
    )
    if wanted.is_broken:
        checkpoint_first(system.open_run(wanted.run_id, Mode(wanted.mode)), system.open_source())
    else:
        system.sync(wanted.run_id, Mode(wanted.mode))


if __name__ == "__main__":
    serve(lambda message: _sync(Try(**message)))
