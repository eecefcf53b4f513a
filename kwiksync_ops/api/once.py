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
from kwiksync_ops.errors import ConflictError
from kwiksync_ops.storage import kept_answers

HEADER = "Idempotency-Key"


def once(
    context: Context,
    caller: Caller,
    request: Request,
    body: dict[str, Any],
    key: str | None,
    work: Callable[[], JSONResponse],
) -> JSONResponse:
    """What `work` answers, or what it answered the first time. An error is not kept: the call may be tried again.

    Raises:
        KeyReusedError: the key came before, with another body.
        ConflictError: the first call with this key is still under way.
    """
    if key is None:
        return work()
    hub, now = context.hub, context.clock.now()
    digest = hashlib.sha256(json.dumps([request.method, request.url.path, body], sort_keys=True).encode()).hexdigest()
    known = hub.write(partial(kept_answers.begin, caller=caller.name, key=key, digest=digest, now=now))
    if known is not None:
        return _again(known, digest)
    try:
        answer = work()
    except BaseException:
        hub.write(partial(kept_answers.forget, caller=caller.name, key=key))
        raise
    location = answer.headers.get("Location")
    kept = json.dumps({"status": answer.status_code, "body": json.loads(bytes(answer.body)), "location": location})
    hub.write(partial(kept_answers.keep, caller=caller.name, key=key, answer=kept))
    return answer


def _again(known: kept_answers.KeptAnswer, digest: str) -> JSONResponse:
    if known.digest != digest:
        raise KeyReusedError(f"This {HEADER} came before with another call.", remedy="Make a new key for each call.")
    if known.answer is None:
        raise ConflictError(f"A call with this {HEADER} is under way.", remedy="Ask again in a moment.")
    kept = json.loads(known.answer)
    headers = {"Idempotent-Replayed": "true"} | ({"Location": kept["location"]} if kept["location"] else {})
    return JSONResponse(kept["body"], kept["status"], headers=headers)
