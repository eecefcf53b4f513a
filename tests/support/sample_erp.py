"""The sample ERP in a process group of its own, and a client that knows its token and its Customer Key."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

DEMO = Path(__file__).parents[2] / "include" / "demo"
TOKEN = "sample-token-0123456789abcdef"
CUSTOMER_KEY = "sample-customer-key-0123456789abcdef"
STOP_S = 10


@dataclass(frozen=True)
class SampleErp:
    """A running ERP. `ca_file` is the authority to trust."""

    url: str
    ca_file: str
    session: requests.Session
    process: subprocess.Popen[str]

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=30)

    def records(self, table: str, **params: Any) -> list[dict[str, Any]]:
        """The records of one page of a table."""
        answer = self.get(f"/api/v1/{table}", **params)
        answer.raise_for_status()
        records: list[dict[str, Any]] = answer.json()["data"]
        return records

    def truth(self, table: str) -> list[dict[str, Any]]:
        """All records of a table, in one answer."""
        records: list[dict[str, Any]] = self.get(f"/admin/truth/{table}").json()["data"]
        return records

    def faults(self) -> list[dict[str, Any]]:
        faults: list[dict[str, Any]] = self.get("/admin/faults").json()["faults"]
        return faults

    def move_clock(self, **move: Any) -> dict[str, int]:
        """How many records of each table changed on the way; `now="2016-03-10T00:00"` or `advance_minutes=10`."""
        answer = self.session.post(f"{self.url}/admin/clock", json=move, timeout=30)
        answer.raise_for_status()
        changed: dict[str, int] = answer.json()["changed"]
        return changed


def make_certificates(directory: Path, *options: str) -> dict[str, str]:
    """Paths of authority, certificate and key, as `certificates.py` prints them."""
    command = [sys.executable, str(DEMO / "certificates.py"), str(directory), *options]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    paths: dict[str, str] = json.loads(printed)
    return paths


def erp_command(directory: Path, *options: str) -> list[str]:
    """The command that starts an ERP whose certificates and secrets are in the directory; it makes the missing ones."""
    paths = make_certificates(directory / "certificates")
    (directory / "token").write_text(TOKEN, encoding="utf-8")
    (directory / "customer-key").write_text(CUSTOMER_KEY + "\n", encoding="utf-8")
    return [
        *(sys.executable, str(DEMO / "erp.py"), "--port", "0"),
        *("--certificate", paths["certificate"], "--key", paths["key"]),
        *("--customer-key-file", str(directory / "customer-key"), "--token-file", str(directory / "token")),
        *options,
    ]


@contextmanager
def running_sample_erp(directory: Path, *options: str, ca_file: str | None = None) -> Iterator[SampleErp]:
    """Start the ERP on a free port, and end its whole process group afterwards.

    `ca_file` is the authority of a certificate that the options name.
    """
    command = erp_command(directory, *options)
    with (
        (directory / "erp.log").open("w+", encoding="utf-8") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True) as process,
        requests.Session() as session,
    ):
        try:
            url = _url_when_ready(process, directory / "erp.log")
            authority = ca_file or str(directory / "certificates" / "ca.pem")
            session.trust_env, session.verify = False, authority
            session.headers.update({"Authorization": f"Bearer {TOKEN}", "X-Customer-Key": CUSTOMER_KEY})
            yield SampleErp(url, authority, session, process)
        finally:
            _end_group(process)


def _url_when_ready(process: subprocess.Popen[str], log: Path) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError(f"the sample ERP did not start: {log.read_text(encoding='utf-8')}")
    url: str = json.loads(line)["url"]
    return url


def _end_group(process: subprocess.Popen[str]) -> None:
    for ending in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, ending)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                continue
