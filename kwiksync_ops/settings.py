"""Settings of the installation, read from the environment once and passed on as a value."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.vocabulary import RETRY_DELAYS_S

SECRET_KEYS_FILE = "secret_keys"  # noqa: S105  # the name of a file


@dataclass(frozen=True)
class Settings:
    """Where KWikSync's own things are.

    Attributes:
        hub_url: SQLAlchemy URL of the hub (`KWIKSYNC_HUB_URL`); `sqlite:///…` or `postgresql+psycopg://…`.
        include: folder of systems/ and mappings/ (`KWIKSYNC_INCLUDE`).
        stage_url: where pages are staged (`KWIKSYNC_STAGE_URL`); `file:///…` or `s3://…`.
        secret_keys: Fernet keys, first one encrypts, all decrypt (`KWIKSYNC_SECRET_KEYS`, comma-separated). Not set,
            and the hub an embedded SQLite: a key a line of the file `<home>/secret_keys`, if it is there.
        retry_delays_s: seconds after which a failed operation is tried again (`KWIKSYNC_RETRY_DELAYS_S`, `60,300,900`).
        alert_urls: where alerts go, in Apprise's notation (`KWIKSYNC_ALERT_URLS`, with blanks between).
        home: folder of all that is not set otherwise (`KWIKSYNC_HOME`).
    """

    hub_url: str
    include: Path
    stage_url: str
    secret_keys: tuple[str, ...] = ()
    home: Path = Path("build/kwiksync")
    retry_delays_s: tuple[int, ...] = RETRY_DELAYS_S
    alert_urls: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Settings(include={self.include}, stage_url={self.stage_url!r}, …)"

    @property
    def is_embedded(self) -> bool:
        """Whether the hub is a SQLite file of this machine."""
        return self.hub_url.startswith("sqlite")

    @property
    def secret_keys_file(self) -> Path:
        return self.home / SECRET_KEYS_FILE


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process; what is not set lies under `KWIKSYNC_HOME` (default: ./build/kwiksync).

    Raises:
        ConfigurationError: the file of secret keys is there and can't be read.
    """
    home = Path(environ.get("KWIKSYNC_HOME", "build/kwiksync")).resolve()
    hub_url = environ.get("KWIKSYNC_HUB_URL", f"sqlite:///{home}/hub.db")
    keys = tuple(key.strip() for key in environ.get("KWIKSYNC_SECRET_KEYS", "").split(",") if key.strip())
    if not keys and hub_url.startswith("sqlite"):
        keys = _keys_of(home / SECRET_KEYS_FILE)
    return Settings(
        hub_url=hub_url,
        include=Path(environ.get("KWIKSYNC_INCLUDE", "include")).resolve(),
        stage_url=environ.get("KWIKSYNC_STAGE_URL", f"file://{home}/stage"),
        secret_keys=keys,
        home=home,
        alert_urls=tuple(environ.get("KWIKSYNC_ALERT_URLS", "").split()),
        retry_delays_s=_retry_delays(environ.get("KWIKSYNC_RETRY_DELAYS_S", "")),
    )


def key_id(key: str) -> str:
    """A name for a key that does not tell it."""
    return hashlib.sha256(b"kwiksync-key-id:" + key.encode()).hexdigest()[:16]


def _retry_delays(text: str) -> tuple[int, ...]:
    if not text.strip():
        return RETRY_DELAYS_S
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise ConfigurationError(
            f"KWIKSYNC_RETRY_DELAYS_S is {text!r}.", remedy="Give whole seconds with commas between: 60,300,900."
        )
    return tuple(map(int, parts))


def _keys_of(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigurationError(
            f"The secret keys in {path} can't be read: {getattr(exc, 'strerror', None) or 'it is not text'}.",
            remedy="Let the user who runs KWikSync own the file (mode 0600), or set KWIKSYNC_SECRET_KEYS.",
        ) from exc
    return tuple(line.strip() for line in lines if line.strip())
