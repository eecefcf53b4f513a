"""`Idempotency-Key`, as Stripe has it: the same call again has the same answer, and no second effect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from kwiksync_ops.api.callers import Caller
from kwiksync_ops.api.context import Context
from kwiksync_ops.api.problems import KeyReusedError
from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConflictError
from kwiksync_ops.storage import kept_answers
from kwiksync_ops.storage.hub import Connection
from kwiksync_ops.storage.kept_answers import Call

HEADER = "Idempotency-Key"


def once(
    context: Context,
    caller: Caller,
    request: Request,
    body: dict[str, Any],
    key: str | None,
    work: Callable[[Connection], JSONResponse],
) -> JSONResponse:
    """What `work` answers, or what it answered the first time. An error is not kept: the call may be tried again.

    What it does in its transaction and the kept answer are committed together: a process that is killed leaves both or
    neither.

    Raises:
        KeyReusedError: the key came before, with another body.
        ConflictError: the first call with this key is still under way.
    """
    if key is None:
        return context.hub.write(work)
    digest = hashlib.sha256(json.dumps([request.method, request.url.path, body], sort_keys=True).encode()).hexdigest()
    call = Call(caller.name, key, digest)
    known = context.hub.write(partial(kept_answers.begin, call=call, now=context.clock.now()))
    if known is not None:
        return _again(known, digest)
    try:
        return context.hub.write(partial(_work, call=call, work=work, clock=context.clock))
    except BaseException:
        context.hub.write(partial(kept_answers.forget, call=call))
        raise


def _work(connection: Connection, call: Call, work: Callable[[Connection], JSONResponse], clock: Clock) -> JSONResponse:
    """Looked for again: the commit of another, or of ours whose answer was lost, may have come before."""
    known = kept_answers.find(connection, call)
    if known is not None and known.answer is not None:
        return _again(known, call.digest)
    answer = work(connection)
    location = answer.headers.get("Location")
    kept = json.dumps({"status": answer.status_code, "body": json.loads(bytes(answer.body)), "location": location})
    kept_answers.keep(connection, call, kept, now=clock.now())
    return answer


def _again(known: kept_answers.KeptAnswer, digest: str) -> JSONResponse:
    if known.digest != digest:
        raise KeyReusedError(f"This {HEADER} came before with another call.", remedy="Make a new key for each call.")
    if known.answer is None:
        raise ConflictError(f"A call with this {HEADER} is under way.", remedy="Ask again in a moment.")
    kept = json.loads(known.answer)
    headers = {"Idempotent-Replayed": "true"} | ({"Location": kept["location"]} if kept["location"] else {})
    return JSONResponse(kept["body"], kept["status"], headers=headers)
