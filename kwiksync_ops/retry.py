"""When a failed operation is tried again: after 1, 5 and 15 minutes, unless waiting can't help."""

from __future__ import annotations

from collections.abc import Sequence

from kwiksync_ops.errors import FatalError, RecordError
from kwiksync_ops.vocabulary import RETRY_DELAYS_S


def delay_s(error: BaseException, attempt: int, delays_s: Sequence[int] = RETRY_DELAYS_S) -> int | None:
    """Seconds to wait after this attempt (1, 2, …) failed; None where it was the last one, or waiting can't help."""
    if isinstance(error, FatalError | RecordError) or attempt > len(delays_s):
        return None
    return delays_s[attempt - 1]


def attempt_of(try_number: int, max_tries: int, delays_s: Sequence[int] = RETRY_DELAYS_S) -> int:
    """The attempt since the task was last cleared: Airflow counts tries on over clears, and `max_tries` with them."""
    return max(1, try_number - (max_tries - len(delays_s)))


def span(seconds: int) -> str:
    return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"
