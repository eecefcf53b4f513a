"""What tests of every kind share: a certificate authority, and HTTPS servers that it signs for."""

from __future__ import annotations

import os
import signal
import ssl
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trustme

from kwiksync_ops.storage import schema
from kwiksync_ops.storage.hub import Hub, open_hub
from tests.support import debian
from tests.support.https_server import HttpsServer
from tests.support.postgresql import empty_database, running_postgresql

os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="kwiksync-airflow-")  # what imports Airflow makes files there
signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, by all that we start too


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was not run."""
    for package, tests in debian.missing().items():
        terminalreporter.write_line(f"left out: {tests}; they need Debian's {package}", yellow=True)


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


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL server, started for this test session.

    Not in pytest's own folder: each session that starts closes that folder to all users but its own, and the server
    of another session, which runs as one of its own, loses its files.
    """
    with TemporaryDirectory(prefix="kwiksync-postgresql-") as folder, running_postgresql(Path(folder)) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def hub_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind, made for this test."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'hub.db'}"
        return
    with empty_database(request.getfixturevalue("postgresql")) as url:
        yield url


@pytest.fixture
def hub(hub_url: str) -> Iterator[Hub]:
    """A hub at the current schema, on each kind of database."""
    opened = open_hub(hub_url, audit_keys=("test-audit-key",))
    schema.upgrade(opened)
    yield opened
    opened.close()
