"""Ids of the hub's rows."""

from __future__ import annotations

import os
import time


def new_sys_ids(count: int) -> list[str]:
    """32 hex digits that grow with time: an index over them is written at its end, whatever the table's size."""
    start = f"{time.time_ns() // 1_000_000:012x}"
    noise = os.urandom(8 * count).hex()
    return [f"{start}{number:04x}{noise[16 * number : 16 * number + 16]}" for number in range(count)]
