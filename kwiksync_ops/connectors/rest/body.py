"""JSON as it is sent and as it comes back, numbers exact."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

from kwiksync_ops.connectors.http.transport import Answer

_ENCODER = msgspec.json.Encoder(decimal_format="number")


def encode_body(value: Any) -> bytes:
    return _ENCODER.encode(value)


def document_of(answer: Answer) -> Any:
    """The JSON of an answer; a number with a fraction stays exact. Raises ValueError."""
    try:
        return json.loads(answer.body, parse_float=Decimal) if answer.body else {}
    except RecursionError as exc:
        raise ValueError("the answer is nested too deep") from exc
