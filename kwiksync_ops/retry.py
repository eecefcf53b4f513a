"""When a failed operation is tried again: after 1, 5 and 15 minutes, unless waiting can't help."""

from __future__ import annotations

from kwiksync_ops.errors import FatalError, RecordError
from kwiksync_ops.vocabulary import RETRY_DELAYS_S

ATTEMPTS = len(RETRY_DELAYS_S) + 1


def delay_s(error: BaseException, attempt: int) -> int | None:
    """Seconds to wait after this attempt (1, 2, …) failed; None where it was the last one, or waiting can't help."""
    if isinstance(error, FatalError | RecordError) or attempt > len(RETRY_DELAYS_S):
        return None
    return RETRY_DELAYS_S[attempt - 1]
