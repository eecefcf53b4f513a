"""A page made of its template, with what all pages have: navigation, who looks, addresses, the time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from kwiksync_ops.api.callers import Caller
from kwiksync_ops.api.context import OWN_HEADER, context_of
from kwiksync_ops.api.pages import formats
from kwiksync_ops.api.pages.links import links_of

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Entry:
    """An entry of the navigation: `path` is the first part of the addresses of its pages."""

    title: str
    path: str
    is_for_admins: bool = False


NAVIGATION = (
    Entry("Hub", ""),
    Entry("Connections", "connections"),
    Entry("Records", "records"),
    Entry("Sync Log", "sync-log"),
    Entry("Error Log", "error-log"),
    Entry("Conflicts", "conflicts"),
    Entry("Mappings", "mappings"),
    Entry("Settings", "settings", is_for_admins=True),
)


def show(request: Request, template: str, *, status: int = HTTPStatus.OK, **values: Any) -> HTMLResponse:
    """The answer that shows a template of `templates/`; `values` are what it speaks of."""
    caller: Caller | None = getattr(request.state, "caller", None)
    told = {
        "caller": caller,
        "links": links_of(request),
        "navigation": [entry for entry in NAVIGATION if caller and (caller.is_admin or not entry.is_for_admins)],
        "here": request.url.path.removeprefix(links_of(request).pages).strip("/").partition("/")[0],
        "now": context_of(request).clock.now(),
        "own_header": OWN_HEADER,
        "query": request.query_params,
    }
    return HTMLResponse(environment().get_template(template).render(told | values), status)


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    shown = (
        formats.number,
        formats.share,
        formats.duration,
        formats.ago,
        formats.moment,
        formats.clock,
        formats.watermark,
        formats.words,
        formats.pretty,
        formats.value_text,
        formats.field_text,
    )
    made.filters |= {name.__name__: name for name in shown}
    return made
