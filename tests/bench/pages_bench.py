"""How long each page takes at the server: `python tests/bench/pages_bench.py 1000000`, on SQLite and on PostgreSQL.

Wall time, and CPU time of the server's process; medians of 20 looks, and the least of them, which tells on a busy
machine what the page costs. `first` is the look right after a start.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from cases import say  # noqa: E402  # the tests' own server, below
from cryptography.fernet import Fernet  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from pages_hub import EDITED_RUN, FIRST_RUN, LAST_RUN, Filled, fill  # noqa: E402

from kwiksync_ops.api.app import create_app  # noqa: E402
from kwiksync_ops.api.context import Context  # noqa: E402
from kwiksync_ops.settings import Settings  # noqa: E402
from kwiksync_ops.storage.hub import open_hub  # noqa: E402
from tests.support.api_server import AirflowDouble  # noqa: E402
from tests.support.inbound import INCLUDE  # noqa: E402
from tests.support.postgresql import empty_database, running_postgresql  # noqa: E402

LOOKS = 20
MOST_MS = 100


@dataclass(frozen=True)
class Timed:
    """Milliseconds."""

    first: float
    wall: float
    least: float
    slowest: float
    cpu: float
    least_cpu: float
    bytes: int


def addresses(filled: Filled) -> dict[str, str]:
    ids = filled.ids
    ticket, project, location = ids["tickets"][1], ids["projects"][1], ids["locations"][1]
    late = ids["tickets"][len(ids["tickets"]) // 2]
    return {
        "Hub": "",
        "Hub, what changes": "hub/now",
        "Connections": "connections",
        "Connections, cards": "connections/cards",
        "Connections, activity": "connections/activity?after=99990-1700000000000",
        "Sync Log": "sync-log",
        "Sync Log, filtered": "sync-log?system=erp&table=assets&status=success",
        "Sync Log, nothing found": "sync-log?status=cancelled",
        "run": f"sync-log/{LAST_RUN}",
        "run, first load": f"sync-log/{FIRST_RUN}",
        "run, 200,000 changes": f"sync-log/{EDITED_RUN}?after=199000",
        "Error Log": "error-log",
        "Error Log, one code": "error-log?code=ERR_008&resolution=all",
        "Error Log, one record": "error-log?record=X-17&resolution=all",
        "Error Log, nothing found": "error-log?code=ERR_001&resolution=all",
        "Error Log, replayed": "error-log?resolution=replayed",
        "error": f"error-log/{filled.error}",
        "Conflicts": "conflicts",
        "Conflicts, decided": "conflicts?decided=true",
        "conflict": f"conflicts/{filled.conflict}",
        "Mappings": "mappings",
        "mapping": "mappings/erp/tickets",
        "Settings": "settings",
        "Records": "records",
        "Tickets": "records/tickets",
        "Tickets, a state": "records/tickets?state=3",
        "Tickets, overdue": "records/tickets?filter=due_date%3C2026-12-01&filter=closed_at%3D",
        "Tickets, searched": "records/tickets?q=pump+4711",
        "Tickets, searched in vain": "records/tickets?q=xylophone",
        "Tickets, a number": "records/tickets?q=TKT0000017",
        "Tickets, of a project": f"records/tickets?project={project}",
        "Tickets, by number": "records/tickets?sort=-number",
        "Tickets, behind half": f"records/tickets?sort=sys_id&cursor={_cursor(late)}",
        "ticket": f"records/tickets/{ticket}",
        "ticket, edit": f"records/tickets/{ticket}/edit",
        "Locations": "records/locations",
        "location": f"records/locations/{location}",
        "Projects": "records/projects",
        "Projects, late": "records/projects?filter=end_date%3C2026-12-01&filter=percent_complete%21%3D100",
        "project": f"records/projects/{project}",
        "Tasks": "records/kw_corp_ticket_tasks",
        "Assets": "records/assets",
        "Assets, below minimum": "records/assets?filter=quantity%3Cminimum_quantity",
        "Deliverables": "records/deliverables",
        "in Airflow, a DAG": "airflow/kwiksync_erp_inbound",
        "in Airflow, a run": f"airflow/{LAST_RUN}",
        "REST status": "../status",
        "undo": f"undo/{LAST_RUN}",
        "undo, 200,000 changes": f"undo/{EDITED_RUN}",
        "undo, first load": f"undo/{FIRST_RUN}",
    }


def _cursor(sys_id: str) -> str:
    from kwiksync_ops.api.routes.records import cursor_of
    from kwiksync_ops.storage.record_search import Sort

    return cursor_of(Sort("sys_id"), {"sys_id": sys_id})


async def look(app: FastAPI, path: str) -> tuple[int, int]:
    """Status and size of a page, asked for without a network."""
    told = {"status": 0, "bytes": 0}
    plain, _, query = path.partition("?")
    full = f"/{plain[3:]}" if plain.startswith("../") else f"/pages/{plain}"

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            told["status"] = message["status"]
        else:
            told["bytes"] += len(message.get("body", b""))

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": full,
        "raw_path": full.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"authorization", b"Bearer admin-token")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443),
    }
    await app(scope, receive, send)
    return told["status"], told["bytes"]


async def measure(app: FastAPI, path: str, first: float) -> Timed:
    walls, cpus, size = [], [], 0
    for _ in range(LOOKS):
        begun, cpu = time.perf_counter(), time.process_time()
        status, size = await look(app, path)
        walls.append((time.perf_counter() - begun) * 1_000)
        cpus.append((time.process_time() - cpu) * 1_000)
        if status != 200:  # HTTP's
            raise SystemExit(f"{path}: {status}")
    return Timed(first, statistics.median(walls), min(walls), max(walls), statistics.median(cpus), min(cpus), size)


@contextmanager
def serving(url: str, folder: Path) -> Iterator[FastAPI]:
    settings = Settings(url, INCLUDE, f"file://{folder}/stage", (Fernet.generate_key().decode(),), folder)
    context = Context(AirflowDouble(), calls_per_minute=1_000_000, looks_per_minute=1_000_000, given=settings)
    yield create_app(context)
    context.close()


async def first_look(url: str, folder: Path, path: str) -> float:
    """In a server that has just started, with nothing in its memory."""
    with serving(url, folder) as app:
        begun = time.perf_counter()
        await look(app, path)
        return (time.perf_counter() - begun) * 1_000


async def bench(url: str, folder: Path, filled: Filled, only: str) -> dict[str, Timed]:
    """Page by page, those last that leave work behind in the background."""
    pages = {name: path for name, path in addresses(filled).items() if only.lower() in name.lower()}
    with serving(url, folder) as app:
        return {name: await measure(app, path, await first_look(url, folder, path)) for name, path in pages.items()}


COLUMNS = ("first", "median", "least", "slowest", "CPU", "least")


def tell(database: str, timed: dict[str, Timed]) -> None:
    say(f"{database}: {'page':28} {' '.join(f'{name:>7}' for name in COLUMNS)}     kB")
    for name, each in timed.items():
        figures = (each.first, each.wall, each.least, each.slowest, each.cpu, each.least_cpu)
        told = " ".join(f"{figure:7.1f}" for figure in figures)
        say(f"{database}: {name:28} {told} {each.bytes / 1_000:6.0f}{'  *' if each.wall > MOST_MS else ''}")


def measured_on(database: str, url: str, folder: Path, tickets: int, only: str) -> None:
    hub = open_hub(url)
    begun = time.monotonic()
    filled = fill(hub, tickets)
    hub.close()
    say(f"{database}: {tickets:,} tickets and what belongs to them, in {time.monotonic() - begun:.0f} s")
    tell(database, asyncio.run(bench(url, folder, filled, only)))


def main(tickets: int, only: str) -> None:
    with TemporaryDirectory(prefix="kwiksync-pages-") as name:
        folder = Path(name)
        measured_on("sqlite", f"sqlite:///{folder}/hub.db", folder, tickets, only)
        with running_postgresql(folder / "postgresql") as server, empty_database(server) as url:
            measured_on("postgresql", url, folder, tickets, only)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2] if len(sys.argv) > 2 else "")
