"""An OpenAPI document (3.x, and Swagger 2.0), as far as it tells which lists of records an API has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from kwiksync_ops.connectors.discovery import FieldInfo
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.vocabulary import ColumnType

_MAX_REFERENCES = 20
_TYPES = {
    ("string", "date"): ColumnType.DATE,
    ("string", "date-time"): ColumnType.DATETIME,
    ("integer", ""): ColumnType.INTEGER,
    ("number", ""): ColumnType.DECIMAL,
    ("boolean", ""): ColumnType.BOOLEAN,
    ("string", ""): ColumnType.STRING,
}
_RECORDS = ("data", "items", "results", "records", "value", "rows", "entries", "content")


@dataclass(frozen=True)
class Endpoint:
    """A GET without parameters in its path that answers with a list of records. `params` are its query parameters."""

    path: str
    label: str = ""
    records_path: str = ""
    fields: tuple[FieldInfo, ...] = ()
    params: frozenset[str] = field(default_factory=frozenset)


def read_endpoints(document: Any, base_url: str) -> list[Endpoint]:
    """The lists that the document describes; their paths are below the base URL.

    Raises:
        ConfigurationError: it is no OpenAPI document.
    """
    paths = document.get("paths") if isinstance(document, Mapping) else None
    if not isinstance(paths, Mapping):
        raise ConfigurationError(
            "The catalogue is no OpenAPI document: it has no paths.",
            remedy="Name the API's openapi.json or swagger.json, or the paths themselves by --object.",
        )
    prefix = _prefix(document, base_url)
    return [endpoint for path, item in paths.items() if (endpoint := _endpoint(document, prefix, path, item))]


def _prefix(document: Mapping[str, Any], base_url: str) -> str:
    """What of the document's base path the base URL does not have."""
    server = _mapping(next(iter(_list(document.get("servers"))), None))
    told = document.get("basePath") or urlsplit(str(server.get("url", ""))).path
    own = urlsplit(base_url).path.rstrip("/")
    path = str(told).rstrip("/")
    return path.removeprefix(own) if path.startswith(own) else ""


def _endpoint(document: Mapping[str, Any], prefix: str, path: str, item: Any) -> Endpoint | None:
    item = _mapping(item)
    get = _mapping(item.get("get"))
    if not get or "{" in path:
        return None
    found = _list_of(document, _answer_schema(document, get))
    if found is None:
        return None
    records_path, record = found
    parameters = (*_list(item.get("parameters")), *_list(get.get("parameters")))
    declared = [_resolved(document, each) for each in parameters]
    params = frozenset(str(each.get("name")) for each in declared if each.get("in") == "query")
    fields = tuple(_fields(document, record))
    label = str(get.get("summary") or next(iter(_list(get.get("tags"))), ""))
    return Endpoint(prefix + path, label, records_path, fields, params)


def _answer_schema(document: Mapping[str, Any], get: Mapping[str, Any]) -> Mapping[str, Any]:
    responses = _mapping(get.get("responses"))
    answer = _resolved(document, responses.get("200") or responses.get(200) or responses.get("default") or {})
    if "schema" in answer:
        return _resolved(document, answer["schema"])
    content = _mapping(answer.get("content"))
    media = _mapping(next((content[kind] for kind in content if "json" in kind or kind == "*/*"), None))
    return _resolved(document, media.get("schema"))


def _list_of(document: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Where the records stand, and the schema of one."""
    if _type(schema) == "array":
        return "", _resolved(document, schema.get("items"))
    lists = {
        name: _resolved(document, own.get("items"))
        for name, own in _properties(document, schema).items()
        if _type(own) == "array" and _properties(document, _resolved(document, own.get("items")))
    }
    usual = [name for name in _RECORDS if name in lists]
    name = next(iter(usual), next(iter(lists), None) if len(lists) == 1 else None)
    return (name, lists[name]) if name else None


def _fields(document: Mapping[str, Any], record: Mapping[str, Any], prefix: str = "") -> Iterator[FieldInfo]:
    required = _list(record.get("required"))
    for name, schema in _properties(document, record).items():
        kind = _type(schema)
        if kind == "object" and not prefix:
            yield from _fields(document, schema, f"{name}.")
        elif kind not in ("object", "array"):
            yield FieldInfo(
                name=prefix + name,
                type=_TYPES.get((kind, str(schema.get("format", "")))) or _TYPES.get((kind, "")),
                label=str(schema.get("title", "")),
                required=name in required,
                is_generated=bool(schema.get("readOnly")),
                choices={str(value): str(value) for value in _list(schema.get("enum")) if value is not None},
            )


def _properties(document: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    parts = [schema, *(_resolved(document, part) for part in _list(schema.get("allOf")))]
    declared = (_mapping(part.get("properties")) for part in parts)
    return {str(name): _resolved(document, own) for each in declared for name, own in each.items()}


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "")
    return str(kind or ("object" if "properties" in schema or "allOf" in schema else ""))


def _mapping(value: Any) -> Mapping[Any, Any]:
    """The value, or nothing where it is not what the standard says."""
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _resolved(document: Mapping[str, Any], node: Any) -> Mapping[str, Any]:
    """The node, or what its `$ref` within the document names."""
    for _ in range(_MAX_REFERENCES):
        if not isinstance(node, Mapping):
            return {}
        reference = node.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return node
        node = document
        for step in reference[2:].split("/"):
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    return {}
