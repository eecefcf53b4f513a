"""A small system over real HTTPS whose records a test changes, and what a hub must hold of them by an oracle's word."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trustme

from kwiksync_ops.clock import Clock, SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.connectors.source import Source
from kwiksync_ops.rate_limit import CallLimiter, Unlimited
from kwiksync_ops.services import configuration, inbound
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import lease
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.stage import Stage
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Mode, Trigger
from tests.support.https_server import Fault, HttpsServer, Request, Response

AUDIT_KEYS = ("test-audit-key",)
BATCH_RECORDS = 100
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
STYLES = {
    "keyset": "{type: keyset}",
    "numbered": "{type: page_number, has_more_path: more}",
    "whole": "{type: none}",
}
"""A system for each way of paging that behaves in its own way after a kill; `whole` sends everything as one page."""

FIELDS: dict[str, Any] = {
    "external_id": {"source_field": "id", "validation": {"required": True}},
    "name": {"source_field": "name"},
    "quantity": {"source_field": "quantity"},
}

_SYSTEM = """
system: {system}
kind: rest
connection: none
direction: inbound
limits: {{calls_per_minute: 60, batch_records: {batch_records}, error_budget: {error_budget}, overlap_s: {overlap_s}}}
rest:
  allow_hosts: [127.0.0.1]
  records_path: data
  since_param: changed_after
tables:
  - table: assets
    source: /{system}
    key: id
    cursor: {{field: updated_at, format: iso}}
    rest:
      pagination: {pagination}
"""


def write_include(include: Path, fields: Mapping[str, Any] = FIELDS, **limits: Any) -> None:
    """The configuration of all the systems of `STYLES`, with their mappings."""
    given = {"batch_records": BATCH_RECORDS, "error_budget": 0.5, "overlap_s": 0, **limits}
    (include / "systems").mkdir(parents=True, exist_ok=True)
    for system, pagination in STYLES.items():
        text = _SYSTEM.format(system=system, pagination=pagination, **given)
        (include / "systems" / f"{system}.yaml").write_text(text)
        write_mapping(include, system, fields)


def write_mapping(include: Path, system: str, fields: Mapping[str, Any] = FIELDS) -> None:
    folder = include / "mappings" / system
    folder.mkdir(parents=True, exist_ok=True)
    rules = [{"target_field": name, "transform": "direct", **rule} for name, rule in fields.items()]
    mapping = {"source_table": "assets", "target_table": "assets", "fields": rules}
    (folder / "assets.json").write_text(json.dumps(mapping))


@dataclass
class LeanApi:
    """Serves `records`, by change time and id, at the path of its system. `instead` replaces the n-th answer."""

    style: str
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    instead: dict[int, Response | Fault] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    calls: int = 0
    page_cap: int = BATCH_RECORDS
    _minute: int = 0

    def put(self, key: str, *, minute: int | None = None, **values: Any) -> None:
        """A new version of a record, later than all before it, or at a minute of its own."""
        if minute is None:
            self._minute += 1
            minute = self._minute
        at = (EPOCH + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
        self.records[key] = {**self.records.get(key, {}), "id": key, "updated_at": at, **values}

    def fill(self, count: int, *, first: int = 0) -> None:
        """New records, ten of them a minute."""
        for number in range(first, first + count):
            if number % 10 == 0:
                self._minute += 1
            self.put(f"R{number:05d}", minute=self._minute, name=f"record {number}", quantity=number)

    def sorted(self) -> list[dict[str, Any]]:
        return sorted(self.records.values(), key=lambda record: (str(record["updated_at"]), str(record["id"])))

    def __call__(self, request: Request) -> Response | Fault:
        self.calls += 1
        if self.calls in self.instead:
            return self.instead[self.calls]
        after = (request.query.get("changed_after", ""), request.query.get("after_id", ""))
        later = [record for record in self.sorted() if (str(record["updated_at"]), str(record["id"])) > after]
        start = 0
        size = len(later) if self.style == "whole" else self.page_cap
        if self.style == "numbered":
            start = (int(request.query["page"]) - 1) * size
        page = {"data": later[start : start + size], "more": len(later) > start + size}
        headers = {"Content-Type": "application/json", **self.headers}
        return Response(200, json.dumps(page).encode(), headers)


@dataclass
class LeanSystem:
    """One of the systems on a running server, and syncs of it into a hub."""

    hub: Hub
    api: LeanApi
    spec: SystemSpec
    credentials: Credentials
    stage_url: str
    staged: bool = False
    clock: Clock = field(default_factory=SystemClock)
    limiter: CallLimiter = field(default_factory=Unlimited)

    def open_source(self) -> Source:
        return open_source(self.spec.kind, self.credentials, self.spec.options, self.limiter, SystemClock())

    def open_run(self, run_id: str, mode: Mode = Mode.INCREMENTAL) -> TableSync:
        """Take the lease for this try of the run."""
        run = Run(run_id, self.spec, Trigger.CLI, mode, "tester")
        token = take_lease(self.hub, run_id)
        return TableSync(self.hub, run, self.spec.tables[0], self.clock, token)

    def stage(self, run_id: str) -> Stage:
        return Stage(self.stage_url, run_id, "assets")

    def run(self, sync: TableSync, source: Source) -> Counts:
        """The steps as Airflow's tasks run them, or the stream."""
        if not self.staged:
            return inbound.sync_table(sync, source)
        stage = self.stage(sync.run.run_id)
        if inbound.extract(sync, source, stage).records:
            inbound.transform(sync, stage)
            inbound.load(sync, stage)
        return inbound.finish(sync)

    def sync(self, run_id: str, mode: Mode = Mode.INCREMENTAL) -> Counts:
        """A try of a run, from taking the lease to giving it back."""
        sync = self.open_run(run_id, mode)
        source = self.open_source()
        try:
            return self.run(sync, source)
        finally:
            source.close()
            self.hub.write(lambda connection: lease.release(connection, run_id))


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def lean_spec(include: Path, system: str, **limits: Any) -> SystemSpec:
    spec = load_system(include / "systems" / f"{system}.yaml", include / "mappings")
    return replace(spec, limits=replace(spec.limits, **limits))


def lean_system(
    hub: Hub, server: HttpsServer, ca_file: str, folder: Path, style: str, *, staged: bool = False, **limits: Any
) -> LeanSystem:
    """The system of a style, on the server, with its mapping applied to the hub."""
    include = folder / "include"
    if not include.exists():
        write_include(include)
    configuration.apply(hub, include, who="tester", clock=SystemClock())
    api = LeanApi(style)
    server.on(f"/{style}", api)
    credentials = Credentials(server.url(), ca_file=ca_file)
    spec = lean_spec(include, style, **limits)
    return LeanSystem(hub, api, spec, credentials, f"file://{folder}/stage", staged)
