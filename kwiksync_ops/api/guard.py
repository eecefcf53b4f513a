"""What holds for every exchange, whatever its route: an id, a bound on its size, the headers that keep it private."""

from __future__ import annotations

import json
import uuid
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kwiksync_ops.errors import ValidationError
from kwiksync_ops.storage.audit import CALLED_FROM

MAX_BODY_BYTES = 1_048_576
MAX_QUERY_BYTES = 8_192
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Guard:
    """ASGI middleware. A body that is larger than it says is cut off in the middle."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        state = scope.setdefault("state", {})
        state["request_id"] = uuid.uuid4().hex
        CALLED_FROM.set((scope.get("client") or ("",))[0])

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, state)
            await send(message)

        if fault := _fault(scope):
            return await _refuse(guarded_send, state["request_id"], *fault)
        return await self._app(scope, _bounded(receive), guarded_send)


_BODY = (413, f"The body is larger than {MAX_BODY_BYTES:,} bytes.", "Send less at once.")
_QUERY = (414, f"The query is longer than {MAX_QUERY_BYTES:,} bytes.", "Ask for less at once.")
_NUL = (400, "The address holds a NUL character.", "Leave it out.")


def _fault(scope: Scope) -> tuple[int, str, str] | None:
    query = scope.get("query_string", b"")
    if len(query) > MAX_QUERY_BYTES:
        return _QUERY
    if b"%00" in query or "\0" in scope.get("path", ""):
        return _NUL
    said = dict(scope["headers"]).get(b"content-length", b"0")
    return _BODY if not said.isdigit() or int(said) > MAX_BODY_BYTES else None


def _bounded(receive: Receive) -> Receive:
    left = MAX_BODY_BYTES

    async def bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(*_BODY[:2])
        return message

    return bounded


def _add_headers(message: Message, state: dict[str, Any]) -> None:
    given = {name.lower() for name, _ in message["headers"]}
    own = {**HEADERS, "X-Request-Id": state["request_id"]}
    if "rate" in state:
        limit, left = state["rate"]
        own |= {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(left)}
    message["headers"] = [
        *message["headers"],
        *((name.encode(), value.encode()) for name, value in own.items() if name.lower().encode() not in given),
    ]


async def _refuse(send: Send, request_id: str, status: int, message: str, detail: str) -> None:
    problem = {"code": ValidationError.code, "message": message, "detail": detail, "request_id": request_id}
    body = json.dumps(problem).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
