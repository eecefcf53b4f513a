"""The Batch API: many calls in one, each with an answer of its own, or left over."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from kwiksync_ops.connectors.servicenow.access import error_in

PATH = "/api/now/v1/batch"
CALL_BYTES = 5_000_000
"""Of one batch call, its bodies in base64; an instance leaves out what goes beyond its own limit."""

_HEADERS = [{"name": "Accept", "value": "application/json"}, {"name": "Content-Type", "value": "application/json"}]


@dataclass(frozen=True)
class Item:
    """A call within a batch; `url` is a path below the instance with its query."""

    id: str
    method: str
    url: str
    body: bytes = b""

    @property
    def size(self) -> int:
        return len(self.url) + len(self.body) * 4 // 3 + 300


@dataclass(frozen=True)
class ItemAnswer:
    status: int
    body: bytes
    message: str = ""


def encode(items: Sequence[Item]) -> bytes:
    return msgspec.json.encode({"batch_request_id": "1", "rest_requests": [_element(item) for item in items]})


def decode(body: bytes) -> tuple[dict[str, ItemAnswer], frozenset[str]]:
    """The answers by id, and the ids of the calls that were not made.

    Raises:
        ValueError: it is no answer to a batch.
    """
    try:
        document = json.loads(body)
    except RecursionError as exc:
        raise ValueError("the answer is nested too deep") from exc
    serviced = document.get("serviced_requests") if isinstance(document, dict) else None
    left = document.get("unserviced_requests", []) if isinstance(document, dict) else None
    if not isinstance(serviced, list) or not isinstance(left, list):
        raise ValueError(error_in(document) or "it has no lists serviced_requests and unserviced_requests")  # noqa: TRY004  # the answer is wrong
    answers = {str(answer.get("id")): _answer(answer) for answer in serviced if isinstance(answer, dict)}
    return answers, frozenset(map(str, left)) - answers.keys()


def in_calls(items: Iterable[Item]) -> list[list[Item]]:
    """The items in as few calls as their size allows."""
    calls: list[list[Item]] = []
    size = 0
    for item in items:
        if not calls or size + item.size > CALL_BYTES:
            calls.append([])
            size = 0
        calls[-1].append(item)
        size += item.size
    return calls


def _element(item: Item) -> dict[str, Any]:
    element = {
        "id": item.id,
        "method": item.method,
        "url": item.url,
        "headers": _HEADERS,
        "exclude_response_headers": True,
    }
    return element | ({"body": base64.b64encode(item.body).decode()} if item.body else {})


def _answer(answer: Mapping[str, Any]) -> ItemAnswer:
    status = answer.get("status_code")
    try:
        body = base64.b64decode(str(answer.get("body") or ""), validate=True)
    except binascii.Error:
        body = b""
    return ItemAnswer(status if isinstance(status, int) else 0, body, str(answer.get("error_message") or ""))
