"""A mapping as data: which source field becomes which target field, how, and what must hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kwiksync_ops.vocabulary import Direction, TransformType


@dataclass(frozen=True)
class Validation:
    """What a mapped value must be. `pattern` matches the whole text; `minimum` and `maximum` are inclusive.

    `reference` is the short name of the record table in which the value must be a `sys_id`.
    """

    required: bool = False
    pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None
    minimum: str | int | None = None
    maximum: str | int | None = None
    reference: str | None = None


@dataclass(frozen=True)
class FieldRule:
    """One row of `field_mapping`.

    Attributes:
        null_values: source values that mean "no value", beside JSON null.
        default: what the target gets where the source has no value.
        active: a rule that is not active is kept and not applied.
    """

    source_field: str
    target_field: str
    transform: TransformType
    config: Mapping[str, Any] = field(default_factory=dict)
    validation: Validation = Validation()
    null_values: tuple[Any, ...] = ()
    default: Any = None
    order: int = 0
    active: bool = True

    @property
    def source_fields(self) -> tuple[str, ...]:
        """All that it reads: a concatenation several, a script none where it reads the whole record."""
        if self.transform is TransformType.CONCATENATE:
            return tuple(self.config["fields"])
        return (self.source_field,) if self.source_field else ()


@dataclass(frozen=True)
class TableMapping:
    """The rules of one table of one system; `version` is 0 until it is applied to the hub.

    On the way in the target is the KWikSync table, on the way out the source is.
    """

    system: str
    source_table: str
    target_table: str
    rules: tuple[FieldRule, ...]
    version: int = 0
    direction: str = Direction.INBOUND

    @property
    def table(self) -> str:
        """Short name of the KWikSync table."""
        return self.source_table if self.direction == Direction.OUTBOUND else self.target_table
