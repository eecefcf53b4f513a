"""KWikSync's side of SQL to hub: one process for one case.

`sql_side.py make SOURCE_URL N` fills a table with the benchmark's tickets.
`sql_side.py prepare HUB_URL` makes an empty hub with the benchmark's mapping.
`sql_side.py sync HUB_URL SOURCE_URL DATABASE_PID` reads the table into it and tells figures.
"""

from __future__ import annotations

import sys
import uuid

import psycopg
import sqlalchemy as sa
from figures import measure, tell
from kwiksync_side import AUDIT_KEYS, INCLUDE, prepare
from server import ticket

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.sql import source as sql_source  # noqa: F401  # imports are not measured
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.services import inbound
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.vocabulary import Mode, Trigger


def make(source_url: str, n: str) -> None:
    names = list(ticket(0))
    columns = ", ".join(f"{name} {'timestamptz NOT NULL' if name == 'updated_at' else 'text'}" for name in names)
    with psycopg.connect(source_url.replace("+psycopg", "")) as connection:
        connection.execute(f"CREATE TABLE tickets ({columns}, PRIMARY KEY (ticket_id))")
        with connection.cursor().copy("COPY tickets FROM STDIN") as copy:
            for number in range(int(n)):
                copy.write_row(list(ticket(number).values()))
        connection.execute("CREATE INDEX ON tickets (updated_at, ticket_id)")
    with psycopg.connect(source_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE tickets")


def sync(hub_url: str, source_url: str) -> dict[str, int]:
    """A whole run: lease, read, map, validate, load, log."""
    clock = SystemClock()
    spec = load_system(INCLUDE / "systems" / "bench_sql.yaml", INCLUDE / "mappings")
    hub = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    run = Run(uuid.uuid4().hex, spec, Trigger.CLI, Mode.FULL, "bench")
    source = open_source(spec.kind, _credentials(source_url), spec.options, Unlimited(), clock)
    try:
        token = take_lease(hub, run.run_id)
        counts = inbound.sync_table(TableSync(hub, run, spec.tables[0], clock, token), source)
        hub.write(lambda connection: lease.release(connection, run.run_id))
    finally:
        source.close()
        hub.close()
    return vars(counts)


def _credentials(source_url: str) -> Credentials:
    url = sa.make_url(source_url)
    bare = url._replace(username=None, password=None).render_as_string(hide_password=False)
    return Credentials(bare, login=url.username, password=url.password)


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "sync":
        *where, database_pid = rest
        tell(measure(lambda: sync(*where), int(database_pid) or None))
    else:
        {"make": make, "prepare": prepare}[what](*rest)


if __name__ == "__main__":
    main()
