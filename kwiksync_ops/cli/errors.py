"""`errors`: what could not be taken, and what to do about it."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output, json_value
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import STATUS_STYLES, ago, count, moment, printable
from kwiksync_ops.errors import KwikSyncError
from kwiksync_ops.vocabulary import Resolution

if TYPE_CHECKING:
    from kwiksync_ops.cli.session import Session
    from kwiksync_ops.services.errors import ErrorFilter, ErrorRow
    from kwiksync_ops.services.replay import Replayed

app = typer.Typer(help="List, show, replay and resolve what is in the Error Log.", no_args_is_help=True)

SHORT_ID = 10

Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Ids from errors list; their first digits do.")]
OptionalIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Ids from errors list; their first digits do.", show_default=False),
]
System = Annotated[
    str | None, typer.Option("--system", "-s", metavar="SYSTEM", help="Only of this system.", show_default=False)
]
Table = Annotated[
    str | None, typer.Option("--table", "-t", metavar="TABLE", help="Only of this table.", show_default=False)
]
Code = Annotated[
    str | None, typer.Option("--code", "-c", metavar="CODE", help="Only this code: ERR_004, or 4.", show_default=False)
]
RunId = Annotated[
    str | None, typer.Option("--run", "-r", metavar="RUN_ID", help="Only of this run.", show_default=False)
]

_FIELDS = (
    Field("Id", style="cyan"),
    Field("When", from_width=100),
    Field("Code"),
    Field("System", shortest=6, from_width=110),
    Field("Table", shortest=8),
    Field("Record", shortest=8),
    Field("Status", is_status=True, from_width=90),
    Field("What is wrong", shortest=30),
)


@app.command("list")
def list_errors(
    system: System = None,
    table: Table = None,
    code: Code = None,
    run: RunId = None,
    show_all: Annotated[bool, typer.Option("--all", "-a", metavar="", help="Replayed and resolved ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many.")] = 50,
    check: Annotated[bool, typer.Option("--check", metavar="", help="Exit with 3 where there are any.")] = False,
    json: JsonOption = False,
) -> None:
    """List the open rows of the Error Log, newest first."""
    from kwiksync_ops.services.errors import ErrorFilter, search_errors

    output = Output(is_json=json)
    wanted = ErrorFilter(system, _checked_table(table), code, run, None if show_all else Resolution.OPEN)
    with open_session() as session:
        found = search_errors(session.hub, wanted, limit=limit + 1)
        now = session.clock.now()
    rows = found[:limit]
    output.emit({"errors": [dict(_document(row)) for row in rows], "more": len(found) > limit})
    if rows:
        output.table(_FIELDS, [_row(row, now) for row in rows])
    more = f"More than {limit}: --limit shows them." if len(found) > limit else count(len(rows), "row") + "."
    output.say(f"{more} Look at one: kwiksync errors show ID" if rows else "No errors.", style="" if rows else "green")
    raise typer.Exit(ExitCode.ATTENTION if check and rows else ExitCode.OK)


@app.command()
def show(
    ids: Ids,
    trace: Annotated[
        bool, typer.Option("--trace", metavar="", help="The stack trace too; a defect always shows it.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show rows whole: each fault, the remedy, the record as the system sent it."""
    from kwiksync_ops.services.errors import find_errors

    output = Output(is_json=json)
    with open_session() as session:
        rows = find_errors(session.hub, ids)
    output.emit({"errors": [dict(_document(row)) for row in rows]})
    for row in rows:
        output.show(*_details(row, with_trace=trace))


@app.command()
def replay(
    ids: OptionalIds = None,
    system: System = None,
    table: Table = None,
    code: Code = None,
    run: RunId = None,
    json: JsonOption = False,
) -> None:
    """Map rejected records again, by the mapping that is active now, and load those that are taken.

    Name rows, or choose open ones by --system, --table, --code or --run.

    What is rejected again stays open, with its new reason; then it exits with 3.
    """
    from kwiksync_ops.services.replay import replay as replay_rows

    output = Output(is_json=json)
    with open_session() as session:
        rows = _chosen(session, ids, _filter(system, table, code, run))
        with output.bar("Replaying", len(rows)) as advance:
            done = replay_rows(
                session.hub, session.settings.include, rows, who=session.who, clock=session.clock, advance=advance
            )
    output.emit(_replayed_document(done))
    _show_replayed(output, done)
    is_whole = done.count("replayed") == len(done.outcomes)
    raise typer.Exit(ExitCode.OK if is_whole else ExitCode.ATTENTION)


