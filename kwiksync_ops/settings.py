"""Settings of the installation, read from the environment once and passed on as a value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Where KWikSync's own things are.

    Attributes:
        hub_url: SQLAlchemy URL of the hub (`KWIKSYNC_HUB_URL`); `sqlite:///…` or `postgresql+psycopg://…`.
        include: folder of systems/ and mappings/ (`KWIKSYNC_INCLUDE`).
        stage_url: where pages are staged (`KWIKSYNC_STAGE_URL`); `file:///…` or `s3://…`.
        secret_keys: Fernet keys, first one encrypts, all decrypt (`KWIKSYNC_SECRET_KEYS`, comma-separated).
    """

    hub_url: str
    include: Path
    stage_url: str
    secret_keys: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Settings(include={self.include}, stage_url={self.stage_url!r}, …)"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process; what is not set lies under `KWIKSYNC_HOME` (default: ./build/kwiksync)."""
    home = Path(environ.get("KWIKSYNC_HOME", "build/kwiksync")).resolve()
    keys = environ.get("KWIKSYNC_SECRET_KEYS", "")
    return Settings(
        hub_url=environ.get("KWIKSYNC_HUB_URL", f"sqlite:///{home}/hub.db"),
        include=Path(environ.get("KWIKSYNC_INCLUDE", "include")).resolve(),
        stage_url=environ.get("KWIKSYNC_STAGE_URL", f"file://{home}/stage"),
        secret_keys=tuple(key.strip() for key in keys.split(",") if key.strip()),
    )
