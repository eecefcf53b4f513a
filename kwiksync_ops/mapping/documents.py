"""Mappings as JSON documents: the one form of mapping files, stored versions and the REST API."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from kwiksync_ops.mapping.rules import FieldRule, TableMapping, Validation
from kwiksync_ops.vocabulary import Direction, TransformType, short_name


def mapping_document(mapping: TableMapping) -> dict[str, Any]:
    """A mapping in the form of its file: what is as by default is left out."""
    common = _common_null_values(mapping.rules)
    return {
        "source_table": mapping.source_table,
        "target_table": mapping.target_table,
        **({"null_values": common} if common else {}),
        "fields": [_rule_beside(common, rule) for rule in mapping.rules],
    }


def mapping_of(
    system: str, document: Mapping[str, Any], version: int = 0, direction: str = Direction.INBOUND
) -> TableMapping:
    """The mapping of a document that is valid; rules are numbered in their order, from 0."""
    nulls = document.get("null_values", ())
    declared = [rule_of({"order": index, "null_values": nulls, **f}) for index, f in enumerate(document["fields"])]
    rules = sorted(declared, key=lambda rule: rule.order)
    return TableMapping(
        system=system,
        source_table=short_name(document["source_table"]),
        target_table=short_name(document["target_table"]),
        rules=tuple(replace(rule, order=index) for index, rule in enumerate(rules)),
        version=version,
        direction=direction,
    )


def rule_document(rule: FieldRule) -> dict[str, Any]:
    """A rule in the form of its file, without its order."""
    source = {"source_field": rule.source_field} if rule.source_field else {}
    document: dict[str, Any] = {**source, "target_field": rule.target_field, "transform": rule.transform.value}
    optional = {
        "config": dict(rule.config),
        "validation": validation_document(rule.validation),
        "null_values": list(rule.null_values),
    }
    document |= {name: value for name, value in optional.items() if value}
    if rule.default is not None:
        document["default"] = rule.default
    return document if rule.active else {**document, "active": False}


def rule_of(document: Mapping[str, Any]) -> FieldRule:
    """The rule of a document that is valid."""
    return FieldRule(
        source_field=document.get("source_field", ""),
        target_field=document["target_field"],
        transform=TransformType(document["transform"]),
        config=document.get("config", {}),
        validation=Validation(**document.get("validation", {})),
        null_values=tuple(document.get("null_values", ())),
        default=document.get("default"),
        order=document.get("order", 0),
        active=document.get("active", True),
    )


def validation_document(validation: Validation) -> dict[str, Any]:
    nothing = Validation()
    values = {rule.name: getattr(validation, rule.name) for rule in fields(validation)}
    return {name: value for name, value in values.items() if value != getattr(nothing, name)}


def _rule_beside(common: list[Any], rule: FieldRule) -> dict[str, Any]:
    document = rule_document(rule)
    own = document.pop("null_values", [])
    return document if json.dumps(own) == json.dumps(common) else {**document, "null_values": own}


def _common_null_values(rules: Iterable[FieldRule]) -> list[Any]:
    """What most rules say; the first of equals."""
    counts = Counter(json.dumps(rule.null_values) for rule in rules)
    common: list[Any] = json.loads(counts.most_common(1)[0][0])
    return common


def _canonical(mapping: TableMapping) -> str:
    return json.dumps(mapping_document(mapping), sort_keys=True)


def is_same(one: TableMapping, other: TableMapping) -> bool:
    """Whether both say the same, whatever their versions."""
    return _canonical(one) == _canonical(other)
