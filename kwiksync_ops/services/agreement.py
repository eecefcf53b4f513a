"""What hub and system hold of a table, as one number a side that is equal only where they agree.

A record's hash is of its key and its values; a side's digest is the sum of its records' hashes, so that no order
matters, nothing cancels out, and a table of any size takes 32 bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

HASH_BYTES = 32
_MODULUS = 1 << (8 * HASH_BYTES)
_ENCODER = msgspec.msgpack.Encoder()


def record_hash(external_id: str, values: Sequence[Any]) -> bytes:
    """Of a record's key and values; equal values give one hash, however a database spells them."""
    content = (external_id, [_canonical(value) for value in values])
    return hashlib.blake2b(_ENCODER.encode(content), digest_size=HASH_BYTES).digest()


class Digest:
    """The sum of the hashes of a side's records, in any order."""

    def __init__(self) -> None:
        self._sum = 0

    def add(self, hashed: bytes | None) -> None:
        """A record; None where the side has none."""
        if hashed is not None:
            self._sum = (self._sum + int.from_bytes(hashed)) % _MODULUS

    def __str__(self) -> str:
        return f"{self._sum:0{2 * HASH_BYTES}x}"


def _canonical(value: Any) -> Any:
    kind = type(value)
    if kind is Decimal:
        return ("decimal", format(value.normalize(), "f") if value else "0")
    if kind is datetime:
        return ("moment", value.astimezone(UTC).isoformat(timespec="microseconds"))
    return value
