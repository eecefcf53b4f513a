"""KWikSync's side of the benchmark: one process for one case.

`kwiksync_side.py prepare HUB_URL` makes an empty hub with the benchmark's mapping.
`kwiksync_side.py sync HUB_URL BASE_URL CA_FILE DATABASE_PID` reads everything of the system into it and tells figures.
`kwiksync_side.py map` maps and validates 1,000 tickets by the standard mapping, again and again.
"""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema  # noqa: F401  # this and the next two are imported late: imports are not measured
import psycopg  # noqa: F401  # the hub's driver
from figures import measure, tell
from server import START, ticket

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.rest import source as rest_source  # noqa: F401
from kwiksync_ops.mapping.compiler import compile_mapping
from kwiksync_ops.mapping.files import read_mapping
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.services import configuration, inbound
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import lease, schema
from kwiksync_ops.storage.hub import open_hub
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.vocabulary import Mode, Trigger

INCLUDE = Path(__file__).parent / "include"
STANDARD = Path(__file__).parents[2] / "include" / "mappings" / "erp" / "tickets.json"
AUDIT_KEYS = ("benchmark-audit-key",)
ROUNDS = 100


def prepare(hub_url: str) -> None:
    hub = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    schema.upgrade(hub)
    configuration.apply(hub, INCLUDE, who="bench", clock=SystemClock())
    hub.close()


def sync(hub_url: str, base_url: str, ca_file: str) -> dict[str, int]:
    """A whole run: lease, read, map, validate, load, log."""
    clock = SystemClock()
    spec = load_system(INCLUDE / "systems" / "bench.yaml", INCLUDE / "mappings")
    hub = open_hub(hub_url, audit_keys=AUDIT_KEYS)
    run = Run(uuid.uuid4().hex, spec, Trigger.CLI, Mode.FULL, "bench")
    source = open_source(spec.kind, Credentials(base_url, ca_file=ca_file), spec.options, Unlimited(), clock)
    try:
        token = take_lease(hub, run.run_id)
        counts = inbound.sync_table(TableSync(hub, run, spec.tables[0], clock, token), source)
        hub.write(lambda connection: lease.release(connection, run.run_id))
    finally:
        source.close()
        hub.close()
    return vars(counts)


class _Known:
    """Lookups whose answers are at hand: the mapping alone is measured."""

    def find(self, table: str, match_field: str, return_field: str, values: Collection[str]) -> Mapping[str, str]:
        return {value: value.rjust(32, "0")[-32:] for value in values}


def map_tickets() -> dict[str, Any]:
    """The quickest of many rounds, each of 1,000 records: the others are the quickest one and the machine's noise."""
    mapping = compile_mapping(
        read_mapping(STANDARD, "erp"),
        key_field="ticket_id",
        cursor_field="updated_at",
        cursor_format="D/M/YYYY HH:mm",
        cursor_timezone="UTC",
    )
    records = [_standard_ticket(number) for number in range(1_000)]
    lookups = _Known()
    if len(mapping.apply(records, lookups).rows) != len(records):
        raise SystemExit("The standard mapping rejected records of the benchmark.")
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        mapping.apply(records, lookups)
        seconds.append(time.perf_counter() - started)
    return {"processed": len(records), "best_s": min(seconds)}


def _standard_ticket(number: int) -> dict[str, Any]:
    """A ticket as the sample ERP writes it."""
    moment = START + timedelta(minutes=number)
    return {
        **ticket(number),
        "contact_type": "Phone",
        "impact": "2 - Medium",
        "urgency": "2 - Medium",
        "assignment_group": f"Group {number % 79}",
        "resolution_code": f"code {number % 17}",
        "project_id": f"P-{number % 60:05d}",
        "location_id": f"L-{number % 250:05d}",
        "updated_at": f"{moment.day}/{moment.month}/{moment.year} {moment:%H:%M}",
    }


def main() -> None:
    what, *rest = sys.argv[1:]
    if what == "prepare":
        prepare(*rest)
    elif what == "map":
        tell(measure(map_tickets, None))
    else:
        *where, database_pid = rest
        tell(measure(lambda: sync(*where), int(database_pid) or None))


if __name__ == "__main__":
    main()
