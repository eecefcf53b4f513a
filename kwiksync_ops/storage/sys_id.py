"""Ids of the hub's rows."""

from __future__ import annotations

import os
import time

_MOMENT, _PLACE = 12, 4
"""Hex digits: when the id was given, and its place among those that were given together. Noise follows."""


def new_sys_ids(count: int) -> list[str]:
    """32 hex digits that grow with time: an index over them is written at its end, whatever the table's size."""
    return sys_ids_from(f"{time.time_ns() // 1_000_000:012x}{0:04x}{os.urandom(8).hex()}", count)


def sys_ids_from(first: str, count: int) -> list[str]:
    """The ids that were given together with the first of them."""
    moment, noise = first[:_MOMENT], first[_MOMENT + _PLACE :]
    return [f"{moment}{place:04x}{noise}" for place in range(count)]


def first_given_with(sys_id: str) -> str:
    """The first of the ids that were given together with this one."""
    return f"{sys_id[:_MOMENT]}{0:04x}{sys_id[_MOMENT + _PLACE :]}"
