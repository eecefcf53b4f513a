"""A PostgreSQL server that takes encrypted connections alone, where Debian's package postgresql is installed.

The one from a wheel, which all other tests use, was built without TLS.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import trustme

USER, PASSWORD = "postgres", "a-password-of-tests"
_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))

HAS_TLS_POSTGRESQL = bool(_BINARIES) and os.geteuid() == 0


@dataclass(frozen=True)
class TlsPostgreSql:
    """On `port` of localhost, whose name is in its certificate; `ca_file` is the authority that signed it."""

    port: int
    ca_file: str


@contextmanager
def running_tls_postgresql(authority: trustme.CA) -> Iterator[TlsPostgreSql]:
    with TemporaryDirectory(prefix="kwiksync-tls-postgresql-") as name:
        folder, data = Path(name), Path(name) / "data"
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
        (folder / "password").write_text(PASSWORD)
        (folder / "server.pem").chmod(0o600)
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, USER, USER)
        _run("initdb", "-D", data, "-A", "scram-sha-256", f"--pwfile={folder / 'password'}")
        (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        port = _free_port()
        settings = {"ssl": "on", "ssl_cert_file": folder / "server.pem", "ssl_key_file": folder / "server.pem"}
        settings |= {"listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
        options = [f"--{key}={value}" for key, value in settings.items()]
        command = [_BINARIES[-1], "-D", data, "-p", str(port), *options]
        server = subprocess.Popen(command, user=USER, cwd="/", stderr=subprocess.DEVNULL)
        try:
            _await(port, server)
            yield TlsPostgreSql(port, str(folder / "ca.pem"))
        finally:
            server.terminate()
            server.wait(30)


def _run(name: str, *arguments: object) -> None:
    command = [str(_BINARIES[-1].with_name(name)), *map(str, arguments)]
    subprocess.run(command, user=USER, cwd="/", check=True, capture_output=True, timeout=60)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await(port: int, server: subprocess.Popen[bytes]) -> None:
    ready = [str(_BINARIES[-1].with_name("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(ready, check=False).returncode != 0:
        if server.poll() is not None:
            raise RuntimeError("The PostgreSQL server did not start.")
        time.sleep(0.05)
