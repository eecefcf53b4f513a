"""A form as a browser posts it, with script or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from kwiksync_ops.api.context import OWN_HEADER, ContextDep, note_refusal
from kwiksync_ops.api.pages.access import LookDep
from kwiksync_ops.api.problems import RefusedError


@dataclass(frozen=True)
class Posted:
    """Texts by name, with the line ends of JSON and scripts."""

    values: Mapping[str, list[str]]

    def one(self, name: str) -> str:
        return self.values.get(name, [""])[-1]

    def all(self, name: str) -> list[str]:
        return self.values.get(name, [])

    def __contains__(self, name: str) -> bool:
        return name in self.values


async def posted(request: Request, caller: LookDep, context: ContextDep) -> Posted:
    """The form, where one of our own pages sent it.

    Raises:
        RefusedError: another site did, or a browser that does not tell.
    """
    site = request.headers.get("Sec-Fetch-Site", "")
    if caller.means == "cookie" and site != "same-origin" and OWN_HEADER.lower() not in request.headers:
        await run_in_threadpool(note_refusal, context, caller, request)
        raise RefusedError(
            "The form came with a cookie only, and may be another site's.",
            status=HTTPStatus.FORBIDDEN,
            remedy="Send it from the page, over HTTPS.",
        )
    body = (await request.body()).decode("utf-8", "replace")
    found = parse_qs(body, keep_blank_values=True)
    return Posted({name: [text.replace("\r\n", "\n") for text in texts] for name, texts in found.items()})


PostedDep = Annotated[Posted, Depends(posted)]
