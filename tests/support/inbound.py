"""A whole inbound sync in a test: the sample ERP's system on a hub, staged as Airflow does it or as one stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.clock import SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import Source
from kwiksync_ops.rate_limit import Unlimited
from kwiksync_ops.services import configuration, inbound
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import RECORDS
from kwiksync_ops.storage.stage import Stage
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Mode, Trigger
from tests.support.sample_erp import CUSTOMER_KEY, TOKEN, SampleErp

INCLUDE = Path(__file__).parents[2] / "include"
ERP = load_system(INCLUDE / "systems" / "erp.yaml", INCLUDE / "mappings")


@dataclass
class Inbound:
    """Syncs of one system into one hub."""

    hub: Hub
    credentials: Credentials
    stage_url: str
    spec: SystemSpec = ERP
    staged: bool = False
    runs: int = field(default=0)

    def apply(self) -> None:
        configuration.apply(self.hub, INCLUDE, who="tester", clock=SystemClock())

    def source(self) -> Source:
        return open_source(self.spec.kind, self.credentials, self.spec.options, Unlimited(), SystemClock())

    def sync(self, mode: Mode = Mode.INCREMENTAL, run_id: str = "", *tables: str, **window: Any) -> dict[str, Counts]:
        """All tables, or these, as one run; the counts of each."""
        self.runs += 1
        run = Run(run_id or f"run-{self.runs}", self.spec, Trigger.CLI, mode, "tester", **window)
        token = take_lease(self.hub, run.run_id)
        source = self.source()
        try:
            return {
                table.table: self.sync_table(TableSync(self.hub, run, table, SystemClock(), token), source)
                for table in self.spec.tables
                if not tables or table.table in tables
            }
        finally:
            source.close()
            self.hub.write(lambda connection: lease.release(connection, run.run_id))

    def sync_table(self, sync: TableSync, source: Source) -> Counts:
        if not self.staged:
            return inbound.sync_table(sync, source)
        stage = Stage(self.stage_url, sync.run.run_id, sync.table.table)
        if not inbound.extract(sync, source, stage).records:
            return inbound.finish(sync)
        inbound.transform(sync, stage)
        return inbound.load(sync, stage)

    def records(self, table: str) -> dict[str, Mapping[str, Any]]:
        """What the hub holds of a table, by external id."""
        return hub_records(self.hub, table)


def hub_records(hub: Hub, table: str) -> dict[str, Mapping[str, Any]]:
    with hub.read() as connection:
        rows: list[Any] = list(connection.execute(RECORDS[table].select()).mappings())
    return {row["external_id"]: row for row in rows}


def rows_of(hub: Hub, table: sa.Table) -> list[Mapping[str, Any]]:
    with hub.read() as connection:
        rows: list[Any] = list(connection.execute(table.select()).mappings())
    return rows


def erp_credentials(erp: SampleErp, **changes: Any) -> Credentials:
    known: dict[str, Any] = {"token": TOKEN, "customer_key": CUSTOMER_KEY, "ca_file": erp.ca_file}
    return Credentials(erp.url, **{**known, **changes})
