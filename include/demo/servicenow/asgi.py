"""The instance on the wire: an ASGI app that also breaks connections where it is told to."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterable
from email.utils import format_datetime
from typing import Any

from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from servicenow.faults import FaultKind
from servicenow.instance import Answer, Instance
from servicenow.messages import Request, Response

LINGER_NONE = struct.pack("ii", 1, 0)


class App:
    """Answers HTTP calls by an instance."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._send_zipped: ASGIApp = GZipMiddleware(_send_sound, minimum_size=1_000, compresslevel=1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = _request(scope, await _body(receive))
        answer = self._instance.answer(request)
        sent = Answer(self._stamped(answer.response), answer.disturbance)
        if sent.disturbance is None:
            await self._send_zipped({**scope, "answer": sent.response}, receive, send)
        elif sent.disturbance is FaultKind.TIMEOUT:
            await _wait_for_end(receive)
        else:
            await _break_off(sent, send)

    def _stamped(self, response: Response) -> Response:
        date = format_datetime(self._instance.clock.now(), usegmt=True)
        length = {} if response.status == 204 else {"Content-Length": str(len(response.body))}
        return Response(response.status, response.body, {"Date": date, **response.headers, **length})


async def _body(receive: Receive) -> bytes:
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def _request(scope: Scope, body: bytes) -> Request:
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    base_url = f"{scope['scheme']}://{headers.get('host', 'localhost')}"
    return Request(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers, body, base_url)


def _raw(headers: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _send_sound(scope: Scope, _receive: Receive, send: Send) -> None:
    response: Response = scope["answer"]
    await send({"type": "http.response.start", "status": response.status, "headers": _raw(response.headers.items())})
    await send({"type": "http.response.body", "body": response.body})


async def _wait_for_end(receive: Receive) -> None:
    """Say nothing until the caller gives up."""
    while (await receive())["type"] != "http.disconnect":
        await asyncio.sleep(0)


async def _break_off(answer: Answer, send: Send) -> None:
    """End the connection: before anything was sent, or in the middle of the body; by a reset, or by closing it."""
    transport = _transport(send)
    if answer.disturbance is not FaultKind.LOST:
        response = answer.response
        start = {"type": "http.response.start", "status": response.status, "headers": _raw(response.headers.items())}
        await send(start)
        half = response.body[: len(response.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
    if answer.disturbance is FaultKind.CUT:
        transport.close()
        return
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
    transport.abort()


def _transport(send: Send) -> Any:
    """uvicorn's own connection behind an answer; ASGI has no word for breaking it."""
    return send.__self__.transport  # type: ignore[attr-defined]  # a bound method of uvicorn's cycle
