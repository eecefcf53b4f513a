"""POST /records in processes of their own, each of which ends itself with kill -9 before or after its n-th commit."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from kwiksync_ops.api.app import create_app
from kwiksync_ops.api.context import Context
from kwiksync_ops.settings import Settings
from kwiksync_ops.testing import ManualClock
from tests.support.api_server import AirflowDouble
from tests.support.killed_sync import SyncProcesses, serve


@dataclass(frozen=True)
class KilledCall:
    """One call at a moment. `kill_at` counts from 1: odd numbers are before a commit, even ones after it."""

    hub_url: str
    at: str
    kill_at: int
    number: str


def call_processes() -> SyncProcesses:
    return SyncProcesses("tests.support.killed_call")


def _serve(message: dict[str, Any]) -> None:
    wanted = KilledCall(**message)
    context = Context(
        AirflowDouble(),
        clock=ManualClock(datetime.fromisoformat(wanted.at)),
        calls_per_minute=1_000,
        given=Settings(wanted.hub_url, Path(), "", ("test-audit-key",)),
    )
    _kill_at(context.hub.engine, wanted.kill_at)
    asyncio.run(_post(context, wanted.number))


async def _post(context: Context, number: str) -> None:
    headers = {"Authorization": "Bearer user-token", "Idempotency-Key": number}
    transport = httpx.ASGITransport(create_app(context))
    async with httpx.AsyncClient(transport=transport, base_url="https://api", headers=headers) as client:
        (await client.post("/records/tickets", json={"number": number})).raise_for_status()


def _kill_at(engine: sa.Engine, wanted: int) -> None:
    counted = count(1)
    committed = []

    def pass_by() -> None:
        if next(counted) == wanted:
            os.kill(os.getpid(), signal.SIGKILL)

    @sa.event.listens_for(engine, "commit")
    def _commit(connection: sa.Connection) -> None:
        if connection.get_execution_options().get("kwiksync_write"):
            pass_by()
            committed.append(connection)

    @sa.event.listens_for(engine, "checkin")
    def _checkin(_connection: Any, _record: Any) -> None:
        if committed:
            committed.clear()
            pass_by()


if __name__ == "__main__":
    serve(_serve)
