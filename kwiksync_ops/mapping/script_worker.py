"""Runs scripts in a process of its own: `python script_worker.py <folder of the quickjs module>`.

QuickJS has no host access, but it can't be interrupted within a regular expression or a built-in function. Here the
kernel ends it: a timer over the processor time kills the process, and the caller goes on without it. Nothing but the
standard library and quickjs is imported, and the process ends with its input.

A call is a JSON header (program, time_limit_s, memory_limit_mb) and an input text; the answer is `+` and what the
program made of the input, or `-` and why it failed. Each is a frame: its length in 4 bytes, then its bytes.
"""

from __future__ import annotations

import json
import signal
import struct
import sys
from typing import IO

LENGTH = struct.Struct(">I")
HARD_LIMIT_FACTOR = 2
"""The kernel's limit, in time limits: QuickJS stops an ordinary loop first, and says so."""


def write_frame(stream: IO[bytes], data: bytes) -> None:
    stream.write(LENGTH.pack(len(data)))
    stream.write(data)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """None where the stream ends before the frame does."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    data = stream.read(length)
    return data if len(data) == length else None


def run_program(header: bytes, text: bytes) -> bytes:
    import quickjs

    call = json.loads(header)
    context = quickjs.Context()
    context.set_memory_limit(call["memory_limit_mb"] * 1024 * 1024)
    context.set_time_limit(call["time_limit_s"])
    signal.setitimer(signal.ITIMER_PROF, call["time_limit_s"] * HARD_LIMIT_FACTOR)
    try:
        return b"+" + str(context.eval(call["program"])(text.decode())).encode()
    except (quickjs.JSException, UnicodeError) as exc:
        return b"-" + str(exc).encode(errors="backslashreplace")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def main() -> None:
    sys.path.append(sys.argv[1])
    import quickjs  # noqa: F401  fails here, before the first call, where it can't be loaded

    write_frame(sys.stdout.buffer, b"ready")
    while (header := read_frame(sys.stdin.buffer)) is not None and (text := read_frame(sys.stdin.buffer)) is not None:
        write_frame(sys.stdout.buffer, run_program(header, text))


if __name__ == "__main__":
    main()
