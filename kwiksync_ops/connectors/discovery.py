"""The seam between setting a system up and what the system tells about itself: its objects, and their fields.

A kind whose systems can be asked has a module `discovery` beside its `source`, with `open_discovery` and the arguments
of `open_source`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kwiksync_ops.vocabulary import ColumnType


@dataclass(frozen=True)
class ObjectInfo:
    """A table, entity set, file pattern or path that can be read: `name` is what a table's `source` would say."""

    name: str
    label: str = ""
    records: int | None = None


@dataclass(frozen=True)
class FieldInfo:
    """A field as the system declares it. `type` is None where it does not say.

    Attributes:
        is_key: it identifies a record, alone.
        references: name of the object whose key it holds.
        choices: the values that it can have, with the labels that people see.
    """

    name: str
    type: ColumnType | None = None
    label: str = ""
    required: bool = False
    is_key: bool = False
    references: str | None = None
    choices: Mapping[str, str] = field(default_factory=dict)


class Discovery(Protocol):
    """What a system tells about itself. Every call goes through the limiter that it was opened with.

    All of its methods raise what a read of the system would raise.
    """

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """What can be read, in the system's order; empty where the system has no list of it.

        Args:
            catalogue: where the list stands, for kinds that can't know: an OpenAPI document for REST.
        """
        ...

    def fields(self, name: str) -> Sequence[FieldInfo]:
        """The declared fields of an object; empty where the system declares none."""
        ...

    def options(self, name: str) -> Mapping[str, Any]:
        """Options that a read of the object needs beside those that the discovery was opened with."""
        ...

    def close(self) -> None: ...
