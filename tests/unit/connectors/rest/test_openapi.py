"""Lists of records in an OpenAPI document."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kwiksync_ops.connectors.rest.openapi import read_endpoints
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.vocabulary import ColumnType

BASE = "https://erp.example.com/api"
TICKET = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string", "title": "Ticket"},
        "opened": {"type": "string", "format": "date-time"},
        "due": {"type": ["string", "null"], "format": "date"},
        "count": {"type": "integer", "format": "int64"},
        "share": {"type": "number"},
        "closed": {"type": "boolean"},
        "state": {"type": "string", "enum": ["NEW", "DONE"]},
        "site": {"$ref": "#/components/schemas/Site"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
}
SITE = {"type": "object", "properties": {"id": {"type": "string"}}}


def document(answer: Any, **changes: Any) -> dict[str, Any]:
    get = {
        "summary": "All tickets",
        "parameters": [{"name": "limit", "in": "query"}, {"name": "X-Trace", "in": "header"}],
        "responses": {"200": {"content": {"application/json": {"schema": answer}}}},
    }
    schemas = {
        "Ticket": TICKET,
        "Site": SITE,
        "Tickets": {"type": "array", "items": {"$ref": "#/components/schemas/Ticket"}},
    }
    paths = {"/tickets": {"get": get}, "/tickets/{id}": {"get": get}, "/imports": {"post": get}}
    return {"openapi": "3.0.3", "paths": paths, "components": {"schemas": schemas}, **changes}


@pytest.mark.parametrize(
    ("answer", "records_path"),
    [
        ({"$ref": "#/components/schemas/Tickets"}, ""),
        ({"type": "object", "properties": {"data": {"$ref": "#/components/schemas/Tickets"}}}, "data"),
        ({"allOf": [{"properties": {"tickets": {"$ref": "#/components/schemas/Tickets"}}}]}, "tickets"),
    ],
)
def test_a_list_is_found_with_its_path_its_fields_and_its_parameters(answer: Any, records_path: str) -> None:
    (endpoint,) = read_endpoints(document(answer), BASE)
    assert (endpoint.path, endpoint.label, endpoint.records_path) == ("/tickets", "All tickets", records_path)
    assert endpoint.params == {"limit"}
    fields = {field.name: field for field in endpoint.fields}
    assert {name: field.type for name, field in fields.items()} == {
        "id": ColumnType.STRING,
        "opened": ColumnType.DATETIME,
        "due": ColumnType.DATE,
        "count": ColumnType.INTEGER,
        "share": ColumnType.DECIMAL,
        "closed": ColumnType.BOOLEAN,
        "state": ColumnType.STRING,
        "site.id": ColumnType.STRING,
    }
    assert (fields["id"].required, fields["id"].label, dict(fields["state"].choices)) == (
        True,
        "Ticket",
        {"NEW": "NEW", "DONE": "DONE"},
    )


def test_a_document_of_version_2_is_read_too() -> None:
    get = {"responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/T"}}}}}
    old = {"swagger": "2.0", "basePath": "/api/v2", "paths": {"/tickets": {"get": get}}, "definitions": {"T": TICKET}}
    (endpoint,) = read_endpoints(old, BASE)
    assert endpoint.path == "/v2/tickets"


@pytest.mark.parametrize(
    ("server", "path"),
    [("https://erp.example.com/api", "/tickets"), ("/api/v3", "/v3/tickets"), ("https://other/x", "/tickets")],
)
def test_a_path_is_below_the_base_url(server: str, path: str) -> None:
    answer = {"$ref": "#/components/schemas/Tickets"}
    (endpoint,) = read_endpoints(document(answer, servers=[{"url": server}]), BASE)
    assert endpoint.path == path


@pytest.mark.parametrize(
    "answer", [{"$ref": "#/components/schemas/Ticket"}, {"$ref": "#/nowhere"}, {}, {"type": "string"}]
)
def test_what_is_no_list_of_records_is_left_out(answer: Any) -> None:
    assert read_endpoints(document(answer), BASE) == []


def test_a_reference_that_leads_to_itself_ends() -> None:
    loop = document({"$ref": "#/components/schemas/Loop"})
    loop["components"]["schemas"]["Loop"] = {"$ref": "#/components/schemas/Loop"}
    assert read_endpoints(loop, BASE) == []


@pytest.mark.parametrize("value", [{}, [], None, "text", {"paths": []}])
def test_another_document_is_refused(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="no OpenAPI document"):
        read_endpoints(value, BASE)


NAMES = ["paths", "/a", "get", "responses", "200", "content", "application/json", "schema", "type", "items", "$ref"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["array", "object", "#/paths", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "properties", "allOf"]), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the document
@given(st.dictionaries(st.sampled_from(["/a", "/b/{id}"]), VALUES), VALUES)
def test_no_document_makes_the_reading_fail(paths: dict[str, Any], more: Any) -> None:
    for endpoint in read_endpoints({"paths": paths, "servers": more, "components": more}, BASE):
        assert endpoint.path in paths
