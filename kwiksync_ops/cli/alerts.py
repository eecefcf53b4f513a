"""`alerts`: incidents, and whether somebody can be told of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import ago, count

app = typer.Typer(help="List incidents, try the addresses, look for syncs that did not run.", no_args_is_help=True)

_FIELDS = (
    Field("What", style="cyan"),
    Field("Kind"),
    Field("Since"),
    Field("Times", is_number=True),
    Field("State", is_status=True),
    Field("Run", shortest=12, from_width=110),
)


@app.command("list")
def list_incidents(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1_000, metavar="N", help="At most so many.")] = 20,
    json: JsonOption = False,
) -> None:
    """List incidents, open ones first."""
    from kwiksync_ops.services.alerts import list_incidents as read

    output = Output(is_json=json)
    with open_session() as session:
        found = read(session.hub, limit)
        now = session.clock.now()
    output.emit({"incidents": [asdict(each) for each in found]})
    if not found:
        output.say("Nothing went wrong that was worth an alert.", style="green")
        return
    states = ["closed" if each.closed else "told" if each.told else "open" for each in found]
    rows = [
        (each.subject, each.kind, ago(each.opened, now), each.times, state, each.run_id or "")
        for each, state in zip(found, states, strict=True)
    ]
    output.table(_FIELDS, rows)


@app.command()
def test(json: JsonOption = False) -> None:  # noqa: PT028  # a command, not a test
    """Send a test alert to the addresses of KWIKSYNC_ALERT_URLS. Exit code 1 where it does not arrive."""
    from kwiksync_ops.services.alerts import sender

    output = Output(is_json=json)
    with open_session() as session:
        arrived = sender(session.settings)("KWikSync: a test", "Alerts of this installation reach you.")
    output.emit({"arrived": arrived})
    if not arrived:
        output.say("It did not reach all addresses; what they answered stands above.", style="red")
        raise typer.Exit(ExitCode.FAILED)
    output.say("Sent.", style="green")


@app.command()
def watch(json: JsonOption = False) -> None:
    """Look for scheduled syncs that did not run, and send what is still to be told. Fit for a crontab."""
    from kwiksync_ops.services import alerts
    from kwiksync_ops.system_spec.loader import load_systems
    from kwiksync_ops.system_spec.spec import SystemSpec

    output = Output(is_json=json)
    with open_session() as session:
        declared = load_systems(session.settings.include)
        alerts.watch(session.hub, [system for system in declared if isinstance(system, SystemSpec)], session.clock)
        sent = alerts.tell_all(session.hub, session.settings, session.clock)
    output.emit({"sent": sent})
    output.say(f"{count(sent, 'alert')} sent.")
