"""What the contract suite needs of a system of any kind, so that one set of tests holds for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol, TypedDict

from kwiksync_ops.connectors.source import ReadRequest, Source
from kwiksync_ops.connectors.target import PushRequest, Target
from kwiksync_ops.testing import ManualClock


class Row(TypedDict):
    """A record at the system. `changed` has a time zone; many rows may share it."""

    id: str
    name: str | None
    note: str | None
    amount: int
    changed: datetime


class Fault(StrEnum):
    """What a system that speaks HTTP does instead of its proper answer."""

    UNAUTHORIZED = "401"
    TOO_MANY = "429, with a Retry-After of 7 s"
    SERVER_ERROR = "500"
    BROKEN_BODY = "a body that ends in the middle"
    SILENCE = "no answer at all"


class Ability(StrEnum):
    """What not every system can do; the suite leaves out what a module's `LACKS` names for a variant."""

    HTTP = "speaks HTTP, so that a call can meet a `Fault`"
    STEADY = "loses nothing while rows change between two pages"
    NULLS = "tells null from an empty text"
    KEYS = "has records of any text as their id"
    WRITES = "can be written to"
    DELETES = "deletes a record"
    REFUSES = "refuses a record for what is in it"


class Spoke(Protocol):
    """A real system (or a strict double of one) with one object of `Row`s, and our connector to it.

    A module of `tests.contract.spokes` gives one for each of its `VARIANTS: tuple[str, ...]` by the context manager
    `open_spoke(variant, tmp_path)`, and may say `LACKS: Mapping[str, frozenset[Ability]]` by variant.

    Attributes:
        call_records: how many records one call of the target may create.
        clock: what source and target are opened with; it only moves when told, so that no wait takes time. A peer that
            is silent is waited for in real time, though: let `request` and `push_request` set short time limits (half
            a second) while `Fault.SILENCE` is due, and no other, or a busy machine looks like a silent one.
    """

    call_records: int
    clock: ManualClock

    def fill(self, rows: Sequence[Row]) -> None:
        """The system holds just these rows."""
        ...

    def change(self, key: str, **fields: Any) -> None:
        """Somebody else changes one row there, its `changed` among the fields."""
        ...

    def rows(self) -> dict[str, Row]:
        """What the system holds, by id."""
        ...

    def fail(self, fault: Fault, *, after_calls: int = 0) -> None:
        """The call after so many proper ones meets the fault, once."""
        ...

    def row_of(self, record: Any) -> Row:
        """A record of a page that our source read."""
        ...

    def payload_of(self, row: Row) -> dict[str, Any]:
        """What is pushed for a row."""
        ...

    def unfit_payload(self) -> dict[str, Any]:
        """What the system refuses for its own fault, with ERR_008; not called where it lacks `REFUSES`."""
        ...

    def source(self) -> Source: ...

    def target(self) -> Target: ...

    def request(self, **changes: Any) -> ReadRequest:
        """Reads the object, ten records a page."""
        ...

    def push_request(self) -> PushRequest: ...
