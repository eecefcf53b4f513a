"""`undo`: put back what a run changed in the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kwiksync_ops.cli.output import Field, Output
from kwiksync_ops.cli.session import JsonOption, open_session
from kwiksync_ops.cli.text import count

if TYPE_CHECKING:
    from kwiksync_ops.services.undo import TableUndone, UndoPlan

_FIELDS = (
    Field("Table", shortest=12),
    Field("Created", is_number=True),
    Field("Changed", is_number=True),
    Field("Deleted", is_number=True),
    Field("Changed since", is_number=True),
)
_SENT_BACK = (
    "What is put back is an edit of the hub: a system that is written to gets it with its next outbound sync. From one "
    "that is only read, a full sync brings the system's values again."
)


def undo(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Its id, from kwiksync status --runs 5 --json.")],
    tables: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", metavar="TABLE", help="Only this table; may be given several times."),
    ] = None,
    skip_conflicts: Annotated[
        bool, typer.Option("--skip-conflicts", metavar="", help="Leave records as they are that were changed since.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", metavar="", help="Only show what would be put back.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", metavar="", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    """Put back what a run changed in the hub: old values, and records that it deleted; what it created is deleted."""
    from kwiksync_ops.services.undo import plan_undo, undo_run

    output = Output(is_json=json)
    with open_session() as session:
        plan = plan_undo(session.hub, run, tables or (), who=session.who, clock=session.clock)
        if dry_run:
            output.emit(_document(plan, []))
            _show(output, plan)
            return
        if not json:
            _show(output, plan)
        if not (yes or json):
            typer.confirm("Put this back?", abort=True, err=True)
        done = undo_run(session.hub, plan, who=session.who, clock=session.clock, skip_conflicts=skip_conflicts)
        output.emit(_document(plan, done))
        restored, buried = sum(each.restored for each in done), sum(each.buried for each in done)
        output.say(f"{count(restored, 'record')} put back, {count(buried, 'record')} deleted, as run {plan.undo_id}.")


def _show(output: Output, plan: UndoPlan) -> None:
    rows = [(each.table, each.created, each.updated, each.deleted, len(each.later)) for each in plan.tables]
    output.table(_FIELDS, rows)
    for later in plan.later[:20]:
        output.say(f"{later.table} {later.external_id}: {', '.join(later.fields)} changed since, by {later.run_id}")
    output.say(_SENT_BACK, style="dim")


def _document(plan: UndoPlan, done: list[TableUndone]) -> dict[str, Any]:
    return {
        "run_id": plan.run_id,
        "undo_id": plan.undo_id,
        "tables": [
            {"table": each.table, "created": each.created, "updated": each.updated, "deleted": each.deleted}
            for each in plan.tables
        ],
        "changed_since": [vars(later) for later in plan.later],
        "done": [vars(each) for each in done],
    }
