"""`db`: the hub's schema."""

from __future__ import annotations

import typer

from kwiksync_ops.cli.output import Output
from kwiksync_ops.cli.session import JsonOption, open_session

app = typer.Typer(help="Make and upgrade the hub database.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Make and upgrade the hub database."""


@app.command()
def upgrade(json: JsonOption = False) -> None:
    """Bring the hub to this version's schema; the first time it makes it. Safe to run again."""
    from kwiksync_ops import vault
    from kwiksync_ops.settings import read_settings
    from kwiksync_ops.storage import schema

    output = Output(is_json=json)
    made = vault.ensure_keys(read_settings())
    with open_session(is_current=False) as session:
        before, after = schema.upgrade(session.hub)
    output.emit({"from": before, "to": after, "secret_keys_file": made})
    if made:
        output.say(f"Made a secret key in {made}. Keep a copy: without it stored Customer Keys can't be read.")
    if before == after:
        output.say(f"The hub is at schema {after} already.", style="green")
    else:
        output.say(f"The hub is at schema {after} now (before: {before or 'nothing'}).", style="green")
