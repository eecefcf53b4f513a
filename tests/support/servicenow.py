"""A double of a ServiceNow instance on a port of its own, which a test fills, switches and looks into."""

from __future__ import annotations

import asyncio
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

DEMO = Path(__file__).parents[2] / "include" / "demo"
sys.path.append(str(DEMO))  # the double ships with the demo, which is no package

from erp import open_port  # noqa: E402 - as above
from servicenow.instance import Instance  # noqa: E402
from servicenow.serving import Server, make_server  # noqa: E402

USER, PASSWORD = "kwiksync.integration", "integration-password-0123"
ADMIN, ADMIN_PASSWORD = "admin", "admin-password-0123"
CLIENT_ID, CLIENT_SECRET = "0123456789abcdef0123456789abcdef", "client-secret-0123456789"
LOCAL_NAMES = ("127.0.0.1", "localhost")
START_S = 30


@dataclass(frozen=True)
class RunningInstance:
    """A running instance. `instance` is what it does: its records, settings and faults, to look at and to change.

    `USER` may log in by `PASSWORD`, and by the OAuth client `CLIENT_ID` with `CLIENT_SECRET`; `ADMIN` sees everything.
    """

    url: str
    port: int
    instance: Instance


@contextmanager
def start_instance(authority: trustme.CA, instance: Instance | None = None) -> Iterator[RunningInstance]:
    """Serve an instance on a free port of 127.0.0.1 by HTTPS; the authority signs for it.

    Args:
        instance: one that the test has prepared; without it an empty one with the standard tables.
    """
    instance = instance or Instance()
    _add_accounts(instance)
    ready = threading.Event()
    server = make_server(instance, _context(authority), ready.set)
    with open_port(0) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
        thread.start()
        try:
            if not ready.wait(START_S):
                raise RuntimeError("the instance did not start")
            yield RunningInstance(f"https://127.0.0.1:{port}", port, instance)
        finally:
            _stop(server, thread)


def _add_accounts(instance: Instance) -> None:
    if USER not in instance.accounts.users:
        instance.add_user(USER, PASSWORD, roles="rest_service,itil", time_zone="UTC")
    if ADMIN not in instance.accounts.users:
        instance.add_user(ADMIN, ADMIN_PASSWORD, roles="admin")
    if CLIENT_ID not in instance.accounts.clients:
        instance.add_client(CLIENT_ID, CLIENT_SECRET, USER)


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*LOCAL_NAMES).configure_cert(context)
    return context


def _stop(server: Server, thread: threading.Thread) -> None:
    server.stop()
    thread.join()
