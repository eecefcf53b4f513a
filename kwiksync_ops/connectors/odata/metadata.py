"""What a service says about itself in `$metadata`: its version, its entity sets, their keys and types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from kwiksync_ops.connectors.http.json_path import Path
from kwiksync_ops.connectors.odata.edm import Version

_COLLECTION = "Collection("
_MAX_BASES = 20


@dataclass(frozen=True)
class Property:
    """A property or a link of a type. `type` is that of one element where it holds many."""

    name: str
    type: str
    is_link: bool = False
    is_required: bool = False
    precision: int | None = None
    label: str = ""
    foreign_key: str = ""


@dataclass(frozen=True)
class EntitySet:
    name: str
    type: str
    keys: tuple[str, ...]
    properties: Mapping[str, Property]


@dataclass(frozen=True)
class Service:
    """`types` holds the properties of entity and complex types by qualified name."""

    version: Version
    version_text: str
    sets: Mapping[str, EntitySet]
    types: Mapping[str, Mapping[str, Property]] = field(default_factory=dict)

    def property_at(self, entity_set: EntitySet, path: Path) -> Property | None:
        """The property at a path through complex types and links; None where the metadata has none."""
        properties = entity_set.properties
        found: Property | None = None
        for step in path:
            found = properties.get(step)
            if found is None:
                return None
            properties = self.types.get(found.type, {})
        return found


@dataclass(frozen=True)
class _Type:
    name: str
    base: str
    keys: tuple[str, ...]
    properties: Mapping[str, Property]


class _WithoutDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("it declares entities of its own, which no metadata needs")


def parse_metadata(document: bytes) -> Service:
    """Raises ValueError where it is not the metadata of an OData service."""
    parser = ElementTree.XMLParser(target=_WithoutDoctype())  # noqa: S314  # without a DOCTYPE there is nothing to expand
    try:
        root = ElementTree.fromstring(document, parser)  # noqa: S314  # as above
    except ElementTree.ParseError as exc:
        raise ValueError(f"it is not XML: {exc}") from exc
    services = list(_named(root, "DataServices"))
    if _local(root.tag) != "Edmx" or not services:
        raise ValueError(f"its root is <{_local(root.tag)}>, not <edmx:Edmx>")
    version: Version = "v4" if root.get("Version", "").startswith("4") else "v2"
    schemas = list(_named(services[0], "Schema"))
    types = _types(schemas, version)
    sets = {entity_set.name: entity_set for entity_set in _entity_sets(schemas, types)}
    own = root.get("Version", "4.0") if version == "v4" else _attribute(services[0], "DataServiceVersion") or "2.0"
    return Service(version, own, sets, {name: _flat(types, name).properties for name in types})


def _types(schemas: list[Element], version: Version) -> dict[str, _Type]:
    ends = _association_ends(schemas) if version == "v2" else {}
    aliases = {schema.get("Alias", ""): schema.get("Namespace", "") for schema in schemas}
    labels = _labels(schemas, aliases)
    found: dict[str, _Type] = {}
    for schema in schemas:
        for element in schema:
            if _local(element.tag) in ("EntityType", "ComplexType"):
                name = f"{schema.get('Namespace')}.{element.get('Name')}"
                properties = {each.name: each for each in _properties(element, aliases, ends, labels.get(name, {}))}
                base = _qualified(element.get("BaseType", ""), aliases)
                found[name] = _Type(name, base, _keys(element), properties)
    return found


def _properties(
    element: Element, aliases: Mapping[str, str], ends: Mapping[str, str], labels: Mapping[str, str]
) -> Iterator[Property]:
    for child in element:
        name, kind = child.get("Name", ""), _local(child.tag)
        if kind == "Property":
            precision = child.get("Precision", "")
            yield Property(
                name,
                _qualified(child.get("Type", ""), aliases),
                is_required=child.get("Nullable") == "false",
                precision=int(precision) if precision.isdigit() else None,
                label=_attribute(child, "label") or labels.get(name, ""),
            )
        elif kind == "NavigationProperty":
            target = child.get("Type") or ends.get(_end(child.get("Relationship", ""), child.get("ToRole", "")), "")
            yield Property(name, _qualified(target, aliases), is_link=True, foreign_key=_foreign_key(child))


def _foreign_key(link: Element) -> str:
    """The property that holds the key of what the link leads to, where it is just one."""
    constraints = [child.get("Property", "") for child in link if _local(child.tag) == "ReferentialConstraint"]
    return constraints[0] if len(constraints) == 1 else ""


def _keys(element: Element) -> tuple[str, ...]:
    return tuple(
        reference.get("Name", "")
        for key in element
        if _local(key.tag) == "Key"
        for reference in key
        if _local(reference.tag) == "PropertyRef"
    )


def _association_ends(schemas: list[Element]) -> dict[str, str]:
    """In version 2 a link names an association and one of its ends, which names the type."""
    return {
        _end(f"{schema.get('Namespace')}.{association.get('Name')}", end.get("Role", "")): end.get("Type", "")
        for schema in schemas
        for association in _named(schema, "Association")
        for end in _named(association, "End")
    }


def _end(association: str, role: str) -> str:
    return f"{association.rpartition('.')[2]}/{role}"


def _labels(schemas: list[Element], aliases: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The labels that version 4 keeps in annotations: by type, then by property."""
    found: dict[str, dict[str, str]] = {}
    for schema in schemas:
        for group in _named(schema, "Annotations"):
            target, _, name = group.get("Target", "").partition("/")
            for annotation in _named(group, "Annotation"):
                if annotation.get("Term", "").endswith("Common.v1.Label") or annotation.get("Term") == "Common.Label":
                    found.setdefault(_qualified(target, aliases), {})[name] = annotation.get("String", "")
    return found


def _entity_sets(schemas: list[Element], types: Mapping[str, _Type]) -> Iterator[EntitySet]:
    aliases = {schema.get("Alias", ""): schema.get("Namespace", "") for schema in schemas}
    for schema in schemas:
        for container in _named(schema, "EntityContainer"):
            for element in _named(container, "EntitySet"):
                type_name = _qualified(element.get("EntityType", ""), aliases)
                whole = _flat(types, type_name)
                yield EntitySet(element.get("Name", ""), type_name, whole.keys, whole.properties)


def _flat(types: Mapping[str, _Type], name: str) -> _Type:
    """A type with what it inherits."""
    chain: list[_Type] = []
    while name in types and len(chain) < _MAX_BASES:
        chain.append(types[name])
        name = chain[-1].base
    properties = {key: value for one in reversed(chain) for key, value in one.properties.items()}
    keys = next((one.keys for one in chain if one.keys), ())
    return _Type(chain[0].name if chain else name, "", keys, properties)


def _qualified(name: str, aliases: Mapping[str, str]) -> str:
    name = name.removeprefix(_COLLECTION).removesuffix(")") if name.startswith(_COLLECTION) else name
    namespace, _, own = name.rpartition(".")
    return f"{aliases[namespace]}.{own}" if aliases.get(namespace) else name


def _named(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if _local(child.tag) == name)


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _attribute(element: Element, name: str) -> str:
    """An attribute of any namespace: `sap:label`, `m:DataServiceVersion`."""
    return next((value for key, value in element.attrib.items() if _local(key) == name), "")
