"""The demo's folder, build/demo: one demo at a time, its secrets, and the environment to look at it with."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

from demo_processes import end_sessions

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "demo"
LOCK = ROOT / "build" / "demo.lock"
HOST = "127.0.0.1"


class DemoError(Exception):
    """The demo can't go on. `remedy` says what to do, `log` where more stands."""

    def __init__(self, message: str, *, remedy: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.log = log


def shown(path: Path) -> str:
    """A path as it is typed in the repository."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


class Lock:
    """Held while a demo runs. It names what that demo started, so that the next one can clear up after a hard kill."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def note(self, leaders: Sequence[int]) -> None:
        started = {str(leader): _started(leader) for leader in leaders}
        self._write({"pid": os.getpid(), "sessions": started})

    def clear(self) -> None:
        self._write({"pid": os.getpid(), "sessions": {}})

    def _write(self, content: Mapping[str, object]) -> None:
        self._file.seek(0)
        self._file.truncate()
        json.dump(content, self._file)
        self._file.flush()


@contextmanager
def one_demo() -> Iterator[Lock]:
    """The right to run. A demo that was killed does not hold it any more; what it left running is ended.

    Raises:
        DemoError: another demo runs.
    """
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+", encoding="utf-8") as file:
        file.seek(0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise DemoError(
                f"A demo runs already, as process {_read(file).get('pid', '?')} ({shown(LOCK)}).",
                remedy="Stop it with Ctrl-C where it runs, or use it: source build/demo/env; kwiksync status.",
            ) from exc
        end_sessions(_left_behind(_read(file)))
        lock = Lock(file)
        lock.clear()
        yield lock


def _read(file: IO[str]) -> dict[str, object]:
    try:
        content = json.load(file)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _left_behind(content: Mapping[str, object]) -> list[int]:
    """The sessions of a demo that was killed. A process that has got a leader's number since then is not one."""
    sessions = content.get("sessions")
    noted = sessions.items() if isinstance(sessions, dict) else ()
    return [int(leader) for leader, started in noted if _started(int(leader)) in (None, started)]


def _started(pid: int) -> float | None:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def make_folder() -> None:
    """An empty build/demo, for its owner alone."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, mode=0o700)


@dataclass(frozen=True)
class Ports:
    """Of this machine alone."""

    airflow: int
    worker_logs: int
    triggerer_logs: int


def find_ports(environ: Mapping[str, str] = os.environ) -> Ports:
    """Free ports; Airflow's is `DEMO_PORT`, if that is set.

    Raises:
        DemoError: `DEMO_PORT` is no port, or in use.
    """
    wanted = environ.get("DEMO_PORT", "0")
    if not (wanted.isdigit() and int(wanted) < 65_536):
        raise DemoError(f"DEMO_PORT={wanted} is no port.", remedy="Give a number from 1024 to 65535, or none.")
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(3)]
        for number, opened in enumerate(sockets):
            _bind(opened, 0 if number else int(wanted))
        return Ports(*(int(opened.getsockname()[1]) for opened in sockets))


def _bind(opened: socket.socket, port: int) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((HOST, port))
    except OSError as exc:
        raise DemoError(
            f"Port {port} can't be used for Airflow: {exc.strerror}.",
            remedy="Stop what holds it, choose another by DEMO_PORT, or leave DEMO_PORT out: a free one is taken.",
        ) from exc


@dataclass(frozen=True, repr=False)
class Secrets:
    """Made for this demo, and for nothing else."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    customer_key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))


def write_secret(path: Path, text: str) -> Path:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path


def write_environment(variables: Mapping[str, str]) -> Path:
    """The file that a shell reads to look at this demo with `kwiksync` and `airflow`."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    path = f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n"
    return write_secret(FOLDER / "env", path + "".join(lines))


def last_lines(log: Path, count: int = 12) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    except OSError:
        return []
