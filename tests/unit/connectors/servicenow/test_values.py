from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kwiksync_ops.connectors.servicenow.values import is_equal, plain_record, text_of


def test_an_empty_text_is_nothing_and_a_reference_its_id() -> None:
    record = {"a": "", "b": "x", "c": {"link": "https://…/1", "value": "1"}, "d": {"link": "", "value": ""}, "e": None}
    assert plain_record(record) == {"a": None, "b": "x", "c": "1", "d": None, "e": None}


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "true"), (7, "7"), (Decimal("1.50"), "1.50"), (Decimal("1E+3"), "1000"), ("x", "x")],
)
def test_every_value_is_a_text(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize("value", [{"a": 1}, [1]])
def test_a_nested_value_has_no_text(value: Any) -> None:
    with pytest.raises(ValueError, match="nested"):
        text_of(value)


@pytest.mark.parametrize(
    ("there", "sent", "equal"),
    [
        ("x", "x", True),
        ("", "", True),
        ("1.5", "1.50", True),
        ("true", "1", True),
        ("false", "true", False),
        ("x", "X", False),
        ("", "0", False),
        (None, "", False),
    ],
)
def test_values_are_equal_by_what_they_mean(there: Any, sent: str, equal: bool) -> None:
    assert is_equal(there, sent) is equal
