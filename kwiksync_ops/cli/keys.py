"""`keys`: the Customer Keys that are sent to systems."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import ago

app = typer.Typer(help="Customer Keys that are sent to systems.", no_args_is_help=True)


@app.command("set")
def set_key(
    system: Annotated[str, typer.Argument(metavar="SYSTEM", help="The system that the key is sent to.")],
    json: JsonOption = False,
) -> None:
    """Store a system's Customer Key, encrypted. It is asked for without echo, or read from stdin in a pipe:

    [dim]kwiksync keys set erp < customer-key.txt[/]
    """
    from kwiksync_ops.services.keys import set_customer_key
    from kwiksync_ops.services.systems import find_system
    from kwiksync_ops.vault import Vault

    output = Output(is_json=json)
    with open_session() as session:
        find_system(session.settings.include, system)
        vault = Vault(session.settings.secret_keys)
        secret = _read_secret(system)
        entry = set_customer_key(session.hub, vault, system, secret, who=session.who, clock=session.clock)
    output.emit({"key": asdict(entry)})
    output.say(f"Stored. {system} is sent this key from its next call on.", style="green")


@app.command("list")
def list_keys(json: JsonOption = False) -> None:
    """Which systems have a Customer Key, since when and from whom. A key itself is never shown."""
    from kwiksync_ops.services.keys import list_customer_keys

    output = Output(is_json=json)
    with open_session() as session:
        entries = list_customer_keys(session.hub)
        now = session.clock.now()
    output.emit({"keys": [asdict(entry) for entry in entries]})
    if not entries:
        output.say("No Customer Key was set yet. Run kwiksync keys set SYSTEM.")
        return
    fields = (Field("System"), Field("Active"), Field("Set"), Field("By", shortest=6), Field("Secret key", style="dim"))
    output.table(
        fields, [(e.system, e.is_active, ago(e.created_on, now), e.created_by, e.encrypted_with) for e in entries]
    )


def _read_secret(system: str) -> str:
    if sys.stdin.isatty():
        return str(typer.prompt(f"Customer Key of {system}", hide_input=True, err=True))
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")
