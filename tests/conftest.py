"""What tests of every kind share: a certificate authority, and HTTPS servers that it signs for."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import trustme

from tests.support.https_server import HttpsServer

LOCAL_NAMES = ("127.0.0.1", "localhost")

StartServer = Callable[..., HttpsServer]


@pytest.fixture(scope="session")
def certificate_authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(certificate_authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The authority as a PEM file, for clients that are to trust it."""
    path: Path = tmp_path_factory.mktemp("ca") / "ca.pem"
    certificate_authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def https_server(certificate_authority: trustme.CA) -> Iterator[StartServer]:
    """Starts servers on 127.0.0.1 and closes them after the test.

    `https_server()` is sound; `names`, `not_after`, `authority` and `plain` spoil it: the names of its certificate, its
    end, who signed it, and whether there is TLS at all.
    """
    started: list[HttpsServer] = []

    def start(
        *,
        names: tuple[str, ...] = LOCAL_NAMES,
        not_after: datetime | None = None,
        authority: trustme.CA = certificate_authority,
        plain: bool = False,
    ) -> HttpsServer:
        context = None if plain else _server_context(authority, names, not_after)
        started.append(HttpsServer(context))
        return started[-1]

    yield start
    for server in started:
        server.close()


def _server_context(authority: trustme.CA, names: tuple[str, ...], not_after: datetime | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    not_before = not_after - timedelta(days=30) if not_after else None
    authority.issue_cert(*names, not_before=not_before, not_after=not_after).configure_cert(context)
    return context
