"""A small system over real HTTPS that is read from and written to, by what it promises about a call sent twice."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kwiksync_ops.clock import Clock, SystemClock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source, open_target
from kwiksync_ops.connectors.target import Target
from kwiksync_ops.rate_limit import CallLimiter, Unlimited
from kwiksync_ops.services import configuration, inbound, outbound
from kwiksync_ops.services.table_sync import Run, TableSync, take_lease
from kwiksync_ops.storage import lease, tombstones
from kwiksync_ops.storage.batches import Counts
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.models import ERROR_LOG, OUTBOX, RECORD_HISTORY, RECORDS
from kwiksync_ops.storage.stage import Stage
from kwiksync_ops.system_spec.loader import load_system
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import DeliveryState, Direction, Mode, Trigger
from tests.support.https_server import Fault, HttpsServer, Request, Response, json_response
from tests.support.lean_system import LeanApi

ASSETS = RECORDS["assets"]
_ONE = {
    "create": {"method": "POST", "path": "/crm/one"},
    "update": {"method": "PATCH", "path": "/crm/one?id={key}"},
    "delete": {"method": "DELETE", "path": "/crm/one?id={key}"},
    "read": {"path": "/crm/one?id={key}"},
}
_BULK = {
    "path": "/crm/bulk",
    "records": 50,
    "records_path": "records",
    "fields_field": "fields",
    "action_field": "action",
    "key_field": "id",
    "id_field": "delivery",
    "idempotency_field": "key",
    "etag_field": "etag",
    "results_path": "results",
    "id_path": "delivery",
    "key_path": "id",
    "etag_path": "etag",
    "error_path": "error",
}
_FIND = {"path": "/crm", "param": "ref", "field": "ref", "records_path": "data"}
PROMISES: dict[str, dict[str, Any]] = {
    "idempotent": {**_ONE, "idempotency_header": "Idempotency-Key", "repeat": "idempotent", "etag": "header"},
    "bulk": {**_ONE, "bulk": _BULK, "repeat": "idempotent", "etag": "header"},
    "upsert": {**_ONE, "bulk": {**_BULK, "idempotency_field": ""}, "repeat": "upsert"},
    "look": {**_ONE, "repeat": "look", "correlation_field": "ref", "find": _FIND},
    "never": {**_ONE, "repeat": "never"},
    "whole": {**_ONE, "update": {"method": "PUT", "path": "/crm/one?id={key}"}, "repeat": "never"},
    "read": {**_ONE, "repeat": "look", "correlation_field": "ref", "find": _FIND, "confirm": {"by": "read"}},
    "job": {
        **_ONE,
        "bulk": _BULK,
        "repeat": "idempotent",
        "confirm": {"by": "job", "path": "/crm/job?id={job}", "job_path": "job", "error_path": "error"},
    },
}
"""`push` options of a system, by what it promises; `job` and `read` differ in how a delivery is confirmed."""

_SYSTEM: dict[str, Any] = {
    "system": "crm",
    "kind": "rest",
    "connection": "none",
    "direction": "both",
    "limits": {"batch_records": 100, "overlap_s": 120, "calls_per_minute": 60},
    "rest": {
        "allow_hosts": ["127.0.0.1"],
        "records_path": "data",
        "since_param": "changed_after",
        "timeouts": {"read_s": 2},
    },
}
_INBOUND = {"external_id": "id", "name": "name", "quantity": "quantity", "status": "status"}
_OUTBOUND = {"name": "name", "quantity": "quantity", "status": "status", "sys_id": "ours"}


@dataclass
class TwoWayApi(LeanApi):
    """`plan` are outcomes of the next writes, in order: each is given the proper answer, after it was applied.

    `before` answers instead of applying. `applied` lists each change as (id, values).
    """

    style: str = "keyset"
    promise: str = "idempotent"
    applied: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    plan: list[Callable[[Response], Response | Fault]] = field(default_factory=list)
    before: list[Response | Fault] = field(default_factory=list)
    poison: frozenset[str] = frozenset()
    forgets_keys: bool = False
    versions: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    _answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    _jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def serve(self, server: HttpsServer) -> None:
        server.on("/crm", self._locked(self._list))
        server.on("/crm/one", self._locked(self._one))
        server.on("/crm/bulk", self._locked(self._bulk))
        server.on("/crm/job", self._locked(lambda request: json_response(self._job(request.query["id"]))))

    def edit(self, key: str, **values: Any) -> None:
        """A person changes a record at the system."""
        with self._lock:
            self.put(key, **values)
            self.versions[key] += 1

    def drop(self, key: str) -> None:
        with self._lock:
            del self.records[key]

    def _locked(self, handle: Callable[[Request], Response | Fault]) -> Callable[[Request], Response | Fault]:
        def locked(request: Request) -> Response | Fault:
            with self._lock:
                return handle(request)

        return locked

    def _list(self, request: Request) -> Response | Fault:
        if "ref" in request.query:
            found = [record for record in self.records.values() if record.get("ref") == request.query["ref"]]
            return json_response({"data": found})
        return self(request)

    def _one(self, request: Request) -> Response | Fault:
        if request.method == "GET":
            return self._answer(self._shown(request.query["id"], 200))
        if self.before:
            return self.before.pop(0)
        self.writes += 1
        action = {"POST": "create", "PATCH": "update", "PUT": "update", "DELETE": "delete"}[request.method]
        fields = json.loads(request.body) if request.body else {}
        headers = request.headers
        written = self._write(
            action, request.query.get("id"), fields, headers.get("Idempotency-Key"), headers.get("If-Match")
        )
        answer = self._answer(written)
        return self.plan.pop(0)(answer) if self.plan else answer

    def _bulk(self, request: Request) -> Response | Fault:
        if self.before:
            return self.before.pop(0)
        self.writes += 1
        results = []
        for one in json.loads(request.body)["records"]:
            result = self._write(one["action"], one.get("id"), one.get("fields", {}), one.get("key"), one.get("etag"))
            results.append({**result, "delivery": one["delivery"]})
        answer = json_response({"results": results})
        if self.promise == "job":
            job = f"job-{len(self._jobs) + 1}"
            self._jobs[job] = {"state": "running", "results": results}
            answer = json_response({"job": job}, 202)
        return self.plan.pop(0)(answer) if self.plan else answer

    def _job(self, name: str) -> dict[str, Any]:
        """Running when it is asked first, done the next time."""
        job = self._jobs[name]
        told = dict(job)
        job["state"] = "done"
        return told

    def _write(
        self, action: str, key: str | None, fields: Mapping[str, Any], token: str | None, etag: str | None
    ) -> dict[str, Any]:
        if token and token in self._answers:
            return self._answers[token]
        result = self._apply(action, key, fields, etag)
        if token and result["status"] < 300 and not self.forgets_keys:
            self._answers[token] = result
        return result

    def _apply(self, action: str, key: str | None, fields: Mapping[str, Any], etag: str | None) -> dict[str, Any]:
        if action == "create" and self.promise == "upsert":
            known = [name for name, record in self.records.items() if record.get("ours") == fields["ours"]]
            key = known[0] if known else None
        if fields.get("name") in self.poison:
            return {"status": 422, "error": {"field": "name", "message": "is not allowed here"}}
        if action != "create" and key not in self.records:
            return {"status": 404, "error": "no such record"}
        if etag and key and etag != str(self.versions[key]):
            return {"status": 412, "error": "changed meanwhile"}
        if action == "delete" and key:
            del self.records[key]
            self.applied.append((key, {}))
            return {"status": 204}
        key = key or f"N{len(self.applied):06d}"
        self.put(key, **fields)
        self.versions[key] += 1
        self.applied.append((key, dict(fields)))
        return self._shown(key, 201 if action == "create" else 200)

    def _shown(self, key: str, status: int) -> dict[str, Any]:
        if key not in self.records:
            return {"status": 404, "error": "no such record"}
        return {"status": status, "id": key, "etag": str(self.versions[key]), "record": self.records[key]}

    def _answer(self, written: Mapping[str, Any]) -> Response:
        etag = {"ETag": written["etag"]} if "etag" in written else {}
        return json_response(written.get("record", {"error": written.get("error")}), written["status"], etag)


@dataclass
class TwoWay:
    """Syncs of one hub with one such system, in both directions."""

    hub: Hub
    api: TwoWayApi
    spec: SystemSpec
    credentials: Credentials
    stage_url: str
    staged: bool = False
    clock: Clock = field(default_factory=SystemClock)
    limiter: CallLimiter = field(default_factory=Unlimited)
    runs: int = 0

    def pull(self, mode: Mode = Mode.INCREMENTAL) -> Counts:
        sync = self._open(Direction.INBOUND, mode, "")
        source = open_source(self.spec.kind, self.credentials, self.spec.options, self.limiter, self.clock)
        try:
            return inbound.sync_table(sync, source)
        finally:
            source.close()
            self._close(sync)

    def push(self, mode: Mode = Mode.INCREMENTAL, run_id: str = "") -> Counts:
        sync = self._open(Direction.OUTBOUND, mode, run_id)
        target = open_target(self.spec.kind, self.credentials, self.spec.options, self.limiter, self.clock)
        try:
            return self._push(sync, target)
        finally:
            target.close()
            self._close(sync)

    def _push(self, sync: TableSync, target: Target) -> Counts:
        if not self.staged:
            return outbound.push_table(sync, target)
        stage = Stage(self.stage_url, sync.run.run_id, "assets")
        found = outbound.detect(sync)
        if not found.changed and not found.waiting:
            return outbound.finish(sync)
        outbound.extract(sync, stage)
        outbound.transform(sync, stage, target)
        outbound.push(sync, target)
        return outbound.confirm(sync, stage, target)

    def _open(self, direction: Direction, mode: Mode, run_id: str) -> TableSync:
        self.runs += 1
        run = Run(run_id or f"{direction}-{self.runs}", self.spec, Trigger.CLI, mode, "tester")
        token = take_lease(self.hub, run.run_id)
        return TableSync(self.hub, run, self.spec.tables[0], self.clock, token, direction=direction)

    def _close(self, sync: TableSync) -> None:
        self.hub.write(lambda connection: lease.release(connection, sync.run.run_id))

    def edit(self, sys_id: str, **values: Any) -> None:
        """A person changes a record in the hub, with its history."""
        now = self.clock.now()

        def work(connection: sa.Connection) -> None:
            row = connection.execute(ASSETS.select().where(ASSETS.c.sys_id == sys_id)).mappings().one()
            changes = {name: [row[name], value] for name, value in values.items()}
            at = row["sys_mod_count"] + 1
            connection.execute(
                ASSETS.update()
                .where(ASSETS.c.sys_id == sys_id)
                .values(**values, sys_mod_count=at, sys_updated_on=now, sys_updated_by="ann")
            )
            connection.execute(
                RECORD_HISTORY.insert().values(
                    table_name="assets",
                    sys_id=sys_id,
                    action="update",
                    changes=json.dumps(changes),
                    sys_mod_count=at,
                    run_id="by hand",
                    sys_created_on=now,
                    sys_created_by="ann",
                )
            )

        self.hub.write(work)

    def bury(self, sys_id: str) -> None:
        """A person deletes a record in the hub."""
        now = self.clock.now()
        self.hub.write(
            lambda connection: tombstones.bury(
                connection, "assets", [sys_id], system=None, run_id="by hand", who="ann", now=now
            )
        )

    def create(self, *sys_ids: str, **values: Any) -> None:
        """A person creates records in the hub."""
        now = self.clock.now()
        rows = [
            {
                "sys_id": sys_id,
                "external_id": sys_id,
                "source_system": "kwiksync",
                "sys_created_on": now,
                "sys_updated_on": now,
                "sys_mod_count": 0,
                "active": True,
                "name": f"record {sys_id}",
                **values,
            }
            for sys_id in sys_ids
        ]
        table = RECORDS[self.spec.tables[0].table]
        self.hub.write(lambda connection: connection.execute(table.insert(), rows))

    def rows(self) -> dict[str, sa.RowMapping]:
        """The living records of the hub, by name of the asset."""
        with self.hub.read() as connection:
            found = connection.execute(ASSETS.select().where(ASSETS.c.sys_deleted_on.is_(None))).mappings()
            return {row["sys_id"]: row for row in found}

    def sys_id(self, external_id: str) -> str:
        with self.hub.read() as connection:
            wanted = sa.select(ASSETS.c.sys_id).where(ASSETS.c.external_id == external_id)
            return str(connection.execute(wanted).scalar_one())

    def states(self) -> Counter[str]:
        with self.hub.read() as connection:
            return Counter(connection.execute(sa.select(OUTBOX.c.state)).scalars())

    def unconfirmed(self) -> set[str]:
        """The records of deliveries that a person has to decide about."""
        with self.hub.read() as connection:
            wanted = sa.select(OUTBOX.c.record_sys_id).where(OUTBOX.c.state == DeliveryState.UNCONFIRMED)
            return set(connection.execute(wanted).scalars())

    def errors(self) -> list[sa.RowMapping]:
        with self.hub.read() as connection:
            return list(connection.execute(ERROR_LOG.select().order_by(ERROR_LOG.c.occurred)).mappings())


def write_two_way(include: Path, promise: str, **table: Any) -> None:
    """The configuration of the system, with its mappings; `table` are more keys of its table."""
    (include / "systems").mkdir(parents=True, exist_ok=True)
    (include / "mappings" / "crm").mkdir(parents=True, exist_ok=True)
    rest = {"pagination": {"type": "keyset", "has_more_path": "more"}, "push": PROMISES[promise]}
    assets = {
        "table": "assets",
        "source": "/crm",
        "key": "id",
        "cursor": {"field": "updated_at"},
        **table,
        "rest": rest,
    }
    # YAML reads JSON.
    (include / "systems" / "crm.yaml").write_text(json.dumps({**_SYSTEM, "tables": [assets]}))
    _write_mapping(
        include / "mappings" / "crm" / "assets.json", {source: target for target, source in _INBOUND.items()}
    )
    _write_mapping(include / "mappings" / "crm" / "assets.outbound.json", _OUTBOUND)


def _write_mapping(path: Path, fields: Mapping[str, str]) -> None:
    """From source fields to target fields, as they are."""
    rules = [
        {"source_field": source, "target_field": target, "transform": "direct"} for source, target in fields.items()
    ]
    path.write_text(json.dumps({"source_table": "assets", "target_table": "assets", "fields": rules}))


def two_way(
    hub: Hub, server: HttpsServer, ca_file: str, folder: Path, promise: str = "idempotent", **table: Any
) -> TwoWay:
    """The system on the server, with its mappings applied to the hub."""
    include = folder / "include"
    write_two_way(include, promise, **table)
    configuration.apply(hub, include, who="tester", clock=SystemClock())
    api = TwoWayApi(promise=promise)
    api.serve(server)
    spec = load_system(include / "systems" / "crm.yaml", include / "mappings")
    return TwoWay(hub, api, spec, Credentials(server.url(), ca_file=ca_file), f"file://{folder}/stage")


def status(code: int, **headers: str) -> Callable[[Response], Response]:
    """Applied, and answered with this status all the same."""
    return lambda answer: replace(answer, status=code, headers={**answer.headers, **headers}, body=b"{}")
