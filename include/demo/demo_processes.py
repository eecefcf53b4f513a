"""The demo's servers: each in a session of its own, ended with all that it started, and counted afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

TERMINATE_S = 3.0
KILL_S = 5.0
POLL_S = 0.05
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """The first Ctrl-C, or one of its kin, as KeyboardInterrupt, but never between a process's start and its note."""

    def __init__(self) -> None:
        self._is_heard = False
        self._is_held = False
        self._is_due = False

    def listen(self) -> None:
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def ignore(self) -> None:
        """From now on what stops the demo has been heard."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Inside, an interrupt waits for the end of the block."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._is_due:
            self._raise_once()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_held:
            self._is_due = True
        else:
            self._raise_once()

    def _raise_once(self) -> None:
        if not self._is_heard:
            self._is_heard = True
            raise KeyboardInterrupt


class Processes:
    """What the demo started. `leaders` are the process ids of the sessions, which outlive their leader."""

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self.leaders: list[int] = []

    def start(
        self, command: Sequence[str], environ: Mapping[str, str], log: Path, *, has_answer: bool = False
    ) -> subprocess.Popen[str]:
        """Start a server; what it says goes to the log, with `has_answer` its stdout to us."""
        with self._interrupts.held(), log.open("a", encoding="utf-8") as file:
            process = subprocess.Popen(
                command,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if has_answer else file,
                stderr=file,
                text=True,
                start_new_session=True,
            )
            self.leaders.append(process.pid)
        return process

    def end(self) -> list[str]:
        """End them all, first kindly; who is still there, by name and process id."""
        return end_sessions(self.leaders)


def end_sessions(leaders: Sequence[int]) -> list[str]:
    """End every process of these sessions, whichever process group it moved to."""
    for number, patience_s in ((signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, KILL_S)):
        deadline = time.monotonic() + patience_s
        for process in members(leaders):
            _send(process, number)
        while members(leaders) and time.monotonic() < deadline:
            time.sleep(POLL_S)
    return [f"{_name(process)} ({process.pid})" for process in members(leaders)]


def members(leaders: Sequence[int]) -> list[psutil.Process]:
    """The living processes of the sessions."""
    wanted = set(leaders)
    return [process for process in psutil.process_iter() if _session(process.pid) in wanted and _is_alive(process)]


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _is_alive(process: psutil.Process) -> bool:
    try:
        if process.ppid() == os.getpid() and process.status() == psutil.STATUS_ZOMBIE:
            os.waitpid(process.pid, os.WNOHANG)
            return False
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except (psutil.Error, ChildProcessError):
        return False


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:
        return


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return "?"
