from __future__ import annotations

import io
import json
from typing import Any

import pytest

from kwiksync_ops.mapping.script_worker import read_frame, run_program, write_frame

LIMITS = {"time_limit_s": 5, "memory_limit_mb": 8}


def header(program: str, **limits: Any) -> bytes:
    return json.dumps({"program": program, **LIMITS, **limits}).encode()


@pytest.mark.parametrize("data", [b"", b"x", b"\n\0", b"y" * 70_000])
def test_a_frame_is_read_as_it_was_written(data: bytes) -> None:
    stream = io.BytesIO()
    write_frame(stream, data)
    write_frame(stream, b"next")
    stream.seek(0)
    assert [read_frame(stream), read_frame(stream), read_frame(stream)] == [data, b"next", None]


@pytest.mark.parametrize("cut", [1, 4, 6])
def test_a_frame_that_is_cut_off_is_no_frame(cut: int) -> None:
    stream = io.BytesIO()
    write_frame(stream, b"data")
    assert read_frame(io.BytesIO(stream.getvalue()[:cut])) is None


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("(text => text + '!')", b"+caf\xc3\xa9!"),
        ("(text => { throw new Error('no') })", b"-Error: no"),
        ("(text =>", b"-SyntaxError"),
        ("(text => 'x'.repeat(1e8))", b"-InternalError: out of memory"),
    ],
)
def test_a_program_answers_or_says_why_not(program: str, answer: bytes) -> None:
    assert run_program(header(program), "café".encode()).startswith(answer)
