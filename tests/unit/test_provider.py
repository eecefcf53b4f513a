from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from kwiksync_ops.provider import CONNECTION_TYPE, HOOK_CLASS, provider_info


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


def test_the_form_asks_for_what_a_hook_reads_and_hides_the_rest() -> None:
    connection_type = provider_info()["connection-types"][0]
    assert connection_type["connection-type"] == CONNECTION_TYPE
    assert connection_type["hook-class-name"] == HOOK_CLASS
    assert set(connection_type["conn-fields"]) == {"ca_file", "allow_hosts"}
    assert set(connection_type["ui-field-behaviour"]["hidden-fields"]) == {"schema", "port", "extra"}
