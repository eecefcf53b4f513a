"""`sync`: a sync of a system in this terminal, without Airflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output, make_table, show_error
from kwiksync_ops.cli.session import JsonOption, Session, open_session
from kwiksync_ops.cli.status import failed_cell, status_cell
from kwiksync_ops.cli.text import count, duration
from kwiksync_ops.errors import KwikSyncError
from kwiksync_ops.vocabulary import RETRY_DELAYS_S, SYNC_MODES, Direction, Mode

if TYPE_CHECKING:
    from kwiksync_ops.services.sync import SyncOutcome

FRAMES_PER_S = 2

_FIELDS = (
    Field("Table", shortest=12),
    Field("Status", is_status=True),
    Field("Read", is_number=True),
    Field("New", is_number=True),
    Field("Changed", is_number=True),
    Field("Same", is_number=True),
    Field("Deleted", is_number=True, from_width=90),
    Field("Rejected", is_number=True),
    Field("Calls", is_number=True, from_width=90),
    Field("Took", is_number=True),
)


def _sync_mode(mode: Mode) -> Mode:
    if mode not in SYNC_MODES:
        raise typer.BadParameter(f"'{mode}' is not one of {', '.join(SYNC_MODES)}; there is a command kwiksync verify.")
    return mode


def sync(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="As its file in include/systems is called.")],
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table", "-t", metavar="TABLE", help="Only this table; may be given several times.", show_default=False
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            "--mode",
            "-m",
            callback=_sync_mode,
            metavar="MODE",
            help="incremental: what changed; full: everything; preview: a look at one page, nothing is written.",
        ),
    ] = Mode.INCREMENTAL,
    outbound: Annotated[
        bool, typer.Option("--outbound", "-o", metavar="", help="Deliver what changed in the hub to the system.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="MOMENT", help="Read what changed after it: 2026-01-31T08:30.", show_default=False
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--to", metavar="MOMENT", help="Read nothing that changed later.", show_default=False)
    ] = None,
    no_retry: Annotated[
        bool,
        typer.Option("--no-retry", metavar="", help="Fail at once, instead of trying again after 1, 5 and 15 minutes."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", metavar="", help="Wait for a sync that runs, instead of failing.")
    ] = False,
    allow_deletes: Annotated[
        bool,
        typer.Option(
            "--allow-deletes", metavar="", help="Delete what is gone at the system, also above a table's guard."
        ),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Sync a system, here and now: into the hub, or from it. Exits with 3 where records were rejected."""
    from kwiksync_ops.services.connections import credentials
    from kwiksync_ops.services.identity import Identity
    from kwiksync_ops.services.sync import SyncRequest, sync_system
    from kwiksync_ops.services.systems import find_system

    output = Output(is_json=json)
    window = _moment(since, "--from"), _moment(until, "--to")
    if window[0] and window[1] and window[0] >= window[1]:
        raise typer.BadParameter("the window ends before it begins: --from must be earlier than --to.")
    if outbound and any(window):
        raise typer.BadParameter("--from and --to are of a read; --outbound sends what changed since the last push.")
    direction = Direction.OUTBOUND if outbound else Direction.INBOUND
    delays_s = () if no_retry else RETRY_DELAYS_S
    request = SyncRequest(
        tables or (),
        mode,
        *window,
        retry_delays_s=delays_s,
        wait=wait,
        direction=direction,
        allow_deletes=allow_deletes,
    )
    with open_session() as session:
        spec = find_system(session.settings.include, system)
        identity = Identity(partial(credentials, session.settings, session.hub, spec))
        with _Progress(session, output) as progress:
            outcome = sync_system(
                session.hub, spec, identity, request, who=session.who, clock=session.clock, watcher=progress
            )
        _report(output, session, outcome, mode)
    raise typer.Exit(_exit_code(outcome))


class _Progress:
    """A live table on stderr, read from the Sync Log while the run fills it; a line an event where nobody watches."""

    def __init__(self, session: Session, output: Output) -> None:
        self._session = session
        self._output = output
        self._run_id = ""
        self._tables: Sequence[str] = ()
        self._note = ""
        self._live = ExitStack()

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._live.close()

    def begins(self, run_id: str, tables: Sequence[str]) -> None:
        self._run_id, self._tables = run_id, tables
        if self._output.progress.is_terminal:
            console = self._output.progress
            self._live.enter_context(
                Live(get_renderable=self._frame, console=console, refresh_per_second=FRAMES_PER_S, transient=True)
            )

    def waits(self, seconds: float, error: KwikSyncError) -> None:
        self._output.progress.print(Text(f"{error.code}: {error.message}", style="yellow"))
        self._output.progress.print(Text(f"Trying again in {duration(seconds)}. Ctrl-C stops.", style="dim"))

    def _frame(self) -> Table:
        from kwiksync_ops.services.status import run_rows

        try:
            rows = {row["table_name"]: row for row in run_rows(self._session.hub, self._run_id)}
        except KwikSyncError:
            rows = {}
        now = self._session.clock.now()
        cells = [_row(rows.get(table), table, now) for table in self._tables]
        return make_table(_FIELDS, cells, width=self._output.progress.width)


def _report(output: Output, session: Session, outcome: SyncOutcome, mode: Mode) -> None:
    from kwiksync_ops.services.status import run_rows

    rows = {row["table_name"]: row for row in run_rows(session.hub, outcome.run_id)}
    output.emit(_document(outcome, rows))
    now = session.clock.now()
    output.table(_FIELDS, [_row(rows.get(each.table), each.table, now) for each in outcome.tables])
    if mode is Mode.PREVIEW:
        for name, row in rows.items():
            output.say(f"{name}: {row['message'] or 'nothing was read.'}")
    for each in outcome.tables:
        if each.skipped:
            output.say(f"{each.table} was skipped: {each.skipped}", style="yellow")
    for error in dict.fromkeys(outcome.errors):
        show_error(error)
    calls = sum(row["api_calls"] for row in rows.values())
    output.say(f"Run {outcome.run_id}: {count(calls, 'API call')}.", style="dim")
    if outcome.rejected:
        output.say(f"{count(outcome.rejected, 'record')} rejected: kwiksync errors list", style="yellow")


def _row(row: Mapping[str, Any] | None, table: str, now: datetime) -> tuple[Any, ...]:
    if row is None:
        return (table, Text("·", style="dim"), *[""] * (len(_FIELDS) - 2))
    took = ((row["ended"] or now) - row["started"]).total_seconds()
    numbers = (row[name] for name in ("processed", "created", "updated", "unchanged", "deleted"))
    return table, status_cell(row), *numbers, failed_cell(row), row["api_calls"], duration(max(took, 0))


def _document(outcome: SyncOutcome, rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    from kwiksync_ops.services.status import run_document

    return {
        "run_id": outcome.run_id,
        "rejected": outcome.rejected,
        "tables": [run_document(rows[each.table]) for each in outcome.tables if each.table in rows],
        "skipped": [{"table": each.table, "reason": each.skipped} for each in outcome.tables if each.skipped],
        "errors": [
            {"table": each.table, "code": each.error.code, "message": each.error.message, "remedy": each.error.remedy}
            for each in outcome.tables
            if each.error
        ],
    }


def _exit_code(outcome: SyncOutcome) -> ExitCode:
    if outcome.errors:
        return ExitCode.FAILED
    return ExitCode.ATTENTION if outcome.rejected else ExitCode.OK


def _moment(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as exc:
        raise typer.BadParameter(
            f"{text!r} is not a moment such as 2026-01-31T08:30 (UTC) or 2026-01-31T08:30+02:00.", param_hint=option
        ) from exc
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
