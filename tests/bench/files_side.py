"""KWikSync's side of files to hub: one process for one case.

`files_side.py make FOLDER N` writes tickets.csv with the benchmark's tickets.
`files_side.py prepare HUB_URL` makes an empty hub with the benchmark's mapping.
`files_side.py sync HUB_URL FOLDER DATABASE_PID` reads the file into it and tells figures.
"""

from __future__ import annotations

import csv
import sys
import uuid
from pathlib import Path

import psycopg  # noqa: F401  # the hub's driver: imports are not measured
from figures import measure, tell
from kwiksync_side import AUDIT_KEYS, INCLUDE, prepare
from server import ticket

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.files import source as files_source  # noqa: F401  # imports are not measured
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.services import inbound
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.vocabulary import Mode, Trigger


def make(folder: str, n: str) -> None:
    with (Path(folder) / "tickets.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(ticket(0)))
        writer.writeheader()
        writer.writerows(map(ticket, range(int(n))))


def sync(hub_url: str, folder: str) -> dict[str, int]:
    """A whole run: lease, list, hash, read, map, validate, load, note the file, log."""
    clock = SystemClock()
    spec = load_system(INCLUDE / "systems" / "bench_files.yaml", INCLUDE / "mappings")
    hub = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    run = Run(uuid.uuid4().hex, spec, Trigger.CLI, Mode.FULL, "bench")
    source = open_source(spec.kind, Credentials(Path(folder).as_uri()), spec.options, Unlimited(), clock)
    try:
        token = take_lease(hub, run.run_id)
        counts = inbound.sync_table(TableSync(hub, run, spec.tables[0], clock, token), source)
        hub.write(lambda connection: lease.release(connection, run.run_id))
    finally:
        source.close()
        hub.close()
    return vars(counts)


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "sync":
        *where, database_pid = rest
        tell(measure(lambda: sync(*where), int(database_pid) or None))
    else:
        {"make": make, "prepare": prepare}[what](*rest)


if __name__ == "__main__":
    main()
