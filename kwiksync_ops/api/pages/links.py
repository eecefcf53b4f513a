"""Addresses of pages, of the API's routes and of Airflow's own UI, below whatever prefix the app is served under."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request

STATIC = Path(__file__).parent / "static"
PAGES_PATH = "/pages"
API_PATH = "/api/x_kwr_kwiksync"


@dataclass(frozen=True)
class Links:
    """`pages`, `api` and `airflow` are the roots of the three."""

    pages: str
    api: str
    airflow: str

    def page(self, *parts: str, **query: Any) -> str:
        """`page("records", "tickets", state=3)`; a query value that is None or empty is left out."""
        path = "/".join(map(quote, parts))
        asked = {name.rstrip("_"): value for name, value in query.items() if value not in (None, "")}
        return f"{self.pages}/{path}{'?' + urlencode(asked, doseq=True) if asked else ''}"

    def call(self, *parts: str) -> str:
        """A route of the REST API."""
        return f"{self.api}/{'/'.join(map(quote, parts))}"

    def static(self, name: str) -> str:
        return f"{self.pages}/static/{name}?v={_digest(name)}"

    def run(self, run_id: str) -> str:
        return self.page("sync-log", run_id)

    def airflow_run(self, run_id: str, task: str = "") -> str | None:
        """Airflow's page of a run of ours, or of a task of it; None for a run that Airflow did not make."""
        dag_id, _, of_dag = run_id.partition("/")
        if not (of_dag and dag_id.startswith("kwiksync_")):
            return None
        at = f"/tasks/{quote(task, safe='')}" if task else ""
        return f"{self.airflow}/dags/{quote(dag_id, safe='')}/runs/{quote(of_dag, safe='')}{at}"

    def airflow_dag(self, dag_id: str) -> str:
        return f"{self.airflow}/dags/{quote(dag_id, safe='')}"

    def login(self, back_to: str) -> str:
        return f"{self.airflow}/api/v2/auth/login?{urlencode({'next': back_to})}"


def links_of(request: Request) -> Links:
    pages = str(request.scope.get("root_path", "")).rstrip("/")
    api = pages.removesuffix(PAGES_PATH)
    return Links(pages, api, api.removesuffix(API_PATH))


@cache
def _digest(name: str) -> str:
    """So that a browser keeps a file for good, and takes the next version at once."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
