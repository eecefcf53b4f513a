"""What a command's exit code says; scripts rely on it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    OK = 0
    FAILED = 1
    USAGE = 2
    ATTENTION = 3
    DIFFERS = 4
    INTERRUPTED = 130


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.FAILED: "it failed: the message says why, and what to do",
    ExitCode.USAGE: "the command was not understood",
    ExitCode.ATTENTION: "done, and something wants a look: rejected records, warnings, --check",
    ExitCode.DIFFERS: "verified: hub and system do not agree",
    ExitCode.INTERRUPTED: "ended with Ctrl-C",
}
