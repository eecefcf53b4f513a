"""What an answer means for a delivery: a receipt that claims no more than the answer tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kwiksync_ops.connectors.http.json_path import MISSING
from kwiksync_ops.connectors.target import Delivery, Outcome, Receipt
from kwiksync_ops.errors import KwikSyncError, RateLimitError, ValidationError
from kwiksync_ops.vocabulary import Action

GONE = frozenset({404, 410})
TRY_LATER = frozenset({429, 503})
_CONFLICTS = frozenset({409, 412, 428})


def told_by_status(delivery: Delivery, status: int, message: str, wait_s: float | None = None) -> Receipt:
    """`wait_s` is how long the answer asks to wait, where it does."""
    of = Receipt(delivery.id, Outcome.UNKNOWN, message=message)
    if 200 <= status < 300 or (status in GONE and delivery.action == Action.DELETE):
        return Receipt(delivery.id, Outcome.CONFIRMED)
    if status in GONE and delivery.action == Action.UPDATE:
        return replace(of, outcome=Outcome.GONE)
    if status in _CONFLICTS:
        return replace(of, outcome=Outcome.CONFLICT)
    if status in TRY_LATER:
        if status == 503 and wait_s is None:  # a gateway's own 503 may come after the system has applied it
            return of
        code = RateLimitError.code if status == 429 else None
        return replace(of, outcome=Outcome.UNSENT, retry_after_s=wait_s, code=code)
    if 400 <= status < 500 and status != 408:
        return replace(of, outcome=Outcome.REFUSED, code=ValidationError.code)
    return of


def told_by_failure(delivery: Delivery, error: KwikSyncError) -> Receipt:
    """No answer: not sent where nothing went out, else nobody knows."""
    outcome = Outcome.UNSENT if error.facts.get("unsent") else Outcome.UNKNOWN
    return Receipt(delivery.id, outcome, code=error.code, message=error.message)


def answered(status: int, said: str) -> str:
    return f"answered {status}{f', {said!r}' if said else ''}"


def holds(record: Any, payload: Mapping[str, Any]) -> bool:
    """Whether the record has every value that was sent; numbers are equal by value."""
    return isinstance(record, dict) and all(
        holds(record.get(name), value) if isinstance(value, dict) else _is_equal(record.get(name), value)
        for name, value in payload.items()
    )


def text_of(value: Any) -> str | None:
    """An id or a state as text; None where there is none."""
    if value is MISSING or value is None or isinstance(value, (dict, list)):
        return None
    return value if isinstance(value, str) else str(value)


def shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def _is_equal(one: Any, other: Any) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)
