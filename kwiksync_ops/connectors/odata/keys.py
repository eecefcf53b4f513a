"""How a record is addressed: `Orders(5)`, `Items(Order='A/1',Position=10)`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from kwiksync_ops.connectors.http.json_path import MISSING, value_at
from kwiksync_ops.connectors.odata.edm import Version, from_literal, to_literal
from kwiksync_ops.connectors.odata.metadata import EntitySet

COMPOSITE = "@key"
"""As a table's `key`: all key properties together, as `Order='A/1',Position=10`; records get a field of this name."""

_PART = re.compile(r"\s*([A-Za-z_][\w.]*)\s*=\s*((?:[A-Za-z]+)?'(?:[^']|'')*'|[^,']+)\s*(?:,|$)")
_SAFE = "'(),=:"


class KeyReader:
    """Keys of one entity set.

    `field` is what the table calls its key: one property, or `@key`. `fixed` are key properties of one value for all
    records, such as `IsActiveEntity`.
    """

    def __init__(
        self, entity_set: EntitySet, version: Version, key_field: str, fixed: Mapping[str, Any] | None = None
    ) -> None:
        self._set = entity_set
        self._version = version
        self.field = key_field
        self._fixed = fixed or {}

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties that tell records apart, in the order that they are compared in."""
        if self.field != COMPOSITE:
            return (self.field,)
        return tuple(name for name in self._set.keys if name not in self._fixed)

    def values(self, record: Any) -> list[Any] | None:
        """The values of `properties`; None where one is missing."""
        found = [value_at(record, tuple(name.split("."))) for name in self.properties]
        return None if any(value is MISSING or value is None for value in found) else found

    def key_of(self, record: Any) -> str | None:
        """The record's id, as the hub knows it."""
        values = self.values(record)
        if values is None or any(isinstance(value, (dict, list)) for value in values):
            return None
        if self.field == COMPOSITE:
            return self._predicate(dict(zip(self.properties, values, strict=True)))
        value = values[0]
        return str(value).lower() if isinstance(value, bool) else str(value)

    def parts(self, key: str) -> list[str]:
        """The values of `properties` in a record's id. Raises ValueError."""
        if self.field != COMPOSITE:
            return [key]
        found = _parse(key)
        if set(found) != set(self.properties):
            raise ValueError(f"the id {key[:100]!r} does not name {', '.join(self.properties)}")
        return [from_literal(found[name]) for name in self.properties]

    def key_in(self, address: str) -> str | None:
        """The record's id in the address of an entity: `https://…/Orders(5)`; None where there is none."""
        text = unquote(address)
        start = text.rfind(f"{self._set.name}(")
        if start < 0 or not text.endswith(")"):
            return None
        inner = text[start + len(self._set.name) + 1 : -1]
        named = _parse(inner)
        if self.field == COMPOSITE:
            return ",".join(f"{name}={named[name]}" for name in self.properties) if self._names_all(named) else None
        if not named:
            return from_literal(inner) if self._set.keys == (self.field,) else None
        return from_literal(named[self.field]) if self.field in named else None

    def address(self, key: str) -> str:
        """Entity set and key, percent-encoded, relative to the service. Raises ValueError."""
        values: dict[str, Any] = dict(zip(self.properties, self.parts(key), strict=True))
        values |= self._fixed
        if tuple(values) == self._set.keys and len(values) == 1:
            inner = self.literal(self._set.keys[0], key)
        else:
            inner = self._predicate(values)
        return f"{quote(self._set.name)}({quote(inner, safe=_SAFE)})"

    def address_by(self, name: str, value: Any) -> str:
        """The address by an alternate key: a property that tells records apart, beside the key. Raises ValueError."""
        return f"{quote(self._set.name)}({quote(f'{name}={self.literal(name, value)}', safe=_SAFE)})"

    def literal(self, name: str, value: Any) -> str:
        declared = self._set.properties.get(name)
        return to_literal(value, declared.type if declared else None, self._version)

    def _predicate(self, values: Mapping[str, Any]) -> str:
        order: Sequence[str] = [name for name in self._set.keys if name in values] or list(values)
        return ",".join(f"{name}={self.literal(name, values[name])}" for name in order)

    def _names_all(self, named: Mapping[str, str]) -> bool:
        return all(name in named for name in self.properties)


def _parse(predicate: str) -> dict[str, str]:
    """The literals of a predicate by name; empty where it names none."""
    found: dict[str, str] = {}
    at = 0
    while at < len(predicate):
        part = _PART.match(predicate, at)
        if part is None:
            return {}
        found[part[1]] = part[2].strip()
        at = part.end()
    return found
