"""Alerts: one an incident, to whatever address Apprise reaches, with what somebody woken by it needs to know.

A run is judged when it has ended: it failed, rejected too much, or took far longer than usual. A watch judges what did
not run at all. An incident ends with the next run that is sound.
"""

from __future__ import annotations

import logging
import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from kwiksync_ops.clock import Clock
from kwiksync_ops.errors import ConfigurationError
from kwiksync_ops.redaction import Redactor
from kwiksync_ops.services.settings import read_settings_of
from kwiksync_ops.settings import Settings
from kwiksync_ops.storage import error_log, incidents, kept_answers, sync_log
from kwiksync_ops.storage.hub import Connection, Hub
from kwiksync_ops.storage.incidents import Incident
from kwiksync_ops.storage.kept_answers import Call
from kwiksync_ops.system_spec.spec import SystemSpec
from kwiksync_ops.vocabulary import Direction, SyncStatus

log = logging.getLogger(__name__)

USUAL_RUNS = 10
FEWEST_RUNS = 5
SHORTEST_S = 60.0
FEWEST_REJECTS = 10
SMALLEST_SHARE = 0.01
SHOWN_ERRORS = 3
TOLD_WITHIN = timedelta(days=1)
"""An incident of which nobody could be told while it lasted is told so long after its end."""

_SENDER = "kwiksync:alerts"

Send = Callable[[str, str], bool]
"""Sends a title and a body; whether it arrived."""


class Kind(StrEnum):
    FAILED = "failed"
    REJECTS = "rejects"
    SLOW = "slow"
    MISSED = "missed"


@dataclass(frozen=True)
class Alert:
    title: str
    body: str


def judge_run(hub: Hub, run_id: str, clock: Clock) -> None:
    """Open and close incidents by how a run ended. Judged twice it is judged once."""
    with hub.read() as connection:
        rows = [dict(row) for row in sync_log.read_run(connection, run_id)]
    for system, direction in dict.fromkeys((row["system"], row["direction"]) for row in rows):
        mine = [row for row in rows if (row["system"], row["direction"]) == (system, direction)]
        hub.write(partial(_judge, run_id=run_id, rows=mine, clock=clock))


def _judge(connection: Connection, run_id: str, rows: Sequence[Mapping[str, Any]], clock: Clock) -> None:
    system, subject = rows[0]["system"], _subject(rows[0])
    found = set(_kinds(connection, rows))
    for kind in found:
        incidents.see(connection, kind, system, subject, run_id=run_id, now=clock.now())
    if any(row["status"] in (SyncStatus.SUCCESS, SyncStatus.PARTIAL) for row in rows):
        incidents.close(connection, [*(set(Kind) - found)], system, subject, now=clock.now())


