"""What an OData service tells about itself: its entity sets and their properties, by `$metadata`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import FieldInfo, ObjectInfo, Sample, Sending, first_page
from kwiksync_ops.connectors.odata.access import join_url
from kwiksync_ops.connectors.odata.keys import COMPOSITE
from kwiksync_ops.connectors.odata.metadata import EntitySet, Property, Service
from kwiksync_ops.connectors.odata.source import ODataSource
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.vocabulary import ColumnType

_TYPES = {
    "Edm.Boolean": ColumnType.BOOLEAN,
    "Edm.Byte": ColumnType.INTEGER,
    "Edm.Date": ColumnType.DATE,
    "Edm.DateTime": ColumnType.DATETIME,
    "Edm.DateTimeOffset": ColumnType.DATETIME,
    "Edm.Decimal": ColumnType.DECIMAL,
    "Edm.Double": ColumnType.DECIMAL,
    "Edm.Guid": ColumnType.STRING,
    "Edm.Int16": ColumnType.INTEGER,
    "Edm.Int32": ColumnType.INTEGER,
    "Edm.Int64": ColumnType.INTEGER,
    "Edm.SByte": ColumnType.INTEGER,
    "Edm.Single": ColumnType.DECIMAL,
    "Edm.String": ColumnType.STRING,
}


class ODataDiscovery:
    """One system over one keep-alive session. `catalogue` is the path of a service below the base URL."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self._source = ODataSource(credentials, options, limiter, clock)
        self._access = self._source.access

    def check(self) -> str:
        return self._source.check()

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        path = catalogue.strip("/")
        service = self._access.service(join_url(self._access.base_url, path), self._access.own)
        return [ObjectInfo(f"{path}/{name}" if path else name) for name in service.sets]

    def fields(self, name: str, options: Mapping[str, Any]) -> Sequence[FieldInfo]:
        """The properties of an entity set; behind those, where several make up its key, that key as a whole."""
        _, service, entity_set = self._access.entity_set(name, self._access.own)
        foreign = _foreign_keys(service, entity_set)
        fields = [
            _field(each, is_key=entity_set.keys == (each.name,), references=foreign.get(each.name))
            for each in entity_set.properties.values()
            if not each.is_link
        ]
        whole = [FieldInfo(COMPOSITE, ColumnType.STRING, required=True, is_key=True)]
        return fields + whole if len(entity_set.keys) > 1 else fields

    def options(self, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Services of version 2 need not page by themselves, and not all of them take an `or`."""
        _, service, entity_set = self._access.entity_set(name, self._access.own)
        if service.version == "v4" or not entity_set.keys:
            return given
        return {"pagination": {"type": "keyset", "two_queries": True}, **given}

    def sample(self, name: str, records: int, options: Mapping[str, Any]) -> Sample:
        """The first records by key, which a service that does not page by itself has to be asked for so."""
        _, _, entity_set = self._access.entity_set(name, self._access.own)
        key = entity_set.keys[0] if len(entity_set.keys) == 1 else COMPOSITE
        paging = {"pagination": {"type": "keyset"}} if entity_set.keys else {}
        return first_page(self._source, ReadRequest(name, key=key, page_records=records, options={**options, **paging}))

    def push(self, name: str, sending: Sending, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """By the address of an entity, which its key makes."""
        _, _, entity_set = self._access.entity_set(name, self._access.own)
        if entity_set.keys != (sending.key,) and not (len(entity_set.keys) > 1 and sending.key == COMPOSITE):
            raise ConfigurationError(
                f"{name} is not addressed by {sending.key}, so that nothing is written to it.",
                remedy=f"Let its key be {', '.join(entity_set.keys) or 'one that $metadata declare'}.",
            )
        return {"actions": list(sending.actions)}

    def close(self) -> None:
        self._source.close()


def _field(declared: Property, *, is_key: bool, references: str | None) -> FieldInfo:
    return FieldInfo(
        declared.name,
        _TYPES.get(declared.type),
        label=declared.label,
        required=declared.is_required,
        is_key=is_key,
        references=references,
        is_generated=is_key and declared.type == "Edm.Guid",
    )


def _foreign_keys(service: Service, entity_set: EntitySet) -> dict[str, str]:
    """The entity set that a property holds a key of, by the property's name."""
    of_type = {other.type: other.name for other in service.sets.values()}
    links = (each for each in entity_set.properties.values() if each.foreign_key)
    return {link.foreign_key: of_type[link.type] for link in links if link.type in of_type}


open_discovery = ODataDiscovery
