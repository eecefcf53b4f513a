"""A small HTTPS server that a test scripts, path by path, faults included."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LINGER_NONE = struct.pack("ii", 1, 0)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Response:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Fault = Callable[["Exchange"], None]
"""Does to the connection what no proper answer would."""

Handler = Callable[[Request], Response | Fault]


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def in_turn(*answers: Response | Fault) -> Handler:
    """Each answer once, the last one for ever."""
    left = list(answers)

    def handler(request: Request) -> Response | Fault:
        return left.pop(0) if len(left) > 1 else left[0]

    return handler


class HttpsServer:
    """Listens on 127.0.0.1 until it is closed. `requests` lists what came, in order; `connections` counts them."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.closing = threading.Event()
        self._handlers: dict[str, Handler] = {}
        self._listener = _Listener(("127.0.0.1", 0), Exchange)
        self._listener.owner = self
        self._listener.context = context
        self._scheme = "https" if context else "http"
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.server_address[1])

    def url(self, path: str = "", *, host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def on(self, path: str, answer: Handler | Response) -> None:
        """What to answer at a path: a response, or a function of the request. `/tickets/*` is any one step below."""
        self._handlers[path] = (lambda request: answer) if isinstance(answer, Response) else answer

    def fail(self, path: str, fault: Fault) -> None:
        self._handlers[path] = lambda request: fault

    def answer(self, request: Request) -> Response | Fault:
        self.requests.append(request)
        handler = self._handlers.get(request.path) or self._handlers.get(f"{request.path.rpartition('/')[0]}/*")
        return handler(request) if handler else json_response({"error": "not found"}, 404)

    def close(self) -> None:
        self.closing.set()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    owner: HttpsServer
    context: ssl.SSLContext | None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken handshakes and connections are what the tests are about."""


class Exchange(BaseHTTPRequestHandler):
    """One connection. Faults write to it, or end it, as they like."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def setup(self) -> None:
        self.server.owner.connections += 1
        if self.server.context:
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.request.close()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
        self.close_connection = True

    def wait_for_end(self) -> None:
        """Keep the connection open and silent until the test is over."""
        self.server.owner.closing.wait()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """The tests look at `HttpsServer.requests`."""

    def _respond(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # who sent it is gone; as any server, it applies no half of a request
            self.close_connection = True
            return
        request = Request(self.command, url.path, dict(parse_qsl(url.query)), dict(self.headers.items()), body)
        answer = self.server.owner.answer(request)
        if isinstance(answer, Response):
            self.begin(answer.status, {"Content-Length": str(len(answer.body)), **answer.headers})
            self.write(answer.body)
        else:
            answer(self)

    do_GET = do_POST = do_PUT = do_PATCH = do_MERGE = do_DELETE = _respond


def reset_after(data: bytes = b"", *, announced: int = 1_000) -> Fault:
    """Headers, the beginning of a body, then a TCP reset."""

    def fault(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Type": "application/json", "Content-Length": str(announced)})
        exchange.write(data)
        exchange.reset()

    return fault


def silence(exchange: Exchange) -> None:
    """Take the request, and never answer."""
    exchange.wait_for_end()


def trickle(data: bytes, *, before_each: Callable[[], None]) -> Fault:
    """The body byte by byte; it announces one byte more than it has, and never ends."""

    def fault(exchange: Exchange) -> None:
        exchange.begin(200, {"Content-Type": "application/json", "Content-Length": str(len(data) + 1)})
        for byte in data:
            before_each()
            exchange.write(bytes([byte]))
        exchange.wait_for_end()

    return fault


def trickled_headers(*, before_each: Callable[[], None], count: int = 500) -> Fault:
    """A header that never ends, byte by byte."""

    def fault(exchange: Exchange) -> None:
        exchange.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        for _ in range(count):
            before_each()
            exchange.write(b"a")
        exchange.wait_for_end()

    return fault
