"""What an OData error says, of either version, as JSON or XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from typing import Any

from kwiksync_ops.connectors.http.transport import Answer

MAX_DETAILS = 3

_XML_CODE = re.compile(r"<(?:\w+:)?code\b[^>]*>([^<]*)</")
_XML_MESSAGE = re.compile(r"<(?:\w+:)?message\b[^>]*>([^<]*)</")


def words_of(body: bytes) -> str:
    """`code: message; detail; …`, or nothing where it is no OData error."""
    text = body[:65_536].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        return _xml_words(text)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    error = document.get("error", document.get("odata.error")) if isinstance(document, dict) else None
    return _json_words(error) if isinstance(error, dict) else ""


def in_words(answer: Answer) -> Answer:
    """The answer with the words of its error as its body, for those who show the beginning of a body."""
    words = words_of(answer.body)
    return replace(answer, body=words.encode()) if words else answer


def _json_words(error: dict[str, Any]) -> str:
    said = _message(error)
    told = [_message(detail) for detail in _details(error)]
    others = [text for text in dict.fromkeys(told) if text and text != said][:MAX_DETAILS]
    return "; ".join((said, *others))


def _message(error: dict[str, Any]) -> str:
    message = error.get("message", "")
    if isinstance(message, dict):  # version 2: {"lang": "en", "value": "…"}
        message = message.get("value", "")
    target = error.get("target") or error.get("propertyref")
    parts = (error.get("code"), target, message)
    return ": ".join(part for part in parts if part and isinstance(part, str))


def _details(error: dict[str, Any]) -> Iterator[dict[str, Any]]:
    inner = error.get("innererror")
    of_sap = inner.get("errordetails") if isinstance(inner, dict) else None
    for details in (error.get("details"), of_sap):
        if isinstance(details, list):
            yield from (detail for detail in details if isinstance(detail, dict))


def _xml_words(text: str) -> str:
    found = (pattern.search(text) for pattern in (_XML_CODE, _XML_MESSAGE))
    return ": ".join(unescape(match[1]).strip() for match in found if match)
