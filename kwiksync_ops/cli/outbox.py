"""`outbox`: deliveries that have not ended well, and what a person decides about them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import typer

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import ago, count
from kwiksync_ops.vocabulary import DeliveryState

app = typer.Typer(help="Look at deliveries that did not end well, and decide about them.", no_args_is_help=True)

_FIELDS = (
    Field("Id", style="cyan"),
    Field("When", from_width=100),
    Field("System", shortest=6),
    Field("Table", shortest=8),
    Field("Record", shortest=8),
    Field("Action"),
    Field("State"),
    Field("Tries", is_number=True, from_width=110),
    Field("Why", shortest=20),
)
_SHOWN = ("sys_id", "run_id", "system", "table_name", "record_sys_id", "external_id", "action", "state", "attempt")

Id = Annotated[str, typer.Argument(metavar="ID", help="An id from outbox list; its first digits do.")]
Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Ids from outbox list; their first digits do.")]


@app.command("list")
def list_deliveries(
    system: Annotated[
        str | None, typer.Option("--system", "-s", metavar="SYSTEM", help="Only to this system.", show_default=False)
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", "-t", metavar="TABLE", help="Only of this table.", show_default=False)
    ] = None,
    state: Annotated[
        DeliveryState | None,
        typer.Option("--state", metavar="STATE", help="Only those in this state, such as unconfirmed."),
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", "-a", metavar="", help="Confirmed ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many.")] = 50,
    check: Annotated[bool, typer.Option("--check", metavar="", help="Exit with 3 where there are any.")] = False,
    json: JsonOption = False,
) -> None:
    """List deliveries that have not ended well, newest first."""
    from kwiksync_ops.services.decisions import DeliveryFilter, search_deliveries

    output = Output(is_json=json)
    with open_session() as session:
        wanted = DeliveryFilter(system, table, state, is_open=not show_all)
        found = search_deliveries(session.hub, wanted, limit=limit + 1)
        now = session.clock.now()
    rows = found[:limit]
    output.emit({"deliveries": [_document(row) for row in rows], "more": len(found) > limit})
    if rows:
        output.table(_FIELDS, [_row(row, now) for row in rows])
    more = (
        f"More than {limit}: --limit shows them."
        if len(found) > limit
        else count(len(rows), "delivery", "deliveries") + "."
    )
    output.say(more if rows else "Every delivery has ended well.", style="" if rows else "green")
    raise typer.Exit(ExitCode.ATTENTION if check and rows else ExitCode.OK)


@app.command()
def confirm(
    delivery: Id,
    key: Annotated[
        str | None,
        typer.Option("--key", "-k", metavar="KEY", help="The id that the system gave the record.", show_default=False),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Say that a delivery arrived: you saw it at the system."""
    from kwiksync_ops.services.decisions import confirm_delivery

    output = Output(is_json=json)
    with open_session() as session:
        row = confirm_delivery(session.hub, delivery, key=key, who=session.who, clock=session.clock)
    output.emit({"deliveries": [_document(row)]})
    output.say(f"Confirmed: {row['system']} has the {row['action']} of {row['external_id']}.", style="green")


@app.command()
def resend(deliveries: Ids, json: JsonOption = False) -> None:
    """Send again: you know that it did not arrive, or have mended what refused it."""
    from kwiksync_ops.services.decisions import resend_deliveries

    output = Output(is_json=json)
    with open_session() as session:
        number = resend_deliveries(session.hub, deliveries, who=session.who, clock=session.clock)
    output.emit({"resent": number})
    sent = count(number, "delivery", "deliveries")
    output.say(f"The next outbound sync sends {sent} again, as the record stands then.")


def _row(row: Mapping[str, Any], now: datetime) -> tuple[Any, ...]:
    return (
        row["sys_id"][:16],
        ago(row["sys_created_on"], now),
        row["system"],
        row["table_name"],
        row["external_id"] or row["record_sys_id"],
        row["action"],
        row["state"],
        row["attempt"],
        f"{row['error_code'] or ''} {row['message'] or ''}".strip(),
    )


def _document(row: Mapping[str, Any]) -> dict[str, Any]:
    times = {name: row[name].isoformat() if row[name] else None for name in ("sys_created_on", "sent", "confirmed")}
    told = {"code": row["error_code"], "message": row["message"], "payload": row["payload"]}
    return {**{name: row[name] for name in _SHOWN}, **told, **times}
