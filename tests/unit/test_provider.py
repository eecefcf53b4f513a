from __future__ import annotations

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kwiksync_ops.connectors.credentials import EXTRAS
from kwiksync_ops.connectors.registry import KINDS
from kwiksync_ops.provider import provider_info


def airflow_schema(name: str) -> dict[str, Any]:
    spec = find_spec("airflow")
    assert spec is not None
    assert spec.origin is not None
    schema: dict[str, Any] = json.loads(Path(spec.origin).with_name(name).read_text(encoding="utf-8"))
    return schema


def test_airflow_takes_it() -> None:
    jsonschema.validate(provider_info(), airflow_schema("provider_info.schema.json"))


def test_the_connection_form_is_one_that_airflow_draws() -> None:
    schema = airflow_schema("provider.yaml.schema.json")["properties"]["connection-types"]
    jsonschema.validate(provider_info()["connection-types"], schema)


def test_a_field_that_the_form_does_not_know_is_refused() -> None:
    schema = airflow_schema("provider.yaml.schema.json")["properties"]["connection-types"]
    connection_types = provider_info()["connection-types"]
    connection_types[0]["ui-field-behaviour"]["hidden-fields"].append("customer_key")
    with pytest.raises(jsonschema.ValidationError, match="customer_key"):
        jsonschema.validate(connection_types, schema)


@pytest.mark.parametrize("connection_type", provider_info()["connection-types"], ids=lambda it: it["connection-type"])
def test_a_form_is_drawn_for_a_hook_of_its_kind_and_asks_only_for_what_is_read(connection_type: dict[str, Any]) -> None:
    module, _, name = connection_type["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), name)
    assert (hook.conn_type, hook.hook_name) == (connection_type["connection-type"], connection_type["hook-name"])
    assert hook.kind in KINDS
    assert set(connection_type["conn-fields"]) <= {*EXTRAS, "ca_file", "allow_hosts"}
    assert set(connection_type["ui-field-behaviour"]["hidden-fields"]) == {"schema", "port", "extra"}
