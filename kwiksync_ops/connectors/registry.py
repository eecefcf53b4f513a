"""Kinds of systems by name: the connector behind each, and the options that it takes.

A kind is a folder of this package with the modules `options` (`option_faults`, light: it runs while DAGs are parsed),
`source` (`open_source`) and `target` (`open_target`), and `discovery` (`open_discovery`).
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.discovery import Discovery
from kwiksync_ops.connectors.source import Source
from kwiksync_ops.connectors.target import Target
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter

KINDS = ("files", "odata", "rest", "servicenow", "sql")
ORDERED_KINDS = ("servicenow", "sql")
"""Kinds whose sources send every table that has a cursor in the order of change time and key."""


def open_source(
    kind: str, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
) -> Source:
    """A source of this kind; nothing is called yet.

    Raises:
        ConfigurationError: the kind is not known, or the options are not valid.
        InsecureTransportError: the base URL is not HTTPS.
    """
    return cast(Source, _module(kind, "source").open_source(credentials, options, limiter, clock))


def open_target(
    kind: str, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
) -> Target:
    """A system of this kind to write to; nothing is called yet. Raises as `open_source`."""
    return cast(Target, _module(kind, "target").open_target(credentials, options, limiter, clock))


def open_discovery(
    kind: str, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
) -> Discovery:
    """What a system of this kind tells about itself; nothing is called yet. Raises as `open_source`."""
    return cast(Discovery, _module(kind, "discovery").open_discovery(credentials, options, limiter, clock))


def option_faults(kind: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """All that is wrong with the options of a system or table, one line each; empty when they are valid."""
    return cast("tuple[str, ...]", _module(kind, "options").option_faults(options))


def _module(kind: str, part: str) -> ModuleType:
    if kind not in KINDS:
        raise ConfigurationError(f"There is no connector of kind {kind!r}.", remedy=f"Use one of: {', '.join(KINDS)}.")
    return import_module(f"kwiksync_ops.connectors.{kind}.{part}")
