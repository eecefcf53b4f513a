from __future__ import annotations

import json
from typing import Any

import pytest

from kwiksync_ops.connectors.odata.error_body import words_of


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"error": {"code": "E1", "message": "No.", "target": "amount"}}, "E1: amount: No."),
        ({"error": {"code": "E1", "message": {"lang": "en", "value": "No."}}}, "E1: No."),
        (
            {"error": {"code": "E", "message": "Bad.", "details": [{"code": "D", "message": "a"}, {"message": "b"}]}},
            "E: Bad.; D: a; b",
        ),
        (
            {
                "error": {
                    "code": "SY/530",
                    "message": {"lang": "en", "value": "Bad."},
                    "innererror": {
                        "errordetails": [
                            {"code": "SY/530", "message": "Bad.", "propertyref": ""},
                            {"code": "M7/1", "message": "Closed.", "propertyref": "Order"},
                        ]
                    },
                }
            },
            "SY/530: Bad.; M7/1: Order: Closed.",
        ),
        ({"odata.error": {"code": "E", "message": {"value": "No."}}}, "E: No."),
        ({"other": 1}, ""),
        ([], ""),
    ],
)
def test_an_error_is_told_in_its_words(error: Any, words: str) -> None:
    assert words_of(json.dumps(error).encode()) == words


def test_an_error_in_xml_is_told_too() -> None:
    body = b'<?xml version="1.0"?><error xmlns="m"><code>E1</code><message xml:lang="en">No &amp; no.</message></error>'
    assert words_of(body) == "E1: No & no."


@pytest.mark.parametrize("body", [b"", b"\xff", b"{" * 100_000, b"<html><body>Log in</body></html>"])
def test_anything_else_has_no_words(body: bytes) -> None:
    assert words_of(body) == ""
