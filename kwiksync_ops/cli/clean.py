"""`clean`: old log rows out of the hub, into the archive."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import count

_FIELDS = (Field("What"), Field("Older than"), Field("Rows", is_number=True))


def clean(
    yes: Annotated[
        bool, typer.Option("--yes", "-y", metavar="", help="Do it; without it, say what would be done.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Archive and remove old rows of the logs, of the history and of the outbox, by the settings retention.*.

    What is still to be replayed, sent or decided stays, however old it is.
    """
    from kwiksync_ops.services.retention import clean as clean_hub
    from kwiksync_ops.services.retention import plan_clean

    output = Output(is_json=json)
    with open_session() as session:
        if yes:
            done = list(clean_hub(session.hub, session.settings, who=session.who, clock=session.clock))
        else:
            done = plan_clean(session.hub, session.clock)
        home = session.settings.home
    output.emit({"cleaned" if yes else "would_clean": [asdict(each) for each in done]})
    output.table(_FIELDS, [(each.name, f"{each.days} days", each.rows) for each in done])
    rows = sum(each.rows for each in done)
    if yes:
        output.say(f"{count(rows, 'row')} archived under {home}/archive and removed.", style="green")
    else:
        output.say(f"{count(rows, 'row')} would be archived and removed: kwiksync clean --yes.")
