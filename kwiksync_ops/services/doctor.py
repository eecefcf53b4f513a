"""Whether this installation can sync: one check after the other, each with what to do where it can't."""

from __future__ import annotations

import shutil
import stat
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from kwiksync_ops.batch import Page
from kwiksync_ops.clock import Clock
from kwiksync_ops.connectors.credentials import Credentials
from kwiksync_ops.connectors.registry import open_source
from kwiksync_ops.errors import ConfigurationError, KwikSyncError
from kwiksync_ops.rate_limit import CallLimiter
from kwiksync_ops.redaction import Redactor
from kwiksync_ops.services import configuration
from kwiksync_ops.services.configuration_plan import Plan
from kwiksync_ops.services.connections import credentials_of, find_connection
from kwiksync_ops.services.keys import customer_key, list_customer_keys
from kwiksync_ops.services.status import is_stalled, read_status
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage import health, schema
from kwiksync_ops.storage.api_calls import HubCallLimiter
from kwiksync_ops.storage.hub import Hub
from kwiksync_ops.storage.stage import Stage, StagedPage, remove_run
from kwiksync_ops.system_spec.loader import load_systems
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vault import Vault
from kwiksync_ops.vocabulary import RECORD_TABLES

PYTHONS = ((3, 11), (3, 14))
GIGABYTE = 1_000_000_000
ENOUGH_DISK, LOW_DISK = 2 * GIGABYTE, 0.2 * GIGABYTE


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Check:
    """`detail` is what was found; `remedy` what to do about it."""

    name: str
    verdict: Verdict
    detail: str
    remedy: str = ""

    @property
    def is_passed(self) -> bool:
        return self.verdict in (Verdict.OK, Verdict.WARNING)


Finding = tuple[Verdict, str, str]


def examine(settings: Settings, hub: Hub, *, clock: Clock, calls_systems: bool = True) -> Iterator[Check]:
    """The checks, one by one as they are made. Nothing is changed; with `calls_systems` each system is called once."""
    yield _checked("Python", _python)
    yield _checked("Secret keys", partial(_secret_keys, settings))
    yield _checked("Disk", partial(_disk, settings))
    yield _checked("Staged pages", partial(_stage, settings))
    reachable = _checked("Hub", lambda: (Verdict.OK, health.describe(hub), ""))
    yield reachable
    current = _after(reachable, "Hub schema", partial(_schema, hub))
    yield current
    yield _after(current, "Hub writable", partial(_writable, hub))
    yield _after(current, "Files", partial(_files, settings, hub))
    yield _after(current, "Mappings", partial(_mappings, settings, hub))
    yield _after(current, "Customer Keys", partial(_customer_keys, settings, hub))
    yield _after(current, "Lease", partial(_lease, hub))
    yield _after(current, "Audit trail", partial(_audit, hub))
    for system in _sound_systems(settings):
        yield from _system_checks(settings, hub, system, current, clock, calls_systems=calls_systems)


def check_system(hub: Hub, system: SystemSpec, known: Credentials, clock: Clock) -> Check:
    """Whether the system answers, by one call of it."""
    return _checked(f"{system.system} answers", lambda: _answers(hub, system, known, clock))


def _checked(name: str, find: Callable[[], Finding]) -> Check:
    try:
        return Check(name, *find())
    except KwikSyncError as exc:
        return Check(name, Verdict.FAILED, f"{exc.code}: {exc.message}", exc.remedy)


def _after(needed: Check, name: str, find: Callable[[], Finding]) -> Check:
    return _checked(name, find) if needed.is_passed else Check(name, Verdict.SKIPPED, f"needs {needed.name}")


def _python() -> Finding:
    oldest, first_too_new = PYTHONS
    found = sys.version.split()[0]
    if oldest <= sys.version_info[:2] < first_too_new:
        return Verdict.OK, found, ""
    return Verdict.FAILED, f"{found} is not supported", "Use Python 3.11, 3.12 or 3.13."


def _secret_keys(settings: Settings) -> Finding:
    Vault(settings.secret_keys)
    path = settings.secret_keys_file
    number = len(settings.secret_keys)
    if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        return Verdict.WARNING, f"{path} can be read by others", f"chmod 600 {path}"
    return Verdict.OK, f"{number} configured", ""


def _disk(settings: Settings) -> Finding:
    folders = [_existing(folder) for folder in _local_folders(settings)]
    if not folders:
        return Verdict.SKIPPED, "nothing is stored on this machine", ""
    free, folder = min((shutil.disk_usage(folder).free, folder) for folder in folders)
    text = f"{free / GIGABYTE:.1f} GB free in {folder}"
    remedy = "Free some space, or let KWIKSYNC_HOME name a larger disk."
    if free < LOW_DISK:
        return Verdict.FAILED, text, remedy
    return (Verdict.WARNING, text, remedy) if free < ENOUGH_DISK else (Verdict.OK, text, "")


