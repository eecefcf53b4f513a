"""Reads an OData service of version 2 or 4 by configuration: page by page, each page whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kwiksync_ops.batch import Page
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.odata.access import ODataAccess
from kwiksync_ops.connectors.odata.page_reader import read_pages
from kwiksync_ops.connectors.source import ReadRequest
from kwiksync_ops.rate_limit import CallLimiter

RECORDS = {"v2": ("d", "results"), "v4": ("value",)}
LINKS = {"v2": (("d", "__next"),), "v4": (("@odata.nextLink",), ("@nextLink",))}
TOTALS = {"v2": (("d", "__count"),), "v4": (("@odata.count",), ("@count",))}
SHOWN_SETS = 10


class ODataSource:
    """One system over one keep-alive session. Not for two threads at once."""

    def __init__(
        self, credentials: Credentials, options: Mapping[str, Any], limiter: CallLimiter, clock: Clock
    ) -> None:
        self.access = ODataAccess(credentials, options, limiter, clock)

    def __repr__(self) -> str:
        return f"ODataSource({self.access.shown(self.access.base_url)!r})"

    def read(self, request: ReadRequest) -> Iterator[Page]:
        """Pages of one entity set. See `Source.read`."""
        options = self.access.options(request.source, request.options)
        return read_pages(self.access, options, request)

    def check(self) -> str:
        """Read the metadata and say what was found."""
        return describe(self.access)

    def close(self) -> None:
        self.access.close()


def describe(access: ODataAccess) -> str:
    """One sentence about what is at the base URL."""
    shown = access.shown(access.base_url)
    service, status = access.look_at(access.base_url)
    if service is None:
        return (
            f"{shown} is reachable and no OData service itself ({status} for its metadata): "
            "let the source of a table name a service below it, as in SERVICE/EntitySet."
        )
    names = sorted(service.sets)
    more = f" and {len(names) - SHOWN_SETS} more" if len(names) > SHOWN_SETS else ""
    listed = f": {', '.join(names[:SHOWN_SETS])}{more}" if names else ""
    noun = "entity set" if len(names) == 1 else "entity sets"
    return f"{shown} is an OData service of version {service.version_text} with {len(names)} {noun}{listed}."


open_source = ODataSource
