"""What a transform is compiled from, and what it is compiled to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kwiksync_ops import vocabulary
from kwiksync_ops.mapping.coercion import Coercion
from kwiksync_ops.mapping.faults import Column, Fault
from kwiksync_ops.mapping.rule_config import FaultList, RuleConfig
from kwiksync_ops.mapping.rules import FieldRule
from kwiksync_ops.mapping.sandbox import Sandbox
from kwiksync_ops.mapping.source import SourceBatch, compile_read

Transform = Callable[[SourceBatch], Column]


@dataclass(frozen=True)
class CompiledTransform:
    """A function from a batch to the column of its results.

    Attributes:
        is_typed: the results have the target column's type already.
        sys_ids_of: the table whose sys_ids the results are known to be.
    """

    run: Transform
    is_typed: bool = False
    sys_ids_of: str | None = None


@dataclass(frozen=True)
class RuleContext:
    """A rule, its target column, and how values become that column's type."""

    rule: FieldRule
    column: vocabulary.Column
    coercion: Coercion
    faults: FaultList
    config: RuleConfig
    sandbox: Sandbox

    def read(self, field: str | None = None) -> Transform:
        """Reads the rule's source field, or another one, without what the rule counts as null."""
        return compile_read(self.rule.source_field if field is None else field, self.rule.null_values)

    def constant(self, key: str, value: Any) -> Any:
        """A value of the mapping, at `key`, as the target column's type; a fault where it does not fit."""
        if value is None:
            return None
        typed = self.coercion.convert(value)
        if isinstance(typed, Fault):
            self.faults.add(key, typed.reason)
        return typed
