"""The Customer Key that is sent to a system: set, found again for a call, listed without telling it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import CustomerKeyError
from kwiksync_ops.storage import audit, customer_keys
from kwiksync_ops.storage.customer_keys import StoredKey
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.vault import Vault

MAX_KEY_LENGTH = 4_096


@dataclass(frozen=True)
class KeyEntry:
    """What may be seen of a Customer Key. `encrypted_with` names the secret key that guards it."""

    sys_id: str
    system: str
    is_active: bool
    encrypted_with: str
    created_on: datetime
    created_by: str


def set_customer_key(hub: Hub, vault: Vault, system: str, secret: str, *, who: str, clock: Clock) -> KeyEntry:
    """Store a key and send it from now on; one that was sent before is no longer active.

    Raises:
        CustomerKeyError: it can't be sent as a header.
    """
    _check(secret)
    sys_id = uuid.uuid4().hex
    token = vault.encrypt(_owner(system, sys_id), secret)
    key = StoredKey(sys_id, system, vault.key_id, token, active=True, created_on=clock.now(), created_by=who)

    def write(connection: Connection) -> None:
        before = customer_keys.replace(connection, key)
        details = {"old": before.sys_id if before else None, "new": sys_id, "encrypted_with": vault.key_id}
        audit.append(connection, "customer_key.set", system, who=who, now=key.created_on, details=details)

    hub.write(write)
    return _entry(key)


def customer_key(hub: Hub, secret_keys: Sequence[str], system: str) -> str | None:
    """The active key of a system, to be sent; None where none was set.

    Raises:
        ConfigurationError: it can't be decrypted with these secret keys.
    """
    with hub.read() as connection:
        key = customer_keys.active_key(connection, system)
    return Vault(secret_keys).decrypt(_owner(system, key.sys_id), key.token) if key else None


def rewrap(hub: Hub, vault: Vault) -> int:
    """Encrypt every key with the newest secret key, while syncs go on; how many were encrypted with an older one.

    Raises:
        ConfigurationError: a key can't be decrypted with the configured secret keys; those before it were rewrapped.
    """
    with hub.read() as connection:
        old = [key for key in customer_keys.list_keys(connection) if key.key_id != vault.key_id]
    for key in old:
        owner = _owner(key.system, key.sys_id)
        token = vault.encrypt(owner, vault.decrypt(owner, key.token))
        hub.write(partial(customer_keys.rewrap, key=key, token=token, key_id=vault.key_id))
    return len(old)


def list_customer_keys(hub: Hub) -> Sequence[KeyEntry]:
    with hub.read() as connection:
        return [_entry(key) for key in customer_keys.list_keys(connection)]


def _owner(system: str, sys_id: str) -> str:
    return f"customer key {sys_id} of {system}"


def _entry(key: StoredKey) -> KeyEntry:
    return KeyEntry(key.sys_id, key.system, key.active, key.key_id, key.created_on, key.created_by)


def _check(secret: str) -> None:
    if not secret:
        problem = "is empty"
    elif len(secret) > MAX_KEY_LENGTH:
        problem = f"has {len(secret)} characters, and at most {MAX_KEY_LENGTH} are sent"
    elif not (secret.isascii() and secret.isprintable()) or secret != secret.strip():
        problem = "has characters that a header can't carry, such as a line break, a blank at an end, or an accent"
    else:
        return
    raise CustomerKeyError(
        f"The Customer Key {problem}. It was not stored.", remedy="Copy the key again, whole and alone."
    )
