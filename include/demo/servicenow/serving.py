"""An instance behind HTTPS: on a port of this machine, until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from types import FrameType

import uvicorn

from servicenow.asgi import App
from servicenow.instance import Instance


class Server(uvicorn.Server):
    """Says when calls are answered, and ends at once: whoever still waits for an answer loses the connection."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopped = asyncio.Event()

    def stop(self) -> None:
        """May be called from any thread."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._stopped.set)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self.stop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._on_ready()

    async def main_loop(self) -> None:
        """Without uvicorn's tick, which a stop would have to wait for."""
        await self._stopped.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Without uvicorn's wait for those who still read."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        for server in self.servers:
            await server.wait_closed()


def make_server(instance: Instance, context: ssl.SSLContext, on_ready: Callable[[], None]) -> Server:
    config = uvicorn.Config(
        App(instance),
        ws="none",
        lifespan="off",
        log_level="critical",
        date_header=False,
        server_header=False,
    )
    config.load()
    config.ssl = context
    return Server(config, on_ready)
