"""What is written as YAML is read back as it was."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwiksync_ops.declared.reader import parse_value
from kwiksync_ops.declared.writer import yaml_text

TEXTS = st.one_of(
    st.text(alphabet=st.sampled_from(string.printable + "äß€東"), max_size=20),
    st.sampled_from(
        [
            "22:00",
            "no",
            "on",
            "1e3",
            "0x1F",
            "1_000",
            "~",
            "null",
            "true",
            "0 2 * * *",
            "*",
            "a: b",
            "2026-01-02",
            "=",
            "- a",
            "#",
        ]
    ),
)
SCALARS = st.one_of(TEXTS, st.integers(-(10**9), 10**9), st.booleans(), st.none())
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS.filter(bool), inner, max_size=3)),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no fault of the writer
@given(st.dictionaries(st.sampled_from(["system", "rest", "tables"]), DOCUMENTS, min_size=1))
def test_a_document_is_read_back_as_it_was_written(document: dict[str, Any]) -> None:
    assert parse_value(yaml_text(document)) == document


def test_keys_keep_their_order_and_small_mappings_stand_in_a_line() -> None:
    text = yaml_text({"system": "erp", "tables": [{"table": "tickets", "cursor": {"field": "at", "format": "iso"}}]})
    assert text == "system: erp\ntables:\n  - table: tickets\n    cursor: {field: at, format: iso}\n"
