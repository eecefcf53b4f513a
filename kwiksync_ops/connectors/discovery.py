"""The seam between setting a system up and what the system tells about itself: its objects, and their fields.

A kind whose systems can be asked has a module `discovery` beside its `source`, with `open_discovery` and the arguments
of `open_source`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kwiksync_ops.batch import Page, SourceRecord
from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.vocabulary import ColumnType


@dataclass(frozen=True)
class ObjectInfo:
    """A table, entity set, file pattern or path that can be read: `name` is what a table's `source` would say."""

    name: str
    label: str = ""


@dataclass(frozen=True)
class FieldInfo:
    """A field as the system declares it. `type` is None where it does not say.

    Attributes:
        is_key: it identifies a record, alone.
        references: name of the object whose key it holds.
        choices: the values that it can have, with the labels that people see.
        is_generated: the system gives it a value itself, where a new record comes without one.
    """

    name: str
    type: ColumnType | None = None
    label: str = ""
    required: bool = False
    is_key: bool = False
    references: str | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    is_generated: bool = False


@dataclass(frozen=True)
class Sending:
    """What is to be written to an object: the fields in their order, and which of `Action`s make sense of them.

    `example` is the key of a record that is there, as text; empty where none is known.
    """

    key: str
    fields: tuple[str, ...]
    actions: tuple[str, ...]
    example: str = ""


@dataclass(frozen=True)
class Sample:
    """The first records of an object; `is_complete` where it has no others. `problem` is that of one left out."""

    records: list[SourceRecord]
    is_complete: bool = False
    problem: str = ""


class Discovery(Protocol):
    """What a system tells about itself. Every call goes through the limiter that it was opened with.

    All of its methods raise what a read of the system would raise.
    """

    def check(self) -> str:
        """Call the system once and say what was found, as `Source.check` does."""
        ...

    def objects(self, catalogue: str = "") -> Sequence[ObjectInfo]:
        """What can be read, in the system's order; empty where the system has no list of it.

        Args:
            catalogue: where the list stands, for kinds that can't know: an OpenAPI document for REST.
        """
        ...

    def options(self, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a read of the object needs beside the options that the discovery was opened with.

        Args:
            given: options of the object that are known; they are in the result as they are.
        """
        ...

    def fields(self, name: str, options: Mapping[str, Any]) -> Sequence[FieldInfo]:
        """The declared fields of an object, read with these options of its own; empty where none are declared."""
        ...

    def sample(self, name: str, records: int, options: Mapping[str, Any]) -> Sample:
        """The first page of a read of the object, with these options of its own."""
        ...

    def push(self, name: str, sending: Sending, options: Mapping[str, Any]) -> Mapping[str, Any]:
        """The option `push` by which records of the object can be written. Nothing is written to find that out.

        Raises:
            ConfigurationError: they can't be, or the system does not tell how.
        """
        ...

    def close(self) -> None: ...


def first_page(source: Source, request: ReadRequest) -> Sample:
    """One page of a read, as a sample."""
    pages = source.read(request)
    try:
        page: Page | None = next(pages, None)
    finally:
        pages.close()  # type: ignore[attr-defined]  # connectors give generators
    if page is None:
        return Sample([], is_complete=True)
    return Sample(page.records, page.is_last, page.rejects[0].message if page.rejects else "")
