from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

from kwiksync_ops.declared.schema import read_schema
from kwiksync_ops.system_spec.loader import SYSTEM_SCHEMA
from kwiksync_ops.system_spec.spec import Limits
from kwiksync_ops.vocabulary import RECORD_TABLES


def schema() -> dict[str, Any]:
    return read_schema(SYSTEM_SCHEMA)


def test_the_schema_is_valid_itself() -> None:
    Draft202012Validator.check_schema(schema())


def test_it_knows_the_record_tables_in_load_order() -> None:
    assert schema()["$defs"]["table"]["properties"]["table"]["enum"] == list(RECORD_TABLES)


def test_its_defaults_are_those_of_the_code() -> None:
    limits = schema()["properties"]["limits"]["properties"]
    assert {name: limit["default"] for name, limit in limits.items()} == vars(Limits())


def test_each_kind_has_its_options_in_the_system_and_in_its_tables() -> None:
    for kind in schema()["properties"]["kind"]["enum"]:
        assert kind in schema()["properties"]
        assert kind in schema()["$defs"]["table"]["properties"]


def test_every_key_is_described_for_the_editor() -> None:
    groups = [schema()["properties"], schema()["$defs"]["table"]["properties"]]
    assert [
        name for group in groups for name, about in group.items() if name != "$schema" and "description" not in about
    ] == []
