"""The process in which scripts run, from the caller's side: started when it is first needed, replaced when it dies."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import quickjs

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.mapping import script_worker
from kwiksync_ops.mapping.script_worker import read_frame, write_frame

_END_TIMEOUT_S = 5.0


class ScriptStoppedError(Exception):
    """The program has no result. `is_too_long`, `is_too_large` tell which limit it met, if one."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message.strip().partition("\n")[0]
        self.is_too_long = "interrupted" in self.message
        self.is_too_large = "out of memory" in self.message


class Sandbox:
    """One process for all scripts of a mapping; calls wait for each other."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def call(self, program: str, text: str, *, time_limit_s: float, memory_limit_mb: int) -> str:
        """What the function that `program` evaluates to makes of the text. Each call begins with nothing left over.

        Raises:
            ScriptStoppedError: it failed or met a limit.
            ConfigurationError: the sandbox does not start on this machine.
        """
        header = {"program": program, "time_limit_s": time_limit_s, "memory_limit_mb": memory_limit_mb}
        with self._lock:
            answer = self._exchange(json.dumps(header).encode(), text.encode())
        if answer[:1] == b"+":
            return answer[1:].decode()
        raise ScriptStoppedError(answer[1:].decode())

    def _exchange(self, header: bytes, text: bytes) -> bytes:
        process = self._running()
        if process.stdin is None or process.stdout is None:
            raise ScriptStoppedError("the sandbox has no pipes")
        try:
            write_frame(process.stdin, header)
            write_frame(process.stdin, text)
            answer = read_frame(process.stdout)
        except OSError:
            answer = None
        if answer is None:
            raise ScriptStoppedError(self._cause_of_death(process))
        return answer

    def _cause_of_death(self, process: subprocess.Popen[bytes]) -> str:
        self._process = None
        code = _end(process)
        return "interrupted" if code == -signal.SIGPROF else f"its sandbox ended with status {code}"

    def _running(self) -> subprocess.Popen[bytes]:
        # A forked child must not talk through its parent's pipes.
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self._process = _start()
            self._owner = os.getpid()
            weakref.finalize(self, _end, self._process)
        return self._process


def _start() -> subprocess.Popen[bytes]:
    folder = Path(quickjs.__file__).parents[1]
    command = [sys.executable, "-I", "-S", script_worker.__file__, str(folder)]
    process = subprocess.Popen(  # noqa: S603  this Python and a file of this package
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}, cwd="/"
    )
    if process.stdout is not None and read_frame(process.stdout) == b"ready":
        return process
    reason = process.stderr.read().decode(errors="replace").strip() if process.stderr else ""
    _end(process)
    raise ConfigurationError(
        f"The sandbox for script transforms does not start: {reason[-300:]}",
        remedy="Check that this Python can start a process and load quickjs.",
    )


def _end(process: subprocess.Popen[bytes]) -> int:
    """The exit status. The process ends with its input, or is killed."""
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
    try:
        return process.wait(_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