@app.command()
def resolve(
    ids: OptionalIds = None,
    system: System = None,
    table: Table = None,
    code: Code = None,
    run: RunId = None,
    note: Annotated[
        str | None, typer.Option("--note", metavar="TEXT", help="Why, for the audit trail.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Set rows down as resolved by hand. Their records are not touched."""
    from kwiksync_ops.services.errors import resolve_errors

    output = Output(is_json=json)
    with open_session() as session:
        rows = _chosen(session, ids, _filter(system, table, code, run))
        done = resolve_errors(session.hub, rows, note=note, who=session.who, clock=session.clock)
    output.emit({"resolved": list(done.closed), "already": list(done.already)})
    output.say(f"{count(len(done.closed), 'row')} resolved.", style="green")
    if done.already:
        output.say(f"{count(len(done.already), 'row')} had been closed before.", style="dim")


def _filter(system: str | None, table: str | None, code: str | None, run: str | None) -> ErrorFilter:
    from kwiksync_ops.services.errors import ErrorFilter

    return ErrorFilter(system, _checked_table(table), code, run)


def _checked_table(table: str | None) -> str | None:
    from kwiksync_ops.services.records import find_record_table

    return find_record_table(table).name if table else None


def _chosen(session: Session, ids: Sequence[str] | None, wanted: ErrorFilter) -> list[ErrorRow]:
    from kwiksync_ops.services.errors import MAX_REPLAYED, find_errors, search_errors

    has_filter = any((wanted.system, wanted.table, wanted.code, wanted.run_id))
    if bool(ids) == has_filter:
        raise typer.BadParameter("name rows by their ids, or choose them by --system, --table, --code or --run.")
    return find_errors(session.hub, ids) if ids else search_errors(session.hub, wanted, limit=MAX_REPLAYED)


def _row(row: ErrorRow, now: datetime) -> tuple[Any, ...]:
    return (
        row["sys_id"][:SHORT_ID],
        ago(row["occurred"], now),
        row["code"],
        row["system"],
        row["table_name"],
        row["external_id"],
        row["resolution"],
        row["message"],
    )


def _details(row: ErrorRow, *, with_trace: bool) -> Iterator[RenderableType]:
    head = Text(f"{row['code']}  ", style="bold red")
    head.append(" ".join(filter(None, (row["system"], row["table_name"], row["external_id"]))), style="bold")
    head.append(f"  {row['resolution']}", style=STATUS_STYLES.get(row["resolution"], ""))
    yield head
    faults = row["faults"] or [{"code": row["code"], "message": row["message"]}]
    for fault in faults:
        yield Padding(Text(f"{fault['code']}  {printable(fault['message'])}"), (0, 2))
    if row["remedy"]:
        yield Padding(Text(f"Remedy  {printable(row['remedy'])}", style="green"), (0, 2))
    yield Padding(Text(_origin(row), style="dim"), (0, 2))
    if row["payload"] is not None:
        yield Padding(Text(_payload(row["payload"])), (1, 2, 0, 2))
    if row["stack_trace"] and (with_trace or row["code"] == KwikSyncError.code):
        yield Padding(Text(printable(row["stack_trace"], lines=True), style="dim"), (1, 2, 0, 2))
    yield Text()


def _origin(row: ErrorRow) -> str:
    place = f", batch {row['batch']}" if row["batch"] is not None else ""
    text = f"{row['sys_id']}\n{moment(row['occurred'])} UTC, run {row['run_id']}{place}, attempt {row['attempt']}"
    closed = f"\n{row['resolution']} {moment(row['resolved_on'])} UTC by {row['resolved_by']}"
    return text + closed if row["resolved_on"] else text


def _payload(payload: Any) -> str:
    text = (
        payload
        if isinstance(payload, str)
        else json_text.dumps(payload, indent=2, ensure_ascii=False, default=json_value)
    )
    return printable(text, lines=True)


def _show_replayed(output: Output, done: Replayed) -> None:
    fields = (
        Field("Id", style="cyan"),
        Field("Table", shortest=8),
        Field("Record", shortest=8),
        Field("Result", is_status=True),
        Field("Why", shortest=30),
    )
    rest = [each for each in done.outcomes if each.outcome != "replayed"]
    if rest:
        rows = [
            (e.sys_id[:SHORT_ID], e.table, e.external_id, e.outcome, " ".join(filter(None, (e.code, e.message))))
            for e in rest
        ]
        output.table(fields, rows)
    taken, again, skipped = (done.count(outcome) for outcome in ("replayed", "rejected", "skipped"))
    if not done.outcomes:
        output.say("Nothing to replay: no open row is such a one.", style="green")
        return
    text = f"{taken:,} taken ({done.counts.created:,} created, {done.counts.updated:,} updated)"
    output.say(
        f"{text}, {again:,} rejected again, {skipped:,} skipped.", style="yellow" if again or skipped else "green"
    )


def _replayed_document(done: Replayed) -> dict[str, Any]:
    return {
        "run_ids": list(done.run_ids),
        "counts": vars(done.counts),
        "outcomes": [vars(outcome) for outcome in done.outcomes],
    }


def _document(row: ErrorRow) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        yield ("table" if name == "table_name" else name), value
