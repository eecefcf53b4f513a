"""What every command works with: settings, the hub, the clock, and who types."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from kwiksync_ops.clock import Clock, SystemClock
from kwiksync_ops.settings import Settings, read_settings

if TYPE_CHECKING:
    from kwiksync_ops.storage.hub import Hub

JsonOption = Annotated[bool, typer.Option("--json", metavar="", help="JSON on stdout, everything else on stderr.")]


@dataclass(frozen=True)
class Session:
    settings: Settings
    hub: Hub
    clock: Clock
    who: str


@contextmanager
def open_session(*, is_current: bool = True) -> Iterator[Session]:
    """The installation's hub; with `is_current` only at this version's schema.

    Raises:
        ConfigurationError: the schema is missing, older or newer.
        HubError: the hub can't be reached.
    """
    from kwiksync_ops.storage import audit, schema
    from kwiksync_ops.storage.hub import open_hub

    settings = read_settings()
    hub = open_hub(settings.hub_url, settings.secret_keys)
    try:
        if is_current:
            schema.require_current(hub)
        with audit.called_from_here("cli"):
            yield Session(settings, hub, SystemClock(), user_name())
    finally:
        hub.close()


def user_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "cli"
