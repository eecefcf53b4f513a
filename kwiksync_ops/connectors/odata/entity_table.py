"""A table of a system, as the service declares it: what reads and writes it have in common."""

from __future__ import annotations

from dataclasses import dataclass

from kwiksync_ops.connectors.odata.access import ODataAccess
from kwiksync_ops.connectors.odata.edm import Version
from kwiksync_ops.connectors.odata.keys import KeyReader
from kwiksync_ops.connectors.odata.metadata import EntitySet, Service
from kwiksync_ops.connectors.odata.options import ODataOptions
from kwiksync_ops.connectors.odata.records import RecordCleaner
from kwiksync_ops.errors import ConfigurationError


@dataclass(frozen=True)
class EntityTable:
    """An entity set of the service at `root`, and its keys as the table has them."""

    root: str
    service: Service
    entity_set: EntitySet
    keys: KeyReader
    cleaner: RecordCleaner

    @property
    def version(self) -> Version:
        return self.service.version

    @property
    def name(self) -> str:
        return self.entity_set.name

    def type_of(self, name: str) -> str | None:
        """The type of a property's values; None for links, and for what is not declared."""
        declared = self.entity_set.properties.get(name)
        return declared.type if declared and not declared.is_link else None


def open_table(access: ODataAccess, source: str, key_field: str, options: ODataOptions) -> EntityTable:
    """Raises ConfigurationError where the service has no such entity set or key."""
    root, service, entity_set = access.entity_set(source, options)
    keys = KeyReader(entity_set, service.version, key_field, options.fixed_keys)
    for name in keys.properties:
        if service.property_at(entity_set, tuple(name.split("."))) is None:
            raise ConfigurationError(
                f"{entity_set.name} has no property {name!r} for a key.",
                remedy=f"Set key to {' or '.join(entity_set.keys)}, or to @key for all key properties together.",
            )
    return EntityTable(root, service, entity_set, keys, RecordCleaner(service, entity_set, keys))
