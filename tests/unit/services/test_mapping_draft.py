"""A mapping while it is written: all that is wrong with it, and where."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kwiksync_ops.declared.fault import key_text
from kwiksync_ops.services.mapping_draft import draft_of, read_draft
from kwiksync_ops.storage.mappings import MappingKey

KEY = MappingKey("erp", "inbound", "tickets")
RULE: dict[str, Any] = {"source_field": "id", "target_field": "external_id", "transform": "direct"}
SOUND: dict[str, Any] = {"source_table": "tickets", "target_table": "tickets", "fields": [RULE]}


def test_a_sound_draft_is_a_mapping() -> None:
    draft = draft_of(SOUND, KEY)
    assert draft.mapping is not None
    assert (draft.faults, draft.rules, json.loads(draft.text)) == ([], [RULE], SOUND)


def test_text_that_is_no_json_says_line_and_column() -> None:
    draft = read_draft('{\n "fields": [,]\n}', KEY)
    (fault,) = draft.faults
    assert (draft.document, draft.rules, draft.mapping) == (None, None, None)
    assert (fault.line, fault.column) == (2, 13)


def test_every_fault_has_the_key_of_its_rule() -> None:
    rules = [RULE, {**RULE, "target_field": "numbr"}, {**RULE, "target_field": "state", "transform": "value_map"}]
    draft = draft_of({**SOUND, "fields": rules}, KEY)
    assert [key_text(fault.key) for fault in draft.faults] == ["fields[1].target_field", "fields[2].config"]
    assert [fault.problem for fault in draft.faults_of_rule(1)] == [draft.faults[0].problem]


def test_the_mapping_of_another_table_is_refused() -> None:
    (fault,) = draft_of({**SOUND, "target_table": "assets"}, KEY).faults
    assert (fault.key, fault.line) == (("target_table",), 3)
    assert fault.problem == "is assets, and this is the mapping of tickets. Write tickets."


@pytest.mark.parametrize("text", ["", "null", "[]", '{"fields": 3}', '{"fields": ["\\ud800"]}', "[" * 100_000])
def test_whatever_is_typed_is_a_draft_with_faults(text: str) -> None:
    draft = read_draft(text, KEY)
    assert draft.faults
    assert draft.mapping is None
