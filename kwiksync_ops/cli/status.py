"""`status`: what runs, what ran last, how full the tables are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from kwiksync_ops.cli.output import Field, Output, make_table
from kwiksync_ops.cli.session import JsonOption, Session, open_session
from kwiksync_ops.cli.text import NONE, STATUS_STYLES, ago, count, duration

if TYPE_CHECKING:
    from kwiksync_ops.services.status import Status, TableStatus

WATCH_S = 2.0

_TABLES = (
    Field("Table", shortest=12),
    Field("Count", is_number=True),
    Field("System", shortest=6),
    Field("Last sync"),
    Field("Status", is_status=True),
    Field("New", is_number=True),
    Field("Changed", is_number=True),
    Field("Rejected", is_number=True),
    Field("Took", is_number=True, from_width=100),
)
_RUNS = (
    Field("Started"),
    Field("System", shortest=6),
    Field("Table", shortest=12),
    Field("Status", is_status=True),
    Field("Read", is_number=True),
    Field("New", is_number=True),
    Field("Changed", is_number=True),
    Field("Rejected", is_number=True),
    Field("Calls", is_number=True, from_width=90),
    Field("Took", is_number=True, from_width=90),
    Field("Trigger", from_width=110),
    Field("Message", shortest=20, from_width=140),
)


def status(
    runs: Annotated[
        int, typer.Option("--runs", "-n", min=0, metavar="N", help="Also the newest rows of the Sync Log.")
    ] = 0,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", metavar="", help="Look again every 2 s, until Ctrl-C.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show whether a sync runs, and of each table its records and its last sync."""
    from kwiksync_ops.services.status import status_document

    output = Output(is_json=json)
    with open_session() as session:
        if watch and not json:
            _watch(output, session, runs)
            return
        found, log = _read(session, runs)
        output.emit(status_document(found, log))
        output.show(_page(found, log, session.clock.now(), output.human.width))


def _read(session: Session, runs: int) -> tuple[Status, list[Mapping[str, Any]]]:
    from kwiksync_ops.services.status import read_status, recent_runs

    return read_status(session.hub), list(recent_runs(session.hub, runs)) if runs else []


def _watch(output: Output, session: Session, runs: int) -> None:
    from rich.live import Live

    with Live(console=output.human, auto_refresh=False, screen=output.human.is_terminal) as live:
        while True:
            found, log = _read(session, runs)
            live.update(_page(found, log, session.clock.now(), output.human.width), refresh=True)
            session.clock.sleep(WATCH_S)


def _page(found: Status, log: list[Mapping[str, Any]], now: datetime, width: int) -> RenderableType:
    rows = [row for table in found.tables for row in _table_rows(table, found, now)]
    parts: list[RenderableType] = [_head(found), Text(), make_table(_TABLES, rows, width=width)]
    if log:
        run_rows = [_run_row(row, found, now) for row in log]
        parts += [Text(), make_table(_RUNS, run_rows, width=width, title="Sync Log, newest first")]
    return Group(*parts)


def _head(found: Status) -> Text:
    text = Text()
    if found.running and found.lease:
        text.append(f"Syncing  {found.running} ", style="bold cyan")
        text.append(f"(lease for {duration(found.lease.remaining_s)} more)", style="dim")
    else:
        text.append("Idle", style="bold green")
    number = sum(found.open_errors.values())
    by_code = ", ".join(f"{code} {errors:,}" for code, errors in found.open_errors.items())
    text.append("\n" + count(number, "open error"), style="yellow" if number else "green")
    text.append(f"  {by_code}" if by_code else "", style="dim")
    for system, calls in found.calls.items():
        text.append(f"\n{system}: {count(calls, 'API call')} in the last minute", style="dim")
    return text


def _table_rows(table: TableStatus, found: Status, now: datetime) -> list[tuple[Any, ...]]:
    if not table.last:
        return [(table.table, table.records, NONE, "never", Text(), "", "", "", "")]
    return [
        (
            table.table,
            table.records,
            _way(row),
            ago(row["started"], now),
            status_cell(row, found),
            row["created"],
            row["updated"],
            failed_cell(row),
            _took(row),
        )
        for row in table.last
    ]


def _way(row: Mapping[str, Any]) -> str:
    return f"{row['system']} {'in' if row['direction'] == 'inbound' else 'out'}"


def _run_row(row: Mapping[str, Any], found: Status, now: datetime) -> tuple[Any, ...]:
    return (
        ago(row["started"], now),
        _way(row),
        row["table_name"],
        status_cell(row, found),
        row["processed"],
        row["created"],
        row["updated"],
        failed_cell(row),
        row["api_calls"],
        _took(row),
        row["trigger"],
        row["message"],
    )


def status_cell(row: Mapping[str, Any], found: Status | None = None) -> Text:
    from kwiksync_ops.services.status import is_stalled

    if found and is_stalled(row, found):
        return Text("stalled", style="red")
    return Text(row["status"], style=STATUS_STYLES.get(row["status"], ""))


def failed_cell(row: Mapping[str, Any]) -> Text:
    return Text(f"{row['failed']:,}", style="yellow" if row["failed"] else "")


def _took(row: Mapping[str, Any]) -> str:
    return duration((row["ended"] - row["started"]).total_seconds()) if row["ended"] else NONE
