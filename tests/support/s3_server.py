"""A store that speaks S3, over HTTPS on 127.0.0.1: moto's, in this process."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

import trustme
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

Answer = Callable[[dict[str, Any], Any], Iterable[bytes]]


def refusal(status: int, code: str) -> Answer:
    """What the store answers instead of what was asked for."""

    def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        start(f"{status} {code}", [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]

    return answer


class S3Server:
    """`instead` stands before the store: each call takes one, until there is none left."""

    def __init__(self, authority: trustme.CA) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        self.store = DomainDispatcherApplication(create_backend_app)
        self.instead: list[Answer] = []
        self._closing = threading.Event()
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, ssl_context=context)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._server.server_port}"

    def silence(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        self._closing.wait(60)
        return refusal(500, "InternalError")(environ, start)

    def _answer(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        answer: Answer = self.instead.pop(0) if self.instead else self.store
        return answer(environ, start)

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)
