"""The Customer Keys that callers of our REST API present: issued, shown once, verified, rotated, revoked."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Sequence
from datetime import timedelta

from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.settings import key_id
from kwiksync_ops.storage import audit, issued_keys
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.issued_keys import IssuedKey
from kwiksync_ops.storage.locks import serialize
from kwiksync_ops.vocabulary import Role

GRACE = timedelta(days=7)
"""How long the old key stays valid after a rotation, unless it is said otherwise."""

SECRET_BYTES = 32
_NOTED = timedelta(minutes=1)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,79}")
_FORM = re.compile(r"kwk_([0-9a-f]{32})_[A-Za-z0-9_-]{43}")


def issue_key(
    hub: Hub, secret_keys: Sequence[str], name: str, role: Role, *, who: str, clock: Clock
) -> tuple[IssuedKey, str]:
    """A new key of a customer, and its text, which nobody can be told again.

    Raises:
        ConfigurationError: the customer has a valid key already, the name is not one, or there is no secret key.
    """
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} can't name a customer.",
            remedy="Use 1 to 80 letters, digits, blanks and . _ -, a letter or digit first.",
        )
    key, text = _make(secret_keys, name, role, who, clock)

    def work(connection: Connection) -> None:
        if any(known.is_valid(clock.now()) for known in _keys(connection, name)):
            raise ConfigurationError(
                f"{name} has a Customer Key already.", remedy="Rotate it, or revoke it first: kwiksync keys rotate."
            )
        issued_keys.add(connection, key)
        _audit(connection, "issued_key.issue", key.name, {"new": key.sys_id, "role": role}, who, clock)

    hub.write(work)
    return key, text


def rotate_key(
    hub: Hub, secret_keys: Sequence[str], name: str, *, grace: timedelta = GRACE, who: str, clock: Clock
) -> tuple[IssuedKey, str]:
    """A new key of the same role; the one before stays valid until the grace is over.

    Raises:
        ConfigurationError: the customer has no valid key.
    """

    def work(connection: Connection) -> tuple[IssuedKey, str]:
        valid = _valid(connection, name, clock)
        key, text = _make(secret_keys, name, Role(valid[0].role), who, clock)
        ends = clock.now() + grace
        issued_keys.expire(connection, [old.sys_id for old in valid], ends)
        issued_keys.add(connection, key)
        details = {"old": [old.sys_id for old in valid], "new": key.sys_id, "old_valid_until": ends}
        _audit(connection, "issued_key.rotate", name, details, who, clock)
        return key, text

    return hub.write(work)


def revoke_keys(hub: Hub, name: str, *, who: str, clock: Clock) -> int:
    """End all keys of a customer at once; how many there were.

    Raises:
        ConfigurationError: the customer has no valid key.
    """

    def work(connection: Connection) -> int:
        valid = [key.sys_id for key in _valid(connection, name, clock)]
        issued_keys.revoke(connection, valid, clock.now())
        _audit(connection, "issued_key.revoke", name, {"old": valid}, who, clock)
        return len(valid)

    return hub.write(work)


def list_issued_keys(hub: Hub) -> Sequence[IssuedKey]:
    with hub.read() as connection:
        return issued_keys.list_keys(connection)


def verify_key(hub: Hub, secret_keys: Sequence[str], presented: str, *, clock: Clock) -> IssuedKey | None:
    """The key that somebody presents, if we issued it and it is valid. Its hash moves on to the first secret key."""
    match = _FORM.fullmatch(presented)
    if match is None:
        return None
    with hub.read() as connection:
        key = issued_keys.find(connection, match[1])
    known = {key_id(secret): secret for secret in secret_keys}
    secret = known.get(key.key_id) if key else None
    if key is None or secret is None or not hmac.compare_digest(key.hash, _hash(secret, presented)):
        return None
    if not key.is_valid(clock.now()):
        return None

    newest = secret_keys[0]
    is_old = key.key_id != key_id(newest)

    def note(connection: Connection) -> None:
        issued_keys.note_use(connection, key.sys_id, clock.now())
        if is_old:
            issued_keys.rehash(connection, key.sys_id, key.hash, _hash(newest, presented), key_id(newest))

    if is_old or key.last_used is None or key.last_used < clock.now() - _NOTED:
        hub.write(note)
    return key


def _make(secret_keys: Sequence[str], name: str, role: Role, who: str, clock: Clock) -> tuple[IssuedKey, str]:
    if not secret_keys:
        raise ConfigurationError(
            "There is no secret key to make a keyed hash with.",
            remedy="Set KWIKSYNC_SECRET_KEYS. For an embedded hub kwiksync db upgrade makes one by itself.",
        )
    sys_id = uuid.uuid4().hex
    text = f"kwk_{sys_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
    newest = secret_keys[0]
    return IssuedKey(sys_id, name, role, _hash(newest, text), key_id(newest), clock.now(), who), text


def _keys(connection: Connection, name: str) -> Sequence[IssuedKey]:
    """All of a customer, which nobody else changes until this transaction ends."""
    serialize(connection, f"issued_key:{name}")
    return issued_keys.list_keys(connection, name)


def _valid(connection: Connection, name: str, clock: Clock) -> list[IssuedKey]:
    valid = [key for key in _keys(connection, name) if key.is_valid(clock.now())]
    if not valid:
        raise ConfigurationError(
            f"{name} has no valid Customer Key.", remedy="Look at kwiksync keys list; kwiksync keys issue makes one."
        )
    return valid


def _hash(secret: str, presented: str) -> str:
    return hmac.new(b"kwiksync-issued-key:" + secret.encode(), presented.encode(), hashlib.sha256).hexdigest()


def _audit(connection: Connection, action: str, name: str, details: dict[str, object], who: str, clock: Clock) -> None:
    audit.append(connection, action, name, who=who, now=clock.now(), details=details)
