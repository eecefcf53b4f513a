"""Kinds of systems by name: the connector behind each, and the options that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors import rest, rest_options, rest_target
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.source import Source
from kwiksync_ops.connectors.target import Target
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.rate_limit import CallLimiter

OpenSource = Callable[[Credentials, Mapping[str, Any], CallLimiter, Clock], Source]
OpenTarget = Callable[[Credentials, Mapping[str, Any], CallLimiter, Clock], Target]


@dataclass(frozen=True)
class Connector:
    open: OpenSource
    open_target: OpenTarget
    option_faults: Callable[[Mapping[str, Any]], tuple[str, ...]]


CONNECTORS: Mapping[str, Connector] = {
    "rest": Connector(rest.RestSource, rest_target.RestTarget, rest_options.option_faults)
}


def open_source(
    kind: str, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
) -> Source:
    """A source of this kind; nothing is called yet.

    Raises:
        ConfigurationError: the kind is not known, or the options are not valid.
        InsecureTransportError: the base URL is not HTTPS.
    """
    return _connector(kind).open(credentials, options, limiter, clock)


def open_target(
    kind: str, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
) -> Target:
    """A system of this kind to write to; nothing is called yet. Raises as `open_source`."""
    return _connector(kind).open_target(credentials, options, limiter, clock)


def option_faults(kind: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """All that is wrong with the options of a system or table, one line each; empty when they are valid."""
    return _connector(kind).option_faults(options)


def _connector(kind: str) -> Connector:
    if kind not in CONNECTORS:
        raise ConfigurationError(
            f"There is no connector of kind {kind!r}.", remedy=f"Use one of: {', '.join(sorted(CONNECTORS))}."
        )
    return CONNECTORS[kind]
