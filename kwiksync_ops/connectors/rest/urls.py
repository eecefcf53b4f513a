"""The URLs of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit


def join_url(base_url: str, path: str) -> str:
    """A path below the base URL, whose own path is kept."""
    parts = urlsplit(base_url)
    route, _, query = path.partition("?")
    joined = f"{parts.path.rstrip('/')}/{route.lstrip('/')}" if route else parts.path or "/"
    return urlunsplit((parts.scheme, parts.netloc, joined, query, ""))


def url_with(url: str, params: Mapping[str, Any]) -> str:
    """The URL with these parameters after its own; those without a value are left out."""
    parts = urlsplit(url)
    given = urlencode({name: _param(value) for name, value in params.items() if value is not None})
    query = "&".join(filter(None, (parts.query, given)))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def _param(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
