"""`audit`: who changed what, and the proof that nobody changed the record of it."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import ago

app = typer.Typer(help="Who changed what; prove that the trail is whole, show it, export it.", no_args_is_help=True)

Who = Annotated[str | None, typer.Option("--who", metavar="NAME", help="Only what they did.", show_default=False)]
Action = Annotated[
    str | None,
    typer.Option("--action", metavar="ACTION", help="Only these: record, or record.update.", show_default=False),
]
Subject = Annotated[
    str | None,
    typer.Option("--object", metavar="TEXT", help="Only where what was changed holds it.", show_default=False),
]
Since = Annotated[
    datetime | None,
    typer.Option("--since", metavar="MOMENT", help="Only from this moment on, in UTC.", show_default=False),
]

_FIELDS = (
    Field("Number", style="cyan"),
    Field("When"),
    Field("Who", shortest=8),
    Field("Action", shortest=12),
    Field("What", shortest=16),
    Field("From", shortest=8, from_width=90),
    Field("Details", shortest=20, from_width=110),
)


@app.command()
def verify(json: JsonOption = False) -> None:
    """Check every row against the one before it, and every anchor against the trail. Exit code 1 where one fails."""
    from kwiksync_ops.services.audit_trail import verify_trail

    output = Output(is_json=json)
    with open_session() as session:
        found = verify_trail(session.hub, session.settings)
    output.emit({"audit": asdict(found)})
    if found.fault:
        output.say(f"The audit trail is not whole: {found.fault.problem}.", style="red")
        output.say("Find out who wrote to the audit table; compare with a backup.")
        raise typer.Exit(ExitCode.FAILED)
    until = f"anchored up to row {found.anchored.number}" if found.anchored else "not anchored yet"
    output.say(f"{found.rows:,} rows, unbroken, {until}.", style="green")


@app.command()
def show(
    who: Who = None,
    action: Action = None,
    subject: Subject = None,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, metavar="N", help="At most so many.")] = 20,
    json: JsonOption = False,
) -> None:
    """Show the newest rows."""
    from kwiksync_ops.services.audit_trail import search_trail
    from kwiksync_ops.storage.audit import AuditFilter

    output = Output(is_json=json)
    with open_session() as session:
        rows = search_trail(session.hub, AuditFilter(who, action, subject, _utc(since)), limit=limit)
        now = session.clock.now()
    output.emit({"audit": rows})
    shown = [
        (
            row["number"],
            ago(datetime.fromisoformat(row["at"]), now),
            row["who"],
            row["action"],
            row["object"],
            row["details"].get("from", ""),
            json_text.dumps(
                {name: value for name, value in row["details"].items() if name != "from"}, ensure_ascii=False
            ),
        )
        for row in rows
    ]
    if shown:
        output.table(_FIELDS, shown)
    else:
        output.say("Nothing of that kind stands in the audit trail.")


@app.command()
def export(who: Who = None, action: Action = None, subject: Subject = None, since: Since = None) -> None:
    """Write all rows as JSON Lines, the oldest first, with their hashes.

    [dim]kwiksync audit export --since 2026-01-01 > audit.jsonl[/]
    """
    from kwiksync_ops.services.audit_trail import export_trail
    from kwiksync_ops.storage.audit import AuditFilter

    with open_session() as session:
        wanted = AuditFilter(who, action, subject, _utc(since))
        for row in export_trail(session.hub, wanted, who=session.who, clock=session.clock):
            sys.stdout.write(json_text.dumps(row, ensure_ascii=False) + "\n")


@app.command()
def anchor(json: JsonOption = False) -> None:
    """Keep the trail's last row elsewhere, so that a tail that is cut off later is seen."""
    from kwiksync_ops.services.audit_trail import anchor_trail

    output = Output(is_json=json)
    with open_session() as session:
        made = anchor_trail(session.hub, session.settings, session.clock)
    output.emit({"anchor": asdict(made) if made else None})
    output.say(f"Anchored at row {made.number}." if made else "The audit trail is empty.", style="green")


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment
