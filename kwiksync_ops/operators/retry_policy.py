"""Airflow's retries: exactly 1, 5 and 15 minutes after a failure, and none where waiting can't help."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import RetryDecision, RetryPolicy

from kwiksync_ops import retry
from kwiksync_ops.settings import read_settings

if TYPE_CHECKING:
    from airflow.sdk import Context


class KwikSyncRetryPolicy(RetryPolicy):
    """The task's `retries` must be as many as there are delays: a policy can't extend them."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        delays_s = read_settings().retry_delays_s
        wait_s = retry.delay_s(exception, retry.attempt_of(try_number, max_tries, delays_s), delays_s)
        if wait_s is None:
            return RetryDecision.fail(reason=f"Not tried again: {exception}")
        return RetryDecision.retry(
            timedelta(seconds=wait_s), reason=f"Tried again in {retry.span(wait_s)}: {exception}"
        )
