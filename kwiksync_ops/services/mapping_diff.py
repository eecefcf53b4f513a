"""What differs between two mappings of a table, rule by rule and value by value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kwiksync_ops.mapping.documents import rule_document
from kwiksync_ops.mapping.rules import FieldRule, TableMapping


class RuleAction(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class ValueChange:
    """A value of a rule, by its path (`config.mappings.HIGH`); None where there is none."""

    name: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.name}: {_text(self.old)} → {_text(self.new)}"


@dataclass(frozen=True)
class RuleChange:
    """A rule by its target field. An added or removed rule lists all its values."""

    target_field: str
    action: RuleAction
    values: tuple[ValueChange, ...]


def diff_mappings(old: TableMapping | None, new: TableMapping) -> tuple[RuleChange, ...]:
    """In the order of the new rules; what was removed comes last. `*` stands for the mapping as a whole."""
    old_rules = {rule.target_field: rule for rule in old.rules} if old else {}
    new_rules = {rule.target_field: rule for rule in new.rules}
    changes = [_rule_change(name, old_rules.get(name), rule) for name, rule in new_rules.items()]
    changes += [_rule_change(name, rule, None) for name, rule in old_rules.items() if name not in new_rules]
    whole = tuple(_mapping_changes(old, new)) if old else ()
    head = [RuleChange("*", RuleAction.CHANGED, whole)] if whole else []
    return (*head, *(change for change in changes if change.values))


def _mapping_changes(old: TableMapping, new: TableMapping) -> Iterator[ValueChange]:
    if old.source_table != new.source_table:
        yield ValueChange("source_table", old.source_table, new.source_table)
    kept = {rule.target_field for rule in old.rules} & {rule.target_field for rule in new.rules}
    old_order, new_order = ([r.target_field for r in m.rules if r.target_field in kept] for m in (old, new))
    if old_order != new_order:
        yield ValueChange("order", old_order, new_order)


def _rule_change(name: str, old: FieldRule | None, new: FieldRule | None) -> RuleChange:
    if old is None:
        action = RuleAction.ADDED
    else:
        action = RuleAction.REMOVED if new is None else RuleAction.CHANGED
    before, after = (_values(rule_document(rule)) if rule else {} for rule in (old, new))
    names = [*after, *(name for name in before if name not in after)]
    values = (ValueChange(name, before.get(name), after.get(name)) for name in names)
    return RuleChange(name, action, tuple(change for change in values if _text(change.old) != _text(change.new)))


def _values(document: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """Nested keys as one path each; lists stay whole."""
    found: dict[str, Any] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            found |= _values(value, f"{at}{name}.")
        elif at or name != "target_field":
            found[f"{at}{name}"] = value
    return found


def _text(value: Any) -> str:
    return "—" if value is None else json.dumps(value, ensure_ascii=False)
