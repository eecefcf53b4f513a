"""Secrets at rest: encrypted with the installation's own keys, each bound to the row that owns it."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.settings import Settings, key_id

NEW_KEY = "openssl rand -base64 32 | tr '+/' '-_'"


class Vault:
    """Encrypts with the first key and decrypts with all of them. `key_id` names the key that encrypts."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ConfigurationError(
                "There is no secret key to encrypt with.",
                remedy=f"Set KWIKSYNC_SECRET_KEYS, the same on every machine; {NEW_KEY} makes a key. "
                "For an embedded hub kwiksync db upgrade makes one by itself.",
            )
        self._keys = MultiFernet([_fernet(number, key) for number, key in enumerate(keys, 1)])
        self.key_id = key_id(keys[0])

    def __repr__(self) -> str:
        return f"Vault(key_id={self.key_id!r})"

    def encrypt(self, owner: str, secret: str) -> str:
        """A token that only the owner of this name can be given back the secret for."""
        return self._keys.encrypt(json.dumps([owner, secret]).encode()).decode()

    def decrypt(self, owner: str, token: str) -> str:
        """The secret of a token.

        Raises:
            ConfigurationError: no configured key made the token, or it was made for another owner.
        """
        try:
            made_for, secret = json.loads(self._keys.decrypt(token))
        except InvalidToken as exc:
            raise ConfigurationError(
                f"The secret of {owner} was encrypted with a key that is not configured, or was changed.",
                remedy="Put the key that was taken away back into KWIKSYNC_SECRET_KEYS, last; or set the secret anew.",
            ) from exc
        if made_for != owner:
            raise ConfigurationError(
                f"The secret of {owner} is not its own: it was stored for {made_for}.",
                remedy="Somebody moved it between rows of the hub. Look at the audit trail, and set the secret anew.",
            )
        return str(secret)


def ensure_keys(settings: Settings) -> Path | None:
    """The file of secret keys, where it was made just now; an embedded hub gets one, once.

    Raises:
        ConfigurationError: a shared hub has no keys, or a key is not valid.
    """
    if settings.secret_keys or not settings.is_embedded:
        Vault(settings.secret_keys)
        return None
    return settings.secret_keys_file if _make_key_file(settings.secret_keys_file) else None


def _make_key_file(path: Path) -> bool:
    """Written whole under another name and linked, so that two at once get one key."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_new(part, Fernet.generate_key() + b"\n")
        return _link(part, path)
    except OSError as exc:
        raise ConfigurationError(
            f"The file of secret keys {path} can't be made: {exc.strerror}.",
            remedy="Let KWIKSYNC_HOME name a folder that may be written to, or set KWIKSYNC_SECRET_KEYS.",
        ) from exc
    finally:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)


def _write_new(path: Path, content: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123  # by descriptor
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _link(part: Path, path: Path) -> bool:
    try:
        path.hardlink_to(part)
    except FileExistsError:
        return False
    return True


def _fernet(number: int, key: str) -> Fernet:
    try:
        return Fernet(key)
    except ValueError as exc:
        raise ConfigurationError(
            f"Secret key {number} is not a Fernet key: it must be 32 bytes as URL-safe Base64.",
            remedy=f"Correct it in KWIKSYNC_SECRET_KEYS or in the file secret_keys; {NEW_KEY} makes a new one.",
        ) from exc
