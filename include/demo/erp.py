"""Serve the sample ERP over HTTPS until it is told to stop.

When it is ready it prints one JSON line: `{"ready": true, "url": "https://localhost:8443", "port": 8443, …}`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn

from erp_access import Secrets
from erp_app import create_app
from erp_history import iso
from erp_paging import BadParameterError, read_moment
from erp_state import Erp
from erp_tables import DATA, read_histories

DEFAULT_CLOCK = "2016-03-24T18:30"
HOST = "127.0.0.1"
MIN_SECRET_LENGTH = 8
STOP_S = 1


class StartError(Exception):
    """The ERP can't start. The text says why, and what to do."""


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="erp.py", description="The sample ERP of KWikSync's demo, over HTTPS.")
    parser.add_argument("--port", type=int, default=8443, help="0 takes any free one (default: %(default)s)")
    parser.add_argument("--certificate", type=Path, required=True, help="PEM file, see certificates.py")
    parser.add_argument("--key", type=Path, required=True, help="PEM file of the certificate's private key")
    parser.add_argument("--customer-key-file", type=Path, required=True, help="file of the key that callers must send")
    parser.add_argument(
        "--token-file", type=Path, required=True, help="file of the bearer token that callers must send"
    )
    parser.add_argument(
        "--clock", default=DEFAULT_CLOCK, help="the ERP's time at the start, UTC (default: %(default)s)"
    )
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder of the sample (default: data/ beside this file)"
    )
    return parser.parse_args(arguments)


def read_secret(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise StartError(f"{path} can't be read ({exc.strerror}); write the secret into it and start again") from exc
    if len(secret) < MIN_SECRET_LENGTH:
        raise StartError(f"the secret in {path} has less than {MIN_SECRET_LENGTH} characters; write a longer one")
    return secret


def open_port(port: int) -> socket.socket:
    # Only sockets that name their protocol get TCP_NODELAY from asyncio; without it a page takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as exc:
        listener.close()
        reason = getattr(exc, "strerror", None) or str(exc)
        message = f"port {port} of {HOST} can't be used ({reason}); stop what holds it, or choose another by --port"
        raise StartError(message) from exc
    return listener


class AnnouncingServer(uvicorn.Server):
    """Prints the ready line as soon as calls are answered, and ends at once when none runs."""

    def __init__(self, config: uvicorn.Config, ready: dict[str, object]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(json.dumps(self._ready), flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A caller that keeps its connection for later never answers TLS's farewell, and would be waited for.
        if not self.server_state.tasks:
            for connection in list(self.server_state.connections):
                connection.transport.abort()
        await super().shutdown(sockets)


def serve(arguments: argparse.Namespace) -> None:
    secrets = Secrets(read_secret(arguments.token_file), (read_secret(arguments.customer_key_file),))
    clock = read_moment("--clock", arguments.clock)
    with contextlib.closing(open_port(arguments.port)) as listener:
        erp = Erp(read_histories(arguments.data), clock)
        port = listener.getsockname()[1]
        config = uvicorn.Config(
            create_app(erp, secrets),
            ssl_certfile=arguments.certificate,
            ssl_keyfile=arguments.key,
            log_level="warning",
            date_header=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=STOP_S,
        )
        ready = {
            "ready": True,
            "url": f"https://localhost:{port}",
            "port": port,
            "pid": os.getpid(),
            "now": iso(erp.now),
        }
        asyncio.run(AnnouncingServer(config, ready).serve(sockets=[listener]))


def main() -> int:
    arguments = parse_arguments()
    try:
        serve(arguments)
    except KeyboardInterrupt:
        return 0
    except (StartError, BadParameterError, OSError) as exc:
        print(f"The sample ERP can't start: {exc}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
