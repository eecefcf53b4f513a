"""A real Tryton over HTTPS, with its module of parties. It is installed once in build/tryton, apart from us."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import trustme

from tests.support.built_once import built_once
from tests.support.started import started

PACKAGES = ("trytond==8.2.1", "trytond-party==8.2.0")
LOGIN, PASSWORD = "admin", "tryton-password-1"
DATABASE = "desk"
SETTINGS = """
[database]
uri = sqlite://
path = {folder}
[web]
listen = 127.0.0.1:0
[ssl]
privatekey = {folder}/key.pem
certificate = {folder}/cert.pem
"""


class Tryton:
    def __init__(self, url: str, file: Path, authority: trustme.CA) -> None:
        self.url = url
        self._file = file
        self._trust = ssl.create_default_context()
        authority.configure_trust(self._trust)

    def call(self, method: str, *params: Any) -> Any:
        """The result of a method, as another client gets it."""
        user, session, _ = self._call({}, "common.db.login", LOGIN, {"password": PASSWORD}, "en")
        who = base64.b64encode(f"{LOGIN}:{user}:{session}".encode()).decode()
        return self._call({"Authorization": f"Session {who}"}, method, *params, {})

    def _call(self, headers: Mapping[str, str], method: str, *params: Any) -> Any:
        body = json.dumps({"id": 1, "method": method, "params": params}).encode()
        sent = {"Content-Type": "application/json", **headers}
        asked = urllib.request.Request(f"{self.url}rpc/", body, sent)  # noqa: S310  # it is https://127.0.0.1
        with urllib.request.urlopen(asked, context=self._trust) as answer:  # noqa: S310
            return json.load(answer)["result"]

    def end_sessions(self) -> None:
        with closing(sqlite3.connect(self._file)) as connection, connection:
            connection.execute("DELETE FROM ir_session")


@contextmanager
def running_tryton(folder: Path, authority: trustme.CA) -> Iterator[Tryton]:
    built = built_once("tryton", repr((PACKAGES, PASSWORD)), _make)
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    settings = _write_settings(folder)
    file = folder / f"{DATABASE}.sqlite"
    shutil.copy(built / file.name, file)
    command = [built / "env" / "bin" / "trytond", "-c", settings, "-d", DATABASE]
    with started(command, r"Running on https://127\.0\.0\.1:(\d+)", folder=folder, env=_environment(folder)) as ready:
        yield Tryton(f"https://127.0.0.1:{ready[1]}/{DATABASE}/", file, authority)


def _make(folder: Path) -> None:
    """An environment with Tryton, and beside it a database that is ready to be copied."""
    python = folder / "env" / "bin" / "python"
    _run([sys.executable, "-m", "venv", folder / "env"])
    _run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PACKAGES])
    sqlite3.connect(folder / f"{DATABASE}.sqlite").close()
    (folder / "password").write_text(PASSWORD)
    command = [python.parent / "trytond-admin", "-c", _write_settings(folder), "-d", DATABASE, "-u", "party"]
    _run([*command, "--activate-dependencies", "--email", "admin@example.com"], env=_environment(folder))


def _write_settings(folder: Path) -> Path:
    settings = folder / "trytond.conf"
    settings.write_text(SETTINGS.format(folder=folder))
    return settings


def _environment(folder: Path) -> dict[str, str]:
    return {"HOME": str(folder), "PATH": "/usr/bin:/bin", "TRYTONPASSFILE": str(folder / "password"), "NO_COLOR": "1"}


def _run(command: list[str | Path], env: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[0]} could not set up Tryton: {(done.stderr or done.stdout)[-1000:]}")
