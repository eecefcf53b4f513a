"""`conflicts`: what hub and system both changed, and which of the two stands."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from kwiksync_ops.cli.exit_code import ExitCode
from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import ago, count, printable

if TYPE_CHECKING:
    from kwiksync_ops.services.conflicts import Conflict

app = typer.Typer(help="List, show and decide conflicts: what hub and system both changed.", no_args_is_help=True)

SHORT_ID = 10
_FIELDS = (
    Field("Id", style="cyan"),
    Field("System", shortest=6, from_width=100),
    Field("Table", shortest=8),
    Field("Record", shortest=8),
    Field("Field", shortest=8),
    Field("Was", shortest=6, from_width=90),
    Field("In the hub", shortest=8),
    Field("At the system", shortest=8),
    Field("Stands"),
)

Id = Annotated[str, typer.Argument(metavar="ID", help="An id from conflicts list; its first digits do.")]


@app.command("list")
def list_them(
    system: Annotated[
        str | None, typer.Option("--system", "-s", metavar="SYSTEM", help="Only with this system.", show_default=False)
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", "-t", metavar="TABLE", help="Only of this table.", show_default=False)
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", "-a", metavar="", help="Decided ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, metavar="N", help="At most so many.")] = 50,
    check: Annotated[bool, typer.Option("--check", metavar="", help="Exit with 3 where there are any.")] = False,
    json: JsonOption = False,
) -> None:
    """List the conflicts that wait for you, newest first."""
    from kwiksync_ops.services.conflicts import list_conflicts

    output = Output(is_json=json)
    with open_session() as session:
        listed = list_conflicts(session.hub, system=system, table=table, decided=show_all, limit=limit + 1)
    found, is_cut = listed[:limit], len(listed) > limit
    output.emit({"conflicts": [vars(conflict) for conflict in found], "more": is_cut})
    if found:
        output.table(_FIELDS, [_row(conflict) for conflict in found])
    is_any_open = any(conflict.resolution == "open" for conflict in found)
    hint = " Decide one: kwiksync conflicts resolve ID --use hub|system" if is_any_open else ""
    number = f"More than {limit}: --limit shows them." if is_cut else f"{count(len(found), 'conflict')}."
    output.say(f"{number}{hint}" if found else "No conflicts.", style="" if found else "green")
    raise typer.Exit(ExitCode.ATTENTION if check and found else ExitCode.OK)


@app.command()
def show(conflict: Id, json: JsonOption = False) -> None:
    """Show a conflict whole: both versions, when and by whom."""
    from kwiksync_ops.services.conflicts import find_conflict

    output = Output(is_json=json)
    with open_session() as session:
        found = find_conflict(session.hub, conflict)
        now = session.clock.now()
    output.emit({"conflict": vars(found)})
    output.say(f"{found.sys_id}  {found.table} {found.external_id}, {found.field}", style="bold")
    output.say(f"  when both agreed    {_shown(found.base)}")
    changed = ago(datetime.fromisoformat(found.hub_changed_on), now) if found.hub_changed_on else "unknown when"
    output.say(f"  in the hub          {_shown(found.hub)}   {found.hub_changed_by}, {changed}")
    output.say(f"  at {found.system:<16} {_shown(found.theirs)}   {found.theirs_changed_on or 'unknown when'}")
    output.say(f"  policy              {found.policy}; {found.stands}")
    if found.resolution == "open":
        output.say(f"Decide: kwiksync conflicts resolve {found.sys_id[:SHORT_ID]} --use hub, or --use system.")
    elif found.decided_on:
        value = "" if found.value is None else f"   {_shown(found.value)}"
        output.say(f"  ended               by {found.decided_by}, {ago(found.decided_on, now)}{value}")


@app.command()
def resolve(
    conflict: Id,
    use: Annotated[
        str | None, typer.Option("--use", "-u", metavar="SIDE", help="hub or system: whose value stands.")
    ] = None,
    value: Annotated[
        str | None, typer.Option("--value", metavar="VALUE", help="Another value than either.", show_default=False)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Also where the hub's value was changed since.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Decide a conflict. What the system has not goes out with the next outbound sync."""
    from kwiksync_ops.services.conflicts import resolve_conflict

    if use not in (None, "hub", "system"):
        raise typer.BadParameter(f"{use!r} is neither hub nor system.", param_hint="--use")
    if (use is None) == (value is None):
        raise typer.BadParameter("say one of them: --use hub, --use system, or --value.", param_hint="--use")
    output = Output(is_json=json)
    with open_session() as session:
        done = resolve_conflict(
            session.hub, conflict, use=use, value=value, who=session.who, clock=session.clock, force=force
        )
    output.emit({"conflict": vars(done.conflict), "value": done.value, "is_sent": done.is_sent})
    after = "The next outbound sync sends it." if done.is_sent else "The system has it already."
    output.say(f"{done.conflict.field} of {done.conflict.external_id} is {_shown(done.value)}. {after}", style="green")


def _row(conflict: Conflict) -> tuple[Any, ...]:
    return (
        conflict.sys_id[:SHORT_ID],
        conflict.system,
        conflict.table,
        conflict.external_id,
        conflict.field,
        _shown(conflict.base),
        _shown(conflict.hub),
        _shown(conflict.theirs),
        Text(conflict.stands, style="yellow" if conflict.resolution == "open" else ""),
    )


def _shown(value: Any) -> str:
    return "no value" if value is None else printable(str(value))
