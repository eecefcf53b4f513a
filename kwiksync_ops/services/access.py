"""Calls of our own REST API: whose key it is, whether a call is left, and who was refused."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kwiksync_ops.clock import Clock
from kwiksync_ops.services import issued_keys
from kwiksync_ops.storage import api_calls, audit
from kwiksync_ops.storage.api_calls import Taken
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.issued_keys import IssuedKey


def caller_of_key(hub: Hub, secret_keys: Sequence[str], presented: str, *, clock: Clock) -> IssuedKey | None:
    return issued_keys.verify_key(hub, secret_keys, presented, clock=clock)


def take_call(hub: Hub, caller: str, limit: int) -> Taken:
    """Count a call, if one of the limit is left in these 60 seconds; over all processes."""
    name = f"caller:{hashlib.blake2b(caller.encode(), digest_size=16).hexdigest()}"
    return hub.write(lambda connection: api_calls.take(connection, name, limit))


def note_refusal(hub: Hub, what: str, *, who: str, clock: Clock, attempts: int = 1) -> None:
    """Somebody tried what they may not do: into the audit trail. `attempts` of theirs in this minute, so far."""
    details = {"attempts": attempts} if attempts > 1 else {}
    hub.write(
        lambda connection: audit.append(
            connection, "access.refuse", what, who=who[:100], now=clock.now(), details=details
        )
    )