def _kinds(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> Iterator[Kind]:
    limits = read_settings_of(connection, "alerts.")
    if any(row["status"] == SyncStatus.FAILED for row in rows):
        yield Kind.FAILED
    processed, failed = (sum(row[name] for row in rows) for name in ("processed", "failed"))
    is_large = failed and failed * 100 >= processed * limits["error_share"]
    if is_large or any(_rejects_unusually(connection, row, limits["error_growth"]) for row in rows):
        yield Kind.REJECTS
    if _is_slow(connection, rows, limits["slower_than"]):
        yield Kind.SLOW


def _rejects_unusually(connection: Connection, row: Mapping[str, Any], times: int) -> bool:
    """Compared with the median of the syncs of the same table and kind before it. A few records say nothing."""
    share = row["failed"] / max(row["processed"], 1)
    if row["failed"] < FEWEST_REJECTS or share < SMALLEST_SHARE:
        return False
    usual = sync_log.reject_shares(connection, row, limit=USUAL_RUNS)
    return len(usual) >= FEWEST_RUNS and share > times * statistics.median(usual)


def _is_slow(connection: Connection, rows: Sequence[Mapping[str, Any]], times: int) -> bool:
    """Compared with the median of the runs of the same kind before it."""
    took = _duration_s(rows)
    usual = sync_log.durations(connection, rows[0], limit=USUAL_RUNS)
    return (
        took is not None and took > SHORTEST_S and len(usual) >= FEWEST_RUNS and took > times * statistics.median(usual)
    )


def _duration_s(rows: Sequence[Mapping[str, Any]]) -> float | None:
    ends = [row["ended"] for row in rows]
    if not all(ends):
        return None
    return float((max(ends) - min(row["started"] for row in rows)).total_seconds())


def run_failed(hub: Hub, system: str, dag_id: str, run_id: str, clock: Clock) -> None:
    """Airflow says that a run failed, whether or not it came to its Sync Log."""
    hub.write(partial(incidents.see, kind=Kind.FAILED, system=system, subject=dag_id, run_id=run_id, now=clock.now()))


def run_was_sound(hub: Hub, system: str, dag_id: str, clock: Clock) -> None:
    """A run without a Sync Log came to its end: the failures before it are over, and the next is told again."""
    hub.write(partial(incidents.close, kinds=[Kind.FAILED], system=system, subject=dag_id, now=clock.now()))


def watch(hub: Hub, systems: Sequence[SystemSpec], clock: Clock) -> None:
    """Open an incident for each schedule whose last time has passed without a sync."""
    for system in systems:
        ways = [way for way in (Direction.INBOUND, Direction.OUTBOUND) if system.direction in (way, "both")]
        for way in ways if system.schedule else ():
            hub.write(partial(_watch, system=system, way=way, clock=clock))


def _watch(connection: Connection, system: SystemSpec, way: Direction, clock: Clock) -> None:
    now = clock.now()
    subject = f"kwiksync_{system.system}_{way}"
    due = _due(system, now)
    began = sync_log.last_start(connection, system.system, way)
    late_after = timedelta(minutes=read_settings_of(connection, "alerts.")["late_after_minutes"])
    if began is not None and began >= due:
        incidents.close(connection, [Kind.MISSED], system.system, subject, now=now)
    elif began is not None and now > due + late_after:
        incidents.see(connection, Kind.MISSED, system.system, subject, run_id=None, now=now)


def _due(system: SystemSpec, now: datetime) -> datetime:
    """When the last scheduled sync was to begin: its time, or the first moment of the sync window after it."""
    from croniter import croniter  # type: ignore[import-untyped]  # it ships no types

    local = now.astimezone(ZoneInfo(system.timezone))
    due: datetime = croniter(system.schedule, local).get_prev(datetime)
    window = system.sync_window
    if window is None or window.contains(due.time()):
        return due
    opens = datetime.combine(due.date(), window.start, due.tzinfo)
    return opens if opens >= due else opens + timedelta(days=1)


def list_incidents(hub: Hub, limit: int) -> list[Incident]:
    """The newest, open ones first."""
    with hub.read() as connection:
        return incidents.latest(connection, limit)


def tell(hub: Hub, send: Send, clock: Clock) -> int:
    """Send an alert for each incident that nobody was told of; how many were sent."""
    with hub.read() as connection:
        if not read_settings_of(connection, "alerts.")["enabled"]:
            return 0
        waiting = incidents.untold(connection, closed_after=clock.now() - TOLD_WITHIN)
    return sum(_tell(hub, incident, send, clock) for incident in waiting)


def _tell(hub: Hub, incident: Incident, send: Send, clock: Clock) -> bool:
    """Noted as being sent, so that two processes send one, and as told once it arrived.

    A process that is killed in between leaves it to the next who looks when `kept_answers.IN_FLIGHT_FOR` has passed.
    """
    with hub.read() as connection:
        alert = compose(connection, incident)
    if not hub.write(partial(_begin_to_send, incident=incident, clock=clock)):
        return False
    arrived = False
    try:
        arrived = send(alert.title, alert.body)
    finally:
        hub.write(partial(_end_sending, incident=incident, arrived=arrived, clock=clock))
    return arrived


def _begin_to_send(connection: Connection, incident: Incident, clock: Clock) -> bool:
    """Whether it is ours to send. Looked for after the begin, as who sent it ends both in one transaction."""
    under_way = kept_answers.begin(connection, Call(_SENDER, incident.sys_id), now=clock.now())
    return under_way is None and incidents.is_untold(connection, incident.sys_id)


def _end_sending(connection: Connection, incident: Incident, arrived: bool, clock: Clock) -> None:
    if arrived:
        incidents.note_told(connection, incident.sys_id, now=clock.now())
    kept_answers.forget(connection, Call(_SENDER, incident.sys_id))


def compose(connection: Connection, incident: Incident) -> Alert:
    """What an alert says: what happened, to which run, the codes, the first errors, where to look."""
    title = f"KWikSync: {incident.subject} {_WORDS[Kind(incident.kind)]}"
    lines = [f"Since {incident.opened:%Y-%m-%d %H:%M} UTC."]
    if incident.closed:
        lines.append(f"Over since {incident.closed:%Y-%m-%d %H:%M} UTC; nobody could be told before.")
    if incident.run_id:
        lines.append(f"Run: {incident.run_id}")
        lines += _of_run(connection, incident.run_id)
    link = str(read_settings_of(connection, "alerts.")["link"]).rstrip("/")
    if link:
        _, _, of_dag = (incident.run_id or "").partition("/")
        lines.append(f"{link}/dags/{incident.subject}{f'/runs/{of_dag}' if of_dag else ''}")
    lines.append(f"Look: kwiksync status; kwiksync errors list{f' --run {incident.run_id}' if incident.run_id else ''}")
    return Alert(title, "\n".join(lines))


_WORDS = {
    Kind.FAILED: "failed",
    Kind.REJECTS: "rejected too many records",
    Kind.SLOW: "took far longer than usual",
    Kind.MISSED: "did not run when it was due",
}


def _of_run(connection: Connection, run_id: str) -> Iterator[str]:
    for row in sync_log.read_run(connection, run_id):
        counts = f"{row['processed']:,} processed, {row['failed']:,} failed"
        message = f": {row['message']}" if row["message"] else ""
        yield f"  {row['table_name']}: {row['status']}, {counts}{message}"
    errors = error_log.search(connection, run_id=run_id, limit=1_000)
    codes = Counter(row["code"] for row in errors)
    if codes:
        yield "Errors: " + ", ".join(f"{code}: {number}" for code, number in sorted(codes.items()))
    for row in list(errors)[-SHOWN_ERRORS:]:
        yield f"  {row['code']} {row['table_name'] or ''} {row['external_id'] or ''}: {row['message']}"


def tell_all(hub: Hub, settings: Settings, clock: Clock) -> int:
    """As `tell`, to the addresses of the settings; nothing where there are none. What fails there stops no sync."""
    if not settings.alert_urls:
        return 0
    try:
        return tell(hub, sender(settings), clock)
    except ConfigurationError as exc:
        log.warning("No alert was sent. %s", exc)
        return 0


def sender(settings: Settings) -> Send:
    """Sends through the addresses of KWIKSYNC_ALERT_URLS.

    Raises:
        ConfigurationError: none is set, or one of them is not an address that Apprise knows.
    """
    import apprise

    if not settings.alert_urls:
        raise ConfigurationError(
            "There is no address for alerts.", remedy="Set KWIKSYNC_ALERT_URLS, such as mailtos://user:pw@host/?to=…"
        )
    addresses = apprise.Apprise()
    for number, url in enumerate(settings.alert_urls, 1):
        if not addresses.add(url):
            kind = url.partition(":")[0]
            raise ConfigurationError(
                f"Address {number} of KWIKSYNC_ALERT_URLS ({kind}:…) is not one that Apprise knows.",
                remedy="See its list of services for how it is written.",
            )
    redactor = Redactor(settings.alert_urls)

    def send(title: str, body: str) -> bool:
        arrived = bool(addresses.notify(title=redactor.text(title), body=redactor.text(body)))
        if not arrived:
            log.warning("The alert %r did not reach all addresses; it is sent again later.", title)
        return arrived

    return send


def _subject(row: Mapping[str, Any]) -> str:
    return f"kwiksync_{row['system']}_{row['direction']}"
