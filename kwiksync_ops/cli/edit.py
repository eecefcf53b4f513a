"""`edit`, `create`, `delete`: records changed by hand in the hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from kwiksync_ops.cli.output import Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import count, shown

Table = Annotated[
    str,
    typer.Argument(metavar="TABLE", help="locations, projects, tickets, kw_corp_ticket_tasks, assets, deliverables."),
]
SysId = Annotated[str, typer.Argument(metavar="SYS_ID", help="The record's sys_id.")]
Values = Annotated[list[str], typer.Argument(metavar="FIELD=VALUE", help="state=2; nothing after the sign: no value.")]


def edit(table: Table, sys_id: SysId, values: Values, json: JsonOption = False) -> None:
    """Change fields of a record. Outbound syncs deliver it."""
    from kwiksync_ops.services.edit import edit_record

    output = Output(is_json=json)
    given = _given(values)
    with open_session() as session:
        changes = edit_record(session.hub, table, sys_id, given, who=session.who, clock=session.clock)
    output.emit({"sys_id": sys_id, "changes": {name: list(change) for name, change in changes.items()}})
    for name, (old, new) in changes.items():
        output.say(f"{name}: {shown(old)} → {shown(new)}")
    if not changes:
        output.say("It had these values already.")


def create(table: Table, values: Values, json: JsonOption = False) -> None:
    """Make a record in the hub. Outbound syncs create it at the systems."""
    from kwiksync_ops.services.edit import create_record

    output = Output(is_json=json)
    given = _given(values)
    with open_session() as session:
        sys_id = create_record(session.hub, table, given, who=session.who, clock=session.clock)
    output.emit({"sys_id": sys_id})
    output.say(f"Created {sys_id}.", style="green")


def delete(
    table: Table,
    sys_ids: Annotated[list[str], typer.Argument(metavar="SYS_ID", help="sys_ids of the records.")],
    json: JsonOption = False,
) -> None:
    """Delete records in the hub. They stay as tombstones: kwiksync records TABLE --deleted."""
    from kwiksync_ops.services.edit import delete_records

    output = Output(is_json=json)
    with open_session() as session:
        number = delete_records(session.hub, table, sys_ids, who=session.who, clock=session.clock)
    output.emit({"deleted": number})
    output.say(f"Deleted {count(number, 'record')}.", style="green")


def _given(values: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in values]
    for name, sign, _ in pairs:
        if not sign or not name:
            raise typer.BadParameter(f"{name!r} is not FIELD=VALUE.", param_hint="FIELD=VALUE")
    return {name: value for name, _, value in pairs}
