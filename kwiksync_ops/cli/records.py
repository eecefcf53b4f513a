"""`records`: what a table holds, for a person, a script or a spreadsheet."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kwiksync_ops.cli.output import Field, Output, to_json
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import count

if TYPE_CHECKING:
    from kwiksync_ops.vocabulary import RecordTable

DEFAULT_LIMIT = 20
COLUMN_WIDTH = 16
_WIDE = {"description", "work_notes"}


def records(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE", help="locations, projects, tickets, kw_corp_ticket_tasks, assets, deliverables."
        ),
    ],
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where",
            "-w",
            metavar="FIELD=VALUE",
            help="Only these; signs are = != < <= > >= and ~ (contains). Several must all hold.",
            show_default=False,
        ),
    ] = None,
    fields: Annotated[
        str | None, typer.Option("--fields", "-f", metavar="A,B,…", help="These columns.", show_default=False)
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", "-n", min=0, metavar="N", help="At most so many; 0 is all.", show_default="20, with --csv all"
        ),
    ] = None,
    deleted: Annotated[bool, typer.Option("--deleted", metavar="", help="Deleted ones too.")] = False,
    csv: Annotated[bool, typer.Option("--csv", metavar="", help="CSV for spreadsheets on stdout.")] = False,
    json: JsonOption = False,
) -> None:
    """Show the records of a table, the last changed first."""
    from kwiksync_ops.services import records as service

    if csv and json:
        raise typer.BadParameter("choose one of --csv and --json.")
    output = Output(is_json=json or csv)
    found_table = service.find_record_table(table)
    conditions = [service.parse_condition(found_table, text) for text in where or ()]
    chosen = _chosen(found_table, fields)
    wanted = (None if csv else DEFAULT_LIMIT) if limit is None else limit or None
    with open_session() as session:
        if csv:
            names, query = chosen or service.columns_of(found_table), "&".join(where or ())
            service.note_export(session.hub, found_table, names, query, who=session.who, clock=session.clock)
        total = service.count_records(session.hub, found_table, conditions, deleted=deleted)
        number = total if wanted is None else min(wanted, total)
        reading = service.read_records(session.hub, found_table, conditions, limit=wanted, deleted=deleted)
        with reading as stream:
            if csv:
                _write_csv(output, stream, chosen or service.columns_of(found_table), number)
            elif json:
                _write_json(found_table, stream, chosen or service.columns_of(found_table), total)
            else:
                _show(output, found_table, stream, chosen, total)


def _chosen(table: RecordTable, fields: str | None) -> list[str]:
    from kwiksync_ops.services.records import check_fields

    return check_fields(table, [name.strip() for name in fields.split(",") if name.strip()]) if fields else []


def _show(
    output: Output, table: RecordTable, stream: Iterable[Mapping[str, Any]], chosen: Sequence[str], total: int
) -> None:
    names = chosen or _fitting(table, output.human.width)
    rows = [[_raw(record[name]) for name in names] for record in stream]
    if rows:
        output.table([Field(name, shortest=max(6, len(name))) for name in names], rows)
    more = "" if len(rows) == total else " More: --limit 0, --fields, --where; all of it: --csv or --json."
    output.say(f"{len(rows):,} of {count(total, 'record')}.{more}", style="dim")


def _raw(value: Any) -> Any:
    """A number of a record stands as it is, so that it can be compared and searched for."""
    return str(value) if type(value) is int else value


def _fitting(table: RecordTable, width: int) -> list[str]:
    """The key and the first columns, so many as can be read on one line; long texts only on wide terminals."""
    room = max(width // COLUMN_WIDTH, 3)
    short = [column.name for column in table.columns if column.name not in _WIDE]
    return ["external_id", *short][:room]


def _write_csv(output: Output, stream: Iterable[Mapping[str, Any]], names: Sequence[str], total: int) -> None:
    from kwiksync_ops.services.records import write_csv

    with _binary_stdout() as file:
        number = write_csv(file, names, output.track(stream, total, "Exporting"))
    output.say(f"{count(number, 'record')} written.", style="dim")


def _write_json(table: RecordTable, stream: Iterable[Mapping[str, Any]], names: Sequence[str], total: int) -> None:
    """One record a line, written as they are read."""
    sys.stdout.write(f'{{"table": {to_json(table.name)}, "total": {total}, "records": [')
    for number, record in enumerate(stream):
        document = to_json({name: record[name] for name in names}, indent=None)
        sys.stdout.write(f"{',' if number else ''}\n{document}")
    sys.stdout.write("\n]}\n")


@contextmanager
def _binary_stdout() -> Iterator[io.TextIOWrapper]:
    """Stdout as UTF-8 with the line ends as they are written."""
    sys.stdout.flush()
    file = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="")
    try:
        yield file
        file.flush()
    finally:
        file.detach()
