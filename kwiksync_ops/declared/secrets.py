"""Secrets have no place in a file: they are found and refused, and never shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kwiksync_ops.declared.fault import DeclaredFile, Fault, KeyPath
from kwiksync_ops.redaction import is_secret_name

_SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|(?i:\b(?:bearer|basic)\s+[A-Za-z0-9+/=._-]{12,})"
    r"|\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."
    r"|\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk_live_|AKIA|AIza)[A-Za-z0-9_-]{12,}"
)
_IS_TEMPLATE = re.compile(r"(?:[A-Za-z]{1,16} )?(?:\$\{\w+\}[^\w]?)+")
"""`Session ${id}`: it names where the connection's secret goes, and holds none."""


def secret_faults(file: DeclaredFile, *, by_name: bool) -> list[Fault]:
    """Values that look like secrets; `by_name` also those whose key says so."""
    problem = "looks like a secret. Put it into the Airflow connection and, if this file was shared, revoke it."
    return [file.fault(key, problem) for key, value in _scalars(file.value) if _is_secret(key[-1], value, by_name)]


def _is_secret(name: str | int, value: Any, by_name: bool) -> bool:
    if value in (None, "") or isinstance(value, bool) or (isinstance(value, str) and _IS_TEMPLATE.fullmatch(value)):
        return False
    named = by_name and isinstance(name, str) and name != "auth" and is_secret_name(name)
    return named or (isinstance(value, str) and _SECRET_VALUE.search(value) is not None)


def _scalars(value: Any, at: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    items: Iterable[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        items = ((str(name), item) for name, item in value.items())
    elif isinstance(value, list):
        items = enumerate(value)
    elif at:
        yield at, value
    for name, item in items:
        yield from _scalars(item, (*at, name))
