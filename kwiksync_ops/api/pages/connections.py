"""The Connection Dashboard: a card per system and table, what they do now, and what just happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kwiksync_ops.api.callers import DagRun
from kwiksync_ops.api.context import Context, ContextDep
from kwiksync_ops.api.pages.declared import all_systems, dag_id_of, directions_of, systems_of
from kwiksync_ops.api.pages.layout import show
from kwiksync_ops.api.pages.snapshot import LogRow, Snapshot, snapshots_of
from kwiksync_ops.services import feed
from kwiksync_ops.services.feed import Place
from kwiksync_ops.services.progress import Progress, progress_of
from kwiksync_ops.system_spec.loader import BrokenSystem
from kwiksync_ops.system_spec.spec import SystemSpec, TableSpec
from kwiksync_ops.vocabulary import Direction, Mode, SyncStatus

router = APIRouter(prefix="/connections")

FIRST_EVENTS, MORE_EVENTS = 40, 100


@dataclass(frozen=True)
class Way:
    """A direction of a table: its newest row of the Sync Log."""

    direction: Direction
    last: LogRow | None


@dataclass(frozen=True)
class Card:
    """`state` is idle, queued, syncing or stalled; `progress` is there while it syncs."""

    table: TableSpec
    state: str
    ways: tuple[Way, ...]
    records: int | None
    open_errors: int
    progress: Progress | None
    run_id: str = ""


@dataclass(frozen=True)
class SystemView:
    """`active` are its queued and running DAG runs; `starts` its next scheduled starts, by direction."""

    spec: SystemSpec
    cards: tuple[Card, ...]
    calls_used: int
    active: tuple[DagRun, ...]
    starts: Mapping[str, datetime]

    @property
    def state(self) -> str:
        states = {card.state for card in self.cards}
        return next((state for state in ("syncing", "queued", "stalled") if state in states), "idle")


@router.get("")
def read_connections(request: Request, context: ContextDep) -> HTMLResponse:
    events, place = feed.read_feed(context.hub, Place(), limit=FIRST_EVENTS)
    broken = [system for system in all_systems(context) if isinstance(system, BrokenSystem)]
    return show(
        request,
        "connections.html",
        title="Connections",
        systems=_views(request, context),
        broken=broken,
        events=events,
        place=place,
    )


@router.get("/cards")
def read_cards(request: Request, context: ContextDep) -> HTMLResponse:
    """The cards alone, as they are now."""
    return show(request, "connections_cards.html", systems=_views(request, context))


@router.get("/activity")
def read_activity(request: Request, context: ContextDep, after: str = "0-0") -> HTMLResponse:
    """What happened behind a place in the activity log; `X-Last` says where the next look begins."""
    events, place = feed.read_feed(context.hub, feed.place_of(after), limit=MORE_EVENTS)
    answer = show(request, "connections_events.html", events=events)
    answer.headers["X-Last"] = str(place)
    return answer


def _views(request: Request, context: Context) -> list[SystemView]:
    snapshot = snapshots_of(request).take()
    systems = systems_of(context)
    used = snapshots_of(request).calls_used([system.system for system in systems])
    return [_view(context, system, snapshot, used[system.system]) for system in systems]


def _view(context: Context, system: SystemSpec, snapshot: Snapshot, used: int) -> SystemView:
    ways = directions_of(system)
    active = tuple(run for way in ways for run in context.gateway.active_runs(dag_id_of(system, way)))
    starts = {way.value: at for way in ways if (at := context.gateway.next_run(dag_id_of(system, way)))}
    cards = tuple(_card(context, system, table, snapshot, active) for table in system.tables)
    return SystemView(system, cards, used, active, starts)


def _card(context: Context, system: SystemSpec, table: TableSpec, snapshot: Snapshot, active: Sequence[DagRun]) -> Card:
    ways = tuple(
        Way(way, snapshot.last.get((system.system, way, table.table)))
        for way in directions_of(system)
        if way == Direction.INBOUND or table.push
    )
    running = next((way.last for way in ways if way.last and way.last["status"] == SyncStatus.RUNNING), None)
    state, progress = "idle", None
    if running is not None:
        state = "stalled" if snapshot.is_stalled(running) else "syncing"
        with context.hub.read() as connection:
            progress = progress_of(connection, running, context.clock.now())
    elif any(_waits(run, table.table, ways) for run in active):
        state = "queued"
    count = (snapshot.counts or {}).get(table.table)
    return Card(
        table=table,
        state=state,
        ways=ways,
        records=count.records if count else None,
        open_errors=snapshot.open_of(system.system, table.table),
        progress=progress,
        run_id=running["run_id"] if running else "",
    )


def _waits(run: DagRun, table: str, ways: Sequence[Way]) -> bool:
    """The run is to sync the table, and has not done so yet."""
    wanted = run.conf.get("tables") or [table]
    done = any(way.last and way.last["run_id"] == f"{run.dag_id}/{run.run_id}" for way in ways)
    return table in wanted and run.conf.get("mode") != Mode.PREVIEW and not done
