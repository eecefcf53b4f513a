"""Moments as callers write them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("beyond the calendar in UTC") from exc


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
