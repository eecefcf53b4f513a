"""Our REST app on a real HTTPS server, with a strict double of what it asks of Airflow."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any

import requests
import trustme
import uvicorn
from fastapi import Request

from kwiksync_ops.api.app import create_app
from kwiksync_ops.api.callers import Caller, DagRun
from kwiksync_ops.api.context import Context
from kwiksync_ops.api.problems import RefusedError
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.services.connections import SystemConnection
from kwiksync_ops.vocabulary import Role

USERS = {"viewer": None, "user": Role.USER, "admin": Role.ADMIN}


@dataclass
class AirflowDouble:
    """Its tokens are `<name>-token`; `expired-token` was one. Runs stay queued until they are taken away."""

    runs: list[DagRun] = field(default_factory=list)
    refuses: frozenset[str] = frozenset()
    starts: dict[str, datetime] = field(default_factory=dict)
    connections: dict[str, SystemConnection] = field(default_factory=dict)

    async def user(self, request: Request) -> Caller | None:
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = bearer or request.cookies.get("_token")
        if not token:
            return None
        name = token.removesuffix("-token")
        if name not in USERS:
            raise RefusedError("The token is not valid.", status=HTTPStatus.UNAUTHORIZED, remedy="Log in again.")
        return Caller(name, USERS[name], "bearer" if bearer else "cookie")

    def may_trigger(self, request: Request, dag_id: str) -> bool:
        return dag_id not in self.refuses

    def active_runs(self, dag_id: str) -> list[DagRun]:
        return [run for run in self.runs if run.dag_id == dag_id]

    def trigger(self, dag_id: str, conf: dict[str, Any], who: str) -> DagRun:
        time.sleep(0.01)
        self.runs.append(DagRun(dag_id, f"manual__{len(self.runs) + 1}", "queued", conf))
        return self.runs[-1]

    def next_run(self, dag_id: str) -> datetime | None:
        return self.starts.get(dag_id)

    def connection(self, connection_id: str) -> SystemConnection:
        if connection_id not in self.connections:
            raise ConfigurationError(f"Airflow has no connection {connection_id!r}.", remedy="Add it.")
        return self.connections[connection_id]


class ApiServer:
    """Listens on 127.0.0.1 until it is closed."""

    def __init__(self, context: Context, authority: trustme.CA, ca_file: str) -> None:
        self.context = context
        self._ca_file = ca_file
        self._sessions = threading.local()
        self._opened: list[requests.Session] = []
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        config = uvicorn.Config(create_app(context), log_level="critical", lifespan="on", ws="none")
        config.load()
        config.ssl = tls
        self._server = uvicorn.Server(config)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],))
        self._thread.start()

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """A call as `who` says: a name of `USERS` by its token; else as the headers say."""
        who = options.pop("who", None)
        headers = {"Authorization": f"Bearer {who}-token"} if who else {}
        headers |= options.pop("headers", {})
        return self._session.request(
            method, self.url + path, headers=headers, verify=self._ca_file, timeout=30, allow_redirects=False, **options
        )

    @property
    def _session(self) -> requests.Session:
        """One a thread, each with a connection that is kept."""
        if not hasattr(self._sessions, "own"):
            self._sessions.own = requests.Session()
            self._sessions.own.trust_env = False
            self._opened.append(self._sessions.own)
        own: requests.Session = self._sessions.own
        own.cookies.clear()
        return own

    def close(self) -> None:
        for session in self._opened:
            session.close()
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()
