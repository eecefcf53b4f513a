"""What every route needs, and who may use it: one dependency before all of them, that denies by default."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from kwiksync_ops.api.callers import Caller, Gateway
from kwiksync_ops.api.problems import RefusedError, TooManyCallsError
from kwiksync_ops.api.strangers import Strangers, is_noted
from kwiksync_ops.clock import Clock, SystemClock
from kwiksync_ops.errors import KwikSyncError
from kwiksync_ops.services import access
from kwiksync_ops.settings import Settings, read_settings
from kwiksync_ops.storage.hub import Hub, open_hub
from kwiksync_ops.vocabulary import CALLS_PER_MINUTE, Role

log = logging.getLogger(__name__)

KEY_HEADER = "X-Customer-Key"
OWN_HEADER = "X-KWikSync-Request"
LOOKS_PER_MINUTE = 600
"""Looks at pages are counted apart: one that is open asks every two seconds, and people have several open."""
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass
class Context:
    """One a process: the gateway to Airflow, and the hub, which is opened with the first call."""

    gateway: Gateway
    clock: Clock = field(default_factory=SystemClock)
    calls_per_minute: int = CALLS_PER_MINUTE
    looks_per_minute: int = LOOKS_PER_MINUTE
    given: Settings | None = None
    strangers: Strangers = field(default_factory=Strangers)
    _hub: Hub | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def settings(self) -> Settings:
        return self.given or read_settings()

    @property
    def hub(self) -> Hub:
        with self._lock:
            if self._hub is None:
                settings = self.settings
                self._hub = open_hub(settings.hub_url, audit_keys=settings.secret_keys)
            return self._hub

    def close(self) -> None:
        with self._lock:
            if self._hub is not None:
                self._hub.close()
                self._hub = None


def context_of(request: Request) -> Context:
    found: Context = request.app.state.context
    return found


ContextDep = Annotated[Context, Depends(context_of)]


async def admit(request: Request, context: ContextDep) -> Caller:
    """Who calls, if they may call at all and have calls left.

    Raises:
        RefusedError: nobody, or somebody without a role, or a cookie that another site may have sent along.
        TooManyCallsError: more than 60 calls in any 60 seconds, over all workers.
    """
    caller = await identify(request, context)
    await run_in_threadpool(_count, context, caller.name, request)
    if caller.means == "cookie" and request.method not in _SAFE:
        await run_in_threadpool(_check_origin, context, caller, request)
    await run_in_threadpool(check_role, context, caller, request)
    request.state.caller = caller
    return caller


CallerDep = Annotated[Caller, Depends(admit)]


def admit_admin(request: Request, caller: CallerDep, context: ContextDep) -> Caller:
    """Raises RefusedError for whoever is not an administrator."""
    check_admin(context, caller, request)
    return caller


AdminDep = Annotated[Caller, Depends(admit_admin)]


def check_admin(context: Context, caller: Caller, request: Request) -> None:
    if not caller.is_admin:
        note_refusal(context, caller, request)
        raise RefusedError(
            f"{caller.name} is not an administrator of KWikSync.",
            status=HTTPStatus.FORBIDDEN,
            remedy=f"It takes the role {Role.ADMIN}.",
        )


def check_role(context: Context, caller: Caller, request: Request) -> None:
    """Raises RefusedError for somebody who is known and may nothing."""
    if caller.role is None:
        note_refusal(context, caller, request)
        raise RefusedError(
            f"{caller.name} has none of KWikSync's roles.",
            status=HTTPStatus.FORBIDDEN,
            remedy=f"An administrator of Airflow can give you {Role.USER} or {Role.ADMIN}.",
        )


async def identify(request: Request, context: Context) -> Caller:
    """Who calls, whether they may or not.

    Raises:
        RefusedError: nobody, or with credentials that are not valid.
    """
    presented = request.headers.get(KEY_HEADER)
    if presented is not None:
        found = await run_in_threadpool(
            partial(access.caller_of_key, context.hub, context.settings.secret_keys, presented, clock=context.clock)
        )
        if found is None:
            await run_in_threadpool(_note_stranger, context, "unknown key", request)
            await run_in_threadpool(_count, context, f"address:{_address(request)}", request)
            raise RefusedError(
                "The Customer Key is not valid.", status=HTTPStatus.UNAUTHORIZED, remedy="Ask for a new one."
            )
        return Caller(f"key:{found.name}", Role(found.role), "key")
    try:
        user = await context.gateway.user(request)
    except RefusedError:
        await run_in_threadpool(_note_stranger, context, "bad token", request)
        raise
    if user is None:
        await run_in_threadpool(_note_stranger, context, "nobody", request)
        raise RefusedError(
            "Nobody is logged in.",
            status=HTTPStatus.UNAUTHORIZED,
            remedy=f"Send a bearer token of Airflow's, or a Customer Key in {KEY_HEADER}.",
        )
    return user


def _check_origin(context: Context, caller: Caller, request: Request) -> None:
    """A browser sends cookies along for any site; only our own pages can set a header of ours."""
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    if OWN_HEADER.lower() not in request.headers or site != "same-origin":
        note_refusal(context, caller, request)
        raise RefusedError(
            "The call came with a cookie only, and may be another site's.",
            status=HTTPStatus.FORBIDDEN,
            remedy=f"Send the header {OWN_HEADER}: 1 from a page of the same origin, or use a bearer token.",
        )


def _count(context: Context, name: str, request: Request) -> None:
    taken = access.take_call(context.hub, name, context.calls_per_minute)
    request.state.rate = (context.calls_per_minute, taken.left)
    if taken.wait_s > 0:
        raise TooManyCallsError(
            f"{name} called more than {context.calls_per_minute} times in 60 seconds.",
            remedy="Wait as long as Retry-After says.",
            retry_after_s=taken.wait_s,
        )


def note_refusal(context: Context, caller: Caller, request: Request) -> None:
    """Somebody who is known tried what they may not do: into the audit trail."""
    access.note_refusal(context.hub, _attempt(request), who=caller.name, clock=context.clock)


def _note_stranger(context: Context, who: str, request: Request) -> None:
    """Refused whether or not it can be noted; a hub that is away is no reason to answer otherwise."""
    attempts = context.strangers.count(_address(request), context.clock.monotonic())
    if not is_noted(attempts):
        return
    try:
        access.note_refusal(context.hub, _attempt(request), who=who, clock=context.clock, attempts=attempts)
    except KwikSyncError as exc:
        log.warning("An attempt of %s could not be noted in the audit trail. %s", who, exc)


def _attempt(request: Request) -> str:
    return f"{request.method} {request.url.path}"[:255]


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
