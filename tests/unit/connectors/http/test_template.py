from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kwiksync_ops.connectors.http.template import filled, filled_text, names_in, template_faults

VALUES: dict[str, Any] = {
    "size": 50,
    "key": "0042",
    "none": None,
    "fields": {"title": "A", "text": None, "price": Decimal("1.50"), "caller": {"name": "Anna"}},
}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("${size}", 50),
        ("page of ${size}", "page of 50"),
        ("${fields}", VALUES["fields"]),
        ("${fields.caller.name}", "Anna"),
        ("${key:int}", 42),
        ("${size:text}", "50"),
        ("${after|0}", 0),
        ("${after|1970-01-01T00:00:00Z}", "1970-01-01T00:00:00Z"),
        ("${after|}", ""),
        ("${after:text|0}", "0"),
        ("${after}", None),
        ("after ${after}.", "after ."),
        ("query { nodes { id cursor } } $size {size} $ {size}", "query { nodes { id cursor } } $size {size} $ {size}"),
        ([["id", ">", "${after|0}"], "${size}", None], [["id", ">", 0], 50, None]),
        (["${after}"], [None]),
        ({"a": {"b": "${size}"}, "c": True}, {"a": {"b": 50}, "c": True}),
        ({"cursor": "${after}", "first": "${size}"}, {"first": 50}),
        (
            {"title": "${fields.title}", "text": "${fields.text}", "state": "${fields.state}"},
            {"title": "A", "text": None},
        ),
        ("${fields.caller:json}", '{"name": "Anna"}'),
        ("${fields.title:int}", "A"),
    ],
)
def test_a_template_is_filled(template: Any, expected: Any) -> None:
    assert filled(template, VALUES) == expected


def test_a_text_stays_a_text() -> None:
    assert filled_text("${size}", VALUES) == "50"
    assert filled_text("${none}-${fields.caller}", VALUES) == '-{"name": "Anna"}'


def test_a_value_is_not_looked_at_again() -> None:
    assert filled({"text": "${key}"}, {"key": "${password}", "password": "secret"}) == {"text": "${password}"}


def test_the_names_that_a_template_asks_for_are_known() -> None:
    assert names_in({"a": ["${size}", {"b": "x ${fields.title|-} ${key:int}"}], "c": 7}) == {"size", "fields", "key"}


def test_a_name_or_a_kind_that_is_not_known_is_a_fault() -> None:
    faults = template_faults({"a": "${sice}", "b": "${size:float}"}, ["size", "since"])
    assert faults == [
        "${sice} is not known here; there are: since, size.",
        "${size:float}: 'float' is not one of int, json, text.",
    ]