def _local_folders(settings: Settings) -> Iterator[Path]:
    if settings.is_embedded:
        yield Path(settings.hub_url.partition(":///")[2]).parent
    stage = urlsplit(settings.stage_url)
    if stage.scheme == "file":
        yield Path(stage.path)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _stage(settings: Settings) -> Finding:
    run_id = f"doctor_{uuid.uuid4().hex}"
    try:
        stage = Stage(settings.stage_url, run_id, next(iter(RECORD_TABLES)))
        stage.write_page(StagedPage(Page(1, [], is_last=True, resume={})))
    finally:
        remove_run(settings.stage_url, run_id)
    return Verdict.OK, f"{settings.stage_url} can be written to", ""


def _schema(hub: Hub) -> Finding:
    schema.require_current(hub)
    if drift := health.schema_drift(hub):
        remedy = "Somebody changed the tables by hand. Undo it, or restore the hub."
        return Verdict.WARNING, f"differs from this version's: {drift[0]}", remedy
    return Verdict.OK, "is this version's", ""


def _writable(hub: Hub) -> Finding:
    health.require_writable(hub)
    return Verdict.OK, "takes transactions", ""


def _files(settings: Settings, hub: Hub) -> Finding:
    planned = configuration.plan(hub, settings.include)
    if planned.faults:
        raise ConfigurationError(
            f"{_number(len(planned.faults), 'fault')} in {settings.include}:",
            faults=planned.faults,
            remedy="Correct the files; look with kwiksync plan.",
        )
    systems = {table.key.system for table in planned.tables}
    return Verdict.OK, f"{_number(len(systems), 'system')}, {_number(len(planned.tables), 'mapping')}", ""


def _mappings(settings: Settings, hub: Hub) -> Finding:
    planned: Plan = configuration.plan(hub, settings.include)
    if not planned.pending:
        return Verdict.OK, "the hub has those of the files", ""
    names = ", ".join(f"{table.key.system}.{table.key.table}" for table in planned.pending)
    return Verdict.WARNING, f"not applied yet: {names}", "Look with kwiksync plan, then run kwiksync apply."


def _customer_keys(settings: Settings, hub: Hub) -> Finding:
    systems = [entry.system for entry in list_customer_keys(hub) if entry.is_active]
    for system in systems:
        customer_key(hub, settings.secret_keys, system)
    return Verdict.OK, f"{', '.join(systems)} can be decrypted" if systems else "none set", ""


def _lease(hub: Hub) -> Finding:
    status = read_status(hub)
    if status.running and status.lease:
        return Verdict.OK, f"held by {status.running} for {status.lease.remaining_s:.0f} s more", ""
    stalled = [row for table in status.tables for row in table.last if is_stalled(row, status)]
    if not stalled:
        return Verdict.OK, "free: no sync runs", ""
    names = ", ".join(f"{row['system']} {row['table_name']}" for row in stalled)
    remedy = "Their process is gone. The next sync goes on after their last committed batch; nothing is lost."
    return Verdict.WARNING, f"free, but these say that they run: {names}", remedy


def _audit(hub: Hub) -> Finding:
    fault = health.audit_fault(hub)
    if fault:
        remedy = "Find out who wrote to the audit table; restore it from a backup to compare."
        return Verdict.FAILED, fault.problem, remedy
    return Verdict.OK, f"{_number(health.audit_rows(hub), 'row')}, unbroken", ""


def _sound_systems(settings: Settings) -> list[SystemSpec]:
    try:
        return [system for system in load_systems(settings.include) if isinstance(system, SystemSpec)]
    except ConfigurationError:
        return []


def _system_checks(
    settings: Settings, hub: Hub, system: SystemSpec, current: Check, clock: Clock, *, calls_systems: bool
) -> Iterator[Check]:
    known: list[Credentials] = []
    connection = _checked(f"{system.system} connection", partial(_connection, settings, hub, system, current, known))
    yield connection
    name = f"{system.system} answers"
    if not calls_systems:
        yield Check(name, Verdict.SKIPPED, "not asked for")
        return
    needed = current if connection.is_passed else connection
    yield _after(needed, name, lambda: _answers(hub, system, known[0], clock))


def _connection(settings: Settings, hub: Hub, system: SystemSpec, current: Check, known: list[Credentials]) -> Finding:
    """Airflow is asked once: what it says goes into `known` for the call to the system."""
    found = find_connection(system.connection_id)
    key = customer_key(hub, settings.secret_keys, system.system) if current.is_passed else None
    known.append(credentials_of(found.host, found.login, found.password, found.extra, key))
    url = Redactor(known[0].secrets).url(known[0].base_url)
    return Verdict.OK, f"{url}, from {found.origin}", ""


def _answers(hub: Hub, system: SystemSpec, known: Credentials, clock: Clock) -> Finding:
    limiter: CallLimiter = HubCallLimiter(hub, system.system, system.limits.calls_per_minute, clock)
    source = open_source(system.kind, known, system.options, limiter, clock)
    try:
        return Verdict.OK, source.check(), ""
    finally:
        source.close()


def _number(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
