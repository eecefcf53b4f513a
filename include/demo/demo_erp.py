"""The demo's sample ERP: its start, and what the demo asks of it that no sync would."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from certificates import make_certificates
from demo_processes import Processes
from demo_workspace import FOLDER, DemoError, Secrets, write_secret

LOG = FOLDER / "erp.log"
HERE = Path(__file__).parent


def start_erp(processes: Processes, secrets: Secrets, environ: Mapping[str, str]) -> SampleErp:
    """The ERP on a free port, ready to be called.

    Raises:
        DemoError: it did not start.
    """
    made = make_certificates(FOLDER / "certificates")
    command = [
        *(sys.executable, str(HERE / "erp.py"), "--port", "0"),
        *("--certificate", str(made.certificate), "--key", str(made.key)),
        *("--token-file", str(write_secret(FOLDER / "token", secrets.token))),
        *("--customer-key-file", str(write_secret(FOLDER / "customer-key", secrets.customer_key))),
    ]
    process = processes.start(command, environ, LOG, has_answer=True)
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise DemoError("The sample ERP did not start.", remedy="Its log says why.", log=LOG)
    return SampleErp(json.loads(line)["url"], secrets.token, made.authority)


@dataclass(frozen=True, repr=False)
class SampleErp:
    url: str
    token: str
    authority: Path

    def connection(self) -> str:
        """The Airflow connection to it, as JSON."""
        extra = {"ca_file": str(self.authority), "allow_hosts": ["localhost"]}
        document = {"conn_type": "kwiksync", "host": self.url, "password": self.token, "extra": extra}
        return json.dumps(document)

    def now(self) -> str:
        return str(self._call("GET", "clock")["now"])

    def move_clock(self, minutes: int) -> dict[str, int]:
        """How many records of each table changed on the way."""
        changed: dict[str, int] = self._call("POST", "clock", json={"advance_minutes": minutes})["changed"]
        return changed

    def calls(self) -> dict[str, Any]:
        return self._call("GET", "calls")

    def truth(self, table: str) -> list[dict[str, Any]]:
        """Every record of a table, as the ERP has it now."""
        records: list[dict[str, Any]] = self._call("GET", f"truth/{table}")["data"]
        return records

    def faulty_ids(self, table: str) -> set[str]:
        """The records of a table that are faulty on purpose."""
        return {fault["id"] for fault in self._call("GET", "faults")["faults"] if fault["table"] == table}

    def record(self, table: str, record_id: str) -> dict[str, Any]:
        """One record, as the ERP has it now."""
        return self._call("GET", f"records/{table}/{record_id}")

    def edit(self, table: str, record_id: str, **fields: Any) -> dict[str, Any]:
        """Change fields as a person at the ERP does; returns the record as it is then."""
        return self._call("PATCH", f"records/{table}/{record_id}", json=fields)

    def create(self, table: str, **fields: Any) -> dict[str, Any]:
        """Enter a record as a person at the ERP does; returns it with the id that the ERP gave it."""
        return self._call("POST", f"records/{table}", json=fields)

    def delete(self, table: str, record_id: str) -> None:
        """Delete a record as a person at the ERP does."""
        self._call("DELETE", f"records/{table}/{record_id}")

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(self.authority)
            session.headers["Authorization"] = f"Bearer {self.token}"
            try:
                answer = session.request(method, f"{self.url}/admin/{path}", timeout=30, **options)
                answer.raise_for_status()
            except requests.RequestException as exc:
                raise DemoError(f"The sample ERP did not answer {path}: {exc}", remedy="See its log.", log=LOG) from exc
            document: dict[str, Any] = answer.json() if answer.content else {}
            return document
