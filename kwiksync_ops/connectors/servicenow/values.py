"""Values as ServiceNow writes them, always text, and as the hub and its mappings know them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


def plain_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record as a mapping takes it: nothing for an empty text, which is all that ServiceNow has for it."""
    plain = {name: None if value == "" else value for name, value in record.items()}
    if dict in set(map(type, plain.values())):  # references with their links
        return {name: value.get("value") or None if type(value) is dict else value for name, value in plain.items()}
    return plain


def text_of(value: Any) -> str:
    """A value as ServiceNow writes it: nothing is an empty text. Raises ValueError for a nested one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (dict, list)):
        raise ValueError("a nested value, which no field of ServiceNow takes")  # noqa: TRY004  # the mapping is wrong
    return str(value)


def is_equal(there: Any, sent: str) -> bool:
    """Whether a field has the value that was sent; numbers are equal by value, truths by meaning."""
    if not isinstance(there, str):
        return False
    if there == sent or {there, sent} in ({"true", "1"}, {"false", "0"}):
        return True
    try:
        return Decimal(there) == Decimal(sent)
    except InvalidOperation:
        return False
