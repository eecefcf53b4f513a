"""`connect`: from a connection to a system's files, with a proposal for each question."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from kwiksync_ops.cli.connect_person import Person, ask_until_valid
from kwiksync_ops.cli.connect_view import document
from kwiksync_ops.cli.connect_walk import Answers, Walk
from kwiksync_ops.cli.connect_words import parse_fields, parse_objects, parse_options, parse_pairs
from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.declared.fault import did_you_mean
from kwiksync_ops.vocabulary import CALLS_PER_MINUTE


class Way(StrEnum):
    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BOTH = "both"


_NAME_RULE = "small letters, digits and _, beginning with a letter, at most 40"


def connect(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="files, odata, rest, servicenow or sql.")],
    system: Annotated[str, typer.Option("--name", "-s", metavar="NAME", help=f"Its name here: {_NAME_RULE}.")] = "",
    connection: Annotated[
        str,
        typer.Option("--connection", "-c", metavar="ID", help="Its Airflow connection.", show_default="kwiksync_NAME"),
    ] = "",
    objects: Annotated[
        list[str] | None,
        typer.Option(
            "--object", "-o", metavar="OBJECT[=TABLE]", help="A table, entity set, file or path, and what it becomes."
        ),
    ] = None,
    catalogue: Annotated[
        str,
        typer.Option(
            "--catalogue",
            metavar="NAME",
            help="rest: an OpenAPI document (path, URL or file). odata: a service. files: a folder.",
        ),
    ] = "",
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="[TABLE:]KEY=VALUE", help="An option of the kind, as in the system's file."),
    ] = None,
    direction: Annotated[
        Way, typer.Option("--direction", help="Which way records go; outbound and both propose how they are written.")
    ] = Way.INBOUND,
    keys: Annotated[
        list[str] | None, typer.Option("--key", metavar="TABLE=FIELD", help="The field that identifies a record.")
    ] = None,
    cursors: Annotated[
        list[str] | None,
        typer.Option("--cursor", metavar="TABLE=FIELD", help="The field of the change time; nothing for none."),
    ] = None,
    fields: Annotated[
        list[str] | None,
        typer.Option(
            "--field", "-f", metavar="TABLE.COLUMN=FIELD", help="What fills a column; nothing leaves it empty."
        ),
    ] = None,
    calls: Annotated[
        int, typer.Option("--calls-per-minute", min=1, max=100_000, metavar="N", help="At most so many calls to it.")
    ] = CALLS_PER_MINUTE,
    timezone: Annotated[
        str, typer.Option("--timezone", metavar="ZONE", help="Of the schedule, and of times that name none.")
    ] = "UTC",
    schedule: Annotated[
        str | None, typer.Option("--schedule", metavar="CRON", help="When it syncs.", show_default="by hand")
    ] = None,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What the system is.")] = "",
    customer_key_file: Annotated[
        Path | None,
        typer.Option(
            "--customer-key-file", metavar="FILE", help="Holds the Customer Key; - for stdin. It is stored encrypted."
        ),
    ] = None,
    replace_files: Annotated[
        bool, typer.Option("--replace", metavar="", help="Write files anew that are there.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Only show; write nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Ask nothing, take every proposal.")] = False,
    json: JsonOption = False,
) -> None:
    """Set up a new system: test its connection, look at its objects, propose a mapping, and write its files.

    Exits with 3 where one of the ten previewed records of a table would be rejected.
    """
    from kwiksync_ops.services.discovery import UTC_KINDS
    from kwiksync_ops.services.proposals import Wishes

    _refuse_unknown_kind(kind)
    output, person = Output(is_json=json), Person(is_asked=not (yes or json))
    name = _system_name(person, system)
    wishes = Wishes(
        parse_pairs(keys or (), "--key"),
        parse_pairs(cursors or (), "--cursor"),
        parse_fields(fields or ()),
        "UTC" if kind in UTC_KINDS else _zone(timezone),
    )
    answers = Answers(
        kind,
        name,
        _connection_id(person, connection, name),
        parse_objects(objects or ()),
        catalogue,
        parse_options(options or ()),
        wishes,
        _zone(timezone),
        calls,
        schedule,
        description,
        customer_key_file,
        replace_files,
        direction.value,
    )
    with open_session() as session:
        walk = Walk(session, output, person, answers)
        walk.refuse_early()
        walk.explore()
        walk.review()
        walk.review_way_out()
        previews = walk.preview()
        files = [] if dry_run else walk.write()
    output.emit(document(walk.head(files), walk.proposals, walk.outbound, previews, files))
    rejected = sum(previewed.rejected for previewed in previews.values())
    walk.say_end(files, rejected)
    raise typer.Exit(ExitCode.ATTENTION if rejected else ExitCode.OK)


def _refuse_unknown_kind(kind: str) -> None:
    from kwiksync_ops.connectors.registry import KINDS

    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS) or f" There are: {', '.join(KINDS)}."
        raise typer.BadParameter(f"There is no kind of system {kind!r}.{hint}", param_hint="KIND")


def _system_name(person: Person, given: str) -> str:
    from kwiksync_ops.services.system_files import SYSTEM_NAME

    return ask_until_valid(person, given, SYSTEM_NAME, f"A name for the system ({_NAME_RULE})", "", "--name")


def _connection_id(person: Person, given: str, system: str) -> str:
    from kwiksync_ops.services.system_files import CONNECTION_ID

    return ask_until_valid(person, given, CONNECTION_ID, "Its Airflow connection", f"kwiksync_{system}", "--connection")


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as exc:
        raise typer.BadParameter(
            f"{name!r} is no IANA time zone, such as Europe/Berlin.", param_hint="--timezone"
        ) from exc
    return name
