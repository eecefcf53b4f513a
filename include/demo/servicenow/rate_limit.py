"""A rate limit rule: so many calls of each user in an hour."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from servicenow.messages import ApiError
from servicenow.records import new_sys_id

HOUR_S = 3_600


@dataclass
class RateLimit:
    """Counts by user and full hour of the instance's clock, or by a shorter window for tests."""

    calls_per_window: int
    window_s: int = HOUR_S
    rule: str = field(default_factory=new_sys_id)
    _counts: Counter[tuple[str, int]] = field(default_factory=Counter, repr=False)

    def count(self, user: str, now: datetime) -> dict[str, str]:
        """Count a call; the headers of its answer. Refuses what is over the limit with 429."""
        window = int(now.timestamp()) // self.window_s
        reset = (window + 1) * self.window_s
        self._counts[user, window] += 1
        headers = {
            "X-RateLimit-Limit": str(self.calls_per_window),
            "X-RateLimit-Reset": str(reset),
            "X-RateLimit-Rule": self.rule,
        }
        if self._counts[user, window] > self.calls_per_window:
            wait = {"Retry-After": str(max(reset - int(now.timestamp()), 1))}
            detail = f"Rejected request: more than {self.calls_per_window} requests"
            raise ApiError(429, "Rate limit exceeded", detail, headers | wait)
        return headers
