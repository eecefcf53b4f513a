"""An instance behind HTTPS: on a port of this machine, until it is told to stop."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

import uvicorn

from servicenow.asgi import App
from servicenow.instance import Instance

STOP_S = 1


class Server(uvicorn.Server):
    """Says when calls are answered, and ends at once: whoever still waits for an answer loses the connection."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)


def make_server(instance: Instance, context: ssl.SSLContext, on_ready: Callable[[], None]) -> Server:
    config = uvicorn.Config(
        App(instance),
        ws="none",
        lifespan="off",
        log_level="critical",
        date_header=False,
        server_header=False,
        timeout_graceful_shutdown=STOP_S,
    )
    config.load()
    config.ssl = context
    return Server(config, on_ready)
