"""A real MariaDB server, where Debian's package mariadb-server is installed, with TLS by an authority of its own."""

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

import pymysql
import trustme

USER, PASSWORD = "kwiksync", "a-password-of-tests"


def _found(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


HAS_MARIADB = _found("mariadbd") is not None and _found("mariadb-install-db") is not None


@dataclass(frozen=True)
class MariaDb:
    """`port` on 127.0.0.1 and localhost; USER may do everything in databases whose names begin with `test`."""

    port: int
    ca_file: str
    socket: str


@contextmanager
def running_mariadb(folder: Path) -> Iterator[MariaDb]:
    """A server whose data lie in `folder`; it is stopped in the end."""
    data, ca_file, pem = folder / "data", folder / "ca.pem", folder / "server.pem"
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ca_file))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(pem))
    user = ["--user=root"] if os.geteuid() == 0 else []
    install = [_found("mariadb-install-db"), "--no-defaults", f"--datadir={data}", *user, "--skip-test-db"]
    subprocess.run(
        [*map(str, install), "--auth-root-authentication-method=normal"], check=True, capture_output=True, timeout=60
    )
    port, path = _free_port(), folder / "s"
    tls = [f"--ssl-ca={ca_file}", f"--ssl-cert={pem}", f"--ssl-key={pem}"]
    small = ["--skip-log-bin", "--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"]
    command = [_found("mariadbd"), "--no-defaults", f"--datadir={data}", *user, f"--socket={path}", f"--port={port}"]
    server = subprocess.Popen(
        [*map(str, command), "--bind-address=127.0.0.1", "--character-set-server=utf8mb4", *tls, *small],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _set_up(path, server)
        yield MariaDb(port, str(ca_file), str(path))
    finally:
        server.terminate()
        server.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _set_up(path: Path, server: subprocess.Popen[bytes]) -> None:
    while not _answers(path):
        if server.poll() is not None:
            raise RuntimeError("The MariaDB server did not start.")
        time.sleep(0.05)
    admin = pymysql.connect(unix_socket=str(path), user="root")
    with admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}'")
        cursor.execute(f"GRANT ALL ON `test%`.* TO {USER}@'%'")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
