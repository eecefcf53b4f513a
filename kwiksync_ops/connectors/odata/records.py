"""A record without what OData writes around it: control information, `__metadata`, `__deferred`, `/Date(…)/`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kwiksync_ops.batch import SourceRecord
from kwiksync_ops.connectors.odata.edm import Version, from_json
from kwiksync_ops.connectors.odata.keys import COMPOSITE, KeyReader
from kwiksync_ops.connectors.odata.metadata import EntitySet, Property, Service

_NO_PROPERTIES: Mapping[str, Property] = {}


class CutRecordError(ValueError):
    """The system cut a list of linked entities into pages: the record is not whole."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The system sent a part of {name!r} only, and a link to more.")
        self.field = name


class RecordCleaner:
    """Cleans the records of one entity set."""

    def __init__(self, service: Service, entity_set: EntitySet, keys: KeyReader) -> None:
        self._types = service.types
        self._version: Version = service.version
        self._properties = entity_set.properties
        self._keys = keys

    def clean(self, record: Mapping[str, Any]) -> SourceRecord:
        """Raises CutRecordError."""
        cleaned = self._object(record, self._properties)
        if self._keys.field == COMPOSITE:
            cleaned[COMPOSITE] = self._keys.key_of(cleaned)
        return cleaned

    def _object(self, record: Mapping[str, Any], properties: Mapping[str, Property]) -> SourceRecord:
        cleaned: SourceRecord = {}
        for name, value in record.items():
            if "@" in name:
                _refuse_cut(name)
            elif name not in ("__metadata", "__deferred", "__next", "__count"):
                kind = type(value)
                if kind is dict and "__deferred" in value:
                    continue
                is_plain = value[:6] != "/Date(" if kind is str else kind is not dict and kind is not list
                cleaned[name] = value if is_plain else self._value(name, value, properties.get(name))
        return cleaned

    def _value(self, name: str, value: Any, declared: Property | None) -> Any:
        if isinstance(value, str):
            return from_json(value, declared.type if declared else None) if self._version == "v2" else value
        if isinstance(value, dict) and isinstance(value.get("results"), list) and self._version == "v2":
            if value.get("__next"):
                raise CutRecordError(name)
            value = value["results"]
        properties = self._types.get(declared.type, _NO_PROPERTIES) if declared else _NO_PROPERTIES
        if isinstance(value, list):
            return [self._element(name, one, declared, properties) for one in value]
        return self._object(value, properties)

    def _element(self, name: str, value: Any, declared: Property | None, properties: Mapping[str, Property]) -> Any:
        if isinstance(value, dict):
            return self._object(value, properties)
        return self._value(name, value, declared) if isinstance(value, (str, list)) and self._version == "v2" else value


def _refuse_cut(annotation: str) -> None:
    name, _, term = annotation.partition("@")
    if name and term in ("odata.nextLink", "nextLink"):
        raise CutRecordError(name)
