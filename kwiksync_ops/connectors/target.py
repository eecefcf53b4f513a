"""The seam between a sync and the systems that it writes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from kwiksync_ops.vocabulary import Action


class Outcome(StrEnum):
    """What became of a delivery, as far as the system's answer tells.

    confirmed: the system has it, by the means of confirmation that its config names.
    accepted: taken, not confirmed yet: `Target.confirm` asks again, later.
    refused: not taken, and never will be as it is (`code`, `message` say why).
    conflict: not taken, since the record changed at the system (409, 412).
    gone: not taken, since the record is not there any more (404 on update).
    unsent: certainly not applied, and may be sent again (no connection, 429, 503 before the body was read).
    unknown: may have been applied (no answer in time, 500): `Target.look` tells, or a resend of the same key.
    """

    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    CONFLICT = "conflict"
    GONE = "gone"
    UNSENT = "unsent"
    UNKNOWN = "unknown"


class Repeat(StrEnum):
    """What a system promises about a call that is sent twice; `push.repeat` of its config.

    idempotent: it honours the idempotency key. upsert: it writes by our external id, twice is once.
    look: neither, so it is read before anything is sent again. never: nor can it be read.
    """

    IDEMPOTENT = "idempotent"
    UPSERT = "upsert"
    LOOK = "look"
    NEVER = "never"


@dataclass(frozen=True)
class Delivery:
    """One change of one record, as it goes out.

    Attributes:
        id: of the outbox row.
        key: the record's id at the system; None for a create whose id the system gives.
        record_id: the record's sys_id in the hub, by which it is found where its id at the system is not known.
        payload: the mapped fields; for an update of a system that takes partial ones, those that changed.
        idempotency_key: the same at every attempt.
        etag: version of the record at the system that the change is based on, where it is known.
        job: what the system named the work that an earlier attempt gave it.
    """

    id: str
    action: Action
    key: str | None
    payload: Mapping[str, Any]
    idempotency_key: str
    etag: str | None = None
    job: str | None = None
    record_id: str = ""


@dataclass(frozen=True)
class Receipt:
    """What the system said about one delivery. `key` is the record's id at the system, where the answer holds it.

    `record` is the record as the system has it now, where the answer or a read brought it.
    """

    delivery_id: str
    outcome: Outcome
    key: str | None = None
    etag: str | None = None
    job: str | None = None
    code: str | None = None
    message: str | None = None
    record: Mapping[str, Any] | None = None
    retry_after_s: float | None = None


@dataclass(frozen=True)
class PushRequest:
    """Where to write: `source` is the system's object, `key_field` the field that names a record there."""

    source: str
    key_field: str
    options: Mapping[str, Any] = field(default_factory=dict)


class Target(Protocol):
    """A system that can be written to. Every attempt of a call goes through the limiter that it was opened with."""

    @property
    def calls(self) -> int:
        """How many calls were made so far, every attempt counted."""
        ...

    def repeat(self, request: PushRequest) -> Repeat: ...

    def sends(self, request: PushRequest, action: Action) -> bool:
        """Whether the system's config says how to send this: without `push.create` nothing is created there."""
        ...

    def sends_changes_only(self, request: PushRequest) -> bool:
        """Whether an update holds just the changed fields (PATCH), not the whole record (PUT)."""
        ...

    def call_records(self, request: PushRequest, action: Action) -> int:
        """How many deliveries of an action one call of `push` may hold: 1, or the size of a bulk call."""
        ...

    def push(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Send one call's worth of deliveries, at most `call_records` of one action; a receipt each, in their order.

        Raises:
            CustomerKeyError, AuthenticationError, InsecureTransportError, ConfigurationError: nothing was applied,
                and waiting does not help. Whatever else goes wrong is told by receipts.
        """
        ...

    def confirm(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """What became of accepted deliveries: read back, or their job asked; still `accepted` where it goes on."""
        ...

    def look(self, request: PushRequest, deliveries: Sequence[Delivery]) -> list[Receipt]:
        """Read the records of deliveries whose outcome is unknown: `confirmed` where the system has what was sent,
        `unsent` where it has not, `unknown` where it can't be told. A record that was found is in the receipt."""
        ...

    def check(self) -> str: ...

    def close(self) -> None: ...
