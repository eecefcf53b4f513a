"""A hub with a week of syncs of the sample ERP, as the pages show it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kwiksync_ops.services.errors import ErrorFilter, search_errors
from kwiksync_ops.storage import schema
from kwiksync_ops.storage.hub import Connection, open_hub
from kwiksync_ops.storage.models import BATCH, ERROR_LOG, SYNC_LOG
from kwiksync_ops.vocabulary import Mode
from tests.support.inbound import Inbound, erp_credentials
from tests.support.sample_erp import running_sample_erp

AUDIT_KEY = "test-audit-key"
DAYS = 7
START = "2016-03-10T18:30"
DAG = "kwiksync_erp_inbound"


@dataclass(frozen=True)
class Sample:
    """`runs` are ids, the oldest first; the first run read everything. `error` and `ticket` are ids of rows."""

    path: Path
    runs: tuple[str, ...]
    error: str
    ticket: str


def made_sample(folder: Path) -> Sample:
    hub = open_hub(f"sqlite:///{folder / 'hub.db'}", audit_keys=(AUDIT_KEY,))
    schema.upgrade(hub)
    begun = datetime.now(UTC).replace(hour=2, minute=0, second=0, microsecond=0) - timedelta(days=DAYS - 1)
    runs = tuple(f"{DAG}/scheduled__{begun + timedelta(days=day):%Y-%m-%dT%H:%M:%S+00:00}" for day in range(DAYS))
    with running_sample_erp(folder) as erp:
        erp.move_clock(now=START)
        inbound = Inbound(hub, erp_credentials(erp), f"file://{folder}/stage")
        inbound.apply()
        for day, run_id in enumerate(runs):
            inbound.sync(Mode.INCREMENTAL if day else Mode.FULL, run_id)
            hub.write(lambda connection, run_id=run_id, day=day: _put_back(connection, run_id, DAYS - 1 - day))
            erp.move_clock(advance_minutes=2 * 24 * 60)
    (error,) = search_errors(hub, ErrorFilter(table="tickets"), limit=1)
    ticket = next(iter(inbound.records("tickets").values()))
    hub.close()
    return Sample(folder / "hub.db", runs, error["sys_id"], ticket["sys_id"])


def _put_back(connection: Connection, run_id: str, days: int) -> None:
    """As if the sync had been days ago: the clock of the machine made it just now."""
    for table, columns in ((SYNC_LOG, ("started", "ended")), (BATCH, ("committed",)), (ERROR_LOG, ("occurred",))):
        rows = connection.execute(table.select().where(table.c.run_id == run_id)).mappings().all()
        for row in rows:
            key = [column == row[column.name] for column in table.primary_key.columns]
            moved = {name: row[name] - timedelta(days=days, hours=2) for name in columns if row[name]}
            connection.execute(table.update().where(*key).values(moved))
