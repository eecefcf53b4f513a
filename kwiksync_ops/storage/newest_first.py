"""Keyset paging of what is shown newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa


def behind(
    at: sa.ColumnElement[Any], sys_id: sa.ColumnElement[Any], after: tuple[datetime, str]
) -> sa.ColumnElement[bool]:
    """Rows that come after one, by time downwards, and upwards by sys_id where the time is the same."""
    moment, last = after
    return sa.and_(at <= moment, sa.or_(at < moment, sys_id > last))
